use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const EVENTS: Threshold = Threshold {
    rule: 3,
    count: 3,
    distinct: 0,
    window_ms: 100,
};

#[test]
fn the_window_slides_and_a_group_begins_anew() {
    let mut table = Thresholds::<16>::new();
    let mut count = |key, now_ms| table.count(&EVENTS, key, &[], now_ms);
    assert!(!count(1, 0));
    assert!(!count(1, 60));
    assert!(!count(2, 60));
    // The first is out of the window by now.
    assert!(!count(1, 101));
    // The last moment of the second.
    assert!(count(1, 160));
    assert!(!count(1, 161));
    assert!(!count(1, 162));
    assert!(count(1, 163));
    assert_eq!(table.evicted(), 0);
}

/// Other rules: what counted is nothing to them.
#[test]
fn nothing_counts_once_cleared() {
    let mut table = Thresholds::<4>::new();
    for _ in 0..5 {
        assert!(!table.count(&EVENTS, 1, &[], 0));
        assert!(!table.count(&EVENTS, 1, &[], 1));
        table.clear();
        assert!(!table.count(&EVENTS, 1, &[], 2));
        assert!(!table.count(&EVENTS, 1, &[], 3));
        assert!(table.count(&EVENTS, 1, &[], 4));
        table.clear();
    }
    assert_eq!(table.evicted(), 0, "what was cleared is not missed");
}

#[test]
fn different_values() {
    let mut table = Thresholds::<16>::new();
    let threshold = Threshold {
        count: 1,
        distinct: 3,
        ..EVENTS
    };
    assert!(!table.count(&threshold, 1, &[5, 6, 5], 0));
    assert!(!table.count(&threshold, 1, &[6], 90));
    assert!(!table.count(&threshold, 2, &[7], 90));
    // 5 is out of the window, 6 was seen again.
    assert!(!table.count(&threshold, 1, &[8], 101));
    assert!(table.count(&threshold, 1, &[9], 102));
    assert!(!table.count(&threshold, 1, &[5, 6], 103));
    // Both events and values.
    let both = Threshold {
        count: 3,
        distinct: 2,
        ..EVENTS
    };
    assert!(!table.count(&both, 4, &[1, 2], 200));
    assert!(!table.count(&both, 4, &[], 201));
    assert!(table.count(&both, 4, &[1], 202));
}

#[test]
fn a_full_log_overwrites_the_oldest() {
    let mut table = Thresholds::<4>::new();
    for key in 1..=3 {
        assert!(!table.count(&EVENTS, key, &[], 0));
    }
    assert!(!table.count(&EVENTS, 1, &[], 0));
    assert!(!table.count(&EVENTS, 4, &[], 0));
    assert_eq!(table.evicted(), 1);
    // The first event of key 1 was overwritten.
    assert!(!table.count(&EVENTS, 1, &[], 0));
    // All of them are old by now.
    for key in 5..9 {
        assert!(!table.count(&EVENTS, key, &[], 200));
    }
    assert_eq!(table.evicted(), 2);
    let threshold = Threshold { count: 5, ..EVENTS };
    for now_ms in 300..350 {
        assert!(!table.count(&threshold, 1, &[], now_ms));
    }
}

#[test]
fn numbers_may_wrap() {
    let mut table = Thresholds::<4>::new();
    table.last = u32::MAX - 4;
    let reached = (0..12).filter(|&now_ms| table.count(&EVENTS, 1, &[], now_ms));
    // Every third, but for one that the missing number 0 costs at most.
    assert!((3..=4).contains(&reached.count()));
}

/// What the table is to do, in the simplest words: everything entered, of which the last `room` entries are known.
#[derive(Default)]
struct Naive {
    log: Vec<(u16, u64, Option<u64>, u64, bool)>,
    evicted: u64,
}

impl Naive {
    fn count(
        &mut self,
        room: usize,
        threshold: &Threshold,
        key: u64,
        values: &[u64],
        now: u64,
    ) -> bool {
        let mine = |entry: &(u16, u64, Option<u64>, u64, bool)| {
            entry.0 == threshold.rule && entry.1 == key && entry.4
        };
        let event = (threshold.count > 1).then_some(None);
        let values = values.iter().filter(|_| threshold.distinct > 0);
        for value in event.into_iter().chain(values.map(|&value| Some(value))) {
            for entry in self.log.iter_mut().filter(|entry| mine(entry)) {
                entry.4 &= value.is_none() || entry.2 != value;
            }
            let until = now + threshold.window_ms;
            self.log.push((threshold.rule, key, value, until, true));
            if let Some(over) = self.log.len().checked_sub(room + 1) {
                let entry = &mut self.log[over];
                self.evicted += u64::from(entry.4 && entry.3 >= now);
                entry.4 = false;
            }
        }
        let live = self
            .log
            .iter()
            .filter(|entry| mine(entry) && entry.3 >= now);
        let events = live.clone().filter(|entry| entry.2.is_none()).count();
        let different: BTreeSet<u64> = live.filter_map(|entry| entry.2).collect();
        let reached = (threshold.count <= 1 || events >= threshold.count as usize)
            && different.len() >= threshold.distinct as usize;
        if reached {
            for entry in self.log.iter_mut().filter(|entry| mine(entry)) {
                entry.4 = false;
            }
        }
        reached
    }
}

proptest! {
    #[test]
    fn as_the_naive_log(
        events in prop::collection::vec(
            (0..9u64, 0..4u16, 0..6u64, prop::collection::vec(1..9u64, 0..4)), 0..300),
    ) {
        let mut small = Thresholds::<16>::new();
        let mut large = Thresholds::<2048>::new();
        let (mut naive_small, mut naive_large) = (Naive::default(), Naive::default());
        let mut now = 0;
        for (step, rule, key, values) in events {
            now += step;
            let (count, distinct) = [(4, 0), (1, 5), (3, 3), (1, 0)][usize::from(rule)];
            let threshold = Threshold { rule, count, distinct, window_ms: 50 };
            prop_assert_eq!(
                small.count(&threshold, key, &values, now),
                naive_small.count(16, &threshold, key, &values, now)
            );
            prop_assert_eq!(
                large.count(&threshold, key, &values, now),
                naive_large.count(2048, &threshold, key, &values, now)
            );
            prop_assert_eq!(small.evicted(), naive_small.evicted);
        }
    }
}
