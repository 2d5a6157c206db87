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

/// Compares until there are enough pairs, or any disagreement.
pub fn run(
    product: &Product,
    published: &[Rule],
    plan: Plan,
    progress: &mut dyn FnMut(&Report),
) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut round = 0;
    while report.pairs < plan.pairs && report.disagreements.is_empty() {
        // Each round has a seed of its own, so that one can be repeated alone.
        let mut rng = Rng::new(plan.seed.wrapping_add(round));
        let rules: Vec<Rule> = (0..plan.rules)
            .map(|number| mutate::rule(published, format!("{round:04}-{number:04}"), &mut rng))
            .collect();
        let events: Vec<Event> = (0..plan.events)
            .map(|number| invent::event(&rules, number, &mut rng))
            .collect();
        compare_verdicts(product, &rules, &events, &mut report)?;
        compare_alerts(product, &rules, &events, &mut report)?;
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
            // One for each rule is enough, and a few are.
            if own != theirs && report.disagreements.len() < 5 && wrong.insert(&rule.id) {
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
    format!(
        "rule {}: the evaluator says {}, peewit {}\n\n{}\n{}\nmade small:\n\n{}\n{}\n",
        rule.id,
        rule.holds(event),
        !rule.holds(event),
        rule.print().1,
        event.json(),
        small_rule.print().1,
        small_event.json(),
    )
}

fn compare_alerts(
    product: &Product,
    rules: &[Rule],
    events: &[Event],
    report: &mut Report,
) -> Result<(), Error> {
    let several: Vec<Rule> = rules
        .iter()
        .filter(|rule| rule.is_over_events())
        .cloned()
        .collect();
    if several.is_empty() {
        return Ok(());
    }
    let first_run = events[0].time();
    for (novelty, first_run) in [("device", None), ("streaming", Some(first_run))] {
        let answer = product.alerts(&several, events, novelty)?;
        for rule in several
            .iter()
            .filter(|rule| !answer.refused.contains_key(&rule.id))
        {
            let own: BTreeSet<Alert> = alerts(rule, events, first_run).into_iter().collect();
            let theirs: BTreeSet<Alert> = answer
                .alerts
                .iter()
                .filter(|(id, ..)| *id == rule.id)
                .cloned()
                .collect();
            report.alerts += own.len();
            if own != theirs && report.disagreements.len() < 5 {
                let differ: Vec<_> = own.symmetric_difference(&theirs).take(3).collect();
                report.disagreements.push(format!(
                    "rule {}, novelty {novelty}: the evaluator has {} alerts, peewit {}; the first that only one has: {differ:?}\n\n{}",
                    rule.id, own.len(), theirs.len(), rule.print().1,
                ));
            }
        }
    }
    Ok(())
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
