//! Making a snapshot.

use super::{HEAD, Kind, LENGTH, Place, Record, encode, framed, head};
use crate::crc::Crc;

/// Makes the records of a snapshot, one after the other.
#[derive(Debug)]
pub struct Snapshot {
    place: Place,
    checksum: Crc,
    terms: u32,
}

impl Snapshot {
    /// One of this generation, and what its file begins with.
    pub fn begin(generation: u64) -> (Self, [u8; HEAD]) {
        let head = head(Kind::Snapshot, generation);
        let mut checksum = Crc::NEW;
        checksum.add(&head);
        let snapshot = Self {
            place: Place::first(generation),
            checksum,
            terms: 0,
        };
        (snapshot, head)
    }

    /// Writes the next record to the beginning of `out`, which has room for any, and gives its bytes.
    #[inline(never)]
    pub fn put<'o>(&mut self, record: &Record<'_>, out: &'o mut [u8]) -> &'o [u8] {
        let payload = out.get_mut(LENGTH..).unwrap_or(&mut []);
        let length = framed(encode(record, payload).unwrap_or(0));
        let bytes = out.get_mut(..length).unwrap_or(&mut []);
        self.place.seal(bytes);
        self.checksum.add(bytes);
        self.terms += u32::from(matches!(record, Record::Term(_)));
        bytes
    }

    /// The same with the last record.
    pub fn end<'o>(&mut self, out: &'o mut [u8]) -> &'o [u8] {
        let end = Record::End {
            terms: self.terms,
            checksum: self.checksum.sum(),
        };
        self.put(&end, out)
    }

    /// How long the file is.
    pub const fn length(&self) -> u64 {
        self.place.offset
    }
}
