use std::collections::HashMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const fn stage(number: u8, of: u8) -> Stage {
    Stage {
        first: 7,
        number,
        of,
        span_ms: 100,
    }
}

/// Offers an event to all stages of rule 7, the last first.
fn offer<const N: usize>(
    table: &mut Sequences<N, 6, u32>,
    stages: &[u8],
    of: u8,
    key: u64,
    now_ms: u64,
    event: u32,
) -> Option<Vec<u32>> {
    let mut completed = None;
    for &number in stages.iter().rev() {
        let awaited = table.awaits(&stage(number, of), now_ms);
        if let Some(events) = table.advance(&stage(number, of), key, now_ms, event) {
            assert!(awaited);
            completed = Some(events.iter().copied().chain([event]).collect());
        }
    }
    completed
}

#[test]
fn stages_follow_one_another_within_the_span() {
    let mut table = Sequences::<8, 6, u32>::new();
    assert_eq!(offer(&mut table, &[1], 2, 1, 0, 10), None);
    assert_eq!(offer(&mut table, &[0], 2, 1, 5, 11), None);
    // Another key, then a moment too late; the match is gone then.
    assert_eq!(offer(&mut table, &[1], 2, 2, 6, 12), None);
    assert_eq!(offer(&mut table, &[1], 2, 1, 106, 13), None);
    assert_eq!(offer(&mut table, &[1], 2, 1, 50, 14), None);
    // The last moment.
    assert_eq!(offer(&mut table, &[0], 2, 1, 200, 15), None);
    assert_eq!(
        offer(&mut table, &[1], 2, 1, 300, 16),
        Some([15, 16].into())
    );
    assert_eq!(offer(&mut table, &[1], 2, 1, 300, 17), None);
    assert_eq!(table.evicted(), 0);
}

#[test]
fn a_later_stage_is_awaited_while_the_one_before_is_pending() {
    let mut table = Sequences::<8, 6, u32>::new();
    let awaited = |table: &Sequences<8, 6, u32>, now_ms| {
        [0, 1, 2].map(|number| table.awaits(&stage(number, 3), now_ms))
    };
    assert_eq!(awaited(&table, 0), [true, false, false]);
    assert_eq!(offer(&mut table, &[0], 3, 1, 10, 1), None);
    assert_eq!(awaited(&table, 110), [true, true, false]);
    assert_eq!(awaited(&table, 111), [true, false, false]);
    let other = Stage {
        first: 8,
        ..stage(1, 3)
    };
    assert!(!table.awaits(&other, 20));
    // Of another key, so it goes on waiting.
    assert_eq!(offer(&mut table, &[1], 3, 2, 20, 2), None);
    assert_eq!(awaited(&table, 20), [true, true, false]);
    assert_eq!(offer(&mut table, &[1], 3, 1, 20, 2), None);
    assert_eq!(awaited(&table, 20), [true, false, true]);
    assert_eq!(offer(&mut table, &[2], 3, 1, 30, 3), Some([1, 2, 3].into()));
    assert_eq!(awaited(&table, 30), [true, false, false]);
    assert_eq!(offer(&mut table, &[0], 3, 1, 40, 4), None);
    table.clear();
    assert_eq!(awaited(&table, 40), [true, false, false]);
}

/// Other rules: what is pending is nothing to them.
#[test]
fn nothing_is_pending_once_cleared() {
    let mut table = Sequences::<4, 6, u32>::new();
    for round in 0..5 {
        for key in 0..6 {
            assert_eq!(offer(&mut table, &[0], 2, key, 10, 1), None);
        }
        assert_eq!(table.evicted(), 2 * (round + 1));
        table.clear();
        for key in 0..6 {
            assert_eq!(offer(&mut table, &[1], 2, key, 11, 2), None, "{key}");
        }
        assert_eq!(offer(&mut table, &[0], 2, 9, 12, 3), None);
        assert_eq!(offer(&mut table, &[1], 2, 9, 13, 4), Some([3, 4].into()));
    }
}

#[test]
fn the_newest_match_is_taken_and_no_other() {
    let mut table = Sequences::<8, 6, u32>::new();
    offer(&mut table, &[0], 2, 1, 0, 10);
    offer(&mut table, &[0], 2, 1, 1, 11);
    assert_eq!(offer(&mut table, &[1], 2, 1, 2, 12), Some([11, 12].into()));
    assert_eq!(offer(&mut table, &[1], 2, 1, 3, 13), None);
    // The span counts from the first event, not from the one before.
    offer(&mut table, &[0], 3, 1, 10, 20);
    offer(&mut table, &[1], 3, 1, 90, 21);
    assert_eq!(offer(&mut table, &[2], 3, 1, 111, 22), None);
}

