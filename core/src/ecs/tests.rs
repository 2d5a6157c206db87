use std::string::String;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::alert::samples::{demo, header, last_stage, least, rule};
use crate::alert::{Ancestor, MatchedArg, Severity};

fn alert_line(alert: &Alert<'_>) -> String {
    let mut line = String::new();
    write_alert(&mut line, None, alert, None, None).unwrap();
    line
}

fn event_line(event: &ProcessEvent<'_>) -> String {
    let mut line = String::new();
    write_event(&mut line, event).unwrap();
    line
}

fn text_line(alert: &Alert<'_>, rule: Option<&RuleInfo<'_>>) -> String {
    let mut line = String::new();
    write_text(&mut line, alert, rule).unwrap();
    line
}

fn event() -> ProcessEvent<'static> {
    ProcessEvent {
        action: Action::Exec,
        time_ms: 1_767_225_601_234,
        pid: 4711,
        tid: 4711,
        ppid: 4000,
        executable: Some(b"/usr/bin/env"),
        args: b"env\0-i\0a b\0\0",
        args_len: 12,
        cwd: Some(b"/root"),
        uid: Some(0),
        parent_executable: Some(b"/bin/sh"),
        complete: true,
    }
}

fn parsed(line: &str) -> Value {
    assert!(!line.contains('\n'));
    serde_json::from_str(line).unwrap()
}

