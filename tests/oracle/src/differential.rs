//! The comparison: rounds of made-up rules and events, given to the product and to the evaluator.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Event;
use crate::invent;
use crate::minimise::minimise;
use crate::mutate;
use crate::product::{Alert, Product};
use crate::rng::Rng;
use crate::rule::Rule;
use crate::text::Error;

/// How much is made up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed: the same one gives the same rules and events.
    pub seed: u64,
    /// Stop after so many pairs of an event and a rule.
    pub pairs: usize,
    /// Rules of a round.
    pub rules: usize,
    /// Events of a round.
    pub events: usize,
    /// End with the round in which there are so many disagreements.
    pub disagreements: usize,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Report {
    /// Pairs whose verdicts were compared.
    pub pairs: usize,
    /// Of them, those that match.
    pub hits: usize,
    /// Rules that were made up.
    pub rules: usize,
    /// Alerts of new terms and sequences that were compared.
    pub alerts: usize,
    /// Rules that the product did not take, by reason.
    pub refused: BTreeMap<String, usize>,
    /// The disagreements, each made small.
    pub disagreements: Vec<String>,
}

/// Compares until there are enough pairs, or too many disagreements.
pub fn run(
    product: &Product,
    published: &[Rule],
    plan: Plan,
    progress: &mut dyn FnMut(&Report),
) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut round = 0;
    while report.pairs < plan.pairs && report.disagreements.len() < plan.disagreements {
        // Each round has a seed of its own, so that one can be repeated alone.
        let mut rng = Rng::new(plan.seed.wrapping_add(round));
        let rules: Vec<Rule> = (0..plan.rules)
            .map(|number| mutate::rule(published, format!("{round:04}-{number:04}"), &mut rng))
            .collect();
        let events: Vec<Event> = (0..plan.events)
            .map(|number| {
                invent::event(
                    &rules,
                    number,
                    (number * 1000).cast_signed() as i64,
                    &mut rng,
                )
            })
            .collect();
        compare_verdicts(product, &rules, &events, plan, &mut report)?;
        compare_alerts(product, &rules, plan, &mut rng, &mut report)?;
        report.rules += rules.len();
        progress(&report);
        round += 1;
    }
    Ok(report)
}

fn compare_verdicts(
    product: &Product,
    rules: &[Rule],
    events: &[Event],
    plan: Plan,
    report: &mut Report,
) -> Result<(), Error> {
    let answer = product.verdicts(rules, events)?;
    for reason in answer.refused.values() {
        *report.refused.entry(reason.clone()).or_default() += 1;
    }
    let mut wrong: BTreeSet<&str> = BTreeSet::new();
    for event in events {
        let matched = answer.verdicts.get(&event.id());
        for rule in rules
            .iter()
            .filter(|rule| !answer.refused.contains_key(&rule.id))
        {
            if rule.is_sequence() {
                continue;
            }
            let own = rule.holds(event);
            let theirs = matched.is_some_and(|matched| matched.contains(&rule.id));
            report.pairs += 1;
            report.hits += usize::from(own);
            // One for each rule is enough.
            if own != theirs
                && report.disagreements.len() < plan.disagreements
                && wrong.insert(&rule.id)
            {
                report.disagreements.push(explain(product, rule, event));
            }
        }
    }
    Ok(())
}

/// A disagreement as text, with a smaller case that still is one.
fn explain(product: &Product, rule: &Rule, event: &Event) -> String {
    let disagree = |rule: &Rule, event: &Event| {
        let answer = product.verdicts(std::slice::from_ref(rule), std::slice::from_ref(event));
        answer.is_ok_and(|answer| {
            let theirs = answer.verdicts.get(&event.id());
            !mutate::undefined(rule)
                && theirs.is_some_and(|theirs| theirs.contains(&rule.id) != rule.holds(event))
        })
    };
    let (small_rule, small_event) = if disagree(rule, event) {
        minimise(rule, event, &disagree)
    } else {
        // Alone they agree: it takes the other rules too.
        (rule.clone(), event.clone())
    };
    let mut text = String::new();
    for (what, rule, event) in [
        ("as made up", rule, event),
        ("made small", &small_rule, &small_event),
    ] {
        let own = rule.holds(event);
        let (name, rule) = rule.print();
        let event = event.json();
        text += &format!(
            "{name}, {what}: the evaluator says {own}, peewit {}\n\n{rule}\n{event}\n\n",
            !own
        );
    }
    text
}

