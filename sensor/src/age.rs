//! How old the state is: the time that counts for the windows of terms.
//!
//! It runs with CLOCK_BOOTTIME and is carried over restarts. Time switched off counts if the wall clock was known to be right
//! at both of its ends. The second end may be known late: a device without a clock of its own asks the network first.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use peewit_core::store::{Clock, Off, Saved};

use crate::sys::{boot_ms, is_synchronised, read_file, real_ms};

/// How far the age is ahead of [`boot_ms`], modulo 2^64.
static AHEAD: AtomicU64 = AtomicU64::new(0);
/// Whether the wall clock is known to be right.
static TRUSTED: AtomicBool = AtomicBool::new(false);
/// Age and wall time when the wall clock was last right before this start of the kernel, until it is right again. 0: nothing is to
/// be made up for.
static LAST_AGE: AtomicU64 = AtomicU64::new(0);
static LAST_WALL: AtomicU64 = AtomicU64::new(0);
/// Whether the clocks should be written down.
static DUE: AtomicBool = AtomicBool::new(false);

/// Milliseconds that count for windows.
pub fn age_ms() -> u64 {
    boot_ms().wrapping_add(AHEAD.load(Ordering::Relaxed))
}

/// Whether the wall clock is known to be right, as of the last [`look`].
pub fn trusted() -> bool {
    TRUSTED.load(Ordering::Relaxed)
}

/// What the clocks say now.
pub fn now() -> Clock {
    Clock {
        age_ms: age_ms(),
        wall_ms: real_ms(),
        boot_ms: boot_ms(),
        boot: boot_id(),
        trusted: trusted(),
    }
}

/// Goes on from what is known.
pub fn resume(saved: &Saved) -> Off {
    TRUSTED.store(is_synchronised(), Ordering::Relaxed);
    let now = now();
    let (age, off) = saved.age(&now);
    AHEAD.store(age.wrapping_sub(now.boot_ms), Ordering::Relaxed);
    if let (Off::Unknown, Some(last)) = (off, saved.trusted) {
        LAST_AGE.store(last.age_ms, Ordering::Relaxed);
        LAST_WALL.store(last.wall_ms, Ordering::Relaxed);
    }
    off
}

/// Looks whether the wall clock is right by now, and makes up for the time switched off if it has become so. Gives whether that
/// should be written down.
pub fn look() -> bool {
    let right = is_synchronised();
    if TRUSTED.swap(right, Ordering::Relaxed) || !right {
        return false;
    }
    let wall = LAST_WALL.swap(0, Ordering::Relaxed);
    if let Some(since) = real_ms().checked_sub(wall).filter(|_| wall != 0) {
        let age = LAST_AGE.load(Ordering::Relaxed).saturating_add(since);
        let more = age.saturating_sub(age_ms());
        AHEAD.fetch_add(more, Ordering::Relaxed);
    }
    DUE.store(true, Ordering::Relaxed);
    true
}

/// Whether the clocks should be written down, asked once.
pub fn take_due() -> bool {
    DUE.swap(false, Ordering::Relaxed)
}

/// Which start of the kernel this is; zero if it does not say.
#[inline(never)]
fn boot_id() -> [u8; 16] {
    let mut text = [0; 40];
    let text = read_file(c"/proc/sys/kernel/random/boot_id", &mut text).unwrap_or(&[]);
    let mut id = [0; 16];
    let digits = text.iter().filter_map(|digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    });
    for (place, digit) in digits.take(32).enumerate() {
        if let Some(byte) = id.get_mut(place / 2) {
            *byte = *byte << 4 | digit;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_the_kernels() {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let digits: std::string::String = boot_id()
            .iter()
            .map(|byte| std::format!("{byte:02x}"))
            .collect();
        assert_eq!(digits, text.trim().replace('-', ""));
    }
}
