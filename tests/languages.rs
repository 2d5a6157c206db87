//! Rules of each language and kind, compiled here, on the real kernel: sequences, ends, thresholds, Sigma.

use std::fs;
use std::process::Command;

use peewit_tests::{Attack, Sensor, alone, ctl, root};
use serde_json::{Value, json};

/// Words that no other process has as an argument tell these rules' events from all others.
const SIBLINGS: &str = r#"
[rule]
rule_id = "siblings"
name = "Two words of one parent"
author = ["One"]
type = "eql"
language = "eql"
severity = "low"
risk_score = 21
query = '''
sequence by host.id, process.parent.entity_id with maxspan=5s
  [process where event.type == "start" and process.args == "peewit-one"]
  [process where event.type == "start" and process.args == "peewit-two" and user.name == "root"]
'''
"#;

const ENDED: &str = r#"
[rule]
rule_id = "ended"
name = "Ended badly, then another"
type = "eql"
language = "eql"
severity = "high"
risk_score = 73
query = '''
sequence by host.id with maxspan=5s
  [process where event.type == "end" and process.args == "peewit-end" and process.exit_code != 0]
  [process where event.type == "start" and process.args == "peewit-after"]
'''
"#;

const OFTEN: &str = r#"
[rule]
rule_id = "often"
name = "Five times"
type = "threshold"
severity = "medium"
risk_score = 47
from = "now-1m"
query = "event.type:start and process.args:peewit-many"
[rule.threshold]
field = ["host.id", "user.name"]
value = 5
"#;

const SIGMA: &str = "
title: A word, and the environment's owner
id: 44444444-4444-4444-8444-444444444444
author: An Author, Another
level: critical
tags: [attack.t1059.004]
logsource: {product: linux, category: process_creation}
detection:
  word: {CommandLine|contains: 'X PEEWIT-sigma', User: root}
  jail: {CurrentDirectory|startswith: /srv}
  condition: word and not jail
";

/// What completes the sequence was forked before the end that begins it, and becomes its program after that.
const FORKED_BEFORE: &str = "cd $(mktemp -d) && mkfifo end after
    /bin/sh -c 'read word <end; exit 1' peewit-end & ended=$!
    (read word <after; exec /bin/true peewit-after) &
    echo >end; wait $ended; echo >after; wait; rm -r $PWD";

#[test]
fn sequences_ends_thresholds_and_sigma() {
    let _turn = alone();
    if !root() {
        return;
    }
    let Some(ctl) = ctl() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("siblings.toml", SIBLINGS),
        ("ended.toml", ENDED),
        ("often.toml", OFTEN),
        ("sigma.yml", SIGMA),
    ] {
        fs::write(folder.path().join(name), text).expect("a rule");
    }
    let pack = folder.path().join("rules.pack");
    let compiled = Command::new(ctl)
        .args(["compile", "--strict", "-o"])
        .args([&pack, folder.path()])
        .status()
        .expect("it runs");
    assert!(compiled.success());
    let (Some(attack), Some(sensor)) = (
        Attack::new(),
        Sensor::start(&["--rules", pack.to_str().expect("a path")]),
    ) else {
        return;
    };
    // Another parent's word does not complete a sequence, and a good end does not begin one. The shell must not
    // become its last command.
    for command in [
        "/bin/true peewit-one; true",
        "/bin/true peewit-two; true",
        "/bin/true peewit-one; /bin/true peewit-two; true",
        "/bin/true peewit-end; /bin/true peewit-after; true",
        "/bin/false peewit-end; /bin/true peewit-after; true",
        FORKED_BEFORE,
        "for turn in 1 2 3 4 5 6; do /bin/true peewit-many; done",
        "cd /srv; /bin/echo x \"peewit\"-sigma >/dev/null; true",
        "cd /; /bin/echo x \"peewit\"-sigma >/dev/null; true",
    ] {
        attack.shell(command);
    }
    let alerts = sensor.wait_for_alerts(5);
    let told = |alert: &Value| (alert["rule.id"].clone(), alert["process.args"].clone());
    assert_eq!(
        alerts.iter().map(told).collect::<Vec<_>>(),
        [
            (json!("siblings"), json!(["/bin/true", "peewit-two"])),
            (json!("ended"), json!(["/bin/true", "peewit-after"])),
            (json!("ended"), json!(["/bin/true", "peewit-after"])),
            (json!("often"), json!(["/bin/true", "peewit-many"])),
            (
                json!("44444444-4444-4444-8444-444444444444"),
                json!(["/bin/echo", "x", "peewit-sigma"])
            ),
        ]
    );
    // The stage before, by its process; the authors; what ATT&CK calls it.
    assert_eq!(alerts[0]["peewit.stages"].as_array().map(Vec::len), Some(1));
    assert_ne!(
        alerts[0]["peewit.stages"][0]["pid"],
        alerts[0]["process.pid"]
    );
    assert_eq!(alerts[0]["rule.author"], json!(["One"]));
    assert_eq!(alerts[4]["rule.author"], json!(["An Author", "Another"]));
    assert_eq!(
        alerts[4]["threat.technique.subtechnique.id"],
        json!(["T1059.004"])
    );
    assert_eq!(alerts[4]["kibana.alert.severity"], json!("critical"));
    let said = sensor.stop(libc::SIGTERM);
    assert!(said.contains("alerts: 5"), "{said}");
}
