//! Time and allocations for an event, and the time against the number of rules.

use std::path::Path;

use serde_json::Value;

use crate::data;
use crate::engine::{Engine, RuleFile};
use crate::heap;
use crate::kinds::KINDS;
use crate::loading::Loading;
use crate::measure::{self, Times};
use crate::peewit;
use crate::table::{head, number, row};

/// The most rules.
const MOST: usize = 400;

/// What one event takes.
pub fn one_event(engines: &mut [Loading], set: &str, events: &[Value]) {
    head(
        &format!("One event, {} {set} events", events.len()),
        &[
            "engine",
            "median ns",
            "p99 ns",
            "ns each, one after the other",
            "allocations",
            "bytes allocated",
        ],
    );
    for Loading { name, engine, .. } in engines {
        engine.give(events);
        let times = Times::take(engine.as_mut(), events.len());
        let mean = measure::pass(engine.as_mut(), events.len());
        let ((), used) = heap::measure(|| {
            (0..events.len()).for_each(|event| {
                engine.evaluate(event);
            });
        });
        let each = |count: u64| count as f64 / events.len() as f64;
        let figures = [
            times.median(),
            times.p99(),
            mean,
            each(used.calls),
            each(used.bytes),
        ];
        row(name, &figures.map(number));
    }
}

/// The time for an event against the number of rules.
pub fn rules(sigma: &[RuleFile], elastic: &[RuleFile], events: &[Value], folder: &Path) {
    let counts = [1, 10, 100, sigma.len(), MOST];
    let names = counts.map(|count| count.to_string());
    let mut columns = vec!["engine, rules:"];
    columns.extend(names.iter().map(String::as_str));
    head(
        "ns each of the synthetic events, against the number of Sigma rules",
        &columns,
    );
    let time = |mut engine: Box<dyn Engine>| {
        engine.give(events);
        number(measure::pass(engine.as_mut(), events.len()))
    };
    let rules = data::multiplied(sigma, MOST, folder);
    for kind in &KINDS {
        row(
            kind.name,
            &counts.map(|count| time((kind.load)(&rules[..count]).0)),
        );
    }
    let all = [sigma, elastic].concat();
    let (engine, refused) = peewit::load(&all);
    println!(
        "\nBeyond {} the rules are copies with other values. peewit with all {} Sigma and Elastic rules ({} conditions, \
         {} rules refused): {} ns.",
        sigma.len(),
        all.len(),
        engine.rules(),
        refused.len(),
        time(engine)
    );
}
