//! Sequences: have the stages of a rule been seen in order, with the same keys, within its span?
//!
//! As Elasticsearch has it, an event takes the newest match that is pending one stage before its own, and
//! that match is gone then, also if its span is over. So one match is kept for each stage and key of a
//! rule, and a newer one takes its place.
//!
//! The table is bounded. When it is full, the matches whose span is over make room; if there are none,
//! the one that has least time left is forgotten, and counted: its alert may be missed. Keys are
//! fingerprints under the device's secret (see [`crate::terms`]), so nobody can choose values whose
//! matches crowd one bucket.

use heapless::Vec;

use crate::pack::{Purpose, Rule, RuleIndex};

/// A stage of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stage {
    /// The index of the sequence's first stage, which stands for the rule.
    pub first: RuleIndex,
    /// Which stage, from 0.
    pub number: u8,
    /// How many there are.
    pub of: u8,
    /// Longest time from the first event to the last, ms; [`u64::MAX`]: any.
    pub span_ms: u64,
}

impl Stage {
    /// The stage that a query of a pack is.
    pub fn of(rule: &Rule<'_>) -> Option<Self> {
        match rule.purpose {
            Purpose::Stage {
                number,
                of,
                span_ms,
            } => Some(Self {
                first: rule.index.checked_sub(number.into())?,
                number,
                of,
                span_ms,
            }),
            _ => None,
        }
    }
}

/// A match that waits for its next stage.
struct Pending<const KEPT: usize, P> {
    key: u64,
    /// The last moment at which the sequence may be complete.
    until_ms: u64,
    /// What its latest events left, the oldest first.
    events: Vec<P, KEPT>,
    rule: RuleIndex,
    /// The next of its bucket, or of those that are free, as number of a match plus 1; 0 is none.
    next: u16,
    /// The stage that it has reached.
    number: u8,
}

/// The table: `N` matches of all rules (a power of two), of each what its last `KEPT` events left. All
/// zero when empty, so a static one needs no space in the binary.
pub struct Sequences<const N: usize, const KEPT: usize, P> {
    matches: [Pending<KEPT, P>; N],
    /// The first of each bucket, as number of a match plus 1; 0 is none.
    buckets: [u16; N],
    /// The first of those that were in use and are free.
    free: u16,
    /// How many were ever in use.
    used: u16,
    evicted: u64,
}

