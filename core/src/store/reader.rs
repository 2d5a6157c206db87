//! Reading a file of the state, piece by piece, believing nothing.

use super::{HEAD, Kind, LENGTH, MAX_FRAMED, Place, Record, framed, generation};
use crate::crc::Crc;

/// Reads records up to the end of the file, or to the first damage.
#[derive(Debug)]
pub struct Reader<'b> {
    buffer: &'b mut [u8],
    /// What of the buffer was read and not yet looked at.
    start: usize,
    end: usize,
    kind: Kind,
    /// Of the next record; before the head was read, of none.
    place: Place,
    /// Of all bytes so far.
    checksum: Crc,
    terms: u32,
    at: At,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    Records,
    /// Behind the record that says that it is the last.
    Behind,
    /// At the end of a file that is whole.
    End,
    Damage,
}

impl<'b> Reader<'b> {
    /// `buffer` has room for [`MAX_FRAMED`] bytes at least.
    pub fn new(kind: Kind, buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            start: 0,
            end: 0,
            kind,
            place: Place {
                generation: 0,
                offset: 0,
            },
            checksum: Crc::NEW,
            terms: 0,
            at: At::Head,
        }
    }

    /// The next record. `None`: there is no other that can be trusted. `read` gives the next bytes of the file, 0 at its end.
    #[inline(never)]
    pub fn next(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Record<'_>> {
        if self.at == At::Head {
            self.fill(read);
            self.at = At::Damage;
            self.place = Place::first(generation(self.kind, self.unread())?);
            self.at = At::Records;
            self.checksum.add(self.buffer.get(..HEAD)?);
            self.start = HEAD;
        }
        if !matches!(self.at, At::Records | At::Behind) {
            return None;
        }
        self.fill(read);
        if self.unread().is_empty() {
            let whole = self.kind == Kind::Journal || self.at == At::Behind;
            self.at = if whole { At::End } else { At::Damage };
            return None;
        }
        let behind = core::mem::replace(&mut self.at, At::Damage) == At::Behind;
        let unread = self.buffer.get(self.start..self.end)?;
        let length = framed(usize::from(u16::from_le_bytes(*unread.first_chunk()?)));
        let all = unread.get(..length)?;
        let (record, checksum) = all.split_last_chunk()?;
        if behind || self.place.checksum(record) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let record = Record::decode(record.get(LENGTH..)?)?;
        let snapshot = self.kind == Kind::Snapshot;
        let first = snapshot && self.place.offset == HEAD as u64;
        let belongs = match record {
            Record::Identity(_) => first,
            Record::Clock(_) => !first,
            Record::Term(_) => {
                self.terms += 1;
                !first
            }
            Record::End { terms, checksum } => {
                snapshot && !first && terms == self.terms && checksum == self.checksum.sum()
            }
            _ => !snapshot,
        };
        if !belongs {
            return None;
        }
        self.at = match record {
            Record::End { .. } => At::Behind,
            _ => At::Records,
        };
        self.checksum.add(all);
        self.start += length;
        self.place.offset += length as u64;
        Some(record)
    }

    /// Whether all up to the end of the file could be trusted.
    pub fn is_whole(&self) -> bool {
        self.at == At::End
    }

    /// Behind the last record that can be trusted. Offset 0: nothing can.
    pub const fn place(&self) -> Place {
        self.place
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    /// Reads until there is a whole record, whatever its length, or the end of the file.
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) {
        if self.end - self.start >= MAX_FRAMED {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < MAX_FRAMED {
            let free = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            let length = free.len();
            match read(free).min(length) {
                0 => return,
                more => self.end += more,
            }
        }
    }
}
