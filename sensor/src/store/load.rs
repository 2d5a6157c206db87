//! What was known before.

use core::ffi::CStr;

use peewit_core::store::{HEAD, Kind, Off, Place, Record, Saved, restore};

use super::{BUFFER, Folder, HOUR_MS, JOURNAL, RETRY_MS, SNAPSHOT, Store, read};
use crate::age;
use crate::host::random_id;
use crate::state::STATE;
use crate::sys::{Errno, Mapping, OpenMode, ThreadId, boot_ms, random};
use crate::text::say;
use crate::texts::Text;

/// Longest file that is looked at: of a thousand terms with the longest names.
const LONGEST: u64 = 4 << 20;

impl Store {
    /// Opens the state in a folder, and takes what it says of terms into the table. `None`: another sensor has it.
    ///
    /// # Errors
    /// Those of mmap(2) and getrandom(2).
    #[inline(never)]
    pub fn open(path: &'static CStr, me: ThreadId) -> Result<Option<Self>, Errno> {
        let mut store = Self {
            path,
            folder: None,
            journal: None,
            place: Place::first(0),
            snapshot: 0,
            saved: fresh()?,
            notes: Mapping::new(BUFFER)?.leak(),
            filled: 0,
            ready: 0,
            buffer: Mapping::new(BUFFER)?,
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
                .long(Text::StateTaken);
            return Ok(None);
        }
        if age::resume(&store.saved) == Off::Unknown {
            say("").long(Text::OffUnknown);
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

    /// Takes in what is there.
    #[inline(never)]
    fn load(&mut self, folder: &Folder, me: ThreadId) -> Result<(), Errno> {
        let found = look(folder, self.buffer.bytes(), &mut self.saved, me);
        self.buffer.release();
        let found = found?;
        let Some(snapshot) = found.snapshot else {
            if found.damaged {
                folder.set_aside(SNAPSHOT);
                say("learning begins anew");
            }
            return Ok(());
        };
        if found.damaged {
            folder.set_aside(JOURNAL);
        }
        self.snapshot = snapshot.offset;
        self.place.generation = snapshot.generation;
        let Some((place, left)) = found.journal else {
            return Ok(());
        };
        self.place = place;
        if left > 0 {
            say("state ")
                .printable(folder.path(JOURNAL)?.as_bytes())
                .long(Text::JournalCut)
                .number(left);
        }
        // Whether it can be written will show.
        if let Ok(journal) = folder.file(JOURNAL, OpenMode::Append)
            && (left == 0 || journal.truncate(place.offset).is_ok())
        {
            self.journal = Some(journal);
        }
        Ok(())
    }
}

/// What there is in a folder.
#[derive(Default)]
pub struct Found {
    /// The end of the snapshot.
    snapshot: Option<Place>,
    /// The end of what can be trusted of its journal, and how many bytes are behind that.
    pub journal: Option<(Place, u64)>,
    /// The snapshot, or with a whole one the journal, is damaged from its beginning on.
    damaged: bool,
}

/// Reads what there is in a folder: terms into the table, all else into `saved`.
///
/// # Errors
/// Those of open(2) and read(2), if a file is there.
#[inline(never)]
pub fn look(
    folder: &Folder,
    buffer: &mut [u8],
    saved: &mut Saved,
    me: ThreadId,
) -> Result<Found, Errno> {
    let mut found = Found::default();
    let file = match folder.file(SNAPSHOT, OpenMode::Read) {
        Err(Errno::NOT_FOUND) => return Ok(found),
        file => file?,
    };
    let (place, whole) = match file.seek_to_end()? {
        0..=LONGEST => read(&file, Kind::Snapshot, buffer, &mut |_| ())?,
        _ => (Place::first(0), false),
    };
    if !whole {
        found.damaged = true;
        return Ok(found);
    }
    found.snapshot = Some(place);
    let mut state = STATE.lock(me);
    let mut take = |record: &Record<'_>| {
        saved.apply(record);
        restore(state.outlet.terms(), record);
    };
    read(&file, Kind::Snapshot, buffer, &mut take)?;
    let file = match folder.file(JOURNAL, OpenMode::Read) {
        Err(Errno::NOT_FOUND) => return Ok(found),
        file => file?,
    };
    let (begun, _) = read(&file, Kind::Journal, buffer, &mut |_| ())?;
    let length = file.seek_to_end()?;
    found.damaged = begun.offset == 0 && length >= HEAD as u64;
    // Else it is that of the snapshot before this one, which has all of it.
    if begun.offset > 0 && begun.generation == place.generation {
        let (end, _) = read(&file, Kind::Journal, buffer, &mut take)?;
        found.journal = Some((end, length.saturating_sub(end.offset)));
    }
    Ok(found)
}

/// A state that nothing is known of: with a secret, and an id for a device that has none.
fn fresh() -> Result<Saved, Errno> {
    let mut key = [0; 16];
    random(&mut key)?;
    Ok(Saved::new(key, random_id()?))
}
