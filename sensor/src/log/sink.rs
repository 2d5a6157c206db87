//! Writing the log: to a file while the disk takes it, into memory while it does not.

use core::sync::atomic::Ordering;

use peewit_core::frame::{DELIMITER, Glance, MAX_HEADER_FRAME, glance};

use super::backlog::Backlog;
use super::scan::cut_tail;
use super::segments::{
    forget_consumed, last_number, remove_consumed, remove_oldest, segment, survey, sync_folder,
};
use super::{BEGUN, DROPPED, Path, RESUMED, SYNC_MS, Settings, Sync, UNWRITTEN, append, consumed};
use crate::outlet::NOTE;
use crate::store::Store;
use crate::sys::{Errno, Fd, Identity, boot_ms, identity, identity_by, rename};
use crate::text::say;

/// How often a disk that takes nothing is tried again.
const RETRY_MS: u64 = 1000;

/// The file that is written.
#[derive(Debug)]
struct Current {
    fd: Fd,
    identity: Identity,
    /// Its whole frames, in bytes.
    length: u64,
    /// How much of it is on the disk.
    synced: u64,
    /// Alerts that are not.
    unsynced: u64,
}

/// The log.
#[derive(Debug)]
pub struct Log {
    path: Path,
    settings: Settings,
    /// Nothing while the disk takes nothing: it can be unmounted then.
    current: Option<Current>,
    backlog: Backlog,
    /// The header that goes in front of each file, as soon as there was one.
    header: [u8; MAX_HEADER_FRAME],
    header_length: usize,
    /// The number of the last segment.
    newest: u64,
    /// What a sync could not bring to the disk, and so is written again, is still to be cut away: from here, of this file.
    cut: Option<(Identity, u64)>,
    /// The store was told of alerts that were taken back.
    ahead: bool,
    /// The last error that was told, while it lasts.
    failed: Option<Errno>,
    /// Alerts were given up since the log was last in order.
    lost: bool,
    /// The last frame was given up; what the store was to note of it is not noted.
    dropping: bool,
    /// What had been consumed when room was last looked for.
    freed: u64,
    next_try_ms: u64,
    /// 0: nothing waits for a sync.
    next_sync_ms: u64,
}

/// Opens a log, and gives the number of its last alert. If it cannot be opened it is tried again later.
///
/// `buffer` is for frames: [`MAX_FRAME`] bytes.
pub fn start(path: Path, settings: Settings, buffer: &mut [u8]) -> (Log, u64) {
    let mut log = Log {
        path,
        settings,
        current: None,
        backlog: Backlog::default(),
        header: [0; MAX_HEADER_FRAME],
        header_length: 0,
        newest: 0,
        cut: None,
        ahead: false,
        failed: None,
        lost: false,
        dropping: false,
        freed: 0,
        next_try_ms: 0,
        next_sync_ms: 0,
    };
    if let Err(error) = log.open() {
        log.failed(error);
    }
    let sequence = last_number(&log.path, buffer);
    if consumed(&log.path) > sequence {
        forget_consumed(&log.path);
    }
    (log, sequence)
}

impl Log {
    /// The file, opened if need be.
    #[inline(never)]
    fn open(&mut self) -> Result<&mut Current, Errno> {
        if self.current.is_none() {
            let fd = append(&self.path)?;
            let identity = identity(&fd)?;
            let mut length = 0;
            if identity.regular {
                length = fd.seek_to_end()?;
                if let Some((file, at)) = self.cut
                    && file == identity
                    && length > at
                {
                    fd.truncate(at)?;
                    length = at;
                }
                self.cut = None;
                length = cut_tail(&fd, length);
            }
            let mut current = Current {
                fd,
                identity,
                length,
                synced: length,
                unsynced: 0,
            };
            if length <= 1 {
                if self.settings.sync != Sync::None {
                    // Some file systems cannot.
                    let _ = sync_folder(&self.path);
                }
                current.append(self.header.get(..self.header_length).unwrap_or(&[]))?;
                BEGUN.store(true, Ordering::Relaxed);
            }
            self.current = Some(current);
        }
        self.current.as_mut().ok_or(Errno::NOT_FOUND)
    }

    /// Takes a record: writes a frame, or keeps it until it can be written. What is no frame goes to the store, behind the
    /// frames that came before it.
    pub fn take(&mut self, record: &[u8], store: &mut Option<Store>, buffer: &mut [u8]) {
        let is_note = record.first() == Some(&NOTE);
        if is_note && self.dropping {
            return;
        }
        self.dropping = false;
        if self.backlog.is_empty() {
            match self.pass(record, store, buffer) {
                Ok(()) => return,
                Err(error) => self.failed(error),
            }
        }
        self.keep(record);
    }

