//! `peewitctl replay`

mod novelty;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use peewit_compiler::source::Sources;
use peewit_core::ecs::{self, Recorded};
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::field::Field;
use peewit_core::pack::{Kinds, MAX_TEXTS, Pack, Purpose, RuleIndex};

use crate::error::Error;
use crate::explain::explain;
use crate::pending::{MAX_TUPLES, Pending};
use crate::record::{Malformed, Record};
use crate::rules;
use novelty::Novelty;

#[derive(clap::Args)]
pub struct Options {
    /// A pack, or rule files and folders
    #[arg(long, required = true, num_args = 1.., value_name = "PACK_OR_RULES")]
    rules: Vec<PathBuf>,
    /// Print for every event which rules' queries match, before novelty
    #[arg(long)]
    verdicts: bool,
    /// Explain, predicate by predicate, the verdict of each rule on this event, and nothing else
    #[arg(long, value_name = "EVENT_ID", conflicts_with = "verdicts")]
    why: Option<String>,
    /// Which fields Sigma's names stand for: a TOML file in place of the built-in table
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
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
    let mapping = rules::mapping(options.fields.as_ref())?;
    if let Some(event) = &options.why {
        return why(rules::sources(rule_paths, &mapping)?, events, event);
    }
    let pack = rules::load(rule_paths, &mapping)?;
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
        let fail = |malformed: Malformed| malformed.at(events, number);
        let record = Record::parse(line).map_err(fail)?;
        let mut rules: Vec<RuleIndex> = Vec::new();
        evaluation.clear();
        engine.evaluate(&mut evaluation, &mut record.view(), Kinds::ANY, |rule| {
            rules.push(rule)
        });
        if options.verdicts {
            let ids: BTreeSet<String> = rules
                .iter()
                .filter_map(|&rule| pack.rule(rule))
                // A stage that matches says nothing of its sequence yet.
                .filter(|rule| !matches!(rule.purpose, Purpose::Stage { .. }))
                .map(|rule| rule.id.to_string())
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
            // Of a sequence the last stage first: an event cannot follow itself.
            rules.sort_by_key(|&rule| Reverse(rule));
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
        let mut state = State {
            novelty: Novelty::new(options.novelty, first_ms.unwrap_or(0)),
            pending: Pending::new(),
        };
        for number in 0..matches.len() {
            alert(&engine, &matches, number, &mut state, &mut output)
                .map_err(|malformed| malformed.at(events, matches[number].number))?;
        }
        state.warn();
    }
    progress.finish_and_clear();
    let mut stdout = BufWriter::new(io::stdout().lock());
    stdout
        .write_all(&output)
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::output(&error))
}

/// Explains what the rules say of one event.
fn why(sources: Sources, events: &Path, id: &str) -> Result<(), Error> {
    let text = read(events)?;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record = Record::parse(line).map_err(|malformed| malformed.at(events, number))?;
        if record.id(number) == id {
            for (_, rule) in &sources.rules {
                println!("{} ({})", rule.name, rule.id);
                print!("{}", explain(rule, &record)?);
            }
            return Ok(());
        }
    }
    let events = events.display();
    Err(Error::new(format_args!(
        "--why {id}: no such event in {events}"
    )))
}

/// What matches of earlier events left.
struct State {
    novelty: Novelty,
    pending: Pending,
}

impl State {
    /// Says what there was no room for.
    fn warn(&self) {
        if self.novelty.forgotten() > 0 {
            eprintln!(
                "warning: {} terms were forgotten for want of room; they may have been reported again",
                self.novelty.forgotten()
            );
        }
        if self.pending.forgotten() > 0 {
            eprintln!(
                "warning: {} events were forgotten for want of room; sequences or thresholds may not have been reported",
                self.pending.forgotten()
            );
        }
    }
}

/// Writes the alerts that match `number` gives: one for a `query` rule, one for each new term, for each sequence that it
/// completes, for each threshold that it reaches.
fn alert(
    engine: &Engine,
    matches: &[Match],
    number: usize,
    state: &mut State,
    output: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let found = &matches[number];
    let Some(rule) = engine.pack().rule(found.rule) else {
        return Ok(());
    };
    let record = Record::parse(found.line)?;
    let view = record.view();
    // For each alert its new terms and the events of its sequence.
    let mut alerts: Vec<(Vec<Vec<u8>>, Vec<usize>)> = Vec::new();
    match rule.purpose {
        Purpose::Query => alerts.push(Default::default()),
        Purpose::NewTerms { .. } => engine.terms(&rule, &view, MAX_TUPLES, |tuple| {
            if state.novelty.is_new(&rule, tuple, found.time_ms) {
                let tuple = tuple.iter().map(|value| value.to_vec()).collect();
                alerts.push((tuple, Vec::new()));
            }
        }),
        Purpose::Threshold { .. } => {
            let reached = state
                .pending
                .thresholds(engine, &rule, &view, found.time_ms);
            alerts.resize_with(reached, Default::default);
        }
        Purpose::Stage { .. } => {
            let completed = state
                .pending
                .sequences(engine, &rule, &view, found.time_ms, number);
            alerts.extend(completed.into_iter().map(|events| (Vec::new(), events)));
        }
    }
    let mut evaluation = Evaluation::new();
    let args: Vec<&[u8]> = record.strings(Field::ProcessArgs);
    let matched_arg = engine.matched_arg(&mut evaluation, &rule, args.into_iter());
    let mut room = [0; MAX_TEXTS];
    let pack = engine.pack();
    let about = pack.info(&rule, &mut room);
    let block = record.block(Field::ProcessArgs);
    for (tuple, events) in &alerts {
        let ids = events.iter().map(|&event| {
            let Match { line, number, .. } = matches[event];
            Ok(Record::parse(line)?.id(number).into_owned())
        });
        let ids = ids.collect::<Result<Vec<String>, Malformed>>()?;
        let ids: Vec<&[u8]> = ids.iter().map(String::as_bytes).collect();
        let alert = record.alert(&rule, tuple, matched_arg, &block, found.time_ms);
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = ecs::write_alert(
            &mut line,
            None,
            &alert,
            Some(&Recorded {
                event_id: &record.id(found.number),
                sequence: &ids,
            }),
            Some(&about),
        );
        output.extend(line.bytes());
        output.push(b'\n');
    }
    Ok(())
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
        let message = "not UTF-8".into();
        Malformed { column, message }.at(path, number)
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
