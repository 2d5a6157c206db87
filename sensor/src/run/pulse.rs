//! When to tell a supervisor that all goes on.

use core::sync::atomic::Ordering;

use crate::state::Sensor;
use crate::sys::boot_ms;
use crate::writer::BEATS;

/// Of the main loop, which asks, and of the writer, which has to have come round since it was asked.
pub(super) struct Pulse {
    /// How often to tell it.
    pub interval_ms: u32,
    at_ms: u64,
    /// How often the writer had come round when the bell was rung.
    beats: u32,
}

impl Pulse {
    /// Without a supervisor, never.
    pub(super) fn new(interval_ms: Option<u32>) -> Self {
        Self {
            interval_ms: interval_ms.unwrap_or(u32::MAX),
            at_ms: interval_ms.map_or(u64::MAX, |interval| boot_ms() + u64::from(interval)),
            // Its thread has been started, but may not have run yet.
            beats: 0,
        }
    }

    /// Whether it is time, and all goes on.
    pub(super) fn beats(&mut self, sensor: &Sensor) -> bool {
        if boot_ms() < self.at_ms {
            return false;
        }
        self.at_ms = boot_ms() + u64::from(self.interval_ms);
        let beats = BEATS.load(Ordering::Relaxed);
        let goes_on = beats != core::mem::replace(&mut self.beats, beats);
        sensor.writer.ring();
        goes_on
    }
}
