//! Moments that nobody chose.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A generator of numbers (xorshift64).
pub struct Random(u64);

impl Random {
    /// Begins somewhere else each time.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(now.map_or(0, |now| now.as_nanos() as u64) | 1)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// A time below so many milliseconds, to the microsecond.
    pub fn time(&mut self, milliseconds: usize) -> Duration {
        Duration::from_micros(self.below(milliseconds * 1000) as u64)
    }
}
