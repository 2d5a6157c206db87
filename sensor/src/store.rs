//! What outlives the sensor: terms, the numbering of alerts, time. It belongs to the writer's thread.
//!
//! What is new comes as *notes* and goes to the journal. An alert is on the disk before the note of its term is: so the
//! writer hands notes over as they come out of its queue, and commits them behind the log. If the disk does not take them, the table
//! in memory goes on alone, and all of it is written anew when the disk allows.

mod folder;
mod load;
mod rewrite;

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use peewit_core::store::{MAX_FRAMED, MAX_RECORD, Place, Record, Saved, encode, framed};

use crate::state::STATE;
use crate::sys::{Errno, Fd, Mapping, OpenMode, boot_ms, thread_id};
use crate::text::say;
use crate::texts::Text;
use crate::{age, rules};
pub use folder::{Folder, read};
pub use load::look;
pub use rewrite::{NEWEST_FIRST, names};

/// Where the state is if nobody says otherwise.
pub const DEFAULT: &CStr = c"/var/lib/peewit/state/";

/// Its files. The number is that of the format: a later version has its own, and leaves these.
pub const SNAPSHOT: &[u8] = b"state.1";
/// What has come since.
pub const JOURNAL: &[u8] = b"journal.1";

/// How many numbers of alerts are made known as used in one go.
const RESERVE: u64 = 64;
/// How often the clocks are written down, and everything anew if there is enough to it.
const HOUR_MS: u64 = 3_600_000;
/// How long after a failure the disk is tried again; twice as long after each that follows, up to the longest.
const RETRY_MS: u64 = 10_000;
const LONGEST_RETRY_MS: u64 = 640_000;
/// The shortest journal for which all is written anew.
const LEAST: u64 = 8 << 10;
/// A journal this long is not let grow for the rest of the hour.
const MOST: u64 = 256 << 10;

/// Room for notes, and as much to read files.
pub const BUFFER: usize = 4 << 10;
const _: () = assert!(BUFFER >= 2 * MAX_FRAMED);

/// Records that the disk did not take.
pub static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// The store.
pub struct Store {
    path: &'static CStr,
    /// Locked. `None`: it cannot be opened.
    folder: Option<Folder>,
    /// Open for records at the end. `None`: all is to be written anew.
    journal: Option<Fd>,
    /// Where the next record goes.
    place: Place,
    /// How long the snapshot is.
    snapshot: u64,
    saved: Saved,
    /// Notes, each with room for its length and checksum.
    notes: &'static mut [u8],
    filled: usize,
    /// So much of them may be written: their alerts are.
    ready: usize,
    /// For reading; given back behind it.
    buffer: Mapping,
    /// When the clocks are to be written down.
    hour_ms: u64,
    /// When to try the disk again, after a failure.
    retry_ms: Option<u64>,
    /// How long to wait after the next failure.
    patience_ms: u64,
    /// All is to be written anew without delay.
    urgent: bool,
    /// The last error that was told.
    told: Option<Errno>,
}

impl Store {
    /// Takes a note. `false`: there is no room for it; commit first.
    pub fn note(&mut self, record: &[u8]) -> bool {
        let length = framed(record.len());
        let free = self.notes.get_mut(self.filled..);
        let Some(place) = free.and_then(|free| free.get_mut(..length)) else {
            // One that never fits is dropped.
            return record.len() > MAX_RECORD;
        };
        if let Some(payload) = place.get_mut(2..2 + record.len()) {
            payload.copy_from_slice(record);
        }
        // The length stands in front already, to find the next one.
        if let Some(front) = place.first_chunk_mut() {
            *front = (record.len() as u16).to_le_bytes();
        }
        self.filled += length;
        true
    }

    /// Appends what was taken to the journal, and brings it to the disk if `sync`.
    pub fn commit(&mut self, sync: bool) {
        let before = core::mem::replace(&mut self.ready, self.filled);
        if self.ready == before || self.retry_ms.is_none() && self.append_notes(sync) {
            return;
        }
        let mut count = 0;
        each(self.notes.get_mut(before..self.ready), &mut |_| count += 1);
        UNWRITTEN.fetch_add(count, Ordering::Relaxed);
        // There has to be room for the next ones: what these are called is lost, but not that they are known.
        if self.ready > BUFFER / 2 {
            self.journal = None;
            self.settle();
        }
    }

    /// Alert numbers up to this one are known as used after a crash.
    pub fn reserved(&self) -> u64 {
        self.saved.sequence
    }

    /// Makes some more numbers from `sequence` on known as used, before the first of them is.
    pub fn reserve(&mut self, sequence: u64) {
        let sequence = sequence.saturating_add(RESERVE);
        self.append(&Record::Reserved { sequence });
    }

    /// The build number of the newest rules that were in use.
    pub fn pack_build(&self) -> u32 {
        self.saved.pack_build
    }

    /// Keeps the build number of the newest rules that were in use.
    fn note_pack(&mut self) {
        let build = rules::newest_build();
        if build > self.saved.pack_build {
            self.append(&Record::Pack { build });
        }
    }

    /// The device's secret.
    pub fn key(&self) -> [u8; 16] {
        self.saved.key.0
    }

    /// ECS `host.id`, for a device that has none of its own.
    pub fn host_id(&self) -> &str {
        &self.saved.host_id
    }

