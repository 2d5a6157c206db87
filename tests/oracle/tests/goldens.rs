//! The evaluator against verdicts that others found: it must agree on every one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use peewit_oracle::event::Event;
use peewit_oracle::rule::{self, Body, Rule};
use peewit_tests::data;
use serde_json::Value;

fn lines(path: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn events(path: &Path) -> Vec<Event> {
    lines(path).iter().map(Event::new).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(text).collect()
}

fn rules(folder: &str) -> Option<Vec<Rule>> {
    let rules = rule::load(&data("PEEWIT_CORPORA")?.join(folder));
    Some(rules.expect("all rules can be read"))
}

/// The ids that a golden speaks of.
fn scope(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("a scope");
    let id = |line: &str| line.split('\t').next().expect("an id").to_owned();
    text.lines().map(id).collect()
}

/// Compares verdicts; gives how many events and hits there were.
fn verdicts(
    rules: &[Rule],
    folder: &Path,
    scope_file: &str,
    events_file: &str,
    golden: &str,
) -> (usize, usize) {
    let scope = scope(&folder.join(scope_file));
    let rules: Vec<&Rule> = rules
        .iter()
        .filter(|rule| scope.contains(&rule.id))
        .collect();
    let ids: BTreeSet<String> = rules.iter().map(|rule| rule.id.clone()).collect();
    let golden: BTreeMap<String, BTreeSet<String>> = lines(&folder.join(golden))
        .iter()
        .map(|line| {
            let rules = texts(&line["rules"]).into_iter();
            let rules = rules.filter(|rule| ids.contains(rule)).collect();
            (text(&line["event.id"]), rules)
        })
        .collect();
    let events = events(&folder.join(events_file));
    let mut wrong = Vec::new();
    let mut hits = 0;
    for event in &events {
        for rule in &rules {
            let held = rule.holds(event);
            hits += usize::from(held);
            if held != golden[&event.id()].contains(&rule.id) {
                wrong.push(format!("{} {} {held}", event.id(), rule.id));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} disagreements: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
    (events.len(), hits)
}

#[test]
fn elastic_rules() {
    let (Some(rules), Some(fixtures)) = (rules("elastic"), data("PEEWIT_FIXTURES")) else {
        return;
    };
    assert_eq!(rules.len(), 256);
    let folder = fixtures.join("elastic");
    let of_new_terms = |rule: &&Rule| matches!(rule.body, Body::Kql(_, Some(_)));
    let new_terms: Vec<Rule> = rules.iter().filter(of_new_terms).cloned().collect();
    assert_eq!(new_terms.len(), 38);
    for (name, rules, expected) in [
        ("events-visible", &rules, (5999, 3021)),
        ("newterms-visible", &new_terms, (434, 373)),
    ] {
        let found = verdicts(
            rules,
            &folder,
            "scope-single.tsv",
            &format!("{name}.ndjson"),
            &format!("{name}.verdicts.ndjson"),
        );
        assert_eq!(found, expected, "{name}");
    }
    let found = verdicts(
        &rules,
        &fixtures,
        "elastic/scope-single.tsv",
        "real/fetched-visible.ndjson",
        "real/fetched-visible.elastic.verdicts.ndjson",
    );
    assert_eq!(found, (107, 10));
}

#[test]
fn sigma_rules() {
    let (Some(rules), Some(fixtures)) = (rules("sigma"), data("PEEWIT_FIXTURES")) else {
        return;
    };
    assert_eq!(rules.len(), 144);
    for (name, expected) in [
        ("syn-visible", (1000, 207)),
        ("extra-visible", (2016, 873)),
        ("real-visible", (84, 14)),
    ] {
        let found = verdicts(
            &rules,
            &fixtures.join("sigma"),
            "scope.tsv",
            &format!("{name}.ndjson"),
            &format!("{name}.verdicts.ndjson"),
        );
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_seed_rule() {
    let Some(folder) = data("PEEWIT_FIXTURES").map(|fixtures| fixtures.join("seed")) else {
        return;
    };
    let rule = rule::load(&folder).expect("a rule").remove(0);
    let events = events(&folder.join("seed-visible.ndjson"));
    let golden = fs::read_to_string(folder.join("seed-visible.verdicts")).expect("verdicts");
    let found = events
        .iter()
        .map(|event| if rule.holds(event) { "1" } else { "0" });
    assert_eq!(
        found.collect::<Vec<_>>(),
        golden.lines().collect::<Vec<_>>()
    );
    let first_run = events[0].time();
    for (form, name, count) in [
        (Some(first_run), "seed-visible.alerts.ndjson", 78),
        (None, "seed-visible.alerts-simple.ndjson", 68),
    ] {
        let alerts = rule.new_terms(&events, form);
        let found: BTreeSet<_> = alerts
            .into_iter()
            .map(|(number, terms)| (events[number].id(), terms))
            .collect();
        let golden: BTreeSet<_> = lines(&folder.join(name))
            .iter()
            .map(|line| (text(&line["event.id"]), vec![text(&line["term"])]))
            .collect();
        assert_eq!(golden.len(), count);
        assert_eq!(found, golden);
    }
}

#[test]
fn new_terms() {
    let (Some(rules), Some(fixtures)) = (rules("elastic"), data("PEEWIT_FIXTURES")) else {
        return;
    };
    let folder = fixtures.join("elastic");
    let events = events(&folder.join("newterms-visible.ndjson"));
    // Runs are at whole intervals after the first event.
    let first_run = events[0].time();
    let mut found = BTreeSet::new();
    for rule in &rules {
        for (number, terms) in rule.new_terms(&events, Some(first_run)) {
            found.insert((events[number].id(), rule.id.clone(), terms));
        }
    }
    let golden: BTreeSet<_> = lines(&folder.join("newterms-visible.alerts.ndjson"))
        .iter()
        .map(|line| {
            (
                text(&line["event.id"]),
                text(&line["rule"]),
                texts(&line["terms"]),
            )
        })
        .collect();
    assert_eq!(golden.len(), 182);
    let wrong: Vec<_> = found.symmetric_difference(&golden).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sequences() {
    let (Some(rules), Some(fixtures)) = (rules("elastic"), data("PEEWIT_FIXTURES")) else {
        return;
    };
    let folder = fixtures.join("elastic");
    let events = events(&folder.join("sequences-visible.ndjson"));
    let mut found = Vec::new();
    for rule in &rules {
        for sequence in rule.sequences(&events) {
            let ids = sequence.into_iter().map(|number| events[number].id());
            found.push((rule.id.clone(), ids.collect::<Vec<_>>()));
        }
    }
    let mut golden: Vec<_> = lines(&folder.join("sequences-visible.golden.ndjson"))
        .iter()
        .map(|line| (text(&line["rule"]), texts(&line["events"])))
        .collect();
    found.sort();
    golden.sort();
    assert_eq!(golden.len(), 304);
    assert_eq!(found, golden);
}
