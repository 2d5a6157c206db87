//! Finds the records in a stream of frames.

use super::{CHECKSUM, DELIMITER, cobs};
use crate::alert::{self, Record, STREAM_VERSION};
use crate::crc::crc32;

/// What a stream holds. `offset` counts the bytes of the stream before the frame's first
/// byte behind its delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box it on")]
pub enum Item<'a> {
    /// An intact record.
    Record {
        /// Where.
        offset: u64,
        /// What.
        record: Record<'a>,
    },
    /// An intact frame of a later version: a kind of record that this reader does not know,
    /// or anything behind a header whose version it does not know.
    Unknown {
        /// Where.
        offset: u64,
        /// The number of its kind.
        kind: u32,
    },
    /// Bytes that are not a whole frame.
    Corrupt {
        /// Where.
        offset: u64,
        /// How many bytes lie between the delimiters.
        len: u64,
    },
}

/// Reads a stream piece by piece, as it comes, without a heap.
///
/// An unfinished frame at the end of a piece waits for the next one; only
/// [`Frames::finish`] says that none will come.
#[derive(Debug)]
pub struct Frames<'b> {
    buffer: &'b mut [u8],
    /// Where the frame begins that is being collected.
    offset: u64,
    /// How long it is so far. What does not fit into the buffer is only counted.
    length: u64,
    /// The last header had a version that we do not know.
    newer: bool,
}

impl<'b> Frames<'b> {
    /// A reader that collects frames in `buffer`. One that does not fit is taken for
    /// corrupt: give it [`super::MAX_FRAME`] bytes, or more to be ready for later versions.
    #[inline(never)]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            offset: 0,
            length: 0,
            newer: false,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next frame. `None` if
    /// `input` is used up before.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Item<'_>> {
        loop {
            let end = input.iter().position(|&byte| byte == DELIMITER);
            let (part, rest) = match end {
                Some(end) => (&input[..end], &input[end + 1..]),
                None => (*input, &[][..]),
            };
            *input = rest;
            self.collect(part);
            end?;
            if self.length > 0 {
                break;
            }
            self.offset += 1;
        }
        let (offset, length) = self.start_over();
        Some(self.item(offset, length))
    }

    /// Says what an unfinished frame at the end of the stream is: a whole one that lacks
    /// its delimiter, or corrupt.
    pub fn finish(&mut self) -> Option<Item<'_>> {
        if self.length == 0 {
            return None;
        }
        let (offset, length) = self.start_over();
        Some(self.item(offset, length))
    }

    /// Forgets an unfinished frame at the end of what was read, and gives where it begins: to be read again from there.
    pub const fn restart(&mut self) -> u64 {
        self.length = 0;
        self.offset
    }

    fn collect(&mut self, part: &[u8]) {
        if let Ok(length) = usize::try_from(self.length)
            && let Some(free) = self.buffer.get_mut(length..)
        {
            let fitting = part.len().min(free.len());
            free[..fitting].copy_from_slice(&part[..fitting]);
        }
        self.length += part.len() as u64;
    }

    /// Gives place and length of the frame collected, and begins the next one.
    fn start_over(&mut self) -> (u64, u64) {
        let frame = (self.offset, self.length);
        self.offset += self.length + 1;
        self.length = 0;
        frame
    }

    fn item(&mut self, offset: u64, length: u64) -> Item<'_> {
        let payload = usize::try_from(length)
            .ok()
            .and_then(|length| self.buffer.get_mut(..length))
            .and_then(intact);
        let Some((kind, payload)) = payload else {
            return Item::Corrupt {
                offset,
                len: length,
            };
        };
        if let Some(version) = alert::version(payload) {
            self.newer = version > STREAM_VERSION;
        }
        match alert::decode(payload) {
            Some(record) if !self.newer => Item::Record { offset, record },
            _ => Item::Unknown { offset, kind },
        }
    }
}

/// Kind and payload of a frame if its checksum is right.
fn intact(frame: &mut [u8]) -> Option<(u32, &[u8])> {
    let (payload, checksum) = cobs::decode(frame)?.split_last_chunk::<CHECKSUM>()?;
    if crc32(&[payload]) != u32::from_le_bytes(*checksum) {
        return None;
    }
    Some((alert::kind(payload)?, payload))
}
