//! B5: all rules of the corpora together, one event each, beside the default pack in the same run.
//!
//! `PEEWIT_CORPORA=... PEEWIT_FIXTURES=... cargo bench -p peewit-benches --bench corpora`. Events are in memory before the
//! time is taken; what is the same for all events or concerns the parent is there as facts, as on a device. Then the time
//! against the length of the arguments.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use peewit_compiler::assemble;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::event::{Event, Values};
use peewit_core::field::{Cost, Field, FieldSet, Type};
use peewit_core::pack::{Kinds, Pack};
use peewit_core::packed::Packer;
use serde_json::Value;

/// Evaluations of one event that are timed together.
const BATCH: u32 = 32;
/// Of so many batches the fastest counts: what disturbs only makes slower.
const ROUNDS: usize = 7;

/// An event's values.
#[derive(Default)]
struct Recorded {
    strings: BTreeMap<Field, Vec<Vec<u8>>>,
    numbers: BTreeMap<Field, i64>,
}

impl Recorded {
    fn new(line: &str) -> Self {
        let event: Value = serde_json::from_str(line).expect("an event is JSON");
        let mut recorded = Self::default();
        for &field in Field::ALL {
            let pointer = format!("/{}", field.name().replace('.', "/"));
            let values = match event.pointer(&pointer) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(values)) => values.clone(),
                Some(value) => vec![value.clone()],
            };
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if field.ty() == Type::Number {
                let number = match values.first() {
                    Some(Value::Bool(set)) => Some(i64::from(*set)),
                    Some(value) => text(value).parse().ok(),
                    None => None,
                };
                recorded
                    .numbers
                    .extend(number.map(|number| (field, number)));
            } else {
                let strings = values.iter().map(|value| text(value).into_bytes());
                recorded.strings.insert(field, strings.collect());
            }
        }
        recorded
    }
}

/// The same, ready to be asked.
struct Asked<'r> {
    strings: [Vec<&'r [u8]>; Field::COUNT],
    numbers: [Option<i64>; Field::COUNT],
    block: Vec<u8>,
    /// What holds of the fields of each cost that a device knows before the event.
    facts: [Option<Packer<2048>>; KNOWN.len()],
}

impl<'r> Asked<'r> {
    fn new(recorded: &'r Recorded) -> Self {
        let args = recorded.strings.get(&Field::ProcessArgs);
        Self {
            strings: std::array::from_fn(|number| {
                let values = recorded.strings.get(&Field::ALL[number]);
                values.into_iter().flatten().map(Vec::as_slice).collect()
            }),
            numbers: std::array::from_fn(|number| {
                recorded.numbers.get(&Field::ALL[number]).copied()
            }),
            block: args
                .into_iter()
                .flatten()
                .flat_map(|arg| arg.iter().copied().chain([0]))
                .collect(),
            facts: [const { None }; KNOWN.len()],
        }
    }
}

/// What a device knows before the event: what is the same for all, and what was found when the parent exec'd.
const KNOWN: [Cost; 2] = [Cost::Constant, Cost::Lineage];

impl Event for Asked<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        let place = usize::from(field.number());
        let mut known = KNOWN.iter().zip(&self.facts);
        if let Some((_, Some(facts))) = known.find(|(cost, _)| **cost == field.cost()) {
            return Values::Facts(facts.list());
        }
        if let Some(number) = self.numbers[place] {
            return Values::Number(number);
        }
        match self.strings[place].as_slice() {
            [] => Values::Missing,
            _ if field == Field::ProcessArgs => Values::Block(&self.block),
            [value] => Values::One(value),
            values => Values::Many(values),
        }
    }
}

/// Rules as a pack.
fn compile(paths: &[PathBuf]) -> (Vec<u8>, usize) {
    let sources = Sources::read(paths, &Mapping::default());
    for refused in &sources.refused {
        eprintln!("not taken: {}", refused.diagnostic.line());
    }
    let rules: Vec<_> = sources.rules.into_iter().map(|(_, rule)| rule).collect();
    (assemble(&rules, 0).expect("one pack"), rules.len())
}

