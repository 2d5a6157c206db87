//! Frames: records as they lie in an alert log or go over a wire.
//!
//! A frame is the record in postcard, its CRC-32 behind it, both in COBS, with a zero byte
//! in front and one behind. A zero byte occurs nowhere else, so a torn or corrupt frame
//! spoils itself only; and because each frame brings both of its delimiters, one that is
//! appended to a torn one is not swallowed with it. `docs/alert-format.md` has the details.

mod cobs;
mod reader;

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, NoTable};
use postcard::ser_flavors::{Cobs, Flavor, Slice};

use crate::alert::{MAX_ENCODED, Record};
pub use reader::{Frames, Item};

/// Stands before and behind each frame, and nowhere else. Several in a row mean no more
/// than one.
pub const DELIMITER: u8 = 0;

/// Longest frame in bytes, delimiters included: a buffer of this size takes any.
pub const MAX_FRAME: usize = {
    let checked = MAX_ENCODED + CHECKSUM;
    // COBS puts one byte in front, and one more behind each 254 bytes without a zero.
    1 + 1 + checked + checked / 254 + 1
};

/// Length of the checksum.
const CHECKSUM: usize = 4;

/// CRC-32 as in zip and Ethernet. Bit by bit: frames are short and rare, and the table
/// would take 1 KiB of the sensor.
static CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

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
    let (first, rest) = out.split_first_mut().ok_or(Full)?;
    *first = DELIMITER;
    let checked = Checked {
        inner: Cobs::try_new(Slice::new(rest)).map_err(|_| Full)?,
        digest: CRC.digest(),
    };
    let length = postcard::serialize_with_flavor::<_, _, &mut [u8]>(record, checked)
        .map_err(|_| Full)?
        .len();
    out.get(..1 + length).ok_or(Full)
}

/// Puts the checksum of what goes through it behind it. Postcard's own needs the table.
struct Checked<F> {
    inner: F,
    digest: Digest<'static, u32, NoTable>,
}

impl<F: Flavor> Flavor for Checked<F> {
    type Output = F::Output;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.digest.update(&[byte]);
        self.inner.try_push(byte)
    }

    fn finalize(mut self) -> postcard::Result<Self::Output> {
        self.inner
            .try_extend(&self.digest.finalize().to_le_bytes())?;
        self.inner.finalize()
    }
}

#[cfg(test)]
mod tests;
