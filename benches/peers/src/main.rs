//! peewit beside rsigma-eval, tau-engine and sigma-rust: the same rules and the same events, in one run.
//!
//! `PEEWIT_CORPORA=... PEEWIT_FIXTURES=... cargo run --release --manifest-path benches/peers/Cargo.toml` prints tables. What an
//! engine refuses is left out for it alone, and counted.

mod data;
mod engine;
mod heap;
mod measure;
mod peewit;
mod rsigma;
mod sigma_rust;
mod table;
mod tau;

use std::time::Instant;

use serde_json::Value;

use data::{Data, Set};
use engine::{Engine, KINDS, RuleFile};
use heap::Use;
use table::{head, number, row};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// The longest evaluation that is waited for, in nanoseconds.
const PATIENCE: f64 = 5e9;

const SETS: [(&str, &str); 3] = [
    ("synthetic", "sigma/syn-visible"),
    ("every rule fires", "sigma/extra-visible"),
    ("recorded", "sigma/real-visible"),
];

fn main() {
    let Some(data) = Data::find() else {
        eprintln!("peewit-peers: set PEEWIT_CORPORA and PEEWIT_FIXTURES");
        std::process::exit(1);
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sigma = data.rules("sigma", "yml");
    let elastic = data.rules("elastic", "toml");
    let sets: Vec<(&str, Set)> = SETS.map(|(name, file)| (name, data.set(file))).into();

    println!("# Engines side by side");
    println!("\nEach is given:\n");
    for kind in &KINDS {
        println!("- {}: {}", kind.name, kind.given);
    }
    let mut engines = loading(&sigma);
    agreement(&mut engines, &sigma, &sets);
    events(&mut engines, &sets);
    lengths(&mut engines);
    drop(engines);
    scaling(&sigma, &elastic, &sets[0].1.events, &|count| {
        data::multiplied(&sigma, count, folder.path())
    });
    let rules = [sigma.clone(), data::adversarial_rules(folder.path())].concat();
    adversarial(&rules);
}

/// An engine with its name.
type Named = (&'static str, Box<dyn Engine>);

/// Does `work`; milliseconds, and what it asked the heap for.
fn load<T>(work: impl FnOnce() -> T) -> (T, f64, Use) {
    let start = Instant::now();
    let (result, used) = heap::measure(work);
    (result, start.elapsed().as_secs_f64() * 1e3, used)
}

fn loading(rules: &[RuleFile]) -> Vec<Named> {
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
    let print = |name: &str, rules: usize, refused: usize, ms: f64, used: Use| {
        let kib = |bytes: u64| number(bytes as f64 / 1024.0);
        row(
            name,
            &[
                rules.to_string(),
                refused.to_string(),
                format!("{ms:.2}"),
                kib(used.peak),
                kib(used.kept),
            ],
        );
    };
    let (pack, _) = peewit::pack(rules);
    let (device, ms, used) = load(|| peewit::load_pack(pack.clone()));
    print("peewit, a pack on the device", device.rules(), 0, ms, used);
    let mut engines = Vec::new();
    let mut reasons = Vec::new();
    for kind in &KINDS {
        let ((engine, refused), ms, used) = load(|| (kind.load)(rules));
        print(kind.name, engine.rules(), refused.len(), ms, used);
        reasons.extend(refused.into_iter().map(|reason| (kind.name, reason)));
        engines.push((kind.name, engine));
    }
    println!();
    for (name, reason) in reasons {
        println!("- {name} refuses: {}", reason.replace('\n', " "));
    }
    engines
}

/// How an engine's verdicts and the expected ones differ, over the rules that it took.
fn agreement(engines: &mut [Named], rules: &[RuleFile], sets: &[(&str, Set)]) {
    head(
        &format!(
            "Verdicts of {} rules against the expected ones",
            rules.len()
        ),
        &[
            "engine", "events", "set", "expected", "found", "missing", "too many",
        ],
    );
    for (name, engine) in engines {
        for (set, Set { events, golden }) in sets {
            engine.give(events);
            let (mut expected, mut found, mut missing) = (0, 0, 0);
            for (event, golden) in golden.iter().enumerate() {
                let matches = engine.matches(event);
                expected += golden.len();
                found += matches.len();
                missing += golden.iter().filter(|id| !matches.contains(id)).count();
            }
            let too_many = found + missing - expected;
            row(
                name,
                &[
                    events.len().to_string(),
                    (*set).to_owned(),
                    expected.to_string(),
                    found.to_string(),
                    missing.to_string(),
                    too_many.to_string(),
                ],
            );
        }
    }
}

fn events(engines: &mut [Named], sets: &[(&str, Set)]) {
    for (set, Set { events, .. }) in sets {
        head(
            &format!("One event, {} {set} events", events.len()),
            &[
                "engine",
                "median ns",
                "p99 ns",
                "mean ns, one after the other",
                "allocations",
                "bytes allocated",
            ],
        );
        for (name, engine) in &mut *engines {
            engine.give(events);
            let times = measure::Times::take(engine.as_mut(), events.len());
            let mean = measure::pass(engine.as_mut(), events.len());
            let ((), used) = heap::measure(|| {
                (0..events.len()).for_each(|event| {
                    engine.evaluate(event);
                });
            });
            let each = |count: u64| number(count as f64 / events.len() as f64);
            row(
                name,
                &[
                    number(times.median()),
                    number(times.p99()),
                    number(mean),
                    each(used.calls),
                    each(used.bytes),
                ],
            );
        }
    }
}

/// Times against the length of a command line. Where one took too long, longer ones are not tried.
fn growth(
    engines: &mut [Named],
    title: &str,
    sizes: &[usize],
    command_line: &dyn Fn(usize) -> String,
) {
    let names: Vec<String> = sizes
        .iter()
        .map(|size| format!("{} KiB", number(*size as f64 / 1024.0)))
        .collect();
    let mut columns = vec!["engine, ns"];
    columns.extend(names.iter().map(String::as_str));
    head(title, &columns);
    let events: Vec<Value> = sizes
        .iter()
        .map(|&size| data::exec(&command_line(size)))
        .collect();
    for (name, engine) in engines {
        engine.give(&events);
        let mut longest = 0.0_f64;
        let cells = (0..events.len()).map(|event| {
            // The next is four times as long: sixteen times the work if it is quadratic.
            if longest * 16.0 > PATIENCE {
                return "-".to_owned();
            }
            longest = measure::one(engine.as_mut(), event);
            number(longest)
        });
        let cells: Vec<String> = cells.collect();
        row(name, &cells);
    }
}

const SIZES: [usize; 5] = [512, 2 << 10, 8 << 10, 32 << 10, 128 << 10];

/// `word` again and again, `size` bytes.
fn repeated(word: &str, size: usize) -> String {
    word.chars().cycle().take(size).collect()
}

fn lengths(engines: &mut [Named]) {
    growth(
        engines,
        "An ordinary command line, longer and longer",
        &SIZES,
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

fn scaling(
    sigma: &[RuleFile],
    elastic: &[RuleFile],
    events: &[Value],
    rules: &dyn Fn(usize) -> Vec<RuleFile>,
) {
    let counts = [1, 10, 100, sigma.len(), 400];
    let names = counts.map(|count| count.to_string());
    let mut columns = vec!["engine, rules:"];
    columns.extend(names.iter().map(String::as_str));
    head(
        &format!(
            "Mean ns of the synthetic events against the number of rules (beyond {}: copies with other values)",
            sigma.len()
        ),
        &columns,
    );
    let time = |mut engine: Box<dyn Engine>| {
        engine.give(events);
        measure::pass(engine.as_mut(), events.len())
    };
    for kind in &KINDS {
        let cells = counts.map(|count| number(time((kind.load)(&rules(count)).0)));
        row(kind.name, &cells);
    }
    let all = [sigma, elastic].concat();
    let (engine, refused) = peewit::load(&all);
    println!(
        "\npeewit with all {} Sigma and Elastic rules ({} refused; {} conditions): {} ns",
        all.len(),
        refused.len(),
        engine.rules(),
        number(time(engine))
    );
}

fn adversarial(rules: &[RuleFile]) {
    let mut engines: Vec<Named> = KINDS
        .iter()
        .map(|kind| (kind.name, (kind.load)(rules).0))
        .collect();
    let near = data::near_words(rules).join(" ");
    println!(
        "\nThe same rules, and six more with patterns of many stars, long repeats and a regex:"
    );
    growth(&mut engines, "Adversarial: the letter a", &SIZES, &|size| {
        repeated("a", size)
    });
    growth(
        &mut engines,
        "Adversarial: the letters a and b",
        &SIZES,
        &|size| repeated("ab", size),
    );
    growth(
        &mut engines,
        "Adversarial: one-letter arguments",
        &SIZES,
        &|size| repeated("a ", size),
    );
    growth(
        &mut engines,
        "Adversarial: what the rules look for, each without its end",
        &SIZES,
        &|size| repeated(&near, size),
    );
}
