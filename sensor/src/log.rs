//! The alert log: where it is, how it is kept, and where its numbering stands.
//!
//! The file that is written, and beside it *segments*: the same file under other names, full and no more written. See
//! `docs/alerts.md`.

mod backlog;
mod scan;
mod segments;
mod sink;

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU64};

use crate::sys::{Errno, Fd, OpenMode, is_directory, make_directory, open};
use crate::text::PathBuffer;
pub use scan::{Scan, scan};
pub use segments::{consumed, last_number, remove_consumed, segment, set_consumed, survey};
pub use sink::{Log, start};

/// Where alerts are kept if nobody says otherwise.
pub const DEFAULT: &CStr = c"/var/lib/peewit/alerts/";

/// Name of the log in a folder of alerts.
const NAME: &[u8] = b"alerts.log";

/// A path of ours.
pub type Path = PathBuffer<512>;

/// Alerts that the log did not take.
pub static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Alerts in segments that were removed before anybody had consumed them.
pub static DROPPED: AtomicU64 = AtomicU64::new(0);
/// The log is written again after alerts were given up: it does not say yet how many.
pub static RESUMED: AtomicBool = AtomicBool::new(false);
/// A file was begun: it does not say yet what rules its alerts are of.
pub static BEGUN: AtomicBool = AtomicBool::new(false);

/// When what was written is brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// At once, alerts that come together in one go.
    Each,
    /// Every [`SYNC_MS`].
    Interval,
    /// When the kernel likes.
    None,
}

/// How often, with [`Sync::Interval`].
pub const SYNC_MS: u64 = 10_000;

impl Sync {
    /// By its name.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"each" => Some(Self::Each),
            b"interval" => Some(Self::Interval),
            b"none" => Some(Self::None),
            _ => None,
        }
    }
}

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a file gets, in bytes.
    pub segment_size: u64,
    /// How many there are at most, the one that is written included.
    pub segments: u64,
    /// When it is brought to the disk.
    pub sync: Sync,
}

impl Settings {
    /// How it is kept if nobody says otherwise.
    pub const DEFAULT: Self = Self {
        segment_size: 256 << 10,
        segments: 8,
        sync: Sync::Each,
    };
    /// The least that a file has to hold: a header and any alert.
    pub const LEAST_SIZE: u64 = 4096;
    /// The most files.
    pub const MOST_SEGMENTS: u64 = 1000;
}

/// The file that `path` means: in a folder (one that is there, or a path with a slash at its end) the log in it, else itself.
///
/// # Errors
/// [`Errno::TOO_LONG`].
pub fn file(path: &CStr) -> Result<Path, Errno> {
    let mut file = Path::of(&[path.to_bytes()])?;
    if path.to_bytes().ends_with(b"/") {
        file.push(NAME)?;
    } else if is_directory(path) {
        file.push(b"/")?;
        file.push(NAME)?;
    }
    Ok(file)
}

/// Opens a log for more alerts, and makes it and its folders if need be.
///
/// # Errors
/// Those of mkdir(2) and open(2).
pub fn append(file: &Path) -> Result<Fd, Errno> {
    match open(file.as_c_str(), OpenMode::Append) {
        Err(Errno::NOT_FOUND) => {}
        result => return result,
    }
    for (place, _) in file
        .as_bytes()
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == b'/')
    {
        let folder = Path::of(&[file.as_bytes().get(..place).unwrap_or(&[])])?;
        match make_directory(folder.as_c_str()) {
            Ok(()) | Err(Errno::EXISTS) => {}
            // One that is there may be out of our hands; whether the file can be made will show.
            Err(_) if is_directory(folder.as_c_str()) => {}
            Err(error) => return Err(error),
        }
    }
    open(file.as_c_str(), OpenMode::Append)
}

#[cfg(test)]
mod tests;
