//! Sequences of events, and the novelty of terms: what goes over several events.

use std::collections::BTreeMap;

use crate::eql::{self, Stage};
use crate::event::Event;

/// The completed sequences: for each the numbers of its events, which are in the order of time.
pub fn sequences(events: &[Event], maxspan: Option<i64>, stages: &[Stage]) -> Vec<Vec<usize>> {
    // For each stage, by key, the newest sequence that waits for the next one.
    let mut pending: Vec<BTreeMap<Vec<String>, Vec<usize>>> = vec![BTreeMap::new(); stages.len()];
    let mut completed = Vec::new();
    for (number, event) in events.iter().enumerate() {
        // The last stage first: no event is two stages of one sequence.
        for (at, stage) in stages.iter().enumerate().rev() {
            let Some(key) = key(stage, event) else {
                continue;
            };
            if !eql::holds(&stage.condition, event) {
                continue;
            }
            let mut sequence = match at.checked_sub(1) {
                None => Vec::new(),
                Some(before) => match pending[before].remove(&key) {
                    Some(sequence) => sequence,
                    None => continue,
                },
            };
            sequence.push(number);
            let span = event.time() - events[sequence[0]].time();
            if maxspan.is_some_and(|maxspan| span > maxspan) {
                continue;
            }
            if at + 1 == stages.len() {
                completed.push(sequence);
            } else {
                pending[at].insert(key, sequence);
            }
        }
    }
    completed
}

fn key(stage: &Stage, event: &Event) -> Option<Vec<String>> {
    let value = |field: &String| event.texts(field).into_iter().next();
    stage.key.iter().map(value).collect()
}

/// When the upstream executor runs.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Milliseconds from one run to the next.
    pub interval: i64,
    /// Milliseconds that a run looks back.
    pub look_back: i64,
    /// Milliseconds for which a term is known.
    pub window: i64,
}

/// The alerts of new terms: the event's number and the tuple of terms. `matching` are the numbers of the
/// events for which the rule's query holds. Upstream's form if the first run is given, else the device's.
pub fn new_terms(
    events: &[Event],
    matching: &[usize],
    fields: &[String],
    schedule: Schedule,
    first_run: Option<i64>,
) -> Vec<(usize, Vec<String>)> {
    let mut last: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let mut alerts = Vec::new();
    for &number in matching {
        let time = events[number].time();
        for tuple in tuples(&events[number], fields) {
            let limit = match first_run {
                None => time - schedule.window,
                Some(first) => {
                    // The last run that still sees the event: run - look_back < time.
                    let before = time + schedule.look_back - 1 - first;
                    let run = first + before.div_euclid(schedule.interval) * schedule.interval;
                    run - schedule.window
                }
            };
            let known = last.insert(tuple.clone(), time);
            if known.is_none_or(|known| known < limit) {
                alerts.push((number, tuple));
            }
        }
    }
    alerts
}

fn tuples(event: &Event, fields: &[String]) -> Vec<Vec<String>> {
    let mut tuples = vec![Vec::new()];
    for field in fields {
        let mut values = Vec::new();
        for value in event.texts(field) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let longer = |tuple: &Vec<String>| {
            let tuple = tuple.clone();
            let values = values.clone().into_iter();
            values.map(move |value| [tuple.clone(), vec![value]].concat())
        };
        tuples = tuples.iter().flat_map(longer).collect();
    }
    tuples
}
