//! Full files of the log, and which of them may go.

use super::Path;
use super::scan::{self, scan};
use crate::sys::{Directory, Errno, OpenMode, open, read_file, remove_file, rename};
use crate::text::{Decimal, number};

/// Digits of a segment's number at least.
const DIGITS: usize = 8;

/// What there is beside a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The lowest number above the one that was asked for; 0 if there is none.
    pub next: u64,
    /// The highest number of all.
    pub last: u64,
    /// How many segments there are.
    pub count: u64,
}

/// Folder and name of a file.
fn split(file: &Path) -> (&[u8], &[u8]) {
    let path = file.as_bytes();
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(place) => path.split_at(place + 1),
        None => (b".", path),
    }
}

/// The folder of a log.
fn folder(file: &Path) -> Result<crate::sys::Fd, Errno> {
    open(Path::of(&[split(file).0])?.as_c_str(), OpenMode::Directory)
}

/// Brings the names of files to the disk.
#[inline(never)]
pub(super) fn sync_folder(file: &Path) -> Result<(), Errno> {
    folder(file)?.sync_names()
}

/// Which segments there are, and the first behind a number.
#[inline(never)]
pub fn survey(file: &Path, after: u64) -> Survey {
    let mut survey = Survey::default();
    let Ok(folder) = folder(file) else {
        return survey;
    };
    let mut names = Directory::new(folder);
    while let Some(name) = names.next_name() {
        let digits = name
            .strip_prefix(split(file).1)
            .and_then(|rest| rest.strip_prefix(b"."))
            .filter(|digits| digits.len() >= DIGITS);
        if let Some(found) = digits.and_then(number) {
            survey.count += 1;
            survey.last = survey.last.max(found);
            if found > after && (survey.next == 0 || found < survey.next) {
                survey.next = found;
            }
        }
    }
    survey
}

/// The path of a segment.
///
/// # Errors
/// [`Errno::TOO_LONG`].
#[inline(never)]
pub fn segment(file: &Path, number: u64) -> Result<Path, Errno> {
    let number = Decimal::new(number);
    let digits = number.as_bytes();
    let zeros = DIGITS.saturating_sub(digits.len());
    Path::of(&[
        file.as_bytes(),
        b".",
        b"00000000".get(..zeros).unwrap_or(&[]),
        digits,
    ])
}

/// The number of the last alert in a log; 0 if there is none.
///
/// `buffer` is for frames.
pub fn last_number(file: &Path, buffer: &mut [u8]) -> u64 {
    let mut last = |path: &Path| {
        let opened = open(path.as_c_str(), OpenMode::Read);
        opened.map_or(0, |opened| scan::last(&opened, buffer))
    };
    let mut sequence = last(file);
    // None in the file: then in the newest segment that has one.
    let mut number = survey(file, 0).last;
    while sequence == 0 && number > 0 {
        sequence = segment(file, number).map_or(0, |path| last(&path));
        number -= 1;
    }
    sequence
}

/// What a reader said it needs no more: the alerts up to this number.
#[inline(never)]
pub fn consumed(file: &Path) -> u64 {
    let mut buffer = [0; 24];
    let path = Path::of(&[file.as_bytes(), CONSUMED]);
    let read = path.and_then(|path| {
        let digits = read_file(path.as_c_str(), &mut buffer)?;
        number(digits.strip_suffix(b"\n").unwrap_or(digits)).ok_or(Errno::INVALID)
    });
    // Whoever is in doubt keeps.
    read.unwrap_or(0)
}

/// Behind the log's name: the file that says what was consumed.
const CONSUMED: &[u8] = b".consumed";

/// Keeps in mind that the alerts up to this number are not needed any more.
///
/// # Errors
/// Those of open(2), write(2), fdatasync(2) and rename(2); what was known before is kept then.
pub fn set_consumed(file: &Path, number: u64) -> Result<(), Errno> {
    let path = Path::of(&[file.as_bytes(), CONSUMED])?;
    let new = Path::of(&[path.as_bytes(), b".new"])?;
    let out = open(new.as_c_str(), OpenMode::Truncate)?;
    out.write_all(Decimal::new(number).as_bytes())?;
    out.write_all(b"\n")?;
    out.sync()?;
    rename(new.as_c_str(), path.as_c_str())?;
    sync_folder(file)
}

/// Alerts begin with number 1 again: what was consumed of those before says nothing of them.
pub(super) fn forget_consumed(file: &Path) {
    if let Ok(path) = Path::of(&[file.as_bytes(), CONSUMED]) {
        // There is none, usually.
        let _ = remove_file(path.as_c_str());
    }
}

/// Removes the segments of which all alerts were consumed. Gives how many it removed.
#[inline(never)]
pub fn remove_consumed(file: &Path, buffer: &mut [u8]) -> u64 {
    let consumed = consumed(file);
    let (mut removed, mut number) = (0, 0);
    loop {
        number = survey(file, number).next;
        if number == 0 || consumed == 0 {
            return removed;
        }
        let Ok(path) = segment(file, number) else {
            return removed;
        };
        match open(path.as_c_str(), OpenMode::Read) {
            Ok(opened) if scan(&opened, 0, consumed, buffer).above > 0 => return removed,
            Ok(_) => removed += u64::from(remove_file(path.as_c_str()).is_ok()),
            // Gone meanwhile, or not for us.
            Err(_) => {}
        }
    }
}

/// Removes the oldest segment. Gives how many alerts were in it that nobody had consumed.
pub(super) fn remove_oldest(file: &Path, buffer: &mut [u8]) -> Result<u64, Errno> {
    let path = segment(file, survey(file, 0).next)?;
    let lost = match open(path.as_c_str(), OpenMode::Read) {
        Ok(opened) => scan(&opened, 0, consumed(file), buffer).above,
        Err(_) => 0,
    };
    remove_file(path.as_c_str())?;
    Ok(lost)
}
