//! Waking a thread that sleeps until there is something to do.

use core::sync::atomic::{AtomicU32, Ordering};

use super::call::call;

/// A bell that many may ring and one listens to. Ringing costs a system call only while it sleeps.
#[derive(Debug)]
pub struct Wake {
    /// How often it was rung.
    rung: AtomicU32,
    /// 1 while somebody sleeps.
    sleeping: AtomicU32,
}

impl Wake {
    /// Not rung yet.
    pub const fn new() -> Self {
        Self {
            rung: AtomicU32::new(0),
            sleeping: AtomicU32::new(0),
        }
    }

    /// How often it was rung: look first, then at what there is to do, then [`Wake::wait`].
    pub fn rung(&self) -> u32 {
        self.rung.load(Ordering::SeqCst)
    }

    /// Rings. Never waits.
    pub fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) != 0 {
            // SAFETY: the word is ours; no other memory is involved.
            let _ = unsafe {
                call!(
                    libc::SYS_futex,
                    self.rung.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                )
            };
        }
    }

    /// Sleeps until it has been rung more than `seen` times, at most so many milliseconds.
    pub fn wait(&self, seen: u32, at_most_ms: Option<u32>) {
        self.sleeping.store(1, Ordering::SeqCst);
        // A pair of the kernel's old `struct timespec` for this call, at every word size.
        let timeout = at_most_ms.map(|ms| {
            [
                (ms / 1000) as libc::c_long,
                (ms % 1000 * 1_000_000) as libc::c_long,
            ]
        });
        let timeout = timeout
            .as_ref()
            .map_or(core::ptr::null(), |timeout| timeout.as_ptr());
        // SAFETY: word and timeout are ours and outlive the call. It returns at once if the word is not `seen`.
        let _ = unsafe {
            call!(
                libc::SYS_futex,
                self.rung.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                seen,
                timeout,
            )
        };
        self.sleeping.store(0, Ordering::SeqCst);
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let wake = Wake::new();
        let seen = wake.rung();
        wake.ring();
        wake.wait(seen, None);
        assert_eq!(wake.rung(), seen + 1);
    }

    #[test]
    fn a_sleeper_is_woken() {
        static WAKE: Wake = Wake::new();
        let seen = WAKE.rung();
        let sleeper = std::thread::spawn(move || WAKE.wait(seen, None));
        std::thread::sleep(std::time::Duration::from_millis(20));
        WAKE.ring();
        sleeper.join().unwrap();
    }

    #[test]
    fn nobody_sleeps_for_ever() {
        let wake = Wake::new();
        wake.wait(wake.rung(), Some(10));
    }
}
