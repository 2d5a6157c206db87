use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const DAY: u64 = 86_400_000;
const WINDOW: u64 = 5 * DAY;
/// Between two of these it is another time.
const MINUTE: u64 = 1 << 16;

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
        let mut linked = Vec::new();
        for (part, order) in self.orders.iter().enumerate() {
            let (mut number, mut before, mut seen, mut count) = (order.oldest, 0, 0, 0);
            while number != 0 {
                let term = self.terms[number as usize - 1];
                assert_eq!(term.older(), before);
                assert_eq!(term.has(LEARNED), part == 1);
                assert!(term.last_seen_ms >= seen, "the order is that of the times");
                assert_eq!(
                    self.find(term.fingerprint).1,
                    number,
                    "a search finds each term"
                );
                linked.push(number);
                (before, seen, count) = (number, term.last_seen_ms, count + 1);
                number = term.newer();
            }
            assert_eq!((before, count), (order.newest, order.len));
            assert!(self.latest_ms >= seen);
        }
        linked.sort_unstable();
        assert_eq!(numbers, linked, "the ring holds each term once");
        let mut free = self.free;
        while free != 0 {
            linked.push(free);
            free = self.terms[free as usize - 1].older();
        }
        linked.sort_unstable();
        assert!(
            linked.iter().copied().eq(1..=self.used),
            "no number is lost"
        );
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
fn a_full_table_forgets_the_oldest_that_was_seen_once() {
    let mut terms = Terms::<3, 4>::new();
    for fingerprint in [1, 2, 3, 3] {
        terms.see(fingerprint, DAY);
    }
    terms.see(1, DAY + MINUTE);
    assert_eq!((terms.len(), terms.once(), terms.evicted()), (3, 2, 0));
    assert_eq!(terms.see(4, DAY + MINUTE), Novelty::New);
    assert_eq!((terms.len(), terms.evicted()), (3, 1));
    assert_eq!(terms.see(1, DAY + 2 * MINUTE), Novelty::Known);
    assert_eq!(terms.see(3, DAY + 2 * MINUTE), Novelty::Known);
    let later = DAY + 2 * MINUTE;
    assert_eq!(terms.see(2, later), Novelty::New, "the extra alert");
    assert_eq!(terms.see(4, later), Novelty::New, "2 took its place");
    assert_eq!((terms.len(), terms.once(), terms.evicted()), (3, 1, 3));
    terms.check();
}

#[test]
fn a_flood_of_new_terms_cannot_push_out_learned_ones() {
    const N: usize = 512;
    let mut terms = Terms::<N, 1024>::new();
    const ONCE: usize = Terms::<N, 1024>::ONCE;
    assert_eq!(ONCE, 64);
    let learned = 1..=(N - ONCE) as u64;
    for now in [DAY, DAY + MINUTE] {
        for fingerprint in learned.clone() {
            terms.see(fingerprint, now);
        }
    }
    let now = DAY + MINUTE;
    for fingerprint in 1_000_000..1_100_000 {
        assert_eq!(terms.see(fingerprint, now), Novelty::New);
        assert_eq!(
            terms.see(fingerprint, now),
            Novelty::Known,
            "by the same deed"
        );
    }
    terms.check();
    assert_eq!((terms.len(), terms.once()), (N, ONCE));
    assert_eq!(terms.evicted(), (100_000 - ONCE) as u64);
    assert!(
        learned
            .clone()
            .all(|fingerprint| terms.see(fingerprint, now + 1) == Novelty::Known)
    );
    // One more is learned: then the next new one takes the place of the learned one seen least recently.
    assert_eq!(terms.see(1_099_999, now + MINUTE), Novelty::Known);
    assert_eq!(terms.get(1).map(|known| known.learned), Some(true));
    terms.see(2_000_000, now + MINUTE);
    assert_eq!(terms.get(1), None);
    assert_eq!((terms.len(), terms.once()), (N, ONCE));
}

#[test]
fn a_term_is_settled_when_its_alert_has_been_kept() {
    let mut terms = Terms::<4, 8>::new();
    let settled = |terms: &Terms<4, 8>| terms.get(7).map(|known| known.settled);
    assert_eq!(settled(&terms), None);
    terms.see(7, DAY);
    assert_eq!(settled(&terms), Some(false));
    terms.see(7, DAY);
    assert_eq!(settled(&terms), Some(false));
    terms.settle(7);
    terms.settle(8);
    assert_eq!(settled(&terms), Some(true));
    terms.see(7, DAY + WINDOW);
    assert_eq!(settled(&terms), Some(true));
    terms.see(7, DAY + 2 * WINDOW + 1);
    assert_eq!(settled(&terms), Some(false), "there is a new alert");
    assert!(terms.forget(7));
    assert!(!terms.forget(7));
    assert_eq!(settled(&terms), None);
    assert_eq!(terms.see(7, DAY + 2 * WINDOW + 1), Novelty::New);
    assert_eq!(terms.evicted(), 0);
}

#[test]
fn restored_terms_are_as_they_were() {
    let mut terms = Terms::<4, 8>::new();
    terms.restore(3, 300, true);
    terms.restore(1, 100, false);
    terms.restore(2, 200, true);
    terms.check();
    let known = |last_seen_ms, learned| {
        Some(Known {
            last_seen_ms,
            learned,
            settled: true,
        })
    };
    assert_eq!(terms.get(1), known(100, false));
    assert_eq!(terms.get(2), known(200, true));
    assert_eq!(terms.get(3), known(300, true));
    terms.restore(1, 50, true);
    assert_eq!(terms.get(1), known(100, true));
    // Time goes on behind the latest.
    assert_eq!(terms.seen(1, 310, 209), Novelty::New);
    assert_eq!(terms.seen(2, 310, 110), Novelty::Known);
    terms.check();
    // A full table keeps what is younger.
    terms.restore(10, 250, false);
    terms.restore(11, 240, false);
    assert_eq!((terms.len(), terms.get(11), terms.evicted()), (4, None, 1));
    terms.restore(11, 260, false);
    assert_eq!((terms.get(10), terms.get(11)), (None, known(260, false)));
    terms.check();
}

