//! Frames: records as they lie in an alert log or go over a wire.
//!
//! A frame is the record in postcard, its CRC-32 behind it, both in COBS, with a zero byte
//! in front and one behind. A zero byte occurs nowhere else, so a torn or corrupt frame
//! spoils itself only; and because each frame brings both of its delimiters, one that is
//! appended to a torn one is not swallowed with it. `docs/alert-format.md` has the details.

mod cobs;
mod peek;
mod reader;

use core::fmt;

use crate::alert::{self, MAX_ENCODED, MAX_HEADER_ENCODED, MAX_RULE_ENCODED, Record};
use crate::crc::crc32;
pub use peek::{Glance, glance};
pub use reader::{Frames, Item};

/// Stands before and behind each frame, and nowhere else. Several in a row mean no more
/// than one.
pub const DELIMITER: u8 = 0;

/// Longest frame in bytes, delimiters included: a buffer of this size takes any.
pub const MAX_FRAME: usize = framed(MAX_ENCODED);

/// The same for a frame with a [`Record::Rule`].
pub const MAX_RULE_FRAME: usize = framed(MAX_RULE_ENCODED);

/// The same for a frame with a [`Record::Header`].
pub const MAX_HEADER_FRAME: usize = framed(MAX_HEADER_ENCODED);

const fn framed(encoded: usize) -> usize {
    let checked = encoded + CHECKSUM;
    // COBS puts one byte in front, and one more behind each 254 bytes without a zero.
    1 + 1 + checked + checked / 254 + 1
}

/// Length of the checksum.
const CHECKSUM: usize = 4;

/// The frame does not fit into the buffer given. Cannot happen with [`MAX_FRAME`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is too small for the frame")
    }
}

impl core::error::Error for Full {}

/// Writes the frame of `record`, delimiters included, to the beginning of `out`.
///
/// What is longer than its limit in [`crate::alert`] is cut, and the alert marked
/// [`crate::alert::Flags::TRUNCATED`].
///
/// # Errors
///
/// [`Full`] if `out` is too small; it then holds nothing of use.
pub fn encode<'o>(record: &Record<'_>, out: &'o mut [u8]) -> Result<&'o [u8], Full> {
    // The record goes behind the place that COBS may need before it, and from there forward.
    let room = out
        .len()
        .checked_sub(cobs::overhead(out.len()))
        .ok_or(Full)?;
    let start = out.len() - room;
    let payload = out.get_mut(start..).ok_or(Full)?;
    let length = alert::encode(record, payload).ok_or(Full)?;
    seal(out, start, length)
}

/// Makes a frame of the `length` bytes at `start`.
fn seal(out: &mut [u8], start: usize, length: usize) -> Result<&[u8], Full> {
    let payload = out.get_mut(start..).ok_or(Full)?;
    let (payload, rest) = payload.split_at_mut_checked(length).ok_or(Full)?;
    let checksum = rest.first_chunk_mut::<CHECKSUM>().ok_or(Full)?;
    *checksum = crc32(&[payload]).to_le_bytes();
    let end = cobs::encode(out, start..start + length + CHECKSUM).ok_or(Full)?;
    out.get(..end).ok_or(Full)
}

#[cfg(test)]
mod tests;
