//! What a log and a state hold, and what of it was lost from one look to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What was seen at one look.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The alerts: their terms, empty without one, by their numbers.
    pub alerts: BTreeMap<u64, String>,
    /// Numbers that more than one alert has.
    pub doubled: usize,
    /// The terms that the state knows.
    pub terms: BTreeSet<String>,
}

/// What must all be 0.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Alerts that were durable, and are not there any more.
    pub missing: usize,
    /// Sequence numbers that two alerts have.
    pub doubled: usize,
    /// Terms that were known and alerted again, or are not known any more.
    pub forgotten: usize,
    /// Terms that are known though no alert of them is there: their alerts were to be durable first.
    pub silent: usize,
}

impl Kept {
    /// Reads what is in the folders `alerts` and `state` of this one.
    pub fn read(sensor: &Path, folder: &Path) -> Self {
        // In this order: the alert of each of the terms was there before.
        let terms = terms(sensor, folder);
        Self::of(&alerts(sensor, folder), &terms)
    }

    /// From what `peewit alerts --json` and `peewit terms list` print.
    pub fn of(alerts: &str, terms: &str) -> Self {
        let mut kept = Self::default();
        for line in alerts.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            if record["event.kind"] != "alert" {
                continue;
            }
            let number = record["peewit.alert.sequence"].as_u64().expect("a number");
            let term = record["kibana.alert.new_terms"][0].as_str();
            let before = kept.alerts.insert(number, term.unwrap_or("").to_owned());
            kept.doubled += usize::from(before.is_some());
        }
        // When and how often it was seen, the rule, and the value.
        let values = terms.lines().filter_map(|line| line.split('\t').nth(3));
        // Whatever else happens on this machine is seen too, and may have a name that is not written as it is.
        let values = values.filter(|value| !value.contains('\\'));
        kept.terms = values.map(str::to_owned).collect();
        kept
    }

    /// What was lost of it in what was seen later.
    pub fn losses(&self, later: &Self) -> Losses {
        let missing = self
            .alerts
            .iter()
            .filter(|(number, term)| later.alerts.get(number) != Some(term));
        let again = later.alerts.iter().filter(|(number, term)| {
            !self.alerts.contains_key(number) && self.terms.contains(*term)
        });
        let silent = later
            .terms
            .iter()
            .filter(|known| !later.alerts.values().any(|term| term == *known));
        Losses {
            missing: missing.count(),
            doubled: later.doubled,
            forgotten: again.count() + self.terms.difference(&later.terms).count(),
            silent: silent.count(),
        }
    }
}

impl std::ops::AddAssign for Losses {
    fn add_assign(&mut self, other: Self) {
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.forgotten += other.forgotten;
        self.silent += other.silent;
    }
}

/// What `peewit alerts --json` prints.
fn alerts(sensor: &Path, folder: &Path) -> String {
    let folder = folder.join("alerts");
    said(
        &folder,
        Command::new(sensor).args(["alerts", "--json"]).arg(&folder),
    )
}

/// What `peewit terms list` prints.
fn terms(sensor: &Path, folder: &Path) -> String {
    let folder = folder.join("state");
    said(
        &folder,
        Command::new(sensor)
            .args(["terms", "list", "--state"])
            .arg(&folder),
    )
}

/// Nothing, if the folder is not there yet, or empty.
#[track_caller]
fn said(folder: &Path, command: &mut Command) -> String {
    if fs::read_dir(folder).map_or(true, |mut files| files.next().is_none()) {
        return String::new();
    }
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Copies the files of a folder.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("an entry");
        // It may just have got another name.
        let _ = fs::copy(file.path(), to.join(file.file_name()));
    }
}
