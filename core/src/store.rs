//! What outlives the sensor, as bytes: a *snapshot* of all that is known, and a *journal* of what has come since.
//!
//! 1. Both are sequences of records with a checksum each, which holds for the record's place in its file alone: one that lies
//!    elsewhere, or in another file, is none.
//! 2. A snapshot is whole or worth nothing. A journal counts up to its first damage.
//! 3. A journal belongs to the one snapshot that has its generation.
//! 4. What a term is called stands here only: the table in memory has fingerprints.
//!
//! `docs/state-format.md` has the details.

mod clock;
mod line;
mod reader;
mod record;
mod saved;
mod snapshot;

pub use clock::{Clock, Off};
pub use line::{Line, MAX_LINE, parse};
pub use reader::Reader;
pub use record::{Identity, MAX_RECORD, Record, TERM_LIMIT, Term, Values, encode};
pub use saved::{Saved, restore};
pub use snapshot::Snapshot;

use crate::crc::crc32;

/// The number of this format, which is in the names of its files.
pub const FORMAT: u8 = 1;

/// Length of what a file begins with.
pub const HEAD: usize = 20;

const MAGIC: [u8; 6] = *b"peewit";

/// Bytes of a record's length and of its checksum, around it.
const LENGTH: usize = 2;
const CHECKSUM: usize = 4;

/// Longest record in a file.
pub const MAX_FRAMED: usize = framed(MAX_RECORD);

/// How long a record of this length is in a file.
pub const fn framed(length: usize) -> usize {
    LENGTH + length + CHECKSUM
}

/// The two kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All that was known at one time.
    Snapshot = 1,
    /// What has come since.
    Journal = 2,
}

/// Where a record goes: in which generation of the state, how far from the beginning of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counts the snapshots.
    pub generation: u64,
    /// In bytes.
    pub offset: u64,
}

impl Place {
    /// The first record of a file.
    pub const fn first(generation: u64) -> Self {
        Self {
            generation,
            offset: HEAD as u64,
        }
    }

    fn checksum(&self, record: &[u8]) -> u32 {
        crc32(&[
            &self.generation.to_le_bytes(),
            &self.offset.to_le_bytes(),
            record,
        ])
    }

    /// Makes a record one of this place, and goes on behind it. `framed` has the record with room for its length in front and its
    /// checksum behind.
    pub fn seal(&mut self, framed: &mut [u8]) {
        let Some((record, checksum)) = framed.split_last_chunk_mut::<CHECKSUM>() else {
            return;
        };
        if let Some((length, payload)) = record.split_first_chunk_mut::<LENGTH>() {
            *length = (payload.len() as u16).to_le_bytes();
        }
        *checksum = self.checksum(record).to_le_bytes();
        self.offset += framed.len() as u64;
    }
}

/// What a file begins with.
pub fn head(kind: Kind, generation: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..6].copy_from_slice(&MAGIC);
    head[6..8].copy_from_slice(&[kind as u8, FORMAT]);
    head[8..16].copy_from_slice(&generation.to_le_bytes());
    let checksum = crc32(&[&head[..16]]);
    head[16..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// The generation of a file that begins so.
fn generation(kind: Kind, bytes: &[u8]) -> Option<u64> {
    let generation = u64::from_le_bytes(*bytes.get(8..16)?.first_chunk()?);
    (bytes.get(..HEAD)? == head(kind, generation)).then_some(generation)
}

#[cfg(test)]
mod tests;
