//! Looking through what was written.

use peewit_core::alert::Record;
use peewit_core::frame::{DELIMITER, Frames, Item, MAX_FRAME};

use crate::sys::Fd;

/// How far back from its end a log is looked through for the last number, at first and then.
const TAILS: [u64; 2] = [16 << 10, 256 << 10];

/// What is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The number of the last alert; 0 if there is none.
    pub last: u64,
    /// How many alerts have a number above the one that was asked for.
    pub above: u64,
}

/// Looks through a file, from a place to its end. An error ends it like the end of the file: what can be read counts.
///
/// `buffer` is for frames: [`MAX_FRAME`] bytes.
#[inline(never)]
pub fn scan(file: &Fd, from: u64, number: u64, buffer: &mut [u8]) -> Scan {
    let mut scan = Scan::default();
    if file.seek_to(from).is_err() {
        return scan;
    }
    let mut note = |item: &Item<'_>| {
        if let Item::Record {
            record: Record::Alert(alert),
            ..
        } = item
        {
            scan.last = alert.sequence;
            scan.above += u64::from(alert.sequence > number);
        }
    };
    let mut frames = Frames::new(buffer);
    let mut piece = [0; 512];
    while let Ok(read @ 1..) = file.read(&mut piece) {
        let mut input = piece.get(..read).unwrap_or(&[]);
        while let Some(item) = frames.next(&mut input) {
            note(&item);
        }
    }
    // Whoever reads the log counts it too.
    if let Some(item) = frames.finish() {
        note(&item);
    }
    scan
}

/// The number of the last alert in a file; 0 if there is none. Reads only the end of a long one, if there is an alert in it.
pub(super) fn last(file: &Fd, buffer: &mut [u8]) -> u64 {
    let length = file.seek_to_end().unwrap_or(0);
    for tail in TAILS {
        if tail < length {
            let found = scan(file, length - tail, 0, buffer).last;
            if found > 0 {
                return found;
            }
        }
    }
    scan(file, 0, 0, buffer).last
}

/// Cuts away a frame that was begun and not ended, and gives the file's length then. What cannot be cut stays: a reader copes
/// with it. So does what is no end of a log of ours.
#[inline(never)]
pub(super) fn cut_tail(file: &Fd, length: u64) -> u64 {
    let mut piece = [0; 256];
    let mut end = length;
    while end > 0 && length - end < MAX_FRAME as u64 {
        let start = end.saturating_sub(piece.len() as u64);
        let read = file.seek_to(start).and_then(|()| file.read(&mut piece));
        let Some(bytes) = read.ok().and_then(|read| piece.get(..read)) else {
            break;
        };
        if let Some(place) = bytes.iter().rposition(|&byte| byte == DELIMITER) {
            let whole = start + place as u64 + 1;
            return match file.truncate(whole) {
                _ if whole == length => length,
                Ok(()) => whole,
                Err(_) => length,
            };
        }
        end = start;
    }
    length
}
