//! New terms: has this value been seen within the rule's window?
//!
//! A term is known by a 64-bit fingerprint under the device's secret key, kept with the time
//! when it was last seen in a bounded table. Every way in which the table can be wrong costs
//! an alert too many, never one too few:
//!
//! - A full table forgets, and counts that. A term first lives in a small part of the table, until it is seen again: so a
//!   flood of new ones cannot push out those that the device has learned.
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
// Inline: compiled where it is used, for that program.
#[inline]
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

/// What the table knows of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Known {
    /// When it was last seen, on the caller's clock.
    pub last_seen_ms: u64,
    /// Whether it was seen again later than in the minute when it was new, or came by [`Terms::restore`] as such.
    pub learned: bool,
    /// Whether its last alert is known to have been kept: see [`Terms::settle`].
    pub settled: bool,
}

/// One term.
#[derive(Clone, Copy)]
struct Term {
    fingerprint: u64,
    /// By the table's own clock.
    last_seen_ms: u64,
    /// Neighbours by last use, as number of a term plus 1; 0 is none. The upper bits of one are the [`stamp`] of the time when
    /// the term was entered, those of the other are marks.
    older: u32,
    newer: u32,
}

static_assertions::const_assert!(size_of::<Term>() == 24);

/// Seen again.
const LEARNED: u32 = 1 << 31;
/// Its alert is on its way.
const UNSETTLED: u32 = 1 << 30;
/// Was asked for by [`Terms::name`].
const NAMED: u32 = 1 << 29;
/// The neighbour.
const LINK: u32 = (1 << 24) - 1;

/// Which minute it is, nearly, as upper bits. What is seen again in the same one may be so by one deed: a program that is started
/// is a fork and an exec. After 256 of them they begin anew: then a term is learned a time later.
const fn stamp(ms: u64) -> u32 {
    ((ms >> 16) as u32) << 24
}

impl Term {
    const fn newer(&self) -> u32 {
        self.newer & LINK
    }

    const fn older(&self) -> u32 {
        self.older & LINK
    }

    fn link_newer(&mut self, newer: u32) {
        self.newer = self.newer & !LINK | newer;
    }

    fn link_older(&mut self, older: u32) {
        self.older = self.older & !LINK | older;
    }

    fn mark(&mut self, mark: u32, holds: bool) {
        self.newer = if holds {
            self.newer | mark
        } else {
            self.newer & !mark
        };
    }

    const fn has(&self, mark: u32) -> bool {
        self.newer & mark != 0
    }
}

/// Terms in the order in which they were last seen.
#[derive(Clone, Copy)]
struct Order {
    oldest: u32,
    newest: u32,
    len: u32,
}

impl Order {
    const EMPTY: Self = Self {
        oldest: 0,
        newest: 0,
        len: 0,
    };
}

/// The table: `N` terms, found over a ring of `RING` places (a power of two, more than `N`).
/// All zero when empty, so a static one needs no space in the binary.
///
/// A place of the ring holds the number of a term plus 1. A term's own place is given by its
/// fingerprint; if it is taken, the next free one around the ring is used. The fingerprint is
/// keyed, so nobody can choose names that crowd one part of the ring, as names of equal FNV
/// hash would: then each look-up would walk past all of them.
///
/// Terms that were seen once (or in one minute only) and those that are learned are two orders in the same memory. A full table forgets the oldest
/// of those seen once if there are at least [`Terms::ONCE`] of them, else the one of the learned that was seen least recently:
/// so new terms can take all but `N - ONCE` places, and none of those.
pub struct Terms<const N: usize, const RING: usize> {
    terms: [Term; N],
    ring: [u32; RING],
    /// Those that were seen once, and the learned.
    orders: [Order; 2],
    /// The first number that is free again; the next one is its `older`.
    free: u32,
    /// How many numbers have been used.
    used: u32,
    evicted: u64,
    /// The latest time on the table's own clock.
    latest_ms: u64,
    /// How far the table's own clock is ahead of the caller's.
    ahead_ms: u64,
}

