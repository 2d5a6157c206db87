//! The time for an event against its length.

use std::path::Path;

use serde_json::Value;

use crate::data;
use crate::engine::RuleFile;
use crate::kinds::KINDS;
use crate::loading::Loading;
use crate::measure;
use crate::table::{head, number, row};

/// Lengths of command lines.
const SIZES: [usize; 5] = [512, 2 << 10, 8 << 10, 32 << 10, 128 << 10];

/// The longest evaluation that is waited for, in nanoseconds.
const PATIENCE: f64 = 5e9;

/// What an administrator may type.
pub fn ordinary(engines: &mut [Loading]) {
    table(
        engines,
        "An ordinary command line, longer and longer: ns",
        &|size| {
            let words = (0..).map(|number| format!(" --input=/srv/data/part-{number:05}.csv"));
            let mut line = String::from("convert");
            for word in words {
                if line.len() + word.len() > size {
                    break;
                }
                line.push_str(&word);
            }
            line
        },
    );
}

/// What somebody may type who knows the rules and how engines search, with rules added that are much work for
/// those who search by trying.
pub fn adversarial(sigma: &[RuleFile], folder: &Path) {
    let rules = [sigma, &data::adversarial_rules(folder)].concat();
    let mut engines = Vec::new();
    println!();
    for kind in &KINDS {
        let loading = Loading::new(kind.name, (kind.load)(&rules), &rules);
        loading.print_refused();
        engines.push(loading);
    }
    let near = data::near_words(sigma).join(" ");
    for (title, word) in [
        ("the letter a", "a"),
        ("the letters a and b", "ab"),
        ("one-letter arguments", "a "),
        (
            "what the rules look for, each without its end",
            near.as_str(),
        ),
    ] {
        let title = format!(
            "Adversarial: {title}: ns, with {} more rules",
            rules.len() - sigma.len()
        );
        table(&mut engines, &title, &|size| {
            word.chars().cycle().take(size).collect()
        });
    }
}

/// Times against lengths. Where one took too long, longer ones are not tried.
fn table(engines: &mut [Loading], title: &str, command_line: &dyn Fn(usize) -> String) {
    let names = SIZES.map(|size| format!("{} KiB", number(size as f64 / 1024.0)));
    let mut columns = vec!["engine"];
    columns.extend(names.iter().map(String::as_str));
    head(title, &columns);
    let events: Vec<Value> = SIZES
        .iter()
        .map(|&size| data::exec(&command_line(size)))
        .collect();
    for Loading { name, engine, .. } in engines {
        engine.give(&events);
        let mut last = 0.0_f64;
        let cells = (0..events.len()).map(|event| {
            // The next is four times as long: sixteen times the work if it is quadratic.
            if last * 16.0 > PATIENCE {
                return "-".to_owned();
            }
            last = measure::one(engine.as_mut(), event);
            number(last)
        });
        row(name, &cells.collect::<Vec<_>>());
    }
}
