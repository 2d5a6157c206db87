use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const DAY: u64 = 86_400_000;
const WINDOW: u64 = 5 * DAY;

const KEY: Key = Key([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

impl<const N: usize, const RING: usize> Terms<N, RING> {
    /// The device's form of novelty.
    fn see(&mut self, fingerprint: u64, now: u64) -> Novelty {
        self.seen(fingerprint, now, WINDOW)
    }

    /// Ring, terms and order agree.
    fn check(&self) {
        let mut numbers: Vec<u32> = self
            .ring
            .iter()
            .copied()
            .filter(|&number| number != 0)
            .collect();
        numbers.sort_unstable();
        assert!(
            numbers.iter().copied().eq(1..=self.len),
            "the ring holds each term once"
        );
        let (mut number, mut before, mut seen, mut count) = (self.oldest, 0, 0, 0);
        while number != 0 {
            let term = self.terms[number as usize - 1];
            assert_eq!(term.older, before);
            assert!(term.last_seen_ms >= seen, "the order is that of the times");
            assert_eq!(
                self.find(term.fingerprint).1,
                number,
                "a search finds each term"
            );
            (before, seen, number, count) = (number, term.last_seen_ms, term.newer, count + 1);
        }
        assert_eq!((before, count), (self.newest, self.len));
        assert!(self.latest_ms >= seen);
    }
}

/// The values come from a second implementation, written from the paper that defines SipHash.
#[test]
fn fingerprints_are_stable() {
    let rule = b"e9fe3645-f588-43d6-99f5-437b3ef56f25";
    assert_eq!(
        fingerprint(&KEY, rule, &[b"dropper"]),
        0xdc22_ed8d_c6b9_d194
    );
    assert_eq!(
        fingerprint(&KEY, rule, &[b"dro", b"pper"]),
        0x0f14_7538_4753_7db4
    );
    assert_eq!(fingerprint(&KEY, b"", &[b""]), 0x403e_4b0d_4f19_f787);
}

#[test]
fn tuples_keys_and_rules_are_told_apart() {
    let all = [
        fingerprint(&KEY, b"r", &[b"ab", b"c"]),
        fingerprint(&KEY, b"r", &[b"a", b"bc"]),
        fingerprint(&KEY, b"r", &[b"abc"]),
        fingerprint(&KEY, b"r", &[b"abc", b""]),
        fingerprint(&KEY, b"ra", &[b"bc"]),
        fingerprint(&Key([1; 16]), b"r", &[b"abc"]),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(!all[..i].contains(a));
    }
    assert_eq!(std::format!("{KEY:?}"), "Key(..)");
}

#[test]
fn a_term_is_known_for_exactly_its_window_after_it_was_last_seen() {
    let mut terms = Terms::<4, 8>::new();
    assert_eq!(terms.see(7, DAY), Novelty::New);
    assert_eq!(terms.see(7, DAY), Novelty::Known);
    assert_eq!(
        terms.see(7, DAY + WINDOW),
        Novelty::Known,
        "and the window starts again"
    );
    assert_eq!(terms.see(7, DAY + 2 * WINDOW + 1), Novelty::New);
    assert_eq!(terms.see(7, DAY + 2 * WINDOW + 2), Novelty::Known);
    assert_eq!((terms.len(), terms.evicted()), (1, 0));
}

#[test]
fn the_window_is_the_callers() {
    let mut terms = Terms::<4, 8>::new();
    assert_eq!(terms.seen(7, 1000, 10), Novelty::New);
    assert_eq!(terms.seen(7, 1001, 1), Novelty::Known);
    assert_eq!(terms.seen(7, 1002, 0), Novelty::New);
    assert_eq!(terms.seen(7, 1002, 0), Novelty::Known);
    assert_eq!(terms.seen(7, u64::MAX, u64::MAX), Novelty::Known);
    assert!(Novelty::New.is_new() && !Novelty::Known.is_new());
}

#[test]
fn fingerprint_zero_is_a_term_like_others() {
    let mut terms = Terms::<4, 8>::new();
    assert!(terms.is_empty());
    assert_eq!(terms.see(0, 5), Novelty::New);
    assert_eq!(terms.see(0, 5), Novelty::Known);
    assert_eq!(
        terms.see(1, 5),
        Novelty::Known,
        "it shares the fingerprint 1"
    );
    assert_eq!(terms.len(), 1);
}

#[test]
fn a_full_table_forgets_what_was_seen_least_recently() {
    let mut terms = Terms::<3, 4>::new();
    for fingerprint in [1, 2, 3, 1] {
        terms.see(fingerprint, DAY);
    }
    assert_eq!(terms.see(4, DAY), Novelty::New);
    assert_eq!((terms.len(), terms.evicted()), (3, 1));
    assert_eq!(terms.see(1, DAY), Novelty::Known);
    assert_eq!(terms.see(3, DAY), Novelty::Known);
    assert_eq!(terms.see(2, DAY), Novelty::New, "the extra alert");
    assert_eq!(terms.see(4, DAY), Novelty::New, "2 took its place");
    assert_eq!(terms.evicted(), 3);
    terms.check();
}

#[test]
fn terms_around_the_end_of_the_ring_move_back_when_one_goes() {
    let mut terms = Terms::<6, 8>::new();
    // Own places 6, 6, 7, 6, 0, 1; they stand at 6, 7, 0, 1, 2, 3.
    for fingerprint in [0x16, 0x26, 0x17, 0x36, 0x10, 0x11] {
        terms.see(fingerprint, DAY);
    }
    assert_eq!(terms.ring, [3, 4, 5, 6, 0, 0, 1, 2]);
    assert_eq!(terms.probes(0x36), 4);
    assert_eq!(terms.probes(0x46), 7, "six terms and a free place");
    terms.see(0x14, DAY);
    assert_eq!(terms.ring, [4, 5, 6, 0, 1, 0, 2, 3]);
    terms.check();
}

#[test]
fn a_clock_set_back_makes_no_term_younger() {
    let mut terms = Terms::<4, 8>::new();
    let now = 100 * DAY;
    terms.see(1, now - 4 * DAY);
    terms.see(2, now);
    // Three days back: the first term is still four days old, and two days later six.
    assert_eq!(terms.see(2, now - 3 * DAY), Novelty::Known);
    assert_eq!(terms.see(1, now - DAY), Novelty::New);
    assert_eq!(terms.see(2, now - DAY), Novelty::Known);
    // To the start of all clocks, as without a battery: five days later it is too old.
    assert_eq!(terms.see(2, 0), Novelty::Known);
    assert_eq!(terms.see(1, WINDOW), Novelty::Known);
    assert_eq!(terms.see(2, WINDOW + 1), Novelty::New);
    terms.check();
}

#[test]
fn a_clock_at_the_end_of_time_costs_alerts_only() {
    let mut terms = Terms::<4, 8>::new();
    assert_eq!(terms.see(1, DAY), Novelty::New);
    assert_eq!(terms.see(1, u64::MAX), Novelty::New);
    assert_eq!(terms.see(1, u64::MAX), Novelty::Known);
    assert_eq!(terms.see(1, DAY), Novelty::Known);
    assert_eq!(terms.see(1, DAY + 1), Novelty::New, "all is forgotten");
    assert_eq!(terms.evicted(), 1);
    assert_eq!(terms.see(1, DAY + 1 + WINDOW), Novelty::Known);
    assert_eq!(terms.see(1, DAY + 2 + 2 * WINDOW), Novelty::New);
}

/// A term, and what happens to the clock before it is seen.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes.
    Pass(u64),
    /// The clock is set, in no time.
    Set(u64),
}

fn steps(terms: u64) -> impl Strategy<Value = Vec<(u64, Step)>> {
    let time = prop_oneof![
        6 => (0..4 * DAY).prop_map(Step::Pass),
        3 => Just(Step::Pass(0)),
        1 => (WINDOW - 1..WINDOW + 2).prop_map(Step::Pass),
        2 => (0..60 * DAY).prop_map(Step::Set),
    ];
    // Few own places, so that they crowd.
    let fingerprint = (1..=terms).prop_map(|term| (term << 32) | (term % 3));
    prop::collection::vec((fingerprint, time), 1..200)
}

/// Runs a table beside an oracle that remembers everything and has a clock nobody sets. The
/// oracle's window starts anew with each sighting, as the rule has it. Says how many alerts
/// were too many; one too few fails.
fn run<const N: usize, const RING: usize>(
    terms: &mut Terms<N, RING>,
    steps: &[(u64, Step)],
) -> Result<usize, TestCaseError> {
    let mut oracle = HashMap::new();
    let (mut truth, mut clock, mut extra) = (0, 30 * DAY, 0);
    for &(fingerprint, step) in steps {
        match step {
            Step::Pass(ms) => (truth, clock) = (truth + ms, clock + ms),
            Step::Set(to) => clock = to,
        }
        let expected = match oracle.insert(fingerprint, truth) {
            Some(last) if truth - last <= WINDOW => Novelty::Known,
            _ => Novelty::New,
        };
        let got = terms.see(fingerprint, clock);
        prop_assert!(
            got == Novelty::New || expected == Novelty::Known,
            "a missed alert"
        );
        extra += usize::from(got != expected);
        terms.check();
    }
    Ok(extra)
}

fn is_set(step: &(u64, Step)) -> bool {
    matches!(step.1, Step::Set(_))
}

proptest! {
    #[test]
    fn with_room_and_a_steady_clock_it_is_exact(steps in steps(40)) {
        let steps: Vec<_> = steps.into_iter().filter(|step| !is_set(step)).collect();
        let mut terms = Terms::<40, 64>::new();
        prop_assert_eq!(run(&mut terms, &steps)?, 0);
        prop_assert_eq!(terms.evicted(), 0);
    }

    #[test]
    fn an_error_is_only_ever_an_extra_alert(steps in steps(12)) {
        run(&mut Terms::<1, 2>::new(), &steps)?;
        run(&mut Terms::<3, 4>::new(), &steps)?;
        run(&mut Terms::<7, 8>::new(), &steps)?;
        run(&mut Terms::<12, 16>::new(), &steps)?;
    }

    #[test]
    fn a_clock_set_back_costs_nothing_at_all(steps in steps(12)) {
        let mut clock = 30 * DAY;
        let steps: Vec<_> = steps
            .into_iter()
            .filter(|step| match step.1 {
                Step::Pass(ms) => { clock += ms; true }
                Step::Set(to) if to <= clock => { clock = to; true }
                Step::Set(_) => false,
            })
            .collect();
        prop_assert_eq!(run(&mut Terms::<12, 16>::new(), &steps)?, 0);
    }

    /// With full tables the extra alerts are the evicted terms, and no others.
    #[test]
    fn extra_alerts_are_counted(steps in steps(12)) {
        let steps: Vec<_> = steps.into_iter().filter(|step| !is_set(step)).collect();
        let mut terms = Terms::<5, 8>::new();
        let extra = run(&mut terms, &steps)?;
        prop_assert!(extra as u64 <= terms.evicted());
    }
}
