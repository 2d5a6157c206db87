//! Clocks, 64 bits wide on every target: devices live beyond 2038.

use core::ffi::{c_int, c_long};

use super::call::call;
use super::signal::poll;

/// Milliseconds since 1970 UTC.
pub fn real_ms() -> u64 {
    milliseconds(libc::CLOCK_REALTIME)
}

/// Milliseconds since the kernel started, time asleep included: never set, never jumps.
pub fn boot_ms() -> u64 {
    let now = milliseconds(libc::CLOCK_BOOTTIME);
    #[cfg(test)]
    let now = now + tests::ahead_ms();
    now
}

/// Whether the wall clock is known to be right: the kernel was told so by who keeps it (adjtimex(2)).
pub fn is_synchronised() -> bool {
    /// What the call gives if it is not.
    const TIME_ERROR: usize = 5;
    // struct timex, at most 208 bytes. All zero: nothing is to be changed.
    let mut time = [0u64; 32];
    #[cfg(target_pointer_width = "32")]
    {
        /// `clock_adjtime64` has the same number on every 32-bit architecture; since 5.1.
        const CLOCK_ADJTIME64: c_long = 405;
        // SAFETY: there is room for what the kernel writes.
        let result = unsafe { call!(CLOCK_ADJTIME64, libc::CLOCK_REALTIME, time.as_mut_ptr()) };
        if let Ok(state) = result {
            return state != TIME_ERROR;
        }
    }
    // SAFETY: there is room for what the kernel writes.
    let result = unsafe { call!(libc::SYS_adjtimex, time.as_mut_ptr()) };
    result.is_ok_and(|state| state != TIME_ERROR)
}

/// Nanoseconds on the clock that records of perf carry here.
pub fn monotonic_ns() -> u64 {
    let time = read(libc::CLOCK_MONOTONIC).unwrap_or_default();
    u64::try_from(time.seconds)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.nanoseconds).unwrap_or(0))
}

/// Lets others run for so many microseconds, less than a second.
pub fn nap(microseconds: u32) {
    // The kernel's old `struct timespec` for this call, at every word size.
    let time: [c_long; 2] = [0, microseconds as c_long * 1000];
    // SAFETY: the time is only read, and what is left is not asked for.
    let _ = unsafe { call!(libc::SYS_nanosleep, &raw const time, 0) };
}

/// Sleeps for at least so long, signals or not.
pub fn sleep_ms(milliseconds: u64) {
    let until = boot_ms().saturating_add(milliseconds);
    loop {
        let left = until.saturating_sub(boot_ms());
        if left == 0 {
            return;
        }
        poll(&mut [], u32::try_from(left).unwrap_or(u32::MAX));
    }
}

/// The kernel's `struct __kernel_timespec`.
#[repr(C)]
#[derive(Default)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

fn milliseconds(clock: c_int) -> u64 {
    let time = read(clock).unwrap_or_default();
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    seconds
        .saturating_mul(1000)
        .saturating_add(u64::try_from(time.nanoseconds).unwrap_or(0) / 1_000_000)
}

/// Not by way of the vDSO: to find it takes three quarters of a KiB, and saves 50 ns.
#[cfg(target_pointer_width = "64")]
fn read(clock: c_int) -> Option<Time> {
    let mut time = Time::default();
    // SAFETY: `time` is where the result belongs.
    let result = unsafe { call!(libc::SYS_clock_gettime, clock, &raw mut time) };
    result.is_ok().then_some(time)
}

/// There `libc::timespec` is 32 bits wide. The call is in kernels since 5.1; older ones
/// have only the narrow one.
#[cfg(target_pointer_width = "32")]
fn read(clock: c_int) -> Option<Time> {
    /// `clock_gettime64` has the same number on every 32-bit architecture.
    const CLOCK_GETTIME64: c_long = 403;
    let mut time = Time::default();
    // SAFETY: `time` is where the result belongs.
    if unsafe { call!(CLOCK_GETTIME64, clock, &raw mut time) }.is_ok() {
        return Some(time);
    }
    let mut narrow = [0i32; 2];
    // SAFETY: the narrow `struct timespec` is two 32-bit numbers.
    let result = unsafe { call!(libc::SYS_clock_gettime, clock, narrow.as_mut_ptr()) };
    // Seconds past 2038 wrap; as unsigned they are right until 2106.
    result.is_ok().then_some(Time {
        seconds: i64::from(narrow[0].cast_unsigned()),
        nanoseconds: i64::from(narrow[1]),
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use core::cell::Cell;

    std::thread_local! {
        static AHEAD: Cell<u64> = const { Cell::new(0) };
    }

    /// How far this thread's [`boot_ms`] is ahead.
    pub fn ahead_ms() -> u64 {
        AHEAD.get()
    }

    /// Lets time pass on this thread, in no time.
    pub fn pass(milliseconds: u64) {
        AHEAD.set(AHEAD.get() + milliseconds);
    }

    #[test]
    fn clocks_agree_with_the_standard_library() {
        let before = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let now = u128::from(real_ms());
        let after = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        assert!((before..=after).contains(&now), "{before} {now} {after}");
    }

    #[test]
    fn sleeping_takes_time() {
        let before = boot_ms();
        sleep_ms(20);
        assert!(boot_ms() - before >= 20);
    }
}
