//! The rule pack that is used.

use core::ffi::CStr;

use peewit_core::pack::{self, Pack};

use crate::squeezed;
use crate::sys::{Errno, Mapping, OpenMode, open};
use crate::text::Out;

/// Where a pack is looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/rules.pack";

/// The pack that was compiled with the sensor: its length, then [`squeezed`].
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.pack"));

/// Why there are no rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file could not be read.
    Unreadable(Errno),
    /// What is in it is no pack.
    Invalid(pack::Error),
}

impl Error {
    /// Says it.
    pub fn tell<'o, 'f>(self, out: &'o mut Out<'f>) -> &'o mut Out<'f> {
        let text = match self {
            Self::Unreadable(error) => return out.error(error),
            Self::Invalid(pack::Error::Magic) => "not a rule pack",
            Self::Invalid(pack::Error::Version(_)) => "a rule pack of another format version",
            Self::Invalid(pack::Error::Length) => "a rule pack with bytes missing or too many",
            Self::Invalid(pack::Error::Checksum) => "a damaged rule pack: its checksum is wrong",
            Self::Invalid(pack::Error::Malformed(_)) => "a malformed rule pack",
        };
        out.text(text)
    }
}

/// The pack that was compiled with the sensor.
///
/// # Errors
/// Those of mmap(2); [`Error::Invalid`].
pub fn built_in() -> Result<Pack<'static>, Error> {
    let (length, squeezed) = BUILT_IN.split_first_chunk().unwrap_or((&[0; 4], &[]));
    let bytes = memory(u32::from_le_bytes(*length) as usize).map_err(Error::Unreadable)?;
    // What it cannot fill stays zero, and is no pack.
    let _ = squeezed::expand(squeezed, bytes);
    Pack::parse(bytes).map_err(Error::Invalid)
}

/// The pack in a file.
///
/// # Errors
/// Those of open(2), mmap(2) and read(2); [`Error::Invalid`].
pub fn load(path: &CStr) -> Result<Pack<'static>, Error> {
    let bytes = read(path).map_err(Error::Unreadable)?;
    Pack::parse(bytes).map_err(Error::Invalid)
}

/// Reads a file into memory that stays.
fn read(path: &CStr) -> Result<&'static [u8], Errno> {
    let file = open(path, OpenMode::Read)?;
    let length = usize::try_from(file.seek_to_end()?).map_err(|_| Errno::INVALID)?;
    file.seek_to(0)?;
    let bytes = memory(length)?;
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            // It became shorter meanwhile: no pack any more.
            0 => break,
            read => filled += read,
        }
    }
    Ok(bytes)
}

/// Memory that stays.
fn memory(length: usize) -> Result<&'static mut [u8], Errno> {
    let memory = Mapping::new(length.max(1))?.leak();
    memory.get_mut(..length).ok_or(Errno::INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pack_is_valid() {
        assert!(built_in().unwrap().rule_count() > 0);
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
