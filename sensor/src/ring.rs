//! A queue of byte strings from the capture threads to the writer.
//!
//! The writer never makes a capture thread wait: what does not fit is refused, and counted by whoever asked. One producer
//! and one consumer at a time, which share nothing but two counters; the producers take turns under the state's lock.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// The queue. Its two ends are [`Producer`] and [`Consumer`].
#[derive(Debug)]
pub struct Ring {
    bytes: &'static [AtomicU8],
    /// Bytes put in since the start, wrapping.
    written: AtomicUsize,
    /// Bytes taken out since the start, wrapping.
    read: AtomicUsize,
}

/// There is no room for the record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Length of what stands before each record: its length.
const PREFIX: usize = 4;

impl Ring {
    /// An empty queue in this memory, a power of two of bytes.
    pub const fn new(bytes: &'static [AtomicU8]) -> Self {
        assert!(bytes.len().is_power_of_two());
        Self {
            bytes,
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        }
    }

    /// Its two ends. Not to be called again: two producers would mix up their bytes.
    pub const fn ends(&'static self) -> (Producer, Consumer) {
        (Producer { ring: self }, Consumer { ring: self })
    }

    fn used(&self) -> usize {
        self.written
            .load(Ordering::Acquire)
            .wrapping_sub(self.read.load(Ordering::Acquire))
    }

    fn byte(&self, place: usize) -> Option<&AtomicU8> {
        self.bytes.get(place & (self.bytes.len() - 1))
    }
}

/// The end at which records are put in.
#[derive(Debug)]
pub struct Producer {
    ring: &'static Ring,
}

impl Producer {
    /// Begins a record. It is in the queue when it has been [finished](Draft::finish), and never was if it is not.
    pub fn begin(&mut self) -> Draft<'_> {
        let start = self.ring.written.load(Ordering::Relaxed);
        Draft {
            end: start.wrapping_add(PREFIX),
            limit: self.ring.bytes.len() - self.ring.used(),
            start,
            producer: self,
        }
    }

    /// Puts a record in.
    ///
    /// # Errors
    /// [`Full`].
    pub fn push(&mut self, record: &[u8]) -> Result<(), Full> {
        let mut draft = self.begin();
        draft.extend(record)?;
        draft.finish()
    }

    /// Whether a quarter of the room is in use: time to wake the consumer.
    pub fn is_filling(&self) -> bool {
        self.ring.used() > self.ring.bytes.len() / 4
    }
}

/// A record that is being written.
#[derive(Debug)]
pub struct Draft<'p> {
    producer: &'p mut Producer,
    start: usize,
    end: usize,
    limit: usize,
}

impl Draft<'_> {
    /// Puts bytes behind those that are there.
    ///
    /// # Errors
    /// [`Full`].
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.end.wrapping_sub(self.start) + bytes.len() > self.limit {
            return Err(Full);
        }
        self.put(self.end, bytes);
        self.end = self.end.wrapping_add(bytes.len());
        Ok(())
    }

    /// Hands the record over.
    ///
    /// # Errors
    /// [`Full`].
    pub fn finish(self) -> Result<(), Full> {
        let length = self.end.wrapping_sub(self.start);
        if length > self.limit {
            return Err(Full);
        }
        let length = u32::try_from(length - PREFIX).map_err(|_| Full)?;
        self.put(self.start, &length.to_le_bytes());
        self.producer
            .ring
            .written
            .store(self.end, Ordering::Release);
        Ok(())
    }

    fn put(&self, start: usize, bytes: &[u8]) {
        for (offset, &byte) in bytes.iter().enumerate() {
            if let Some(place) = self.producer.ring.byte(start.wrapping_add(offset)) {
                place.store(byte, Ordering::Relaxed);
            }
        }
    }
}

/// The end at which records are taken out.
#[derive(Debug)]
pub struct Consumer {
    ring: &'static Ring,
}

impl Consumer {
    /// Takes out the oldest record. One that is longer than the buffer is cut.
    pub fn pop<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let start = self.ring.read.load(Ordering::Relaxed);
        if self.ring.used() < PREFIX {
            return None;
        }
        let mut prefix = [0; PREFIX];
        self.copy(start, &mut prefix);
        let length = u32::from_le_bytes(prefix) as usize;
        let fitting = length.min(buffer.len());
        let record = buffer.get_mut(..fitting)?;
        self.copy(start.wrapping_add(PREFIX), record);
        self.ring
            .read
            .store(start.wrapping_add(PREFIX + length), Ordering::Release);
        Some(record)
    }

    fn copy(&self, start: usize, out: &mut [u8]) {
        for (offset, byte) in out.iter_mut().enumerate() {
            *byte = self
                .ring
                .byte(start.wrapping_add(offset))
                .map_or(0, |place| place.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    fn ring(length: usize) -> &'static Ring {
        let bytes: Vec<AtomicU8> = (0..length).map(|_| AtomicU8::new(0)).collect();
        Box::leak(Box::new(Ring::new(Box::leak(bytes.into_boxed_slice()))))
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let (mut producer, mut consumer) = ring(32).ends();
        let mut buffer = [0; 32];
        assert_eq!(consumer.pop(&mut buffer), None);
        for round in 0..50u8 {
            producer.push(&[round; 9]).unwrap();
            producer.push(b"").unwrap();
            assert_eq!(producer.push(&[1; 12]), Err(Full));
            producer.push(&[round; 11]).unwrap();
            assert_eq!(producer.push(b""), Err(Full));
            assert_eq!(consumer.pop(&mut buffer), Some(&[round; 9][..]));
            assert_eq!(consumer.pop(&mut buffer), Some(&b""[..]));
            assert_eq!(consumer.pop(&mut buffer), Some(&[round; 11][..]));
            assert_eq!(consumer.pop(&mut buffer), None);
        }
    }

    #[test]
    fn an_unfinished_record_never_was() {
        let (mut producer, mut consumer) = ring(32).ends();
        let mut draft = producer.begin();
        draft.extend(b"lost").unwrap();
        assert_eq!(draft.extend(&[0; 25]), Err(Full));
        let _ = draft;
        producer.push(b"kept").unwrap();
        let mut buffer = [0; 2];
        assert_eq!(consumer.pop(&mut buffer), Some(&b"ke"[..]));
        assert_eq!(consumer.pop(&mut buffer), None);
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut producer, mut consumer) = ring(256).ends();
        let writing = std::thread::spawn(move || {
            for number in 0..20_000u32 {
                let record = [
                    number.to_le_bytes().as_slice(),
                    &[7; 40][..(number % 40) as usize],
                ]
                .concat();
                while producer.push(&record).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut buffer = [0; 64];
        for number in 0..20_000u32 {
            let record = loop {
                match consumer.pop(&mut buffer) {
                    Some(record) => break record,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(
                record,
                [
                    number.to_le_bytes().as_slice(),
                    &[7; 40][..(number % 40) as usize]
                ]
                .concat()
            );
        }
        writing.join().unwrap();
    }
}
