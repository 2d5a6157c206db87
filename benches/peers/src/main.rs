//! peewit beside rsigma-eval, tau-engine and sigma-rust: the same rules and the same events, in one run.
//!
//! `PEEWIT_CORPORA=... PEEWIT_FIXTURES=... cargo run --release --manifest-path benches/peers/Cargo.toml` prints tables. What an
//! engine refuses is left out for it alone, and counted. Times are those of the thread, not of the clock on the wall.

mod data;
mod engine;
mod growth;
mod heap;
mod kinds;
mod loading;
mod measure;
mod peewit;
mod rsigma;
mod scaling;
mod sigma_rust;
mod table;
mod tau;
mod verdicts;

use data::{Data, Set};
use kinds::KINDS;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

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

    println!("# Engines side by side\n\nEach is given:\n");
    for kind in &KINDS {
        println!("- {}: {}", kind.name, kind.given);
    }
    let mut engines = loading::table(&sigma);
    for (name, set) in &sets {
        verdicts::table(&mut engines, name, set, &sigma);
        scaling::one_event(&mut engines, name, &set.events);
    }
    growth::ordinary(&mut engines);
    drop(engines);
    scaling::rules(&sigma, &elastic, &sets[0].1.events, folder.path());
    growth::adversarial(&sigma, folder.path());
}
