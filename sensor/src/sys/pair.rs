//! A value that is replaced while others use it.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::sleep_ms;

/// How long to wait, in milliseconds, until nobody uses the old value any more.
const PATIENCE_MS: u32 = 1000;

/// Two places: the value in use, and the one before it until nobody uses that any more. Meant for statics, and all zero at first.
/// In this order, so that the second place takes up no memory before it is used.
#[repr(C)]
pub struct Pair<T> {
    /// The place in use, from 1; 0: none yet.
    current: AtomicUsize,
    /// Somebody has to do with the other place.
    taken: AtomicBool,
    places: [Place<T>; 2],
}

#[repr(C)]
struct Place<T> {
    users: AtomicU32,
    /// There is a value. Used by whoever has `taken` alone.
    filled: AtomicBool,
    /// Read by whoever found this place to be the current one after becoming a user; written by whoever has `taken`, while
    /// this is not the current place and has no users.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: see `Place::value`.
unsafe impl<T: Send + Sync> Sync for Pair<T> {}

/// A value in use.
pub struct Held<T: 'static> {
    value: &'static T,
    users: &'static AtomicU32,
}

impl<T> Pair<T> {
    /// No value yet.
    pub const fn new() -> Self {
        Self {
            places: [const {
                Place {
                    users: AtomicU32::new(0),
                    filled: AtomicBool::new(false),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                }
            }; 2],
            current: AtomicUsize::new(0),
            taken: AtomicBool::new(false),
        }
    }

    /// The value. It stays what it is for whoever holds it. `None`: there is none yet.
    pub fn hold(&'static self) -> Option<Held<T>> {
        loop {
            let current = self.current.load(Ordering::SeqCst);
            let place = self.places.get(current.wrapping_sub(1))?;
            place.users.fetch_add(1, Ordering::SeqCst);
            // Replaced meanwhile: it may be about to be written.
            if self.current.load(Ordering::SeqCst) == current {
                // SAFETY: it is the current place, so there is a value; and it has a user now, this one: nobody writes to it
                // before that one is gone.
                let value = unsafe { (*place.value.get()).assume_init_ref() };
                let users = &place.users;
                return Some(Held { value, users });
            }
            place.users.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether nobody has replaced a value since it was taken hold of.
    pub fn is_current(&'static self, held: &Held<T>) -> bool {
        let current = self.current.load(Ordering::SeqCst);
        let place = self.places.get(current.wrapping_sub(1));
        place.is_some_and(|place| core::ptr::eq(&raw const place.users, held.users))
    }

    /// Drops the value before this one, and waits for a second until nobody uses it. Gives whether that was so.
    pub fn retire(&'static self) -> bool {
        (0..PATIENCE_MS).any(|_| {
            let retired = self.other(None);
            if !retired {
                sleep_ms(1);
            }
            retired
        })
    }

    /// Replaces the value; does not wait. Gives whether the one before it was out of use.
    pub fn replace(&'static self, value: T) -> bool {
        self.other(Some(value))
    }

    /// Puts something into the other place, and makes it the current one if it is a value.
    #[inline(never)]
    fn other(&'static self, value: Option<T>) -> bool {
        if self.taken.swap(true, Ordering::SeqCst) {
            return false;
        }
        let (number, place) = match (&self.places, self.current.load(Ordering::SeqCst)) {
            ([_, second], 1) => (2, second),
            ([first, _], _) => (1, first),
        };
        let free = place.users.load(Ordering::SeqCst) == 0;
        if free {
            // SAFETY: only one thread comes here at a time. The place is not the current one and had no users; who becomes
            // one looks again and finds that, until `current` is set below.
            let old = unsafe { &mut *place.value.get() };
            if place.filled.swap(value.is_some(), Ordering::Relaxed) {
                // SAFETY: it was filled.
                unsafe { old.assume_init_drop() };
            }
            if let Some(value) = value {
                old.write(value);
                self.current.store(number, Ordering::SeqCst);
            }
        }
        self.taken.store(false, Ordering::SeqCst);
        free
    }
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.users.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    #[test]
    fn the_old_value_stays_while_it_is_held() {
        static PAIR: Pair<Box<u32>> = Pair::new();
        assert!(PAIR.hold().is_none());
        assert!(PAIR.replace(Box::new(1)));
        let first = PAIR.hold().unwrap();
        assert!(PAIR.is_current(&first));
        assert!(PAIR.replace(Box::new(2)));
        assert!(!PAIR.is_current(&first));
        // The first is still in use.
        assert!(!PAIR.replace(Box::new(3)));
        assert!(!PAIR.retire());
        assert_eq!((**first, **PAIR.hold().unwrap()), (1, 2));
        drop(first);
        assert!(PAIR.retire());
        assert!(PAIR.replace(Box::new(4)));
        assert_eq!(**PAIR.hold().unwrap(), 4);
    }

    #[test]
    fn nobody_sees_half_a_value() {
        static PAIR: Pair<Box<[u64; 16]>> = Pair::new();
        static STOP: AtomicBool = AtomicBool::new(false);
        assert!(PAIR.replace(Box::new([0; 16])));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !STOP.load(Ordering::Relaxed) {
                        let held = PAIR.hold().unwrap();
                        let first = held[0];
                        assert!(held.iter().all(|&word| word == first));
                    }
                });
            }
            let mut replaced = 0;
            for number in 1..200_000 {
                replaced += u32::from(PAIR.replace(Box::new([number; 16])));
            }
            STOP.store(true, Ordering::Relaxed);
            assert!(replaced > 0);
        });
    }
}