    /// Writes everything anew if it is time to, and at a clean end (`stop`).
    pub fn tick(&mut self, stop: bool) {
        let now = boot_ms();
        self.note_pack();
        if stop {
            return self.rewrite(true);
        }
        if let Some(retry) = self.retry_ms {
            if now < retry {
                return;
            }
            self.retry_ms = None;
            if self.journal.is_some() {
                self.append_notes(true);
            }
        }
        let hour = now >= self.hour_ms;
        let length = self.place.offset;
        let long = length > MOST || hour && length > LEAST.max(self.snapshot / 2);
        if self.journal.is_none() || self.urgent || long {
            self.rewrite(false);
        } else if age::take_due() || hour {
            self.append(&Record::Clock(age::now()));
            self.hour_ms = now + HOUR_MS;
        }
    }

    /// In how many milliseconds [`Store::tick`] is to be called next.
    pub fn wait_ms(&self) -> Option<u32> {
        let next = self.retry_ms.unwrap_or(self.hour_ms);
        Some(u32::try_from(next.saturating_sub(boot_ms())).unwrap_or(u32::MAX))
    }

    /// Appends a record to the journal, in front of the notes, and brings it to the disk.
    #[inline(never)]
    fn append(&mut self, record: &Record<'_>) {
        self.saved.apply(record);
        // Longer than any that is no term.
        let mut bytes = [0; 96];
        let payload = bytes.get_mut(2..).unwrap_or(&mut []);
        let length = framed(encode(record, payload).unwrap_or(0));
        let bytes = bytes.get_mut(..length).unwrap_or(&mut []);
        let mut end = self.place;
        end.seal(bytes);
        let written = write(self.journal.as_ref(), self.place.offset, bytes, true);
        if !self.took(end, written) {
            UNWRITTEN.fetch_add(1, Ordering::Relaxed);
            self.urgent = true;
        }
    }

    /// Appends the notes that are ready. Gives whether it could.
    #[inline(never)]
    fn append_notes(&mut self, sync: bool) -> bool {
        if self.ready == 0 {
            return true;
        }
        let (mut end, mut new, mut forgotten) = (self.place, false, false);
        each(self.notes.get_mut(..self.ready), &mut |note| {
            end.seal(note);
            match decode(note) {
                Some(Record::Forgotten { .. }) => forgotten = true,
                Some(Record::Seen { .. }) => {}
                _ => new = true,
            }
        });
        let bytes = self.notes.get(..self.ready).unwrap_or(&[]);
        // That a term was seen again is no loss.
        let sync = sync && (new || forgotten);
        let written = write(self.journal.as_ref(), self.place.offset, bytes, sync);
        let took = self.took(end, written);
        if took {
            self.settle();
            // It must not come back because the journal was damaged before that.
            self.urgent |= forgotten;
        }
        took
    }

    /// The disk took all up to `end`, or not.
    fn took(&mut self, end: Place, written: Result<(), Failure>) -> bool {
        match written {
            Ok(()) => {
                self.place = end;
                self.patience_ms = RETRY_MS;
                true
            }
            Err(failure) => {
                if failure.spoiled {
                    self.journal = None;
                }
                self.failed(failure.error);
                false
            }
        }
    }

    /// Tells of a failure, and tries again later.
    #[cold]
    #[inline(never)]
    fn failed(&mut self, error: Errno) {
        self.retry_ms = Some(boot_ms() + self.patience_ms);
        self.patience_ms = (self.patience_ms * 2).min(LONGEST_RETRY_MS);
        if self.told.replace(error) != Some(error) {
            say("state ")
                .printable(self.path.to_bytes())
                .text(": ")
                .error(error)
                .long(Text::KeptInMemory);
        }
    }

    /// Makes known that what these notes say is on the disk, and drops them.
    fn settle(&mut self) {
        let mut state = STATE.lock(thread_id());
        let terms = state.outlet.terms();
        each(self.notes.get_mut(..self.ready), &mut |note| {
            if let Some(Record::Term(term)) = decode(note) {
                terms.settle(term.fingerprint);
            }
        });
        drop(state);
        self.notes.copy_within(self.ready..self.filled, 0);
        self.filled -= core::mem::take(&mut self.ready);
    }
}

/// Whether a state can be kept in this folder.
///
/// # Errors
/// Those of mkdir(2) and open(2).
pub fn check(path: &CStr) -> Result<(), Errno> {
    Folder::make(path)?;
    Folder::open(path)?
        .file(JOURNAL, OpenMode::Append)
        .map(drop)
}

/// What a note says.
fn decode(note: &[u8]) -> Option<Record<'_>> {
    Record::decode(note.get(2..note.len().checked_sub(4)?)?)
}

/// Hands over one note after the other.
fn each(notes: Option<&mut [u8]>, take: &mut dyn FnMut(&mut [u8])) {
    let mut rest = notes.unwrap_or(&mut []);
    while let Some(length) = rest.first_chunk() {
        let length = framed(usize::from(u16::from_le_bytes(*length)));
        let Some((note, more)) = rest.split_at_mut_checked(length) else {
            return;
        };
        take(note);
        rest = more;
    }
}

/// Why a journal did not take something.
struct Failure {
    error: Errno,
    /// What is in it now is not known.
    spoiled: bool,
}

/// Appends bytes to a journal of this length.
fn write(journal: Option<&Fd>, length: u64, bytes: &[u8], sync: bool) -> Result<(), Failure> {
    let journal = journal.ok_or(Failure {
        error: Errno::NOT_FOUND,
        spoiled: true,
    })?;
    if let Err(error) = journal.write_all(bytes) {
        // A part of it may be there.
        let spoiled = journal.truncate(length).is_err();
        return Err(Failure { error, spoiled });
    }
    if sync {
        // What the disk has after such an error, nobody can tell.
        let spoiled = true;
        journal.sync().map_err(|error| Failure { error, spoiled })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
