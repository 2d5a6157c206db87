//! Sequences and thresholds in `peewitctl replay`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;

use peewit_compiler::assemble;
use peewit_compiler::expr::Node;
use peewit_compiler::kql;
use peewit_compiler::rule::{Kind, Query, Rule};
use peewit_core::alert::Severity;
use peewit_core::field::Field;
use peewit_core::pack::Kinds;
use serde_json::{Value, json};

fn query(condition: &str, keys: &[Field]) -> Query {
    Query {
        condition: Node::new(&kql::parse(condition).unwrap()),
        keys: keys.to_vec(),
    }
}

fn rule(id: &str, kind: Kind, queries: Vec<Query>) -> Rule {
    Rule {
        id: id.into(),
        name: format!("Rule {id}"),
        author: "A. Writer, B. Editor".into(),
        attack: "TA0002 T1059".into(),
        tags: vec!["OS: Linux".into()],
        references: vec!["https://example.org".into()],
        severity: Severity::Medium,
        risk_score: 47,
        kinds: Kinds(u8::MAX),
        kind,
        queries,
        lookback_s: 60,
        interval_s: 300,
    }
}

/// An event: seconds, name, argument, pid, the parent's pid.
fn event(
    second: u32,
    name: &str,
    argument: impl Into<Value>,
    pid: u32,
    parent: u32,
) -> (u32, Value) {
    let event = json!({
        "host": {"id": "h"},
        "process": {"pid": pid, "name": name, "args": argument.into(), "entity_id": pid.to_string(),
            "parent": {"entity_id": parent.to_string()}},
    });
    (second, event)
}

/// What replay prints; the events have their place as id.
fn replay(rules: &[Rule], events: &[(u32, Value)], options: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (pack, file) = (folder.path().join("a.pack"), folder.path().join("events"));
    fs::write(&pack, assemble(rules, 1).unwrap()).unwrap();
    let lines = events.iter().enumerate().map(|(place, (second, event))| {
        let mut event = event.clone();
        event["event"] = json!({"id": place.to_string()});
        event["@timestamp"] = json!(format!(
            "2026-01-01T00:{:02}:{:02}Z",
            second / 60,
            second % 60
        ));
        format!("{event}\n")
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_peewitctl"))
        .args(["replay", "--rules"])
        .args([&pack, &file])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Rule, id of the last event, ids of the sequence.
fn alerts(rules: &[Rule], events: &[(u32, Value)]) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    replay(rules, events, &[])
        .iter()
        .map(|line| {
            let ids = line.get("peewit.sequence").cloned().unwrap_or_default();
            (text(&line["rule.id"]), text(&line["event.id"]), ids)
        })
        .collect()
}

fn alert(rule: &str, last: usize, ids: Value) -> (String, String, Value) {
    (rule.to_owned(), last.to_string(), ids)
}

#[test]
fn a_sequence_joins_a_process_and_its_child() {
    let rules = [rule(
        "seq",
        Kind::Sequence {
            span_ms: Some(10_000),
        },
        vec![
            query("process.name:git", &[Field::HostId, Field::ProcessEntityId]),
            query(
                "process.name:(sh or git)",
                &[Field::HostId, Field::ParentEntityId],
            ),
        ],
    )];
    let events = [
        event(0, "git", "git", 10, 1),
        event(5, "sh", "sh", 11, 10),
        // Taken already.
        event(6, "sh", "sh", 12, 10),
        // Matches both stages, and is its own parent: it does not follow itself.
        event(20, "git", "git", 30, 30),
        event(30, "git", "git", 31, 30),
        // The last moment of one, a moment too late for the other.
        event(40, "sh", "sh", 32, 31),
        event(50, "git", "git", 40, 1),
        event(61, "sh", "sh", 41, 40),
        // Earlier than its place in the file.
        event(4, "sh", "sh", 42, 10),
    ];
    let lines = replay(&rules, &events, &[]);
    assert_eq!(
        alerts(&rules, &events),
        [
            alert("seq", 8, json!(["0", "8"])),
            alert("seq", 4, json!(["3", "4"])),
            alert("seq", 5, json!(["4", "5"])),
        ]
    );
    assert_eq!(lines[0]["rule.author"], json!(["A. Writer", "B. Editor"]));
    assert_eq!(lines[0]["process.pid"], json!(42));
    // A stage that matches is no verdict.
    for verdict in replay(&rules, &events, &["--verdicts"]) {
        assert_eq!(verdict["rules"], json!([]));
    }
}

#[test]
fn runs_overlap() {
    let run = query("process.name:id", &[Field::ParentEntityId]);
    let rules = [rule(
        "runs",
        Kind::Sequence { span_ms: None },
        vec![run; 20],
    )];
    let mut events: Vec<_> = (0..22)
        .map(|second| event(second, "id", "id", 10 + second, 1))
        .collect();
    // Another parent's do not count.
    events.insert(7, event(7, "id", "id", 99, 2));
    let lines = alerts(&rules, &events);
    let ids = |first: usize| -> Value {
        let ids = (0..23).filter(|&id| id != 7).skip(first).take(20);
        ids.map(|id| id.to_string()).collect()
    };
    assert_eq!(
        lines,
        [20, 21, 22].map(|last| alert("runs", last, ids(last - 20)))
    );
}

#[test]
fn thresholds_slide() {
    let rules = [
        rule(
            "many",
            Kind::Threshold {
                count: 3,
                distinct: None,
            },
            vec![query("process.name:kill", &[Field::HostId])],
        ),
        rule(
            "different",
            Kind::Threshold {
                count: 1,
                distinct: Some((Field::ProcessArgs, 4)),
            },
            vec![query("process.name:nc", &[])],
        ),
    ];
    let events = [
        event(0, "kill", "kill", 1, 1),
        event(50, "kill", "kill", 1, 1),
        // The first is a minute and a second ago.
        event(61, "kill", "kill", 1, 1),
        event(110, "kill", "kill", 1, 1),
        // Begins anew.
        event(111, "kill", "kill", 1, 1),
        event(112, "kill", "kill", 1, 1),
        event(200, "nc", json!(["nc", "a", "nc"]), 1, 1),
        event(201, "nc", json!(["nc", "b"]), 1, 1),
        event(202, "nc", json!(["nc", "b", "c"]), 1, 1),
    ];
    assert_eq!(
        alerts(&rules, &events),
        [
            alert("many", 3, Value::Null),
            alert("different", 8, Value::Null)
        ]
    );
    let verdicts = replay(&rules, &events, &["--verdicts"]);
    assert_eq!(verdicts[0]["rules"], json!(["many"]));
}
