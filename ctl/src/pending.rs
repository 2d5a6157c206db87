//! What is pending of sequences and thresholds, over a recording.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peewit_core::engine::Engine;
use peewit_core::event::Event;
use peewit_core::pack::{MAX_STAGES, Purpose, Rule};
use peewit_core::sequence::{Sequences, Stage};
use peewit_core::terms::{Key, fingerprint};
use peewit_core::threshold::{Threshold, Thresholds};

/// An event's tuples of keys or new terms at most: values of several fields multiply.
pub const MAX_TUPLES: usize = 4096;

/// Pending matches, each with the numbers of its events.
type Matches = Sequences<{ 1 << 14 }, { MAX_STAGES - 1 }, usize>;
type Counts = Thresholds<{ 1 << 16 }>;

/// Together 7 MiB, of which only what is used takes memory: too large for a stack.
static TABLES: Mutex<(Matches, Counts)> = Mutex::new((Matches::new(), Counts::new()));

/// Nobody attacks a recording's tables: any key will do.
const KEY: Key = Key([0; 16]);

/// What is pending so far.
pub struct Pending(MutexGuard<'static, (Matches, Counts)>);

impl Pending {
    pub fn new() -> Self {
        Self(TABLES.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sequences that event number `event` completes by matching this stage: the numbers of their events. Events
    /// have to come in the order of their times, and to the stages of one rule from the last to the first.
    pub fn sequences<E: Event>(
        &mut self,
        engine: &Engine,
        rule: &Rule,
        view: &E,
        time_ms: u64,
        event: usize,
    ) -> Vec<Vec<usize>> {
        let Some(stage) = Stage::of(rule) else {
            return Vec::new();
        };
        let advanced = keys(engine, rule, view)
            .into_iter()
            .filter_map(|key| self.0.0.advance(&stage, key, time_ms, event));
        advanced
            .map(|earlier| earlier.into_iter().chain([event]).collect())
            .collect()
    }

    /// How many groups reach their threshold by this event. Events have to come in the order of their times.
    pub fn thresholds<E: Event>(
        &mut self,
        engine: &Engine,
        rule: &Rule,
        view: &E,
        time_ms: u64,
    ) -> usize {
        let Some(threshold) = Threshold::of(rule) else {
            return 0;
        };
        let mut values = Vec::new();
        if let Purpose::Threshold {
            distinct: Some((field, _)),
            ..
        } = rule.purpose
        {
            engine.values(field, view, MAX_TUPLES, |value| {
                values.push(fingerprint(&KEY, rule.id.text(&mut [0; _]), &[value]));
            });
        }
        keys(engine, rule, view)
            .into_iter()
            .filter(|&key| self.0.1.count(&threshold, key, &values, time_ms))
            .count()
    }

    /// How many pending matches, and events and values that counted, had to be forgotten: an alert may be missing.
    pub fn forgotten(&self) -> u64 {
        self.0.0.evicted() + self.0.1.evicted()
    }
}

/// The fingerprints of the values of a rule's keys; a rule without keys has one for all events.
fn keys<E: Event>(engine: &Engine, rule: &Rule, view: &E) -> Vec<u64> {
    let mut found = Vec::new();
    let mut take =
        |values: &[&[u8]]| found.push(fingerprint(&KEY, rule.id.text(&mut [0; _]), values));
    if rule.keys.is_empty() {
        take(&[]);
    } else {
        engine.terms(rule, view, MAX_TUPLES, take);
    }
    found
}
