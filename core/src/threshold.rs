//! Thresholds: so many events of a group, or so many different values of a field, within the rule's window?
//!
//! The window slides: an alert comes with the very event that reaches the threshold, and its group begins
//! anew then. (Upstream counts when a scheduled run looks back, so it may find a threshold reached that was
//! reached between two runs only once, and one alert stands for all events of the look-back.)
//!
//! What was seen is a bounded log, in which the newest overwrites the oldest. One that still was within its
//! window is counted then: its group may reach its threshold too late or never. A group's entries are linked from the
//! newest to the oldest; links lead to older entries only, and those that were overwritten end a search.

use crate::pack::{Purpose, Rule, RuleIndex};

/// Most events or values of a group that can be asked for: a device has room for so many of all groups.
pub const MOST: u32 = 1024;

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Threshold {
    /// The rule.
    pub rule: RuleIndex,
    /// How many events.
    pub count: u32,
    /// How many different values; 0 if none are asked for.
    pub distinct: u32,
    /// Within how long, ms.
    pub window_ms: u64,
}

impl Threshold {
    /// The threshold that a query of a pack is counted for.
    pub fn of(rule: &Rule<'_>) -> Option<Self> {
        match rule.purpose {
            Purpose::Threshold { count, distinct } => Some(Self {
                rule: rule.index,
                count,
                distinct: distinct.map_or(0, |(_, distinct)| distinct),
                window_ms: rule.lookback_ms,
            }),
            _ => None,
        }
    }
}

/// An event of a group, or a value that it had.
#[derive(Clone, Copy)]
struct Seen {
    key: u64,
    /// The value's fingerprint; 0: the event itself.
    value: u64,
    /// The last moment at which it counts.
    until_ms: u64,
    /// Number of the next older entry of its bucket; 0 is none.
    older: u32,
    rule: RuleIndex,
    counts: bool,
}

static_assertions::const_assert!(size_of::<Seen>() == 32);

/// The log of what was seen: `N` entries of all groups (a power of two). All zero when empty, so a static one
/// needs no space in the binary.
pub struct Thresholds<const N: usize> {
    /// Entry number `n` is at place `n` modulo `N`.
    log: [Seen; N],
    /// The number of each bucket's newest entry; 0 is none.
    buckets: [u32; N],
    /// The number of the last entry, from 1.
    last: u32,
    evicted: u64,
}

impl<const N: usize> Default for Thresholds<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Thresholds<N> {
    /// An empty log.
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two() && N <= 1 << 31) };
        Self {
            log: [Seen {
                key: 0,
                value: 0,
                until_ms: 0,
                older: 0,
                rule: 0,
                counts: false,
            }; N],
            buckets: [0; N],
            last: 0,
            evicted: 0,
        }
    }

    /// An event at `now_ms` belongs to the group with this fingerprint, and `values` are those of the values that it
    /// has in the field whose different values are counted. Gives whether the threshold is reached: then nothing of the
    /// group counts any more. Events come in the order of their times.
    ///
    /// A threshold over `N` is never reached.
    pub fn count(&mut self, threshold: &Threshold, key: u64, values: &[u64], now_ms: u64) -> bool {
        let rule = threshold.rule;
        let until_ms = now_ms.saturating_add(threshold.window_ms);
        let mut enter = |value| {
            self.enter(
                Seen {
                    key,
                    value,
                    until_ms,
                    older: 0,
                    rule,
                    counts: true,
                },
                now_ms,
            )
        };
        // One event is what there is anyhow.
        if threshold.count > 1 {
            enter(0);
        }
        if threshold.distinct > 0 {
            for &value in values {
                // Never 0, which stands for the event.
                enter(value.max(1));
            }
        }
        let (mut events, mut different) = (u32::from(threshold.count <= 1), 0);
        self.group(rule, key, |seen| {
            if seen.until_ms >= now_ms {
                match seen.value {
                    0 => events += 1,
                    _ => different += 1,
                }
            }
        });
        let reached = events >= threshold.count && different >= threshold.distinct;
        if reached {
            self.group(rule, key, |seen| seen.counts = false);
        }
        reached
    }

    /// Forgets all entries: rules have other numbers from now on.
    pub fn clear(&mut self) {
        // Memory that was never written to takes up none.
        if self.last > 0 {
            self.buckets.fill(0);
            self.log
                .iter_mut()
                .filter(|seen| seen.counts)
                .for_each(|seen| seen.counts = false);
        }
    }

    /// How many entries were overwritten while they counted.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Puts an entry into the log. A value that the group had already counts from now on.
    fn enter(&mut self, mut seen: Seen, now_ms: u64) {
        if seen.value != 0 {
            self.group(seen.rule, seen.key, |other| {
                other.counts &= other.value != seen.value;
            });
        }
        let number = self.last.wrapping_add(1).max(1);
        seen.older = core::mem::replace(&mut self.buckets[Self::bucket(seen.key)], number);
        let place = &mut self.log[number as usize & (N - 1)];
        self.evicted += u64::from(place.counts && place.until_ms >= now_ms);
        *place = seen;
        self.last = number;
    }

    /// Calls `with` for each entry of a group that counts, the newest first.
    fn group(&mut self, rule: RuleIndex, key: u64, mut with: impl FnMut(&mut Seen)) {
        let mut number = self.buckets[Self::bucket(key)];
        // Each older than the one before, so it ends whatever the links are.
        let mut least_age = 0;
        while number != 0 {
            let age = self.last.wrapping_sub(number) as usize;
            if age < least_age || age >= N {
                return;
            }
            least_age = age + 1;
            let seen = &mut self.log[number as usize & (N - 1)];
            if seen.counts && seen.key == key && seen.rule == rule {
                with(seen);
            }
            number = seen.older;
        }
    }

    /// The rule's id is part of the key.
    fn bucket(key: u64) -> usize {
        key as usize & (N - 1)
    }
}

#[cfg(test)]
mod tests;
