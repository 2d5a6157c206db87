//! What was known before.

use core::ffi::CStr;

use peewit_core::store::{HEAD, Kind, Off, Place, Record, Saved, restore};

use super::{BUFFER, Folder, HOUR_MS, JOURNAL, RETRY_MS, SNAPSHOT, Store, read};
use crate::age;
use crate::host::random_id;
use crate::state::STATE;
use crate::sys::{Errno, Mapping, OpenMode, ThreadId, boot_ms, random};
use crate::text::say;

/// Longest file that is looked at: of a thousand terms with the longest names.
const LONGEST: u64 = 4 << 20;

impl Store {
    /// Opens the state in a folder, and takes what it says of terms into the table. `None`: another sensor has it.
    ///
    /// # Errors
    /// Those of mmap(2) and getrandom(2).
    #[inline(never)]
    pub fn open(path: &'static CStr, me: ThreadId) -> Result<Option<Self>, Errno> {
        let (notes, buffer) = Mapping::new(2 * BUFFER)?.leak().split_at_mut(BUFFER);
        let mut store = Self {
            path,
            folder: None,
            journal: None,
            place: Place::first(0),
            snapshot: 0,
            saved: fresh()?,
            notes,
            filled: 0,
            ready: 0,
            buffer,
            hour_ms: boot_ms() + HOUR_MS,
            retry_ms: None,
            patience_ms: RETRY_MS,
            urgent: false,
            told: None,
        };
        let made = Folder::make(path).and_then(|()| Folder::open(path));
        let opened = made.or_else(|error| Folder::open(path).map_err(|_| error));
        let result = opened.and_then(|folder| {
            folder.lock()?;
            let result = store.load(&folder, me);
            if result.is_ok() {
                store.folder = Some(folder);
            }
            result
        });
        if result == Err(Errno::AGAIN) {
            say("state ")
                .printable(path.to_bytes())
                .text(": another peewit has it; this one keeps terms in memory only");
            return Ok(None);
        }
        if age::resume(&store.saved) == Off::Unknown {
            say(
                "the time switched off is not known, and does not count: the clock was not synchronised",
            );
        }
        match result {
            Ok(()) => {
                if store.journal.is_none() {
                    store.rewrite(false);
                } else {
                    store.append(&Record::Clock(age::now()));
                }
            }
            Err(error) => store.failed(error),
        }
        Ok(Some(store))
    }

    /// Reads what is there.
    fn load(&mut self, folder: &Folder, me: ThreadId) -> Result<(), Errno> {
        let file = match folder.file(SNAPSHOT, OpenMode::Read) {
            Err(Errno::NOT_FOUND) => return Ok(()),
            file => file?,
        };
        let (place, whole) = match file.seek_to_end()? {
            0..=LONGEST => read(&file, Kind::Snapshot, self.buffer, &mut |_| ())?,
            _ => (self.place, false),
        };
        if !whole {
            folder.set_aside(SNAPSHOT);
            say("learning begins anew");
            return Ok(());
        }
        self.snapshot = place.offset;
        self.place.generation = place.generation;
        let mut state = STATE.lock(me);
        let saved = &mut self.saved;
        let mut take = |record: &Record<'_>| {
            saved.apply(record);
            restore(state.outlet.terms(), record);
        };
        read(&file, Kind::Snapshot, self.buffer, &mut take)?;
        let file = match folder.file(JOURNAL, OpenMode::Read) {
            Err(Errno::NOT_FOUND) => return Ok(()),
            file => file?,
        };
        let (found, _) = read(&file, Kind::Journal, self.buffer, &mut |_| ())?;
        let length = file.seek_to_end()?;
        if found.offset == 0 && length >= HEAD as u64 {
            folder.set_aside(JOURNAL);
        }
        // Else it is that of the snapshot before this one, which has all of it.
        if found.offset == 0 || found.generation != place.generation {
            return Ok(());
        }
        let (found, whole) = read(&file, Kind::Journal, self.buffer, &mut take)?;
        drop(state);
        self.place = found;
        if !whole {
            say("state ")
                .printable(folder.path(JOURNAL)?.as_bytes())
                .count(
                    ": damaged, or cut off by a power failure; bytes left out: ",
                    length - found.offset,
                );
        }
        // Whether it can be written will show.
        if let Ok(journal) = folder.file(JOURNAL, OpenMode::Append)
            && (whole || journal.truncate(found.offset).is_ok())
        {
            self.journal = Some(journal);
        }
        Ok(())
    }
}

/// A state that nothing is known of: with a secret, and an id for a device that has none.
fn fresh() -> Result<Saved, Errno> {
    let mut key = [0; 16];
    random(&mut key)?;
    Ok(Saved::new(key, random_id()?))
}
