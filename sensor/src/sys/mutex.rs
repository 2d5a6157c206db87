//! A lock that a real-time thread may wait for.
//!
//! Who holds it runs at the priority of whoever waits for it (a priority-inheriting futex): an
//! ordinary thread that was preempted with the lock in its hands is pushed to finish. Taking and
//! giving it back uncontended is one atomic instruction each.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::call::call;
use super::clock::monotonic_ns;
use super::{Errno, ThreadId};

/// How long a thread tries for the lock before it sleeps, if the owner may be in want of this CPU.
const SPIN_NS: u64 = 100_000;
/// The same if it is a real-time thread, which has its own and will not keep the lock for long: an emulated machine may
/// take that much time for it.
const REALTIME_SPIN_NS: u64 = 50_000_000;
/// How often it tries between two looks at the clock.
const TRIES: u32 = 16;

/// A value that one thread at a time may use.
pub struct PiMutex<T> {
    /// 0, or the owner's thread id; the kernel adds FUTEX_WAITERS.
    owner: AtomicU32,
    /// Whether the owner has real-time priority.
    realtime: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and there is at most one.
unsafe impl<T: Send> Sync for PiMutex<T> {}

impl<T> PiMutex<T> {
    /// Unlocked. All zero if the value is.
    pub const fn new(value: T) -> Self {
        Self {
            owner: AtomicU32::new(0),
            realtime: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until nobody else has it. A thread that has it already waits for ever.
    pub fn lock(&self, me: ThreadId) -> Guard<'_, T> {
        if !self.take(me) {
            self.wait(me);
        }
        if me.is_realtime() {
            self.realtime.store(true, Ordering::Relaxed);
        }
        Guard { mutex: self, me }
    }

    fn take(&self, me: ThreadId) -> bool {
        self.owner
            .compare_exchange(0, me.number(), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self, me: ThreadId) {
        // Not asleep at once: while a capture thread sleeps, programs on its CPU go on unread. The lock is held for some
        // microseconds at a time, nearly always by a capture thread on another CPU.
        let start = monotonic_ns();
        loop {
            let most = match self.realtime.load(Ordering::Relaxed) {
                true => REALTIME_SPIN_NS,
                false => SPIN_NS,
            };
            if monotonic_ns() - start > most {
                break;
            }
            for _ in 0..TRIES {
                if self.owner.load(Ordering::Relaxed) == 0 && self.take(me) {
                    return;
                }
                core::hint::spin_loop();
            }
        }
        // The kernel sets the owner, or says why not.
        while let Err(error) = self.futex(libc::FUTEX_LOCK_PI) {
            if error == Errno::INTERRUPTED || error == Errno::AGAIN {
                continue;
            }
            // A kernel without CONFIG_FUTEX_PI: let the owner run. Yielding would not, as it may have a lower priority.
            super::sleep_ms(1);
            if self.take(me) {
                return;
            }
        }
        // What the kernel did is ordered like any system call; this tells the compiler.
        core::sync::atomic::fence(Ordering::Acquire);
    }

    fn unlock(&self, me: ThreadId) {
        if me.is_realtime() {
            self.realtime.store(false, Ordering::Relaxed);
        }
        if self
            .owner
            .compare_exchange(me.number(), 0, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            core::sync::atomic::fence(Ordering::Release);
            // Cannot fail: we are the owner.
            let _ = self.futex(libc::FUTEX_UNLOCK_PI);
        }
    }

    fn futex(&self, operation: core::ffi::c_int) -> Result<usize, Errno> {
        let no_timeout = core::ptr::null::<libc::timespec>();
        // SAFETY: the word is ours and stays; no other memory is involved.
        unsafe {
            call!(
                libc::SYS_futex,
                self.owner.as_ptr(),
                operation | libc::FUTEX_PRIVATE_FLAG,
                0,
                no_timeout,
            )
        }
    }
}

/// The right to use the value, given back when dropped.
pub struct Guard<'a, T> {
    mutex: &'a PiMutex<T>,
    me: ThreadId,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is no other guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is no other guard.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.mutex.unlock(self.me);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread_id;

    #[test]
    fn counts_right_in_many_threads() {
        static COUNTER: PiMutex<u64> = PiMutex::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let me = thread_id();
                    for _ in 0..50_000 {
                        *COUNTER.lock(me) += 1;
                    }
                });
            }
        });
        assert_eq!(*COUNTER.lock(thread_id()), 200_000);
    }
}
