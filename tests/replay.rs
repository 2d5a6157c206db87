//! `peewitctl` on recorded events whose verdicts are known.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use peewit_tests::{ctl, data};
use serde_json::Value;

fn run(arguments: &[&str]) -> Option<Output> {
    Some(
        Command::new(ctl()?)
            .args(arguments)
            .output()
            .expect("it starts"),
    )
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn replay(rules: &Path, events: &Path, options: &[&str]) -> Option<Vec<Value>> {
    let mut arguments = vec!["replay", "--rules", rules.to_str()?];
    arguments.extend(options);
    arguments.push(events.to_str()?);
    let output = run(&arguments)?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(lines(std::str::from_utf8(&output.stdout).expect("UTF-8")))
}

fn golden(path: &Path) -> Vec<Value> {
    lines(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// For each event the rules that match, of those in `scope`.
fn verdicts(
    lines: &[Value],
    scope: Option<&BTreeSet<String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let rules = |line: &Value| {
        let rules = line["rules"].as_array().expect("a list").iter().map(text);
        rules
            .filter(|rule| scope.is_none_or(|scope| scope.contains(rule)))
            .collect()
    };
    lines
        .iter()
        .map(|line| (text(&line["event.id"]), rules(line)))
        .collect()
}

/// Alerts as (rule, event, terms); the goldens and replay name them differently.
fn alerts(lines: &[Value]) -> Vec<(String, Vec<String>)> {
    let terms = |line: &Value| match (
        &line["term"],
        &line["terms"],
        &line["kibana.alert.new_terms"],
    ) {
        (Value::String(term), _, _) => vec![term.clone()],
        (_, Value::Array(terms), _) | (_, _, Value::Array(terms)) => {
            terms.iter().map(text).collect()
        }
        _ => panic!("no term: {line}"),
    };
    let mut alerts: Vec<_> = lines
        .iter()
        .map(|line| (text(&line["event.id"]), terms(line)))
        .collect();
    alerts.sort();
    alerts
}

/// The seed rule as it ships, and the events and goldens for it.
fn seed() -> Option<(PathBuf, PathBuf)> {
    let rule = "../rules/suspicious_system_commands_by_unknown_executable.toml";
    let rule = Path::new(env!("CARGO_MANIFEST_DIR")).join(rule);
    Some((rule, data("PEEWIT_FIXTURES")?.join("seed")))
}

#[test]
fn the_seed_rules_verdicts_are_upstreams() {
    let Some((rule, fixtures)) = seed() else {
        return;
    };
    let Some(lines) = replay(
        &rule,
        &fixtures.join("seed-visible.ndjson"),
        &["--verdicts"],
    ) else {
        return;
    };
    let golden = fs::read_to_string(fixtures.join("seed-visible.verdicts")).expect("verdicts");
    let verdicts: Vec<&str> = lines
        .iter()
        .map(|line| {
            if line["rules"] == Value::Array(vec![]) {
                "0"
            } else {
                "1"
            }
        })
        .collect();
    assert_eq!(verdicts.len(), 1500);
    assert_eq!(verdicts, golden.lines().collect::<Vec<_>>());
}

#[test]
fn the_seed_rules_alerts_are_those_of_a_device_and_of_scheduled_runs() {
    let Some((rule, fixtures)) = seed() else {
        return;
    };
    for (form, name, count) in [
        ("device", "seed-visible.alerts-simple.ndjson", 68),
        ("streaming", "seed-visible.alerts.ndjson", 78),
    ] {
        let Some(lines) = replay(
            &rule,
            &fixtures.join("seed-visible.ndjson"),
            &["--novelty", form],
        ) else {
            return;
        };
        assert_eq!(lines.len(), count);
        assert_eq!(
            alerts(&lines),
            alerts(&golden(&fixtures.join(name))),
            "{form}"
        );
    }
}

/// A pack of all public KQL rules of type query and new_terms, and their ids.
fn public_kql_rules(folder: &Path) -> Option<(PathBuf, BTreeSet<String>)> {
    let corpus = data("PEEWIT_CORPORA")?.join("elastic");
    let mut ids = BTreeSet::new();
    let mut arguments = vec!["compile".to_owned()];
    for entry in fs::read_dir(&corpus).expect("rules") {
        let path = entry.expect("a rule").path();
        let text = fs::read_to_string(&path).expect("a rule");
        if text.contains("language = \"kuery\"") && !text.contains("type = \"threshold\"") {
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("rule_id = \"")?.strip_suffix('"'));
            ids.insert(id.expect("a rule id").to_owned());
            arguments.push(path.display().to_string());
        }
    }
    assert_eq!(ids.len(), 42);
    let pack = folder.join("public.pack");
    arguments.extend(["-o".to_owned(), pack.display().to_string()]);
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some((pack, ids))
}

#[test]
fn the_public_kql_rules_verdicts_are_upstreams() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Some((pack, ids)), Some(fixtures)) =
        (public_kql_rules(folder.path()), data("PEEWIT_FIXTURES"))
    else {
        return;
    };
    for (events, count) in [
        ("elastic/events-visible", 5999),
        ("elastic/newterms-visible", 434),
    ] {
        let Some(lines) = replay(
            &pack,
            &fixtures.join(format!("{events}.ndjson")),
            &["--verdicts"],
        ) else {
            return;
        };
        let golden = golden(&fixtures.join(format!("{events}.verdicts.ndjson")));
        assert_eq!(lines.len(), count);
        assert_eq!(
            verdicts(&lines, None),
            verdicts(&golden, Some(&ids)),
            "{events}"
        );
    }
    let Some(lines) = replay(
        &pack,
        &fixtures.join("elastic/newterms-visible.ndjson"),
        &["--novelty", "streaming"],
    ) else {
        return;
    };
    let lines: Vec<Value> = lines
        .into_iter()
        .filter(|line| line["kibana.alert.new_terms"].is_array())
        .collect();
    assert_eq!(lines.len(), 182);
    assert_eq!(
        alerts(&lines),
        alerts(&golden(
            &fixtures.join("elastic/newterms-visible.alerts.ndjson")
        ))
    );
}

