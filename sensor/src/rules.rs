//! The rule pack that is used.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

use peewit_core::pack;

use crate::file::File;
use crate::options::{Name, Told};
use crate::squeezed;
use crate::sys::{Book, Errno, Pair};
use crate::text::Out;
use crate::texts::Text;

/// Where a pack is looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/rules.pack";

/// Most bytes of one: more than any has.
const MOST: usize = 64 << 20;

/// The pack that was compiled with the sensor: its length, then [`squeezed`].
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.pack"));

/// Why there are no rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file could not be read.
    Unreadable(Errno),
    /// What is in it is no pack.
    Invalid(pack::Error),
    /// It is older than one that was used: its build number.
    Older(u32),
}

impl Error {
    /// Says it, with the path in front.
    #[inline(never)]
    pub fn tell<'o, 'f>(self, path: &CStr, out: &'o mut Out<'f>) -> &'o mut Out<'f> {
        out.text("rules ").printable(path.to_bytes()).text(": ");
        let text = match self {
            Self::Unreadable(error) => return out.error(error),
            Self::Older(build) => {
                return out
                    .long(Text::OlderPack)
                    .count(": build number ", build.into());
            }
            Self::Invalid(pack::Error::Magic) => Text::NoPack,
            Self::Invalid(pack::Error::Version(_)) => Text::OtherPackVersion,
            Self::Invalid(pack::Error::Length) => Text::CutPack,
            Self::Invalid(pack::Error::Checksum) => Text::DamagedPack,
            Self::Invalid(pack::Error::Malformed(_)) => Text::MalformedPack,
        };
        out.long(text)
    }
}

/// The rules in use. Replaced only by who has the lock of the state: to have that lock is to know that they stay.
pub static RULES: Pair<Book> = Pair::new();

/// The pack that was compiled with the sensor.
///
/// # Errors
/// Those of mmap(2); [`Error::Invalid`].
pub fn built_in() -> Result<Book, Error> {
    let (length, squeezed) = BUILT_IN.split_first_chunk().unwrap_or((&[0; 4], &[]));
    let mut file = File::empty(u32::from_le_bytes(*length) as usize).map_err(Error::Unreadable)?;
    // What it cannot fill stays zero, and is no pack.
    let _ = squeezed::expand(squeezed, file.bytes());
    book(file)
}

/// The pack in a file.
///
/// # Errors
/// Those of open(2), mmap(2) and read(2); [`Error::Invalid`].
pub fn load(path: &CStr) -> Result<Book, Error> {
    book(File::read(path, MOST).map_err(Error::Unreadable)?)
}

fn book(file: File) -> Result<Book, Error> {
    let (memory, length) = file.into_memory();
    Book::new(memory, length).map_err(Error::Invalid)
}

/// Where the pack of a file is.
pub fn path<'a>(told: &Told<'a>) -> &'a CStr {
    told.value(Name::Rules).unwrap_or(DEFAULT)
}

/// The rules to use: those of the file that was named or is at the usual place, else those built in. Of a file, only those that are no
/// older than the newest so far. And the build number to [note](note_build) if they are used; of those built in none, for firmware that
/// is rolled back has older ones.
///
/// # Errors
/// Those of [`load`]; [`Error::Older`].
#[inline(never)]
pub fn choose(told: &Told<'_>) -> Result<(Book, u32), Error> {
    let book = match load(path(told)) {
        Err(Error::Unreadable(Errno::NOT_FOUND)) if !told.has(Name::Rules) => {
            return Ok((built_in()?, 0));
        }
        loaded => loaded?,
    };
    let build = book.engine().pack().build();
    if build < newest_build() && !told.has(Name::AllowOlderPack) {
        return Err(Error::Older(build));
    }
    Ok((book, build))
}

/// The build number of the newest pack that was used.
static NEWEST: AtomicU32 = AtomicU32::new(0);

/// The build number of the newest pack that this device has used.
pub fn newest_build() -> u32 {
    NEWEST.load(Ordering::Relaxed)
}

/// A pack with this build number is used.
pub fn note_build(build: u32) {
    NEWEST.fetch_max(build, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pack_is_valid() {
        assert!(built_in().unwrap().engine().pack().rule_count() > 0);
    }

    #[test]
    fn files_that_are_no_packs() {
        assert!(matches!(
            load(c"/nowhere/rules.pack"),
            Err(Error::Unreadable(Errno::NOT_FOUND))
        ));
        assert!(matches!(
            load(c"/etc/passwd"),
            Err(Error::Invalid(pack::Error::Magic))
        ));
        assert!(matches!(
            load(c"/dev/null"),
            Err(Error::Invalid(pack::Error::Magic))
        ));
        assert!(load(c"/tmp").is_err());
    }
}
