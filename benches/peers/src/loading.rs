//! What it takes to load rules.

use std::collections::BTreeMap;

use crate::engine::{Engine, Loaded, Refused, RuleFile};
use crate::heap::{self, Use};
use crate::kinds::KINDS;
use crate::measure;
use crate::peewit;
use crate::table::{head, number, row};

/// An engine that was loaded.
pub struct Loading {
    /// Its name.
    pub name: &'static str,
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// The ids of the rules that it did not take, and why.
    pub refused: Vec<(String, String)>,
}

impl Loading {
    /// Remembers which rules were refused.
    pub fn new(name: &'static str, (engine, refused): Loaded, rules: &[RuleFile]) -> Self {
        let id = |refused: &Refused| {
            let rule = rules.iter().find(|rule| rule.path == refused.path);
            rule.map_or("", RuleFile::id).to_owned()
        };
        Self {
            name,
            engine,
            refused: refused
                .iter()
                .map(|refused| (id(refused), shortened(&refused.reason)))
                .collect(),
        }
    }

    /// Whether it took the rule of this id.
    pub fn took(&self, id: &str) -> bool {
        self.refused.iter().all(|(refused, _)| refused != id)
    }

    /// Says why rules were refused.
    pub fn print_refused(&self) {
        let mut reasons = BTreeMap::new();
        for (_, reason) in &self.refused {
            *reasons.entry(reason).or_insert(0) += 1;
        }
        for (reason, count) in reasons {
            println!("- {} refuses {count}: {reason}", self.name);
        }
    }
}

/// Loads all engines and prints what it took.
pub fn table(rules: &[RuleFile]) -> Vec<Loading> {
    head(
        &format!("Loading {} Sigma rules", rules.len()),
        &[
            "engine",
            "rules",
            "refused",
            "ms",
            "heap at most, KiB",
            "heap kept, KiB",
        ],
    );
    let (pack, refused) = peewit::pack(rules);
    let (device, ms, used) = load(|| peewit::load_pack(pack.clone(), true));
    print(
        "peewit, from a pack",
        device.rules(),
        refused.len(),
        ms,
        used,
    );
    let mut engines = Vec::new();
    for kind in &KINDS {
        let (loaded, ms, used) = load(|| (kind.load)(rules));
        print(kind.name, loaded.0.rules(), loaded.1.len(), ms, used);
        engines.push(Loading::new(kind.name, loaded, rules));
    }
    println!();
    engines.iter().for_each(Loading::print_refused);
    engines
}

fn print(name: &str, rules: usize, refused: usize, ms: f64, used: Use) {
    let kib = |bytes: u64| number(bytes as f64 / 1024.0);
    let (rules, refused) = (rules.to_string(), refused.to_string());
    row(
        name,
        &[
            rules,
            refused,
            format!("{ms:.2}"),
            kib(used.peak),
            kib(used.kept),
        ],
    );
}

/// A reason, on one line: some engines quote a pattern of thousands of characters.
fn shortened(reason: &str) -> String {
    let (most, all) = (200, reason.chars().count());
    let start: String = reason.chars().take(most).collect();
    let start = start.replace('\n', " ");
    if all > most {
        let end: String = reason.chars().skip(all - most.min(all - most)).collect();
        return format!("{start} ... {}", end.replace('\n', " "));
    }
    start
}

/// Does `work`; milliseconds, and what it asked the heap for.
fn load<T>(work: impl FnOnce() -> T) -> (T, f64, Use) {
    let ((result, used), time) = measure::timed(|| heap::measure(work));
    (result, time.as_secs_f64() * 1e3, used)
}