/// Runs `peewitctl` where it has to fail: gives what it said; nothing may be on its standard output.
fn refused(arguments: &[&str]) -> Option<String> {
    let output = run(arguments)?;
    assert!(!output.status.success(), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    Some(String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn bad_input_is_named_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");
    let event =
        r#"{"@timestamp":"2026-01-10T00:00:00.000Z","event":{"id":"1"},"process.name":"x"}"#;
    let output = folder.path().join("out.pack").display().to_string();

    let events = write("broken.ndjson", format!("{event}\n{{\"a\":}}\n").as_bytes());
    let Some(said) = refused(&["replay", "--rules", rules, "--verdicts", &events]) else {
        return;
    };
    assert_eq!(said, format!("error: {events}:2:6: expected value\n"));
    let events = write("timeless.ndjson", br#"{"event":{"id":"1"}}"#);
    let said = refused(&["replay", "--rules", rules, &events]).expect("it is built");
    assert_eq!(
        said,
        format!("error: {events}:1:1: neither event.ingested nor @timestamp\n")
    );
    let events = write("latin1.ndjson", b"{\"a\":\"\xe9\"}");
    let said = refused(&["replay", "--rules", rules, &events]).expect("it is built");
    assert_eq!(said, format!("error: {events}:1:7: not UTF-8\n"));

    let rule = write("bad.toml", b"[rule]\nrule_id = \"1\"\nname = \"n\"\ntype = \"query\"\nseverity = \"low\"\nrisk_score = 1\nquery = 'process.nmae:x'\n");
    let said = refused(&["compile", &rule, "-o", &output]).expect("it is built");
    assert!(
        said.contains(&format!("{rule}:7:10"))
            && said.contains("process.nmae")
            && said.contains("^^^"),
        "{said}"
    );
    assert!(!Path::new(&output).exists());

    // In a folder it is one line, and the others are taken, unless that is not enough.
    fs::copy(
        Path::new(rules).join("suspicious_system_commands_by_unknown_executable.toml"),
        folder.path().join("good.toml"),
    )
    .expect("a rule");
    let path = folder.path().display().to_string();
    let compiled = run(&["compile", &path, "-o", &output]).expect("it is built");
    let said = String::from_utf8(compiled.stderr).expect("UTF-8");
    assert!(
        compiled.status.success()
            && said.starts_with(&format!(
                "not taken: {rule}:7:10: no such process field: process.nmae\n"
            )),
        "{said}"
    );
    fs::remove_file(&output).expect("a pack");
    refused(&["compile", &path, "-o", &output, "--strict"]);
    assert!(!Path::new(&output).exists());

    let pack = write("cut.pack", b"PEEW\x01\0\0\0");
    let said = refused(&["replay", "--rules", &pack, &events]).expect("it is built");
    assert_eq!(
        said,
        format!("error: {pack}: a rule pack that is cut short or has bytes after its end\n")
    );
    assert!(
        refused(&["replay", "--frobnicate"])
            .expect("it is built")
            .contains("--frobnicate")
    );
}