    /// Writes a frame or notes a note.
    fn pass(
        &mut self,
        record: &[u8],
        store: &mut Option<Store>,
        buffer: &mut [u8],
    ) -> Result<(), Errno> {
        if record.first() == Some(&NOTE) {
            return self.note(record.get(1..).unwrap_or(&[]), store, buffer);
        }
        match self.write(record, buffer) {
            Err(Errno::NO_SPACE | Errno::QUOTA) if self.make_room(buffer) => {
                self.write(record, buffer)
            }
            result => result,
        }
    }

    /// Removes what was consumed. Gives whether there was any.
    fn make_room(&mut self, buffer: &mut [u8]) -> bool {
        let consumed = consumed(&self.path);
        core::mem::replace(&mut self.freed, consumed) != consumed
            && remove_consumed(&self.path, buffer) > 0
    }

    fn note(
        &mut self,
        record: &[u8],
        store: &mut Option<Store>,
        buffer: &mut [u8],
    ) -> Result<(), Errno> {
        if store.as_mut().is_some_and(|store| !store.note(record)) {
            self.settle(store, buffer, true)?;
            // If there is still no room the term is new again after the next start.
            let _ = store.as_mut().map(|store| store.note(record));
        }
        Ok(())
    }

    fn write(&mut self, frame: &[u8], buffer: &mut [u8]) -> Result<(), Errno> {
        let size = self.settings.segment_size;
        let current = self.open()?;
        let length = current.length + frame.len() as u64;
        if length > size && current.identity.regular {
            self.rotate(length, buffer)?;
        }
        let result = self.open()?.append(frame);
        if result.is_err() {
            // What was written before is to be durable all the same.
            let _ = self.close(buffer);
            return result;
        }
        if glance(frame) == Glance::Header
            && let Some(header) = self.header.get_mut(..frame.len())
        {
            header.copy_from_slice(frame);
            self.header_length = frame.len();
        }
        Ok(())
    }

    /// Begins a new file, since the one in use would get as long as this.
    #[inline(never)]
    fn rotate(&mut self, length: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        self.close(buffer)?;
        let survey = survey(&self.path, 0);
        self.newest = survey.last.max(self.newest) + 1;
        let renamed = segment(&self.path, self.newest)
            .and_then(|segment| rename(self.path.as_c_str(), segment.as_c_str()));
        if let Err(error) = renamed {
            // Where names cannot be changed the file alone may get as long as all of them.
            let most = self.settings.segment_size * self.settings.segments;
            return if length > most { Err(error) } else { Ok(()) };
        }
        for _ in self.settings.segments..=survey.count + 1 {
            let lost = remove_oldest(&self.path, buffer)?;
            if lost > 0 {
                DROPPED.fetch_add(lost, Ordering::Relaxed);
                say("the oldest segment of the alert log was removed; alerts in it that nobody had consumed: ")
                    .number(lost);
            }
        }
        Ok(())
    }

    /// Keeps a record until the disk takes it, or gives it up.
    fn keep(&mut self, record: &[u8]) {
        if self.backlog.push(record) {
            return;
        }
        self.dropping = true;
        self.lost |= lose(record);
        // It may have told of a rule.
        BEGUN.store(true, Ordering::Relaxed);
    }

    /// Nothing can be written.
    #[inline(never)]
    fn failed(&mut self, error: Errno) {
        self.next_try_ms = boot_ms() + RETRY_MS;
        if self.failed.replace(error) != Some(error) {
            say("cannot write to ")
                .printable(self.path.as_bytes())
                .text(": ")
                .error(error)
                .text("; alerts wait in memory");
        }
    }

    /// Before some records are taken: sees whether the file is still where it was, and whether the disk takes again what waits.
    pub fn look(&mut self, store: &mut Option<Store>, record: &mut [u8], buffer: &mut [u8]) {
        if let Some(current) = &self.current
            && identity_by(self.path.as_c_str()) != Ok(current.identity)
        {
            let _ = self.close(buffer);
        }
        // All that waits is written for each try: not with each alert that comes.
        if self.failed.is_some() && boot_ms() < self.next_try_ms {
            return;
        }
        while let Some(first) = self.backlog.first(record) {
            if let Err(error) = self.pass(first, store, buffer) {
                self.failed(error);
                return;
            }
            self.backlog.advance(first.len());
        }
        if !self.backlog.is_empty() {
            // Only what is on the disk is forgotten here.
            let _ = self.settle(store, buffer, true);
        }
        if self.current.is_some() && self.failed.take().is_some() {
            say("the alert log is written again");
            RESUMED.store(core::mem::take(&mut self.lost), Ordering::Relaxed);
        }
    }

