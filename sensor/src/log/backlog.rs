//! What waits for a disk that takes nothing now.

use crate::sys::Mapping;

/// Room for records that wait, each behind its length in 2 bytes.
const ROOM: usize = 64 << 10;

/// Records in the order in which they came. Takes up memory only while there are some.
#[derive(Debug, Default)]
pub struct Backlog {
    memory: Option<Mapping>,
    start: usize,
    /// Those before it were taken, but not for good.
    next: usize,
    end: usize,
}

impl Backlog {
    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Puts a record behind the others. Gives whether there was room for it.
    pub fn push(&mut self, record: &[u8]) -> bool {
        let Ok(length) = u16::try_from(record.len()) else {
            return false;
        };
        if self.memory.is_none() {
            self.memory = Mapping::new(ROOM).ok();
        }
        let Some(memory) = &mut self.memory else {
            return false;
        };
        let bytes = memory.bytes();
        let needed = 2 + record.len();
        if ROOM - self.end < needed && self.start > 0 {
            bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.next -= self.start;
            self.start = 0;
        }
        let Some(place) = bytes.get_mut(self.end..self.end + needed) else {
            return false;
        };
        let (prefix, place) = place.split_at_mut(2);
        prefix.copy_from_slice(&length.to_le_bytes());
        place.copy_from_slice(record);
        self.end += needed;
        true
    }

    /// The oldest record that was not taken, copied out.
    #[inline(never)]
    pub fn first<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let waiting = self.memory.as_ref()?.as_bytes().get(self.next..self.end)?;
        let (prefix, rest) = waiting.split_first_chunk()?;
        let record = rest.get(..usize::from(u16::from_le_bytes(*prefix)))?;
        let copy = buffer.get_mut(..record.len())?;
        copy.copy_from_slice(record);
        Some(copy)
    }

    /// That record, of this length, was taken.
    pub const fn advance(&mut self, length: usize) {
        self.next += 2 + length;
    }

    /// What was taken is not needed any more.
    #[inline(never)]
    pub fn release(&mut self) {
        self.start = self.next;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// What was taken is there again. Gives whether there was any.
    pub const fn rewind(&mut self) -> bool {
        let taken = self.next > self.start;
        self.next = self.start;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_comes_first_goes_first_and_memory_goes_with_the_last() {
        let mut backlog = Backlog::default();
        let mut buffer = [0; 4096];
        assert_eq!(backlog.first(&mut buffer), None);
        let record = |number: u32| {
            let length = 1 + (number as usize * 37) % 700;
            [&number.to_le_bytes()[..], &std::vec![7; length]].concat()
        };
        let (mut put, mut taken) = (0, 0);
        for round in 0..50 {
            while backlog.push(&record(put)) {
                put += 1;
            }
            assert!(put - taken > 100, "round {round}: {}", put - taken);
            let take = if round % 5 == 4 { put - taken } else { 60 };
            for _ in 0..take {
                let first: Vec<u8> = backlog.first(&mut buffer).unwrap().to_vec();
                assert_eq!(first, record(taken));
                backlog.advance(first.len());
                taken += 1;
                if taken % 3 == 0 {
                    backlog.release();
                }
            }
            backlog.release();
            assert_eq!(backlog.is_empty(), put == taken);
            assert_eq!(backlog.memory.is_none(), put == taken);
        }
    }

    #[test]
    fn any_length_up_to_its_room() {
        let mut backlog = Backlog::default();
        assert!(!backlog.push(&[1; ROOM - 1]));
        assert!(backlog.push(&[1; ROOM - 2]));
        assert!(!backlog.push(&[]));
        backlog.advance(ROOM - 2);
        assert!(!backlog.is_empty());
        assert!(backlog.rewind());
        assert!(!backlog.rewind());
        assert!(!backlog.push(&[]));
        backlog.advance(ROOM - 2);
        backlog.release();
        assert!(backlog.push(&[]));
        assert_eq!(backlog.first(&mut [0; 8]), Some(&[][..]));
    }
}
