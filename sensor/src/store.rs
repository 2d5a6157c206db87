//! What outlives the sensor: terms, the numbering of alerts, time. It belongs to the writer's thread.
//!
//! What is new comes as *notes* and goes to the journal. An alert is on the disk before the note of its term is: so the
//! writer hands notes over as they come out of its queue, and commits them behind the log.

/// The store.
#[derive(Debug)]
pub struct Store {
    reserved: u64,
}

impl Store {
    /// Takes a note. `false`: there is no room for it; commit first.
    pub fn note(&mut self, _record: &[u8]) -> bool {
        true
    }

    /// Appends what was taken to the journal, and brings it to the disk if `sync`.
    pub fn commit(&mut self, _sync: bool) {}

    /// Alert numbers up to this one are known as used after a crash.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Makes some more numbers from `sequence` on known as used, before the first of them is.
    pub fn reserve(&mut self, sequence: u64) {
        self.reserved = sequence + 64;
    }

    /// Writes everything anew if it is time to, and at a clean end (`stop`).
    pub fn tick(&mut self, _stop: bool) {}

    /// In how many milliseconds [`Store::tick`] is to be called next.
    pub fn wait_ms(&self) -> Option<u32> {
        None
    }
}