/// Nanoseconds for each event, and how many rules hold for it.
fn time(engine: &Engine, events: &[Recorded]) -> Vec<(f64, usize)> {
    let same = FieldSet::of_cost(Cost::Constant);
    let mut evaluation = Evaluation::new();
    let mut one = |event: &Recorded| {
        let mut asked = Asked::new(event);
        evaluation.clear();
        let facts = KNOWN.map(|cost| {
            let mut facts = Packer::new();
            let fields = FieldSet::of_cost(cost);
            engine
                .facts(&mut evaluation, &mut asked, fields, &mut facts)
                .expect("few facts");
            Some(facts)
        });
        asked.facts = facts;
        let mut found = 0;
        let best = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            for _ in 0..BATCH {
                found = 0;
                evaluation.clear_but(same);
                engine.evaluate(&mut evaluation, black_box(&mut asked), Kinds::EXEC, |_| {
                    found += 1
                });
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
        });
        (best.fold(f64::INFINITY, f64::min), found)
    };
    events.iter().map(&mut one).collect()
}

fn report(name: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        times.get(index).or(times.last()).copied().unwrap_or(0.0)
    };
    println!(
        "{name:<44} {:>6} events  median {:>6.0} ns  p99 {:>6.0} ns  max {:>6.0} ns",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// An exec with these arguments.
fn with_args(word: &str, len: usize) -> Recorded {
    let text: Vec<u8> = word.bytes().cycle().take(len).collect();
    let mut recorded = Recorded::default();
    for (field, value) in [
        (Field::HostOsType, "linux"),
        (Field::EventKind, "event"),
        (Field::EventCategory, "process"),
        (Field::EventType, "start"),
        (Field::EventAction, "exec"),
        (Field::ProcessExecutable, "/usr/bin/bash"),
        (Field::ProcessName, "bash"),
        (Field::ParentExecutable, "/usr/bin/dash"),
        (Field::ParentName, "dash"),
    ] {
        recorded.strings.insert(field, vec![value.into()]);
    }
    let args = vec![b"bash".to_vec(), b"-c".to_vec(), text];
    recorded
        .strings
        .insert(Field::ProcessCommandLine, vec![args.join(&b' ')]);
    recorded.strings.insert(Field::ProcessArgs, args);
    recorded.numbers.insert(Field::ProcessArgsCount, 3);
    recorded
}

fn main() {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    let (Some(corpora), Some(fixtures)) = (folder("PEEWIT_CORPORA"), folder("PEEWIT_FIXTURES"))
    else {
        println!("corpora: needs PEEWIT_CORPORA and PEEWIT_FIXTURES");
        return;
    };
    let (default, default_count) =
        compile(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")]);
    let (all, all_count) = compile(&[corpora.join("elastic"), corpora.join("sigma")]);
    println!(
        "default pack: {default_count} rules, {} bytes; corpora: {all_count} rules, {} bytes",
        default.len(),
        all.len()
    );
    let engine = |pack| Engine::new(Pack::parse(pack).expect("a pack"), Limits::Device);
    let (default, all) = (engine(&default), engine(&all));

    for set in [
        "elastic/events-visible",
        "sigma/syn-visible",
        "sigma/extra-visible",
        "sigma/real-visible",
    ] {
        let text = fs::read_to_string(fixtures.join(set).with_extension("ndjson"))
            .expect("a file of events");
        let events: Vec<Recorded> = text.lines().map(Recorded::new).collect();
        let (by_default, by_all) = (time(&default, &events), time(&all, &events));
        report(
            &format!("{set}, default pack"),
            by_default.iter().map(|(ns, _)| *ns).collect(),
        );
        report(
            &format!("{set}, corpora"),
            by_all.iter().map(|(ns, _)| *ns).collect(),
        );
        let nothing = by_default
            .iter()
            .zip(&by_all)
            .filter(|(_, (_, found))| *found == 0);
        let (default, all): (Vec<f64>, Vec<f64>) =
            nothing.map(|(one, other)| (one.0, other.0)).unzip();
        report(&format!("{set}, no match, default pack"), default);
        report(&format!("{set}, no match, corpora"), all);
    }

    if env::var_os("SHORT").is_some() {
        return;
    }
    println!("\ntime against the length of the arguments, us and ns a byte");
    for word in [
        "a",
        "echo hello; ls -l /usr/share ",
        "/var/tmp/",
        "curl -k http",
        "-e",
    ] {
        let mut line = format!("{word:<30}");
        for kib in [1, 2, 4, 8, 16, 32, 64, 128] {
            let [(ns, _)] = time(&all, &[with_args(word, kib << 10)])[..] else {
                return;
            };
            line += &format!(
                " {kib:>4} KiB {:>7.1} {:>4.1}",
                ns / 1e3,
                ns / (kib << 10) as f64
            );
        }
        println!("{line}");
    }
}