static_assertions::assert_eq_size!(Terms<1024, 2048>, [u8; 1024 * 24 + 2048 * 4 + 56]);

impl<const N: usize, const RING: usize> Default for Terms<N, RING> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const RING: usize> Terms<N, RING> {
    /// How many places are kept for terms that were seen once.
    pub const ONCE: usize = if N < 16 { 1 } else { N / 8 };

    /// An empty table.
    pub const fn new() -> Self {
        const { assert!(N > 0, "room for one term at least") };
        const { assert!(RING.is_power_of_two(), "places are taken from low bits") };
        const { assert!(RING > N, "one place stays free, where a search ends") };
        const { assert!(RING <= LINK as usize, "numbers leave room for marks") };
        Self {
            terms: [Term {
                fingerprint: 0,
                last_seen_ms: 0,
                older: 0,
                newer: 0,
            }; N],
            ring: [0; RING],
            orders: [Order::EMPTY; 2],
            free: 0,
            used: 0,
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

        let (_, number) = self.find(fingerprint);
        if number == 0 {
            if let Some(number) = self.enter(fingerprint, now, false) {
                self.term(number).mark(UNSETTLED, true);
            }
            return Novelty::New;
        }
        let term = self.term(number);
        let last = term.last_seen_ms;
        let learned = term.has(LEARNED) || term.older & !LINK != stamp(now);
        self.renew(number, now, learned);
        if now - last > window_ms {
            self.term(number).mark(UNSETTLED, true);
            Novelty::New
        } else {
            Novelty::Known
        }
    }

    /// What is known of a term.
    pub fn get(&self, fingerprint: u64) -> Option<Known> {
        let (_, number) = self.find(fingerprint.max(1));
        self.known(number)
    }

    /// The term's alert has been kept. Between [`Novelty::New`] and this a term is known, but nobody should be told so
    /// who would silence it after a restart: the alert may still be lost.
    pub fn settle(&mut self, fingerprint: u64) {
        let (_, number) = self.find(fingerprint.max(1));
        if number != 0 {
            self.term(number).mark(UNSETTLED, false);
        }
    }

    /// Forgets a term, as if it had never been seen. Gives whether it was known.
    pub fn forget(&mut self, fingerprint: u64) -> bool {
        let (_, number) = self.find(fingerprint.max(1));
        if number != 0 {
            self.remove(number);
        }
        number != 0
    }

    /// Enters a term that is known from elsewhere, last seen at this time on the caller's clock. One that is there already
    /// becomes no older by it, and stays learned.
    pub fn restore(&mut self, fingerprint: u64, last_seen_ms: u64, learned: bool) {
        let fingerprint = fingerprint.max(1);
        let last = last_seen_ms.saturating_add(self.ahead_ms);
        self.latest_ms = self.latest_ms.max(last);
        let (_, number) = self.find(fingerprint);
        if number == 0 {
            self.enter(fingerprint, last, learned);
            return;
        }
        let term = self.term(number);
        term.mark(UNSETTLED, false);
        let (last, learned) = (last.max(term.last_seen_ms), learned || term.has(LEARNED));
        self.renew(number, last, learned);
    }

    /// Begins to ask for all terms, with [`Terms::name`] and [`Terms::next_unnamed`].
    pub fn begin_names(&mut self) {
        // What was never in use takes up no memory.
        for term in self.terms.iter_mut().take(self.used as usize) {
            term.mark(NAMED, false);
        }
    }

    /// What is known of a term, the first time that it is asked for.
    pub fn name(&mut self, fingerprint: u64) -> Option<Known> {
        let (_, number) = self.find(fingerprint.max(1));
        let known = self.known(number)?;
        let term = self.term(number);
        let first = !term.has(NAMED);
        term.mark(NAMED, true);
        first.then_some(known)
    }

    /// A term that was not asked for yet, settled ones only.
    pub fn next_unnamed(&mut self) -> Option<(u64, Known)> {
        for order in self.orders {
            let mut number = order.oldest;
            while number != 0 {
                let term = self.term(number);
                if !term.has(NAMED | UNSETTLED) {
                    term.mark(NAMED, true);
                    let fingerprint = term.fingerprint;
                    return Some((fingerprint, self.known(number)?));
                }
                number = term.newer();
            }
        }
        None
    }

    /// How many terms the table holds, those older than any window included.
    pub fn len(&self) -> usize {
        self.once() + self.orders[1].len as usize
    }

    /// How many of them were seen once.
    pub fn once(&self) -> usize {
        self.orders[0].len as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    fn known(&self, number: u32) -> Option<Known> {
        let term = self.terms.get((number as usize).wrapping_sub(1))?;
        Some(Known {
            last_seen_ms: term.last_seen_ms.saturating_sub(self.ahead_ms),
            learned: term.has(LEARNED),
            settled: !term.has(UNSETTLED),
        })
    }

    /// Forgets every term. Only a clock that was set to the end of time leads here.
    fn clear(&mut self) {
        self.ring.fill(0);
        self.evicted += self.len() as u64;
        self.orders = [Order::EMPTY; 2];
        (self.free, self.used) = (0, 0);
    }

    /// Enters a term, in the place of another one if there is no room. None if it would be the next one to go itself.
    #[inline(never)]
    fn enter(&mut self, fingerprint: u64, last_seen_ms: u64, learned: bool) -> Option<u32> {
        if self.len() >= N {
            let among_once = self.once() >= Self::ONCE || self.orders[1].len == 0;
            let victim = self.orders[usize::from(!among_once)].oldest;
            self.evicted += 1;
            if among_once != learned && last_seen_ms < self.term(victim).last_seen_ms {
                return None;
            }
            self.remove(victim);
        }
        let number = if self.free == 0 {
            self.used += 1;
            self.used
        } else {
            let number = self.free;
            self.free = self.term(number).older();
            number
        };
        *self.term(number) = Term {
            fingerprint,
            last_seen_ms,
            older: stamp(last_seen_ms),
            newer: if learned { LEARNED } else { 0 },
        };
        let (place, _) = self.find(fingerprint);
        self.ring[place & (RING - 1)] = number;
        self.push(number);
        Some(number)
    }

    /// A term was seen at this time.
    fn renew(&mut self, number: u32, last_seen_ms: u64, learned: bool) {
        self.pull(number);
        let term = self.term(number);
        term.last_seen_ms = last_seen_ms;
        term.mark(LEARNED, learned);
        self.push(number);
    }

    /// Takes a term out of the table; its number is free then.
    fn remove(&mut self, number: u32) {
        let (place, _) = self.find(self.fingerprint(number));
        self.close(place);
        self.pull(number);
        let free = core::mem::replace(&mut self.free, number);
        self.term(number).link_older(free);
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

    /// Puts a term into its order: behind all that were seen before, nearly always at the end.
    fn push(&mut self, number: u32) {
        let Term { last_seen_ms, .. } = *self.term(number);
        let part = usize::from(self.term(number).has(LEARNED));
        let (mut older, mut newer) = (self.orders[part].newest, 0);
        while older != 0 && self.term(older).last_seen_ms > last_seen_ms {
            (newer, older) = (older, self.term(older).older());
        }
        let order = &mut self.orders[part];
        order.len += 1;
        if older == 0 {
            order.oldest = number;
        }
        if newer == 0 {
            order.newest = number;
        }
        self.join(older, number);
        self.join(number, newer);
    }

    /// Takes a term out of its order.
    fn pull(&mut self, number: u32) {
        let term = *self.term(number);
        let (older, newer) = (term.older(), term.newer());
        let order = &mut self.orders[usize::from(term.has(LEARNED))];
        order.len -= 1;
        if older == 0 {
            order.oldest = newer;
        }
        if newer == 0 {
            order.newest = older;
        }
        self.join(older, newer);
    }

    /// Makes two terms neighbours; 0 is the end.
    fn join(&mut self, older: u32, newer: u32) {
        if older != 0 {
            self.term(older).link_newer(newer);
        }
        if newer != 0 {
            self.term(newer).link_older(older);
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
