//! `peewitctl replay`

mod novelty;
mod record;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use peewit_core::ecs;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::field::Field;
use peewit_core::pack::{Kinds, Pack, RuleIndex};

use crate::error::Error;
use crate::rules;
use novelty::Novelty;
use record::{Malformed, Record};

/// An alert's tuples of new terms at most: values of several fields multiply.
const MAX_TUPLES: usize = 4096;

#[derive(clap::Args)]
pub struct Options {
    /// A pack, or rule files and folders
    #[arg(long, required = true, num_args = 1.., value_name = "PACK_OR_RULES")]
    rules: Vec<PathBuf>,
    /// Print for every event which rules' queries match, before novelty
    #[arg(long)]
    verdicts: bool,
    /// When a term counts as new
    #[arg(long, value_enum, default_value_t = NoveltyForm::Device)]
    novelty: NoveltyForm,
    /// ECS process events, one JSON object a line; - for standard input
    #[arg(value_name = "EVENTS.ndjson")]
    events: Option<PathBuf>,
}

impl Options {
    /// The rules and the events. With no option between them, `--rules` has taken the events too.
    fn paths(&self) -> Result<(&[PathBuf], &Path), Error> {
        match (&self.events, self.rules.split_last()) {
            (Some(events), _) => Ok((&self.rules, events)),
            (None, Some((events, rules))) if !rules.is_empty() => Ok((rules, events)),
            _ => Err(Error::new(
                "no events: name a file, or - for standard input",
            )),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum NoveltyForm {
    /// As a device says: when it was not seen for longer than the rule's window
    Device,
    /// As scheduled runs of the upstream rule say, each with its look-back
    Streaming,
}

/// A match: an event and a rule.
struct Match<'t> {
    line: &'t str,
    number: usize,
    rule: RuleIndex,
    time_ms: u64,
}

/// Nothing is printed before the whole input has been read: a bad line leaves nothing half done.
pub fn run(options: &Options) -> Result<(), Error> {
    let (rule_paths, events) = options.paths()?;
    let pack = rules::load(rule_paths)?;
    let pack = Pack::parse(&pack).map_err(|error| Error::file(&rule_paths[0], error))?;
    let engine = Engine::new(pack, Limits::Upstream);
    let text = read(events)?;
    let progress = progress_bar(text.len());
    let mut output = Vec::new();
    let mut matches = Vec::new();
    let mut first_ms: Option<u64> = None;
    let mut evaluation = Evaluation::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        progress.inc(line.len() as u64 + 1);
        let fail = |malformed: Malformed| at_line(events, number, malformed);
        let record = Record::parse(line).map_err(fail)?;
        let mut rules: Vec<RuleIndex> = Vec::new();
        evaluation.clear();
        engine.evaluate(&mut evaluation, &mut record.view(), Kinds::ANY, |rule| {
            rules.push(rule)
        });
        if options.verdicts {
            let ids: BTreeSet<&str> = rules
                .iter()
                .filter_map(|&rule| Some(pack.rule(rule)?.id))
                .collect();
            let id = record.id(number);
            writeln!(
                output,
                "{{\"event.id\":{},\"rules\":{}}}",
                serde_json::json!(id),
                serde_json::json!(ids)
            )
            .map_err(|error| Error::output(&error))?;
        } else {
            let time_ms = record.time_ms().map_err(fail)?;
            first_ms = Some(first_ms.map_or(time_ms, |first| first.min(time_ms)));
            matches.extend(rules.into_iter().map(|rule| Match {
                line,
                number,
                rule,
                time_ms,
            }));
        }
    }
    if !options.verdicts {
        // Stable: ties stay in the order of the input.
        matches.sort_by_key(|found| found.time_ms);
        let mut novelty = Novelty::new(options.novelty, first_ms.unwrap_or(0));
        for found in &matches {
            alert(&engine, found, &mut novelty, &mut output)
                .map_err(|malformed| at_line(events, found.number, malformed))?;
        }
        if novelty.forgotten() > 0 {
            eprintln!(
                "warning: {} terms were forgotten for want of room; they may have been reported again",
                novelty.forgotten()
            );
        }
    }
    progress.finish_and_clear();
    let mut stdout = BufWriter::new(io::stdout().lock());
    stdout
        .write_all(&output)
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::output(&error))
}

/// Writes the alerts that a match gives: one for a `query` rule, one for each new term for the others.
fn alert(
    engine: &Engine,
    found: &Match,
    novelty: &mut Novelty,
    output: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let Some(rule) = engine.pack().rule(found.rule) else {
        return Ok(());
    };
    let record = Record::parse(found.line)?;
    let view = record.view();
    let mut tuples: Vec<Vec<Vec<u8>>> = Vec::new();
    if rule.keys.is_empty() {
        tuples.push(Vec::new());
    } else {
        engine.terms(&rule, &view, MAX_TUPLES, |tuple| {
            if novelty.is_new(&rule, tuple, found.time_ms) {
                tuples.push(tuple.iter().map(|value| value.to_vec()).collect());
            }
        });
    }
    let mut evaluation = Evaluation::new();
    let args: Vec<&[u8]> = record.strings(Field::ProcessArgs);
    let matched_arg = engine.matched_arg(&mut evaluation, &rule, args.into_iter());
    for tuple in &tuples {
        let block = record.block(Field::ProcessArgs);
        let alert = record.alert(&rule, tuple, matched_arg, &block, found.time_ms);
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = ecs::write_alert(
            &mut line,
            None,
            &alert,
            Some(&record.id(found.number)),
            Some(rule.name),
        );
        output.extend(line.bytes());
        output.push(b'\n');
    }
    Ok(())
}

fn at_line(path: &Path, number: usize, malformed: Malformed) -> Error {
    Error::new(format_args!(
        "{}:{}:{}: {}",
        path.display(),
        number + 1,
        malformed.column,
        malformed.message
    ))
}

fn read(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    result.map_err(|error| Error::file(path, error))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let number = before.iter().filter(|&&byte| byte == b'\n').count();
        let column = String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1;
        at_line(
            path,
            number,
            Malformed {
                column,
                message: "not UTF-8".into(),
            },
        )
    })
}

/// Drawn only on a terminal, and only if it takes long enough to be read.
fn progress_bar(bytes: usize) -> ProgressBar {
    if !io::stderr().is_terminal() || bytes < 8 << 20 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left");
    ProgressBar::new(bytes as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
