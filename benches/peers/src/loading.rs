//! What it takes to load rules.

use std::collections::BTreeMap;

use crate::engine::{Engine, KINDS, Loaded, RuleFile};
use crate::heap::{self, Use};
use crate::measure;
use crate::peewit;
use crate::table::{head, number, row};

/// An engine that was loaded.
pub struct Loading {
    /// Its name.
    pub name: &'static str,
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// The ids of the rules that it did not take.
    pub refused: Vec<String>,
}

impl Loading {
    /// Remembers which rules were refused.
    pub fn new(name: &'static str, (engine, refused): Loaded, rules: &[RuleFile]) -> Self {
        let files = rules
            .iter()
            .filter(|rule| refused.iter().any(|refused| refused.path == rule.path));
        Self {
            name,
            engine,
            refused: files.map(|rule| rule.id().to_owned()).collect(),
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
    let (device, ms, used) = load(|| peewit::load_pack(pack.clone()));
    print(
        "peewit, the pack on a device",
        device.rules(),
        refused.len(),
        ms,
        used,
    );
    let mut engines = Vec::new();
    let mut reasons = BTreeMap::new();
    for kind in &KINDS {
        let (loaded, ms, used) = load(|| (kind.load)(rules));
        print(kind.name, loaded.0.rules(), loaded.1.len(), ms, used);
        for refused in &loaded.1 {
            let reason = refused.reason.replace('\n', " ");
            *reasons.entry((kind.name, reason)).or_insert(0) += 1;
        }
        engines.push(Loading::new(kind.name, loaded, rules));
    }
    println!();
    for ((name, reason), count) in reasons {
        println!("- {name} refuses {count}: {reason}");
    }
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

/// Does `work`; milliseconds, and what it asked the heap for.
fn load<T>(work: impl FnOnce() -> T) -> (T, f64, Use) {
    let ((result, used), time) = measure::timed(|| heap::measure(work));
    (result, time.as_secs_f64() * 1e3, used)
}
