//! Writing everything anew: a snapshot of what the table knows, with the names that are on the disk, and an empty journal.

use peewit_core::store::{Kind, MAX_FRAMED, Place, Record, Snapshot, Term, Values, head};

use super::{Folder, HOUR_MS, JOURNAL, RETRY_MS, SNAPSHOT, Store, read};
use crate::age;
use crate::state::STATE;
use crate::sys::{Errno, Fd, OpenMode, boot_ms, remove_file, thread_id};
use crate::text::Out;

/// What a snapshot is called until it is whole.
const NEW: &[u8] = b"state.1.new";

impl Store {
    /// Writes everything anew; `stop`: for the last time, so that numbers need no reserve.
    #[inline(never)]
    pub(super) fn rewrite(&mut self, stop: bool) {
        match self.try_to_rewrite(stop) {
            Ok(()) => {
                self.told = None;
                self.retry_ms = None;
                self.patience_ms = RETRY_MS;
                self.urgent = false;
                self.hour_ms = boot_ms() + HOUR_MS;
                // Those that the journal before it did not take.
                self.append_notes(true);
            }
            Err(error) => self.failed(error),
        }
    }

    fn try_to_rewrite(&mut self, stop: bool) -> Result<(), Errno> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => self.reopen()?,
        };
        let result = self.replace(&folder, stop);
        self.folder = Some(folder);
        result
    }

    /// Opens the folder that could not be opened.
    #[cold]
    fn reopen(&self) -> Result<Folder, Errno> {
        Folder::make(self.path)?;
        let folder = Folder::open(self.path)?;
        folder.lock()?;
        match folder.file(SNAPSHOT, OpenMode::Read) {
            Err(Errno::NOT_FOUND) => Ok(folder),
            // It was learned under another secret.
            Ok(_) => Err(Errno::EXISTS),
            Err(error) => Err(error),
        }
    }

    fn replace(&mut self, folder: &Folder, stop: bool) -> Result<(), Errno> {
        let generation = self.place.generation + 1;
        let new = folder.file(NEW, OpenMode::Truncate)?;
        let length = self
            .snapshot(folder, &new, generation, stop)
            .and_then(|length| new.sync().map(|()| length));
        let length = length.inspect_err(|_| {
            // What there is of it is in the way of others.
            let _ = folder
                .path(NEW)
                .and_then(|path| remove_file(path.as_c_str()));
        })?;
        let journal = folder.file(JOURNAL, OpenMode::Append)?;
        // From here on the old journal may belong to no snapshot.
        self.journal = None;
        folder.rename(NEW, SNAPSHOT)?;
        self.snapshot = length;
        self.place = Place::first(generation);
        journal.truncate(0)?;
        journal.write_all(&head(Kind::Journal, generation))?;
        journal.sync()?;
        self.journal = Some(journal);
        Ok(())
    }

    /// Writes a snapshot. Gives its length.
    fn snapshot(
        &mut self,
        folder: &Folder,
        file: &Fd,
        generation: u64,
        stop: bool,
    ) -> Result<u64, Errno> {
        let mut bytes = [0; MAX_FRAMED];
        let mut out = Out::new(file);
        let (mut snapshot, head) = Snapshot::begin(generation);
        out.bytes(&head);
        let mut put = |record: &Record<'_>| {
            out.bytes(snapshot.put(record, &mut bytes));
        };

        let mut identity = self.saved.identity();
        if stop {
            identity.sequence = STATE.lock(thread_id()).outlet.sequence();
        }
        put(&Record::Identity(identity));
        // Without this one the last is the last trusted one too.
        let clock = age::now();
        if let (Some(trusted), false) = (self.saved.trusted, clock.trusted) {
            put(&Record::Clock(trusted));
        }
        self.saved.apply(&Record::Clock(clock));
        put(&Record::Clock(clock));

        names(folder, OLDEST_FIRST, self.buffer.bytes(), &mut |term| {
            put(&Record::Term(term));
        });
        self.buffer.release();
        out.bytes(snapshot.end(&mut bytes));
        out.flush()?;
        Ok(snapshot.length())
    }
}

/// The files that have names, the older one first.
const OLDEST_FIRST: [(&[u8], Kind); 2] = [(SNAPSHOT, Kind::Snapshot), (JOURNAL, Kind::Journal)];

/// The same for whoever is not the one that writes them. That one may write all anew meanwhile: what was in the journal before it was
/// looked at is in the snapshot then.
pub const NEWEST_FIRST: [(&[u8], Kind); 2] = [OLDEST_FIRST[1], OLDEST_FIRST[0]];

/// Hands over all terms of the table that may be known to others: with the names that are in these files, then those that have none
/// there.
#[inline(never)]
pub fn names(
    folder: &Folder,
    files: [(&[u8], Kind); 2],
    buffer: &mut [u8],
    take: &mut dyn FnMut(Term<'_>),
) {
    let me = thread_id();
    STATE.lock(me).outlet.terms().begin_names();
    for (name, kind) in files {
        let Ok(old) = folder.file(name, OpenMode::Read) else {
            continue;
        };
        // Names that cannot be read are lost; that the terms are known is not.
        let _ = read(&old, kind, buffer, &mut |record| {
            let Record::Term(term) = record else {
                return;
            };
            // One without a name may have one later in the journal.
            if term.rule.is_empty() {
                return;
            }
            let known = STATE.lock(me).outlet.terms().name(term.fingerprint);
            if let Some(known) = known {
                let mut term = term.clone();
                // If its last alert may still be lost, it is as old as it was before.
                if known.settled {
                    (term.age_ms, term.learned) = (known.last_seen_ms, known.learned);
                }
                take(term);
            }
        });
    }
    loop {
        let unnamed = STATE.lock(me).outlet.terms().next_unnamed();
        let Some((fingerprint, known)) = unnamed else {
            return;
        };
        take(Term {
            fingerprint,
            age_ms: known.last_seen_ms,
            learned: known.learned,
            whole: false,
            rule: b"",
            values: Values::new(),
        });
    }
}
