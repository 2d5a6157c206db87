//! A value set once, before others look at it.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

use super::Errno;

const EMPTY: u8 = 0;
const BEING_SET: u8 = 1;
const SET: u8 = 2;

/// Room for a value that is set at most once. Meant for statics, and all zero at first.
pub struct Once<T> {
    state: AtomicU8,
    /// Initialised once the state is `SET`. Never dropped: a static is not.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by one thread only, before `SET` is seen by any other, and never again.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not set yet.
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`Errno::EXISTS`] if it was set before.
    pub fn set(&self, value: T) -> Result<&T, Errno> {
        self.make(|| value)
    }

    /// Sets it to what `make` gives, which may be made in place.
    ///
    /// # Errors
    /// As for [`Once::set`].
    pub fn make(&self, make: impl FnOnce() -> T) -> Result<&T, Errno> {
        if self
            .state
            .compare_exchange(EMPTY, BEING_SET, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return Err(Errno::EXISTS);
        }
        // SAFETY: only the thread that got from EMPTY to BEING_SET comes here, and nobody reads yet.
        let value = unsafe { (*self.value.get()).write(make()) };
        self.state.store(SET, Ordering::Release);
        Ok(value)
    }

    /// The value, if it has been set.
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: initialised before SET was stored, and nobody writes after that.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays() {
        let once = Once::new();
        assert_eq!(once.get(), None);
        assert_eq!(once.set(1), Ok(&1));
        assert_eq!(once.set(2), Err(Errno::EXISTS));
        assert_eq!(once.get(), Some(&1));
    }
}
