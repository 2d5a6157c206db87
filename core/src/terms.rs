//! New terms: has this value been seen within the rule's window?
//!
//! A term is known by a 64-bit fingerprint under the device's secret key, kept with the time
//! when it was last seen in a bounded table. Every way in which the table can be wrong costs
//! an alert too many, never one too few:
//!
//! - A full table forgets the term that was seen least recently, and counts that.
//! - A clock that is set back does not make a term look younger: see [`Terms::seen`].
//! - Two terms with one fingerprint would silence each other. Nobody who lacks the key can
//!   find such a pair, and by chance one term in 2^64 / N meets one of N others.

use core::fmt;
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// The device's secret, made at random once and kept in the state: whoever knows it can
/// choose a name that looks known.
#[derive(Clone)]
pub struct Key(pub [u8; 16]);

/// Does not show the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The fingerprint of a rule's term: SipHash-1-3 of the rule's id and the values of its
/// new_terms fields, in the order in which the rule names them, each after its length in 8
/// bytes, little-endian. So no two tuples are hashed as the same bytes. Never 0.
pub fn fingerprint(key: &Key, rule_id: &[u8], values: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&key.0);
    for part in core::iter::once(rule_id).chain(values.iter().copied()) {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish().max(1)
}

/// What [`Terms::seen`] says of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Novelty {
    /// Not seen within the window, or forgotten: alert.
    New,
    /// Seen within the window.
    Known,
}

impl Novelty {
    /// Whether to alert.
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New)
    }
}

/// One term.
#[derive(Clone, Copy)]
struct Term {
    fingerprint: u64,
    /// By the table's own clock.
    last_seen_ms: u64,
    /// Neighbours by last use, as number of a term plus 1; 0 is none.
    older: u32,
    newer: u32,
}

static_assertions::const_assert!(size_of::<Term>() == 24);

/// The table: `N` terms, found over a ring of `RING` places (a power of two, more than `N`).
/// All zero when empty, so a static one needs no space in the binary.
///
/// A place of the ring holds the number of a term plus 1. A term's own place is given by its
/// fingerprint; if it is taken, the next free one around the ring is used. The fingerprint is
/// keyed, so nobody can choose names that crowd one part of the ring, as names of equal FNV
/// hash would: then each look-up would walk past all of them.
pub struct Terms<const N: usize, const RING: usize> {
    terms: [Term; N],
    ring: [u32; RING],
    len: u32,
    oldest: u32,
    newest: u32,
    evicted: u64,
    /// The latest time on the table's own clock.
    latest_ms: u64,
    /// How far the table's own clock is ahead of the caller's.
    ahead_ms: u64,
}

static_assertions::assert_eq_size!(Terms<1024, 2048>, [u8; 1024 * 24 + 2048 * 4 + 40]);

impl<const N: usize, const RING: usize> Default for Terms<N, RING> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const RING: usize> Terms<N, RING> {
    /// An empty table.
    pub const fn new() -> Self {
        const { assert!(N > 0, "room for one term at least") };
        const { assert!(RING.is_power_of_two(), "places are taken from low bits") };
        const { assert!(RING > N, "one place stays free, where a search ends") };
        const { assert!(RING <= 1 << 31, "numbers are 32 bits") };
        Self {
            terms: [Term {
                fingerprint: 0,
                last_seen_ms: 0,
                older: 0,
                newer: 0,
            }; N],
            ring: [0; RING],
            len: 0,
            oldest: 0,
            newest: 0,
            evicted: 0,
            latest_ms: 0,
            ahead_ms: 0,
        }
    }

    /// The term was seen at `now_ms`: it is new if it was not in the table, or was last seen
    /// more than `window_ms` before. Its window starts again. Times are in ms from any one
    /// origin, all rules together. Semantics that look back from another time than now make
    /// the window longer or shorter by the difference.
    ///
    /// Time on the table's own clock never goes back: when the caller's is set back, the
    /// table's stands still and then runs on, ahead of the caller's, so every term keeps the
    /// age that it had. (Only the time between the last call and the setting back is not
    /// counted: nobody told the table of it.) A clock set forward makes all terms older. So
    /// read the clock under the lock of the table, or threads that overtake each other
    /// will let the table's run fast.
    pub fn seen(&mut self, fingerprint: u64, now_ms: u64, window_ms: u64) -> Novelty {
        // An empty entry's fingerprint is 0.
        let fingerprint = fingerprint.max(1);
        let now = match now_ms.checked_add(self.ahead_ms) {
            Some(now) => now.max(self.latest_ms),
            None => {
                self.clear();
                now_ms
            }
        };
        self.latest_ms = now;
        self.ahead_ms = now - now_ms;

        let (place, number) = self.find(fingerprint);
        if number != 0 {
            let last = core::mem::replace(&mut self.term(number).last_seen_ms, now);
            if self.newest != number {
                self.pull(number);
                self.push(number);
            }
            return if now - last > window_ms {
                Novelty::New
            } else {
                Novelty::Known
            };
        }
        if (self.len as usize) < N {
            self.len += 1;
            self.enter(self.len, place, fingerprint, now);
        } else {
            let number = self.evict();
            // Others may have moved to fill the gap, so the place is looked for again.
            let (place, _) = self.find(fingerprint);
            self.enter(number, place, fingerprint, now);
        }
        Novelty::New
    }

