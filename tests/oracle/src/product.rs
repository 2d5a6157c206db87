//! Running `peewitctl replay` on rules and events that were made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::event::Event;
use crate::rule::Rule;
use crate::text::Error;

/// Where `peewitctl` is.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its path.
    pub path: PathBuf,
}

/// What it said.
#[derive(Debug, Default)]
pub struct Answer {
    /// The rules that it did not take, by id, and why.
    pub refused: BTreeMap<String, String>,
    /// For each event by its id, the rules that match.
    pub verdicts: BTreeMap<String, BTreeSet<String>>,
    /// Alerts with terms or sequences: rule, event ids of a sequence's stages or the one, terms.
    pub alerts: BTreeSet<Alert>,
}

/// An alert: the rule, the events and the new terms.
pub type Alert = (String, Vec<String>, Vec<String>);

impl Product {
    /// Which rules match each event.
    pub fn verdicts(&self, rules: &[Rule], events: &[Event]) -> Result<Answer, Error> {
        self.run(rules, events, &["--verdicts"])
    }

    /// The alerts, in one form of novelty.
    pub fn alerts(&self, rules: &[Rule], events: &[Event], novelty: &str) -> Result<Answer, Error> {
        self.run(rules, events, &["--novelty", novelty])
    }

    fn run(&self, rules: &[Rule], events: &[Event], options: &[&str]) -> Result<Answer, Error> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let write = |path: &Path, text: &str| {
            fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let rule_folder = folder.path().join("rules");
        fs::create_dir(&rule_folder).map_err(|error| error.to_string())?;
        for rule in rules {
            let (name, text) = rule.print();
            write(&rule_folder.join(name), &text)?;
        }
        let mut lines = String::new();
        for event in events {
            let _ = writeln!(lines, "{}", event.json());
        }
        let event_file = folder.path().join("events.ndjson");
        write(&event_file, &lines)?;
        let output = Command::new(&self.path)
            .arg("replay")
            .arg("--rules")
            .arg(&rule_folder)
            .args(options)
            .arg(&event_file)
            .output()
            .map_err(|error| format!("{}: {error}", self.path.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut answer = Answer::default();
        for line in said.lines().filter(|line| line.starts_with("not taken: ")) {
            let rule = rules.iter().find(|rule| line.contains(&rule.print().0));
            let id = rule.map_or(String::new(), |rule| rule.id.clone());
            answer.refused.insert(id, reason(line));
        }
        if !output.status.success() {
            // With no rule taken there is nothing to do, and that is an error.
            if answer.refused.len() == rules.len() {
                return Ok(answer);
            }
            return Err(format!("{}: {said}", output.status));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        for line in printed.lines() {
            let line: Value =
                serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            answer.take(&line);
        }
        Ok(answer)
    }
}

impl Answer {
    fn take(&mut self, line: &Value) {
        let texts = |value: &Value| {
            let values = value.as_array().into_iter().flatten();
            values
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = text(&line["event.id"]);
        if line["rules"].is_array() {
            self.verdicts
                .insert(event, texts(&line["rules"]).into_iter().collect());
            return;
        }
        let rule = text(&line["rule.id"]);
        if line["peewit.sequence"].is_array() {
            self.alerts
                .insert((rule, texts(&line["peewit.sequence"]), vec![]));
        } else if line["kibana.alert.new_terms"].is_array() {
            self.alerts
                .insert((rule, vec![event], texts(&line["kibana.alert.new_terms"])));
        }
    }
}

/// Why a rule was not taken: the message without the file's name, its numbers and its names.
fn reason(line: &str) -> String {
    let after = line.split(": ").skip(2).collect::<Vec<_>>().join(": ");
    let after = if after.is_empty() { line } else { &after };
    after
        .chars()
        .map(|next| if next.is_ascii_digit() { '9' } else { next })
        .take(60)
        .collect()
}
