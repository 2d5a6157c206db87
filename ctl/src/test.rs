//! `peewitctl test`: rules against the events that their authors keep beside them.
//!
//! Beside `NAME.toml` (or `.yml`) stand, in `NAME.test.ndjson`, ECS events, one a line. `labels.expect` says `match` or
//! `no match`, `labels.why` what the event is there for. Of a sequence an event matches that completes it.

use std::fs;
use std::path::{Path, PathBuf};

use peewit_compiler::assemble;
use peewit_compiler::rule::Rule;
use peewit_compiler::source::Sources;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::pack::{Kinds, Pack, Purpose, RuleIndex};

use crate::error::Error;
use crate::explain::explain;
use crate::pending::Pending;
use crate::record::{Malformed, Record};
use crate::rules;

#[derive(clap::Args)]
pub struct Options {
    /// Rule files, and folders of them
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<PathBuf>,
    /// Explain the verdict on this event, whatever was expected
    #[arg(long, value_name = "EVENT_ID")]
    why: Option<String>,
    /// Which fields Sigma's names stand for: a TOML file in place of the built-in table
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
    /// Fail if a rule has no events beside it
    #[arg(long)]
    strict: bool,
}

/// What came of all rules.
#[derive(Default)]
struct Tally {
    events: usize,
    wrong: usize,
    untested: usize,
    explained: usize,
}

pub fn run(options: &Options) -> Result<(), Error> {
    let sources = Sources::read(&options.rules, &rules::mapping(options.fields.as_ref())?);
    if let Some(refused) = sources.refused.first() {
        return Err(Error::whole(&refused.diagnostic));
    }
    if sources.rules.is_empty() {
        return Err(Error::new("no rules: nothing to test"));
    }
    let mut tally = Tally::default();
    for (path, rule) in &sources.rules {
        let events = path.with_extension("test.ndjson");
        if events.exists() {
            one(rule, &events, options, &mut tally)?;
        } else {
            tally.untested += 1;
            println!(
                "no events: {} is not there ({})",
                events.display(),
                rule.name
            );
        }
    }
    println!(
        "{} rules, {} events: {} not as expected; {} rules without events",
        sources.rules.len(),
        tally.events,
        tally.wrong,
        tally.untested
    );
    if let (Some(event), 0) = (&options.why, tally.explained) {
        return Err(Error::new(format_args!(
            "--why {event}: there is no such event"
        )));
    }
    if tally.wrong > 0 {
        return Err(Error::new(format_args!(
            "{} events not as expected",
            tally.wrong
        )));
    }
    if options.strict && tally.untested > 0 {
        return Err(Error::new(format_args!(
            "--strict: {} rules without events",
            tally.untested
        )));
    }
    Ok(())
}

/// Tests one rule.
fn one(rule: &Rule, path: &Path, options: &Options, tally: &mut Tally) -> Result<(), Error> {
    let bytes = assemble(std::slice::from_ref(rule), 0).map_err(Error::new)?;
    let pack = Pack::parse(&bytes).map_err(Error::new)?;
    let engine = Engine::new(pack, Limits::Upstream);
    let mut pending = Pending::new();
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    let (mut events, mut wrong) = (0, 0);
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let fail = |malformed: Malformed| malformed.at(path, number);
        let record = Record::parse(line).map_err(fail)?;
        let expected = match record.label("expect") {
            Some("match") => true,
            Some("no match") => false,
            _ => {
                let message = "labels.expect is \"match\" or \"no match\"".into();
                return Err(fail(Malformed { column: 1, message }));
            }
        };
        let found = matches(&engine, &mut pending, &record, number).map_err(fail)?;
        events += 1;
        let id = record.id(number);
        if found != expected {
            wrong += 1;
            println!(
                "{}:{}: {id}: expected {}, got {}: {}",
                path.display(),
                number + 1,
                verdict(expected),
                verdict(found),
                record
                    .label("why")
                    .unwrap_or("(labels.why does not say what it is for)"),
            );
        }
        let asked = options.why.as_deref() == Some(&*id);
        tally.explained += usize::from(asked);
        if asked || found != expected {
            println!("{} ({}) and {id}: {}", rule.name, rule.id, verdict(found));
            print!("{}", explain(rule, &record)?);
        }
    }
    println!("{}: {events} events, {wrong} not as expected", rule.name);
    tally.events += events;
    tally.wrong += wrong;
    Ok(())
}

fn verdict(found: bool) -> &'static str {
    if found { "match" } else { "no match" }
}

/// Whether an event matches; of a sequence, whether it completes it.
fn matches(
    engine: &Engine,
    pending: &mut Pending,
    record: &Record,
    number: usize,
) -> Result<bool, Malformed> {
    let view = record.view();
    let mut found: Vec<RuleIndex> = Vec::new();
    engine.evaluate(
        &mut Evaluation::new(),
        &mut record.view(),
        Kinds::ANY,
        |rule| found.push(rule),
    );
    let mut matched = false;
    // The last stage first: an event cannot follow itself.
    found.sort_unstable_by(|one, other| other.cmp(one));
    for rule in found
        .into_iter()
        .filter_map(|rule| engine.pack().rule(rule))
    {
        matched |= match rule.purpose {
            Purpose::Stage { .. } => {
                let time_ms = record.time_ms()?;
                !pending
                    .sequences(engine, &rule, &view, time_ms, number)
                    .is_empty()
            }
            _ => true,
        };
    }
    Ok(matched)
}