    /// How many terms the table holds, those older than any window included.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many terms were forgotten for want of room. Some of them may have been older than
    /// their rule's window, and so no loss.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many places a search looks at to find the term, or to find that it is not there.
    pub fn probes(&self, fingerprint: u64) -> usize {
        let fingerprint = fingerprint.max(1);
        let (place, _) = self.find(fingerprint);
        (place.wrapping_sub(Self::home(fingerprint)) & (RING - 1)) + 1
    }

    /// A term's own place.
    fn home(fingerprint: u64) -> usize {
        fingerprint as usize & (RING - 1)
    }

    /// Where a term is and its number plus 1, or where it would go and 0.
    fn find(&self, fingerprint: u64) -> (usize, u32) {
        let mut place = Self::home(fingerprint);
        loop {
            let number = self.ring[place & (RING - 1)];
            if number == 0 || self.fingerprint(number) == fingerprint {
                return (place, number);
            }
            place = (place + 1) & (RING - 1);
        }
    }

    /// Forgets every term. Only a clock that was set to the end of time leads here.
    fn clear(&mut self) {
        self.ring.fill(0);
        self.evicted += u64::from(self.len);
        (self.len, self.oldest, self.newest) = (0, 0, 0);
    }

    fn enter(&mut self, number: u32, place: usize, fingerprint: u64, now: u64) {
        *self.term(number) = Term {
            fingerprint,
            last_seen_ms: now,
            older: 0,
            newer: 0,
        };
        self.ring[place & (RING - 1)] = number;
        self.push(number);
    }

    /// Forgets the term that was seen least recently; its number is free then.
    fn evict(&mut self) -> u32 {
        let number = self.oldest;
        let (place, _) = self.find(self.fingerprint(number));
        self.close(place);
        self.pull(number);
        self.evicted += 1;
        number
    }

    /// Empties a place of the ring and moves later terms back, so that no search ends early.
    fn close(&mut self, place: usize) {
        let mut gap = place & (RING - 1);
        let mut place = gap;
        loop {
            place = (place + 1) & (RING - 1);
            let number = self.ring[place];
            if number == 0 {
                break;
            }
            // It may move if the gap is not before its own place.
            let home = Self::home(self.fingerprint(number));
            if place.wrapping_sub(home) & (RING - 1) >= place.wrapping_sub(gap) & (RING - 1) {
                self.ring[gap & (RING - 1)] = number;
                gap = place;
            }
        }
        self.ring[gap & (RING - 1)] = 0;
    }

    /// Makes a term the most recently seen one.
    fn push(&mut self, number: u32) {
        let older = core::mem::replace(&mut self.newest, number);
        if older == 0 {
            self.oldest = number;
        } else {
            self.term(older).newer = number;
        }
        let term = self.term(number);
        term.older = older;
        term.newer = 0;
    }

    /// Takes a term out of the order.
    fn pull(&mut self, number: u32) {
        let Term { older, newer, .. } = *self.term(number);
        if older == 0 {
            self.oldest = newer;
        } else {
            self.term(older).newer = newer;
        }
        if newer == 0 {
            self.newest = older;
        } else {
            self.term(newer).older = older;
        }
    }

    fn fingerprint(&self, number: u32) -> u64 {
        self.terms
            .get((number as usize).wrapping_sub(1))
            .map_or(0, |term| term.fingerprint)
    }

    /// The term of a number, which is 1 to N.
    fn term(&mut self, number: u32) -> &mut Term {
        let index = (number as usize).wrapping_sub(1);
        &mut self.terms[if index < N { index } else { 0 }]
    }
}

#[cfg(test)]
mod tests;