#[test]
fn an_event_does_not_follow_itself() {
    let mut table = Sequences::<8, 6, u32>::new();
    assert_eq!(offer(&mut table, &[0, 1], 2, 1, 0, 1), None);
    assert_eq!(offer(&mut table, &[0, 1], 2, 1, 1, 2), Some([1, 2].into()));
    assert_eq!(offer(&mut table, &[0, 1], 2, 1, 2, 3), Some([2, 3].into()));
    let single = stage(0, 1);
    assert_eq!(table.advance(&single, 1, 0, 1), Some(heapless::Vec::new()));
}

/// `runs=20`: 23 events give 4 overlapping sequences; the last events before each are kept.
#[test]
fn runs_overlap() {
    let stages: Vec<u8> = (0..20).collect();
    let mut table = Sequences::<32, 6, u32>::new();
    let completed: Vec<_> = (1..=23)
        .filter_map(|event| offer(&mut table, &stages, 20, 1, u64::from(event), event))
        .collect();
    assert_eq!(completed.len(), 4);
    assert_eq!(completed[0], [14, 15, 16, 17, 18, 19, 20]);
    assert_eq!(completed[3], [17, 18, 19, 20, 21, 22, 23]);
    assert_eq!(table.evicted(), 0);
}

#[test]
fn a_full_table_forgets_what_is_over_and_else_what_ends_first() {
    let mut table = Sequences::<4, 6, u32>::new();
    for key in 0..4 {
        offer(&mut table, &[0], 2, key, key, 0);
    }
    // At 101 the span of key 0 is over: no loss. That of key 1 is not.
    offer(&mut table, &[0], 2, 4, 101, 0);
    assert_eq!(table.evicted(), 0);
    offer(&mut table, &[0], 2, 5, 101, 0);
    assert_eq!(table.evicted(), 1);
    for (key, alive) in [false, false, true, true, true, true]
        .into_iter()
        .enumerate()
    {
        let completed = offer(&mut table, &[1], 2, key as u64, 102, 1);
        assert_eq!(completed.is_some(), alive, "{key}");
    }
}

/// What the table is to do, in the simplest words: all pending matches by rule, stage and key.
#[derive(Default)]
struct Naive {
    pending: HashMap<(u16, u8, u64), (u64, Vec<u32>)>,
    evicted: u64,
}

impl Naive {
    fn advance(
        &mut self,
        room: usize,
        stage: &Stage,
        key: u64,
        now_ms: u64,
        event: u32,
    ) -> Option<Vec<u32>> {
        let (until, mut events) = if stage.number == 0 {
            (now_ms.saturating_add(stage.span_ms), Vec::new())
        } else {
            self.pending.remove(&(stage.first, stage.number - 1, key))?
        };
        if now_ms > until {
            return None;
        }
        if stage.number + 1 == stage.of {
            let skipped = events.len().saturating_sub(3);
            return Some(events.split_off(skipped));
        }
        events.push(event);
        let place = (stage.first, stage.number, key);
        if !self.pending.contains_key(&place) && self.pending.len() == room {
            self.pending.retain(|_, (until, _)| *until >= now_ms);
            if self.pending.len() == room {
                let least = self.pending.iter().min_by_key(|(_, (until, _))| *until);
                let least = *least.unwrap().0;
                self.pending.remove(&least);
                self.evicted += 1;
            }
        }
        self.pending.insert(place, (until, events));
        None
    }
}

proptest! {
    /// Events a moment apart, of rules of 1 to 5 stages; those that match several stages too.
    #[test]
    fn as_the_naive_table(
        events in prop::collection::vec((1..9u64, 0..3u16, 1..32u8, 0..12u64), 0..400),
    ) {
        let mut small = Sequences::<8, 3, u32>::new();
        let mut large = Sequences::<1024, 3, u32>::new();
        let (mut naive_small, mut naive_large) = (Naive::default(), Naive::default());
        let mut now = 0;
        for (event, (step, rule, stages, key)) in (0u32..).zip(events) {
            now += step;
            let of = [2, 5, 1][usize::from(rule)];
            for number in (0..of).rev().filter(|number| stages >> number & 1 == 1) {
                let stage = Stage { first: rule * 10, number, of, span_ms: 60 };
                let wanted = naive_small.advance(8, &stage, key, now, event);
                let found = small.advance(&stage, key, now, event);
                prop_assert_eq!(found.as_deref(), wanted.as_deref());
                let wanted = naive_large.advance(1024, &stage, key, now, event);
                let found = large.advance(&stage, key, now, event);
                prop_assert_eq!(found.as_deref(), wanted.as_deref());
            }
            prop_assert_eq!(small.evicted(), naive_small.evicted);
        }
        prop_assert_eq!(large.evicted(), 0);
    }
}