#[test]
fn an_alert() {
    let mut line = String::new();
    write_alert(
        &mut line,
        Some(&header()),
        &demo(),
        Some(&Recorded {
            event_id: "event-1",
            sequence: &[],
        }),
        Some(&RuleInfo {
            name: "Say \"id\"",
            attack: "",
            tags: "",
            references: "",
            ..rule()
        }),
    )
    .unwrap();
    assert_eq!(
        parsed(&line),
        json!({
            "@timestamp": "2026-01-01T00:00:01.234Z",
            "event.kind": "alert",
            "event.category": ["process"],
            "event.type": ["start"],
            "event.action": "exec",
            "event.id": "event-1",
            "event.severity": 21,
            "host.os.type": "linux",
            "host.id": "4c4c4544003957108052b4c04f384833",
            "host.name": "gateway",
            "host.boot.id": "f8a6f4e2-58c7-4d0b-9a55-6f8d0f9d5c11",
            "agent.type": "peewit",
            "agent.version": "0.1.0",
            "rule.id": "e9001ee6-2d00-4d2f-849e-b8b1fb05234c",
            "rule.name": "Say \"id\"",
            "rule.author": ["A. Writer", "B. Editor"],
            "kibana.alert.severity": "low",
            "kibana.alert.risk_score": 21,
            "kibana.alert.new_terms": ["dropper"],
            "process.pid": 123458,
            "process.thread.id": 123458,
            "process.executable": "/tmp/peewit-123456/implant",
            "process.name": "implant",
            "process.args": ["implant", "demo-role", "id"],
            "process.args_count": 3,
            "process.command_line": "implant demo-role id",
            "process.working_directory": "/home/user/peewit",
            "user.id": "0",
            "process.parent.pid": 123457,
            "process.parent.executable": "/tmp/peewit-123456/dropper",
            "process.parent.name": "dropper",
            "peewit.ancestors": [
                {"pid": 123456, "name": "peewit"},
                {"pid": 98765, "name": "bash"},
                {"pid": 98764, "name": "sshd"},
                {"pid": 98700, "name": "sshd"},
                {"pid": 1, "name": "systemd"},
            ],
            "peewit.alert.sequence": 1,
            "peewit.alert.boot_ms": 86401234,
            "peewit.alert.matched_arg": "id",
            "peewit.alert.matched_arg_index": 2,
            "peewit.alert.learning": true,
        })
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    assert_eq!(
        alert_line(&least()),
        concat!(
            r#"{"@timestamp":"1970-01-01T00:00:00.000Z","event.kind":"alert","#,
            r#""event.category":["process"],"event.type":["start"],"event.action":"fork","#,
            r#""host.os.type":"linux","event.severity":21,"rule.id":"","#,
            r#""kibana.alert.severity":"low","kibana.alert.risk_score":0}"#
        )
    );
    let bare = ProcessEvent {
        time_ms: 0,
        tid: 0,
        pid: 0,
        ppid: 0,
        executable: None,
        args: b"",
        args_len: 0,
        cwd: None,
        uid: None,
        parent_executable: None,
        complete: false,
        ..event()
    };
    assert_eq!(
        event_line(&bare),
        concat!(
            r#"{"@timestamp":"1970-01-01T00:00:00.000Z","event.kind":"event","#,
            r#""event.category":["process"],"event.type":["start"],"event.action":"exec","#,
            r#""host.os.type":"linux","peewit.event.incomplete":true}"#
        )
    );
}

#[test]
fn an_event() {
    assert_eq!(
        event_line(&event()),
        concat!(
            r#"{"@timestamp":"2026-01-01T00:00:01.234Z","event.kind":"event","#,
            r#""event.category":["process"],"event.type":["start"],"event.action":"exec","#,
            r#""host.os.type":"linux","process.pid":4711,"process.thread.id":4711,"#,
            r#""process.executable":"/usr/bin/env","process.name":"env","#,
            r#""process.args":["env","-i","a b",""],"process.args_count":4,"#,
            r#""process.command_line":"env -i a b ","process.working_directory":"/root","#,
            r#""user.id":"0","process.parent.pid":4000,"#,
            r#""process.parent.executable":"/bin/sh","process.parent.name":"sh"}"#
        )
    );
}

#[test]
fn a_cut_copy_says_so() {
    let cut = ProcessEvent {
        args: b"env\0-",
        ..event()
    };
    let event = parsed(&event_line(&cut));
    assert_eq!(event["process.args"], json!(["env", "-"]));
    assert_eq!(event["peewit.event.truncated"], json!(true));
    assert_eq!(event.get("process.args_count"), None);
    let cut = Alert {
        args: b"implant\0demo-",
        flags: Flags::TRUNCATED | Flags::BEYOND_UPSTREAM | Flags::DELETED | Flags::LOST_PARENT,
        ..demo()
    };
    let alert = parsed(&alert_line(&cut));
    assert_eq!(alert.get("process.args_count"), None);
    assert_eq!(alert["peewit.alert.matched_arg"], json!("id"));
    for mark in ["truncated", "beyond_upstream", "deleted", "lost_parent"] {
        assert_eq!(alert[std::format!("peewit.alert.{mark}")], json!(true));
    }
    assert_eq!(alert.get("peewit.alert.learning"), None);
}

#[test]
fn as_text() {
    assert_eq!(
        text_line(
            &demo(),
            Some(&RuleInfo {
                name: "Unknown \x1b[31mdropper",
                author: "A. \x07Writer, B",
                ..rule()
            })
        ),
        concat!(
            r"2026-01-01T00:00:01.234Z low Unknown \u{1b}[31mdropper: ",
            "dropper -> implant demo-role id (exec of /tmp/peewit-123456/implant, ",
            "pid 123458, uid 0, in /home/user/peewit; by /tmp/peewit-123456/dropper 123457 ",
            "< peewit 123456 < bash 98765 < sshd 98764 < sshd 98700 < systemd 1; ",
            r"new: dropper; matched: id; learning) (author A. \u{7}Writer, B)"
        )
    );
    assert_eq!(
        text_line(&least(), None),
        "1970-01-01T00:00:00.000Z low : unknown (fork, pid 0; by unknown 0)"
    );
    let hostile = Alert {
        severity: Severity::Critical,
        terms: [&b"a, b"[..], b"(c"].into_iter().collect(),
        executable: Some(Path::new("/tmp/\u{202e}x\n".as_bytes())),
        args: b"x\xff\0y; z\0",
        args_len: 100,
        matched_arg: Some(MatchedArg {
            index: 9,
            bytes: b"",
        }),
        ancestors: [Ancestor { pid: 2, name: b"" }].into_iter().collect(),
        flags: Flags::TRUNCATED | Flags::LEARNING,
        ..least()
    };
    assert_eq!(
        text_line(&hostile, None),
        concat!(
            r#"1970-01-01T00:00:00.000Z critical : "x\xff" "y; z" ... "#,
            r#"(fork of "/tmp/\u{202e}x\n", pid 0; by unknown 0 < unknown 2; "#,
            r#"new: "a, b", "(c"; matched: ""; truncated, learning)"#
        )
    );
}

#[test]
fn what_is_known_of_a_rule() {
    let about = |rule: &RuleInfo<'_>| {
        let mut line = String::new();
        write_alert(&mut line, None, &least(), None, Some(rule)).unwrap();
        let Value::Object(mut alert) = parsed(&line) else {
            panic!("{line}");
        };
        alert.retain(|key, _| {
            let (group, _) = key.split_once('.').unwrap_or((key, ""));
            ["tags", "threat"].contains(&group) || (group == "rule" && key != "rule.id")
        });
        Value::Object(alert)
    };
    assert_eq!(
        about(&rule()),
        json!({
            "rule.name": "Commands by an Unknown Program",
            "rule.author": ["A. Writer", "B. Editor"],
            "rule.reference": ["https://example.org/a", "https://example.org/b"],
            "tags": ["OS: Linux", "Data Source: peewit"],
            "threat.tactic.id": ["TA0002"],
            "threat.technique.id": ["T1059"],
            "threat.technique.subtechnique.id": ["T1059.004"],
        })
    );
    let bare = RuleInfo {
        author: "",
        attack: "T1059",
        tags: " , ",
        references: "",
        ..rule()
    };
    assert_eq!(
        about(&bare),
        json!({"rule.name": bare.name, "threat.technique.id": ["T1059"]})
    );
    let text = text_line(&least(), Some(&bare));
    assert!(text.ends_with("(fork, pid 0; by unknown 0)"), "{text}");
}