    /// Brings what was written to the disk if it is time to, or in any case (`now`), and what the store was told behind it.
    ///
    /// # Errors
    /// Those of fdatasync(2): what was written has been taken back then.
    pub fn settle(
        &mut self,
        store: &mut Option<Store>,
        buffer: &mut [u8],
        now: bool,
    ) -> Result<(), Errno> {
        let unsynced = self
            .current
            .as_ref()
            .is_some_and(|current| current.length > current.synced);
        if unsynced && self.next_sync_ms == 0 {
            self.next_sync_ms = boot_ms() + SYNC_MS;
        }
        let due = match self.settings.sync {
            Sync::Each => true,
            Sync::Interval => now || !unsynced || boot_ms() >= self.next_sync_ms,
            Sync::None => {
                self.backlog.release();
                true
            }
        };
        if due && unsynced {
            self.sync(buffer)?;
        }
        self.ahead &= !self.backlog.is_empty();
        // A term may be known after a crash only if its alert is there.
        if due
            && !self.ahead
            && let Some(store) = store
        {
            store.commit(self.settings.sync != Sync::None);
        }
        Ok(())
    }

    /// Brings what was written to the disk, or takes it back.
    #[inline(never)]
    fn sync(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        self.next_sync_ms = 0;
        let result = current.sync();
        match result {
            Ok(()) => {
                current.synced = current.length;
                current.unsynced = 0;
                self.backlog.release();
            }
            Err(error) => {
                self.take_back(buffer);
                self.failed(error);
            }
        }
        result
    }

    /// What was written since the last sync may never get to the disk, and the next sync would not say so: it is written anew.
    #[inline(never)]
    fn take_back(&mut self, buffer: &mut [u8]) {
        let Some(current) = self.current.take() else {
            return;
        };
        let (mut at, mut missing) = (current.synced, current.unsynced);
        if self.backlog.rewind() {
            // It came from there.
            (at, missing) = (current.length, 0);
        }
        while at < current.length {
            // The kernel still has it in memory, as a rule.
            let read = current
                .fd
                .seek_to(at)
                .and_then(|()| current.fd.read(buffer));
            let bytes = read.ok().and_then(|read| buffer.get(..read)).unwrap_or(&[]);
            let Some(end) = bytes.iter().skip(1).position(|&byte| byte == DELIMITER) else {
                break;
            };
            let frame = bytes.get(..end + 2).unwrap_or(&[]);
            missing -= u64::from(matches!(glance(frame), Glance::Alert(_))).min(missing);
            self.keep(frame);
            at += frame.len() as u64;
        }
        self.ahead = true;
        UNWRITTEN.fetch_add(missing, Ordering::Relaxed);
        self.lost |= missing > 0;
        if current.fd.truncate(current.synced).is_err() {
            self.cut = Some((current.identity, current.synced));
        }
    }

    /// Lets go of the file.
    fn close(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        let result = if self.settings.sync == Sync::None {
            Ok(())
        } else {
            self.sync(buffer)
        };
        self.current = None;
        result
    }

    /// In how many milliseconds there is something to do at the latest.
    pub fn wait_ms(&self) -> Option<u32> {
        let pending = |current: &Current| {
            self.settings.sync == Sync::Interval && current.length > current.synced
        };
        let at = if !self.backlog.is_empty() {
            self.next_try_ms
        } else if self.current.as_ref().is_some_and(pending) {
            self.next_sync_ms
        } else {
            return None;
        };
        Some(u32::try_from(at.saturating_sub(boot_ms())).unwrap_or(u32::MAX))
    }

    /// The end: what cannot be written now never will be.
    pub fn finish(&mut self, store: &mut Option<Store>, record: &mut [u8], buffer: &mut [u8]) {
        self.next_try_ms = 0;
        self.look(store, record, buffer);
        let _ = self.settle(store, buffer, true);
        while let Some(first) = self.backlog.first(record) {
            lose(first);
            self.backlog.advance(first.len());
        }
    }
}

/// Counts what is given up. Gives whether it was an alert.
fn lose(record: &[u8]) -> bool {
    let alert = matches!(glance(record), Glance::Alert(_)) && record.first() == Some(&DELIMITER);
    UNWRITTEN.fetch_add(alert.into(), Ordering::Relaxed);
    alert
}

impl Current {
    /// Brings it to the disk, if it is on one.
    fn sync(&self) -> Result<(), Errno> {
        if self.identity.regular {
            self.fd.sync()
        } else {
            Ok(())
        }
    }

    /// Puts a frame at the end, all of it or nothing.
    #[inline(never)]
    fn append(&mut self, frame: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        while let Some(rest) = frame.get(written..).filter(|rest| !rest.is_empty()) {
            match self.fd.write(rest) {
                Ok(more @ 1..) => written += more,
                result => {
                    if written > 0 {
                        // What cannot be cut away spoils nothing else: the next frame brings its own delimiter.
                        let _ = self.fd.truncate(self.length);
                    }
                    return Err(result.err().unwrap_or(Errno::NO_SPACE));
                }
            }
        }
        self.length += frame.len() as u64;
        self.unsynced += u64::from(matches!(glance(frame), Glance::Alert(_)));
        Ok(())
    }
}