#[test]
fn each_term_is_named_once() {
    let mut terms = Terms::<8, 16>::new();
    for fingerprint in 1..=4 {
        terms.see(fingerprint, DAY + fingerprint);
    }
    for fingerprint in [1, 2, 4] {
        terms.settle(fingerprint);
    }
    for _ in 0..2 {
        terms.begin_names();
        assert_eq!(terms.name(2).map(|known| known.last_seen_ms), Some(DAY + 2));
        assert_eq!((terms.name(2), terms.name(9)), (None, None));
        assert_eq!(terms.name(3).map(|known| known.settled), Some(false));
        assert_eq!(
            terms.next_unnamed().map(|(fingerprint, _)| fingerprint),
            Some(1)
        );
        assert_eq!(
            terms.next_unnamed().map(|(fingerprint, _)| fingerprint),
            Some(4)
        );
        assert_eq!(terms.next_unnamed(), None);
    }
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
    assert_eq!(terms.get(0x16), None);
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

/// A table as slow and plain as can be.
#[derive(Default)]
struct Plain {
    /// Fingerprint, time, learned, time when it was entered; the oldest first.
    terms: Vec<(u64, u64, bool, u64)>,
    evicted: u64,
}

impl Plain {
    fn take(&mut self, fingerprint: u64) -> Option<(u64, u64, bool, u64)> {
        let place = self.terms.iter().position(|term| term.0 == fingerprint)?;
        Some(self.terms.remove(place))
    }

    /// Enters a term behind those that are as old. Gives whether there was room for it.
    fn put<const N: usize>(&mut self, term: (u64, u64, bool, u64), once: usize) {
        let count = |learned| self.terms.iter().filter(|term| term.2 == learned).count();
        if self.terms.len() == N {
            let learned = count(false) < once && count(true) > 0;
            let oldest = self.terms.iter().position(|term| term.2 == learned);
            let oldest = oldest.expect("it is full");
            self.evicted += 1;
            if learned == term.2 && term.1 < self.terms[oldest].1 {
                return;
            }
            self.terms.remove(oldest);
        }
        let place = self.terms.iter().rposition(|other| other.1 <= term.1);
        self.terms.insert(place.map_or(0, |place| place + 1), term);
    }

    fn see<const N: usize>(&mut self, fingerprint: u64, now: u64, once: usize) -> Novelty {
        let before = self.take(fingerprint);
        let entered = before.map_or(now, |before| before.3);
        let learned =
            before.is_some_and(|before| before.2 || entered / MINUTE % 256 != now / MINUTE % 256);
        self.put::<N>((fingerprint, now, learned, entered), once);
        match before {
            Some(before) if now - before.1 <= WINDOW => Novelty::Known,
            _ => Novelty::New,
        }
    }
}

/// What happens to a table.
#[derive(Clone, Copy, Debug)]
enum Deed {
    See,
    Forget,
    Restore(u64, bool),
}

fn deeds() -> impl Strategy<Value = Vec<(u64, u64, Deed)>> {
    let deed = prop_oneof![
        8 => Just(Deed::See),
        1 => Just(Deed::Forget),
        2 => (0..3 * DAY, any::<bool>()).prop_map(|(age, learned)| Deed::Restore(age, learned)),
    ];
    let fingerprint = (1..=20u64).prop_map(|term| (term << 32) | (term % 3));
    let pause = prop_oneof![3 => Just(0), 3 => 0..DAY];
    prop::collection::vec((fingerprint, pause, deed), 1..200)
}

fn beside<const N: usize, const RING: usize>(
    deeds: &[(u64, u64, Deed)],
) -> Result<(), TestCaseError> {
    let mut terms = Terms::<N, RING>::new();
    let mut plain = Plain::default();
    let once = Terms::<N, RING>::ONCE;
    let mut now = 100 * DAY;
    for &(fingerprint, pause, deed) in deeds {
        now += pause;
        match deed {
            Deed::See => prop_assert_eq!(
                terms.see(fingerprint, now),
                plain.see::<N>(fingerprint, now, once)
            ),
            Deed::Forget => {
                prop_assert_eq!(terms.forget(fingerprint), plain.take(fingerprint).is_some())
            }
            Deed::Restore(age, learned) => {
                terms.restore(fingerprint, now - age, learned);
                let before = plain.take(fingerprint).unwrap_or((0, 0, false, now - age));
                let term = (
                    fingerprint,
                    before.1.max(now - age),
                    learned || before.2,
                    before.3,
                );
                plain.put::<N>(term, once);
            }
        }
        terms.check();
        prop_assert_eq!(terms.evicted(), plain.evicted);
        prop_assert_eq!(terms.len(), plain.terms.len());
        for term in &plain.terms {
            let known = terms
                .get(term.0)
                .map(|known| (known.last_seen_ms, known.learned));
            prop_assert_eq!(known, Some((term.1, term.2)));
        }
    }
    Ok(())
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
    fn it_does_what_a_plain_table_does(deeds in deeds()) {
        beside::<1, 2>(&deeds)?;
        beside::<3, 4>(&deeds)?;
        beside::<5, 8>(&deeds)?;
        beside::<16, 32>(&deeds)?;
        beside::<20, 32>(&deeds)?;
    }

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