#[test]
fn a_sequence() {
    let alert = Alert {
        time_ms: 1_767_225_601_234,
        ..last_stage()
    };
    let mut line = String::new();
    let recorded = Recorded {
        event_id: "c",
        sequence: &[b"a", b"b", b"c"],
    };
    write_alert(&mut line, None, &alert, Some(&recorded), None).unwrap();
    let line = parsed(&line);
    assert_eq!(line["event.id"], json!("c"));
    assert_eq!(line["peewit.sequence"], json!(["a", "b", "c"]));
    assert_eq!(
        line["peewit.stages"],
        json!([
            {"@timestamp": "2026-01-01T00:00:00.000Z", "pid": 123440},
            {"@timestamp": "2026-01-01T00:00:01.000Z", "pid": 123450},
        ])
    );
    assert!(text_line(&alert, None).ends_with("unknown 0; after pid 123440, 123450)"));
}

proptest! {
    #[test]
    fn any_bytes_are_valid_json(
        args in prop::collection::vec(any::<u8>(), 1..60),
        path in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let line = event_line(&ProcessEvent {
            args: &args,
            args_len: args.len() as u32,
            executable: Some(&path),
            ..event()
        });
        let event = parsed(&line);
        let lossy = |bytes: &[u8]| json!(String::from_utf8_lossy(bytes).replace('\0', " "));
        prop_assert_eq!(&event["process.executable"], &lossy(&path));
        let strings: std::vec::Vec<_> = Block::new(&args).map(lossy).collect();
        prop_assert_eq!(&event["process.args"], &Value::Array(strings));
        let joined: std::vec::Vec<_> = unterminated(&args)
            .iter()
            .map(|&byte| if byte == 0 { b' ' } else { byte })
            .collect();
        prop_assert_eq!(&event["process.command_line"], &lossy(&joined));
    }
}
