//! How many alerts there may be: a flood must fill neither the log nor a reader's day.
//!
//! A period begins with an alert; so many alerts may come in it, of all rules together, and what comes above that is held back:
//! counted, with an example for each of the first rules. The next period begins with the first alert behind the end of this one. So in
//! any time as long as a period there are at most twice as many.

use heapless::Vec;
use peewit_core::alert::{HELD_BACK_RULES, HeldBack, HeldBackRule, TEXT_LIMIT};
use peewit_core::pack::{Pack, RuleIndex};

/// How many alerts there may be in how many seconds, if nobody says otherwise.
pub const DEFAULT: (u32, u32) = (100, 300);

/// Alerts of a rule that were held back.
struct Held {
    rule: RuleIndex,
    length: u8,
    count: u64,
    example: [u8; TEXT_LIMIT],
}

/// The limit, and what it held back.
pub struct Rate {
    /// Alerts in a period; 0: any number.
    limit: u64,
    period_ms: u64,
    began_ms: u64,
    /// Alerts in this period.
    admitted: u64,
    /// Alerts that were held back and not told of.
    held: u64,
    first_ms: u64,
    last_ms: u64,
    last_real_ms: u64,
    rules: [Held; HELD_BACK_RULES],
    used: usize,
    /// All that were ever held back.
    pub total: u64,
}

impl Rate {
    /// No limit. All zero.
    pub const fn new() -> Self {
        Self {
            limit: 0,
            period_ms: 0,
            began_ms: 0,
            admitted: 0,
            held: 0,
            first_ms: 0,
            last_ms: 0,
            last_real_ms: 0,
            rules: [const {
                Held {
                    rule: 0,
                    length: 0,
                    count: 0,
                    example: [0; TEXT_LIMIT],
                }
            }; HELD_BACK_RULES],
            used: 0,
            total: 0,
        }
    }

    /// So many alerts in so many seconds; 0: any number.
    pub const fn limit(&mut self, (alerts, seconds): (u32, u32)) {
        self.limit = alerts as u64;
        self.period_ms = seconds as u64 * 1000;
    }

    /// Whether an alert may be sent now; it counts.
    pub fn admits(&mut self, now_ms: u64) -> bool {
        if self.admitted == 0 || self.is_over(now_ms) {
            self.began_ms = now_ms;
            self.admitted = 0;
        }
        let admits = self.limit == 0 || self.admitted < self.limit;
        self.admitted += u64::from(admits);
        admits
    }

    /// Holds one back: of this rule, about this.
    pub fn hold(&mut self, rule: RuleIndex, example: &[u8], now_ms: u64, real_ms: u64) {
        if self.held == 0 {
            self.first_ms = now_ms;
        }
        self.last_ms = now_ms;
        self.last_real_ms = real_ms;
        self.held += 1;
        self.total += 1;
        let known = self.rules.iter().take(self.used);
        let place = known
            .enumerate()
            .find(|(_, held)| held.rule == rule)
            .map_or(self.used, |(place, _)| place);
        let Some(held) = self.rules.get_mut(place) else {
            return;
        };
        if place == self.used {
            self.used += 1;
            held.rule = rule;
            held.count = 0;
        }
        held.count += 1;
        held.length = 0;
        for (place, byte) in held.example.iter_mut().zip(example) {
            *place = *byte;
            held.length += 1;
        }
    }

    /// Whether what was held back is to be told: the period is over.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.held > 0 && self.is_over(now_ms)
    }

    const fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.began_ms) >= self.period_ms
    }

    /// What was held back since it was last told, if anything.
    pub fn record<'a>(&'a self, pack: &Pack<'a>) -> Option<HeldBack<'a>> {
        let mut rules = Vec::new();
        for held in self.rules.iter().take(self.used) {
            if let Some(rule) = pack.rule(held.rule) {
                // There is room for as many.
                let _ = rules.push(HeldBackRule {
                    rule: rule.id,
                    count: held.count,
                    example: held.example.get(..usize::from(held.length)).unwrap_or(&[]),
                });
            }
        }
        (self.held > 0).then_some(HeldBack {
            time_ms: self.last_real_ms,
            boot_ms: self.last_ms,
            lasted_ms: self.last_ms.saturating_sub(self.first_ms),
            count: self.held,
            rules,
        })
    }

    /// The rules have other numbers from now on: what was held back of which is not known any more.
    pub const fn forget_rules(&mut self) {
        self.used = 0;
    }

    /// It was told.
    pub const fn told(&mut self) {
        self.held = 0;
        self.used = 0;
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_with_an_alert() {
        let mut rate = Rate::new();
        for now in 0..1000 {
            assert!(rate.admits(now));
        }
        let mut rate = Rate::new();
        rate.limit((3, 10));
        let mut at = |now| rate.admits(now);
        assert!(at(5000) && at(5001) && at(14_999));
        assert!(!at(14_999));
        assert!(at(15_000) && at(15_000) && at(15_000) && !at(15_000));
        assert!(!at(24_999));
        // Nothing for long, and then again.
        assert!(at(1_000_000) && at(1_009_999) && at(1_009_999) && !at(1_009_999));
        assert!(at(1_010_000));
    }

    #[test]
    fn what_is_held_back_is_told_once() {
        let book = crate::rules::built_in().unwrap();
        let pack = book.engine().pack();
        let mut rate = Rate::new();
        rate.limit((1, 10));
        assert!(rate.admits(1000));
        assert_eq!(rate.record(&pack), None);
        assert!(!rate.is_due(20_000));
        rate.hold(1, b"a", 2000, 70_000);
        rate.hold(2, &[b'x'; 100], 2001, 70_001);
        rate.hold(1, b"bc", 3500, 71_500);
        assert!(!rate.is_due(10_999) && rate.is_due(11_000));
        let record = rate.record(&pack).unwrap();
        assert_eq!(
            (
                record.time_ms,
                record.boot_ms,
                record.lasted_ms,
                record.count
            ),
            (71_500, 3500, 1500, 3)
        );
        let rules: std::vec::Vec<_> = record
            .rules
            .iter()
            .map(|rule| (rule.rule, rule.count, rule.example))
            .collect();
        let id = |index| pack.rule(index).unwrap().id;
        assert_eq!(rules, [(id(1), 2, &b"bc"[..]), (id(2), 1, &[b'x'; 64])]);
        drop((rules, record));
        rate.told();
        assert_eq!(rate.record(&pack), None);
        assert_eq!(rate.total, 3);
    }

    #[test]
    fn more_rules_than_are_named() {
        let book = crate::rules::built_in().unwrap();
        let pack = book.engine().pack();
        let mut rate = Rate::new();
        rate.limit((1, 10));
        for rule in 0..20 {
            for _ in 0..=rule {
                rate.hold(rule, b"", 1, 1);
            }
        }
        // The pack has five.
        let record = rate.record(&pack).unwrap();
        assert_eq!((record.count, record.rules.len()), (210, 5));
        assert_eq!(record.others(), 210 - 15);
    }
}
