//! Compares `peewitctl replay` with the naive evaluator on made-up rules and events.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use peewit_oracle::differential::{self, Plan, Report};
use peewit_oracle::product::Product;
use peewit_oracle::rule::{self, Body, Rule};

/// Gives mutated rules and events near to them to `peewitctl replay`, and compares its verdicts with those of a
/// naive evaluator. Ends with 1 at a disagreement, which it prints, made small.
#[derive(Parser)]
struct Options {
    /// The program to test.
    #[arg(long, default_value = "target/release/peewitctl")]
    ctl: PathBuf,
    /// Pairs of an event and a rule.
    #[arg(long, default_value_t = 10_000_000)]
    pairs: usize,
    /// The same seed gives the same rules and events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rules of a round.
    #[arg(long, default_value_t = 60)]
    rules: usize,
    /// Events of a round.
    #[arg(long, default_value_t = 2000)]
    events: usize,
    /// Ends with the round in which there are so many disagreements.
    #[arg(long, default_value_t = 1)]
    disagreements: usize,
    /// Languages: kql, eql, sigma.
    #[arg(long, value_delimiter = ',', default_value = "kql,eql,sigma")]
    language: Vec<String>,
    /// Folders of the published rules that the mutations begin with.
    #[arg(required = true)]
    published: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let mut published: Vec<Rule> = Vec::new();
    for folder in &options.published {
        published.extend(rule::load(folder)?);
    }
    published.retain(|rule| {
        let language = match rule.body {
            Body::Kql(..) => "kql",
            Body::Eql(..) => "eql",
            Body::Sigma(..) => "sigma",
        };
        options.language.iter().any(|wanted| wanted == language)
    });
    if published.is_empty() {
        return Err("no rules".to_owned());
    }
    let plan = Plan {
        seed: options.seed,
        pairs: options.pairs,
        rules: options.rules,
        events: options.events,
        disagreements: options.disagreements,
    };
    let product = Product {
        path: options.ctl.clone(),
    };
    let start = Instant::now();
    let report = differential::run(&product, &published, plan, &mut |report| {
        eprint!("\r{} pairs", report.pairs);
    })?;
    eprintln!();
    print(&report, start.elapsed().as_secs_f64());
    Ok(report.disagreements.is_empty())
}

fn print(report: &Report, seconds: f64) {
    for disagreement in &report.disagreements {
        println!("{disagreement}");
    }
    let refused: usize = report.refused.values().sum();
    println!(
        "{} pairs, {} of them match, {} rules, {} alerts, {seconds:.0} s, {} disagreements",
        report.pairs,
        report.hits,
        report.rules,
        report.alerts,
        report.disagreements.len()
    );
    println!("{refused} rules were not taken");
    for (reason, count) in &report.refused {
        println!("  {count} {reason}");
    }
}