/// Rules over several events, a few at a time: so events meet that belong together.
fn compare_alerts(
    product: &Product,
    rules: &[Rule],
    plan: Plan,
    rng: &mut Rng,
    report: &mut Report,
) -> Result<(), Error> {
    let several: Vec<Rule> = rules
        .iter()
        .filter(|rule| rule.is_over_events())
        .cloned()
        .collect();
    for several in several.chunks(4) {
        let mut time = 1_767_225_600_000;
        let mut events = Vec::new();
        for number in 0..plan.events.min(300) {
            events.push(invent::event(several, number, time, rng));
            // Within a sequence's span, about a run's interval, about a history's window.
            time += match rng.below(40) {
                0 => 86_400_000 * (1 + rng.signed_below(6)) + rng.signed_below(400_000),
                1..3 => rng.signed_below(7_200_000),
                _ => *rng.pick(&[0, 1, 250, 999, 1000, 1001]),
            };
        }
        for (novelty, first_run) in [("device", None), ("streaming", Some(events[0].time()))] {
            let answer = product.alerts(several, &events, novelty)?;
            for rule in several
                .iter()
                .filter(|rule| !answer.refused.contains_key(&rule.id))
            {
                let own: BTreeSet<Alert> = alerts(rule, &events, first_run).into_iter().collect();
                let theirs = answer.alerts.iter().filter(|(id, ..)| *id == rule.id);
                let theirs: BTreeSet<Alert> = theirs.cloned().collect();
                report.alerts += own.len();
                if own != theirs && report.disagreements.len() < plan.disagreements {
                    let text = explain_alerts(product, rule, &events, novelty);
                    report.disagreements.push(text);
                }
            }
        }
    }
    Ok(())
}

/// The alerts that only the evaluator and only the product have.
fn differing(
    product: &Product,
    rule: &Rule,
    events: &[Event],
    novelty: &str,
) -> (Vec<Alert>, Vec<Alert>) {
    let first_run = events
        .first()
        .filter(|_| novelty == "streaming")
        .map(Event::time);
    let own: BTreeSet<Alert> = alerts(rule, events, first_run).into_iter().collect();
    let answer = product.alerts(std::slice::from_ref(rule), events, novelty);
    let theirs = answer.map_or(own.clone(), |answer| answer.alerts);
    (
        own.difference(&theirs).cloned().collect(),
        theirs.difference(&own).cloned().collect(),
    )
}

/// A disagreement over alerts, with as few events as it takes.
fn explain_alerts(product: &Product, rule: &Rule, events: &[Event], novelty: &str) -> String {
    let differ = |events: &[Event]| {
        let (own, theirs) = differing(product, rule, events, novelty);
        !own.is_empty() || !theirs.is_empty()
    };
    let mut events = events.to_vec();
    let mut size = events.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < events.len() {
            let mut fewer = events.clone();
            fewer.drain(at..(at + size).min(events.len()));
            if differ(&fewer) {
                events = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    let (own, theirs) = differing(product, rule, &events, novelty);
    let events: String = events
        .iter()
        .map(|event| format!("{}\n", event.json()))
        .collect();
    format!(
        "{}, novelty {novelty}: only the evaluator has {own:?}, only peewit {theirs:?}\n\n{}\n{events}\n",
        rule.id,
        rule.print().1,
    )
}

fn alerts(rule: &Rule, events: &[Event], first_run: Option<i64>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for (number, terms) in rule.new_terms(events, first_run) {
        alerts.push((rule.id.clone(), vec![events[number].id()], terms));
    }
    for sequence in rule.sequences(events) {
        let ids = sequence.iter().map(|&number| events[number].id()).collect();
        alerts.push((rule.id.clone(), ids, vec![]));
    }
    alerts
}
