//! What rule authors use: choosing rules for a pack, testing them, asking why.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");
const SEED: &str = "suspicious_system_commands_by_unknown_executable";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peewitctl"))
        .args(arguments)
        .output()
        .expect("it runs")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn our_own_rules_do_what_their_events_say() {
    let output = run(&["test", RULES, "--strict"]);
    let shown = said(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(
        shown.ends_with("6 rules, 112 events: 0 not as expected; 0 rules without events\n"),
        "{shown}"
    );
}

#[test]
fn a_disagreement_is_explained_predicate_by_predicate() {
    let folder = tempfile::tempdir().expect("a folder");
    let rule = folder.path().join("seed.toml");
    fs::copy(Path::new(RULES).join(SEED).with_extension("toml"), &rule).expect("a rule");
    let event = r#"{"event":{"id":"e1","action":"exec","category":["process"]},"host":{"os":{"type":"linux"}},"process":{"executable":"/tmp/x/implant","name":"implant","args":["implant","tail"]},"labels":{"expect":"match","why":"a word of the list"}}"#;
    fs::write(folder.path().join("seed.test.ndjson"), event).expect("a file");
    let output = run(&["test", rule.to_str().expect("a path")]);
    let shown = said(&output.stdout);
    assert!(!output.status.success(), "{shown}");
    for line in [
        "seed.test.ndjson:1: e1: expected match, got no match: a word of the list",
        "NO  process.args is ",
        "; it is \"implant\", \"tail\"",
        "yes not process.name is ",
        "1 rules, 1 events: 1 not as expected; 0 rules without events",
    ] {
        assert!(shown.contains(line), "{line:?} is not in:\n{shown}");
    }
    assert_eq!(said(&output.stderr), "error: 1 events not as expected\n");
}

#[test]
fn a_pack_of_chosen_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("a.pack");
    let pack = pack.to_str().expect("a path");
    let output = run(&["compile", RULES, "-o", pack, "--select", "level:high"]);
    assert!(
        said(&output.stderr).contains(": 4 rules, "),
        "{}",
        said(&output.stderr)
    );
    fs::remove_file(pack).expect("it was written");
    let output = run(&["compile", RULES, "-o", pack, "--select", "id:none"]);
    assert_eq!(said(&output.stderr), "error: --select: no rule is left\n");
    let output = run(&["compile", RULES, "-o", pack, "--max-pack", "1000"]);
    assert!(
        said(&output.stderr).starts_with("error: --max-pack: the pack has "),
        "{}",
        said(&output.stderr)
    );
    assert!(!Path::new(pack).exists());
    let output = run(&["compile", RULES, "-o", pack, "--select", "level:grave"]);
    assert!(
        said(&output.stderr).contains("a level is low, medium, high or critical"),
        "{}",
        said(&output.stderr)
    );
}
