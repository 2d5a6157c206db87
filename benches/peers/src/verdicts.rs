//! Whether engines say what was expected of the rules that they took.

use crate::data::Set;
use crate::engine::RuleFile;
use crate::loading::Loading;
use crate::table::{head, row};

/// Prints how many verdicts differ.
pub fn table(
    engines: &mut [Loading],
    name: &str,
    Set { events, golden }: &Set,
    rules: &[RuleFile],
) {
    head(
        &format!("Verdicts, {} {name} events", events.len()),
        &[
            "engine",
            "rules",
            "expected matches",
            "found",
            "missing",
            "too many",
        ],
    );
    for loading in engines {
        loading.engine.give(events);
        let (mut expected, mut found, mut missing) = (0, 0, 0);
        for (event, golden) in golden.iter().enumerate() {
            let matches = loading.engine.matches(event);
            for id in golden.iter().filter(|id| loading.took(id)) {
                expected += 1;
                missing += usize::from(!matches.contains(id));
            }
            found += matches.len();
        }
        let counts = [
            rules.len() - loading.refused.len(),
            expected,
            found,
            missing,
            found + missing - expected,
        ];
        row(loading.name, &counts.map(|count| count.to_string()));
    }
}