impl<const N: usize, const KEPT: usize, P: Copy> Default for Sequences<N, KEPT, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const KEPT: usize, P: Copy> Sequences<N, KEPT, P> {
    /// An empty table.
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "buckets are taken from low bits") };
        const { assert!(N <= 1 << 15, "numbers are 16 bits") };
        const { assert!(KEPT > 0, "the last event is kept at least") };
        Self {
            matches: [const {
                Pending {
                    key: 0,
                    until_ms: 0,
                    events: Vec::new(),
                    rule: 0,
                    next: 0,
                    number: 0,
                }
            }; N],
            buckets: [0; N],
            free: 0,
            used: 0,
            evicted: 0,
        }
    }

    /// An event at `now_ms` matches a stage, and `key` is the fingerprint of its keys' values. If it
    /// completes the sequence, gives what the earlier events left, the oldest first, of very long
    /// sequences the last `KEPT`; else `event` is kept for later stages.
    ///
    /// Events come in the order of their times. One that matches several stages of a rule has to be
    /// offered to the last of them first: it cannot follow itself.
    pub fn advance(
        &mut self,
        stage: &Stage,
        key: u64,
        now_ms: u64,
        event: P,
    ) -> Option<Vec<P, KEPT>> {
        let (until_ms, mut events) = match stage.number.checked_sub(1) {
            None => (now_ms.saturating_add(stage.span_ms), Vec::new()),
            Some(before) => self.take(stage.first, before, key)?,
        };
        if now_ms > until_ms {
            return None;
        }
        if stage.number.saturating_add(1) >= stage.of {
            return Some(events);
        }
        if events.is_full() {
            events = events.iter().skip(1).copied().collect();
        }
        // There is room now.
        let _ = events.push(event);
        let bucket = Self::bucket(stage.number, key);
        let (mut number, _) = self.find(stage.first, stage.number, key);
        if number == 0 {
            number = self.room(now_ms);
            let next = core::mem::replace(&mut self.buckets[bucket], number);
            let pending = self.pending(number);
            pending.next = next;
            (pending.rule, pending.number, pending.key) = (stage.first, stage.number, key);
        }
        let pending = self.pending(number);
        pending.until_ms = until_ms;
        pending.events = events;
        None
    }

    /// Whether an event at `now_ms` that matches this stage could be of consequence: it is the first, or a match waits for it,
    /// whatever its key.
    pub fn awaits(&self, stage: &Stage, now_ms: u64) -> bool {
        let Some(before) = stage.number.checked_sub(1) else {
            return true;
        };
        let mut used = self.matches.iter().take(self.used.into());
        used.any(|pending| {
            let (rule, number) = (pending.rule, pending.number);
            // One that is free has left no events.
            (rule, number) == (stage.first, before)
                && pending.until_ms >= now_ms
                && !pending.events.is_empty()
        })
    }

    /// Forgets all matches: rules have other numbers from now on.
    pub fn clear(&mut self) {
        // Memory that was never written to takes up none.
        if self.used > 0 {
            self.buckets.fill(0);
            (self.free, self.used) = (0, 0);
        }
    }

    /// How many matches were forgotten for want of room while they could still have become alerts.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn bucket(number: u8, key: u64) -> usize {
        // A rule's id is part of the key, and its stages' buckets lie side by side.
        key.wrapping_add(number.into()) as usize & (N - 1)
    }

    /// A match and the one before it in its bucket; 0 is none.
    fn find(&mut self, rule: RuleIndex, number: u8, key: u64) -> (u16, u16) {
        let mut before = 0;
        let mut at = self.buckets[Self::bucket(number, key)];
        while at != 0 {
            let pending = self.pending(at);
            if pending.key == key && pending.rule == rule && pending.number == number {
                break;
            }
            before = at;
            at = pending.next;
        }
        (at, before)
    }

    /// Takes a match out of the table.
    fn take(&mut self, rule: RuleIndex, number: u8, key: u64) -> Option<(u64, Vec<P, KEPT>)> {
        let (at, before) = self.find(rule, number, key);
        if at == 0 {
            return None;
        }
        let free = core::mem::replace(&mut self.free, at);
        let pending = self.pending(at);
        let next = core::mem::replace(&mut pending.next, free);
        let taken = (pending.until_ms, core::mem::take(&mut pending.events));
        match before {
            0 => self.buckets[Self::bucket(number, key)] = next,
            before => self.pending(before).next = next,
        }
        Some(taken)
    }

    /// The number of a free match.
    fn room(&mut self, now_ms: u64) -> u16 {
        if self.free == 0 && usize::from(self.used) == N {
            self.make_room(now_ms);
        }
        match self.free {
            0 => {
                self.used += 1;
                self.used
            }
            number => {
                self.free = self.pending(number).next;
                number
            }
        }
    }

    /// Of a full table, forgets the matches whose span is over, or else the one that has least time left.
    fn make_room(&mut self, now_ms: u64) {
        let mut least = 1;
        for number in 1..=self.used {
            let until_ms = self.pending(number).until_ms;
            if until_ms < now_ms {
                self.forget(number);
            } else if until_ms < self.pending(least).until_ms {
                least = number;
            }
        }
        if self.free == 0 {
            self.evicted += 1;
            self.forget(least);
        }
    }

    fn forget(&mut self, number: u16) {
        let pending = self.pending(number);
        let (rule, stage, key) = (pending.rule, pending.number, pending.key);
        self.take(rule, stage, key);
    }

    /// The match of a number, which is 1 to N.
    fn pending(&mut self, number: u16) -> &mut Pending<KEPT, P> {
        let index = usize::from(number).wrapping_sub(1);
        &mut self.matches[if index < N { index } else { 0 }]
    }
}

#[cfg(test)]
mod tests;
