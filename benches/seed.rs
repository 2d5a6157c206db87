//! B4: one exec event through the seed rule, beside the same pattern lists in `globset` and in a plain loop
//! over star patterns.
//!
//! `cargo bench -p peewit-benches --bench seed`. The times are for one event each. Core and this package are
//! compiled at the sensor's own opt-level, `globset` at 3.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use peewit_compiler::assemble;
use peewit_compiler::expr::{Atom, Node, Test, Token};
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::event::{Block, Event, Values, base_name};
use peewit_core::field::{Field, FieldSet};
use peewit_core::pack::{Kinds, Pack};
use peewit_core::packed::{Packed, Packer};

/// Executable, arguments, parent's executable: what an appliance runs all day, and each way in which
/// an event can come close to the rule.
const EVENTS: [(&str, &[&str], &str); 12] = [
    ("/usr/bin/ls", &["ls", "-l", "/var/log"], "/usr/bin/bash"),
    (
        "/usr/bin/grep",
        &["grep", "-q", "root", "/etc/passwd"],
        "/usr/bin/dash",
    ),
    (
        "/usr/bin/dash",
        &["/bin/sh", "-c", "/usr/lib/update-notifier/check >/dev/null"],
        "/usr/sbin/cron",
    ),
    (
        "/usr/bin/sed",
        &["sed", "s/a/b/", "-i", "/etc/config/network"],
        "/usr/bin/dash",
    ),
    (
        "/usr/sbin/iptables",
        &[
            "iptables",
            "-t",
            "nat",
            "-A",
            "POSTROUTING",
            "-j",
            "MASQUERADE",
        ],
        "/usr/sbin/netd",
    ),
    (
        "/opt/app/bin/worker",
        &["worker", "--queue", "default", "--threads", "4"],
        "/opt/app/bin/supervisor",
    ),
    ("/usr/bin/id", &["id"], "/usr/bin/bash"),
    ("/usr/bin/cat", &["cat", "/proc/loadavg"], "/usr/bin/top"),
    (
        "/tmp/x/updater",
        &["./updater", "--check"],
        "/tmp/x/dropper",
    ),
    ("/usr/bin/xargs", &["xargs", "ls"], "/usr/bin/find"),
    (
        "/home/user/.cache/agent",
        &["agent", "whoami"],
        "/usr/bin/bash",
    ),
    ("/tmp/x/implant", &["implant", "id"], "/tmp/x/dropper"),
];

/// Places in [`EVENTS`] that match.
const MATCHING: [usize; 1] = [11];

/// An event as the sensor has it: arguments as a block, what is constant and what concerns the
/// parent as facts.
struct Captured<'a> {
    executable: &'a [u8],
    args: &'a [u8],
    constants: Packed<'a>,
    parent: Parent<'a>,
}

#[derive(Clone, Copy)]
enum Parent<'a> {
    Facts(Packed<'a>),
    Path(&'a [u8]),
}

impl Event for Captured<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        match (field, self.parent) {
            (Field::ProcessExecutable, _) => Values::One(self.executable),
            (Field::ProcessName, _) => Values::One(base_name(self.executable)),
            (Field::ProcessArgs, _) => Values::Block(self.args),
            (Field::ProcessCommandLine, _) => Values::Joined(self.args),
            (Field::ParentExecutable | Field::ParentName, Parent::Facts(facts)) => {
                Values::Facts(facts)
            }
            (Field::ParentExecutable, Parent::Path(path)) => Values::One(path),
            (Field::ParentName, Parent::Path(path)) => Values::One(base_name(path)),
            _ => Values::Facts(self.constants),
        }
    }
}

/// The constant fields of an exec event, as strings.
struct Constants;

impl Event for Constants {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        Values::One(match field {
            Field::HostOsType => b"linux",
            Field::EventCategory => b"process",
            Field::EventAction => b"exec",
            _ => return Values::Missing,
        })
    }
}

/// The fields in which one exec event is like another: the sensor does not evaluate them again.
const SAME: FieldSet = FieldSet::of(&[Field::HostOsType, Field::EventCategory, Field::EventAction]);

/// Owned parts of an event.
struct Owned {
    executable: &'static [u8],
    args: Vec<u8>,
    parent: &'static [u8],
    parent_facts: Packer<64>,
}

/// One of the rule's lists of patterns, as another engine holds it.
trait List {
    fn new(patterns: &[String]) -> Self;
    fn matches(&self, value: &[u8]) -> bool;
}

impl List for GlobSet {
    fn new(patterns: &[String]) -> Self {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            builder.add(
                GlobBuilder::new(pattern)
                    .literal_separator(false)
                    .backslash_escape(false)
                    .build()
                    .expect("a glob"),
            );
        }
        builder.build().expect("a set of globs")
    }

    fn matches(&self, value: &[u8]) -> bool {
        self.is_match(Path::new(OsStr::from_bytes(value)))
    }
}

/// A hash set for exact words, and for the others the usual loop that goes back to the last star.
struct StarLoop {
    exact: HashSet<Vec<u8>>,
    stars: Vec<Vec<u8>>,
}

impl List for StarLoop {
    fn new(patterns: &[String]) -> Self {
        let (stars, exact): (Vec<_>, Vec<_>) = patterns
            .iter()
            .cloned()
            .map(String::into_bytes)
            .partition(|pattern| pattern.contains(&b'*'));
        Self {
            exact: exact.into_iter().collect(),
            stars,
        }
    }

    fn matches(&self, value: &[u8]) -> bool {
        self.exact.contains(value) || self.stars.iter().any(|pattern| star(pattern, value))
    }
}

fn star(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            back = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((after, start)) = back {
            // All of the rest matches a star at the end.
            if after == pattern.len() {
                return true;
            }
            p = after;
            t = start + 1;
            back = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The seed rule's condition over lists of another engine, cheapest and rarest clause first as in ours.
struct Peer<L> {
    executable: L,
    not_executable: L,
    args: L,
    not_name: L,
    not_parent: L,
}

impl<L: List> Peer<L> {
    fn new(condition: &Node) -> Self {
        let mut lists: Vec<(Field, Vec<String>)> = Vec::new();
        condition.atoms(&mut |Atom { field, tests }| {
            lists.push((*field, tests.iter().map(text).collect()));
        });
        let list = |field: Field, size: usize| {
            let found = lists
                .iter()
                .find(|(other, patterns)| *other == field && patterns.len() == size);
            L::new(
                &found
                    .unwrap_or_else(|| panic!("no list of {size} over {}", field.name()))
                    .1,
            )
        };
        Self {
            executable: list(Field::ProcessExecutable, 22),
            not_executable: list(Field::ProcessExecutable, 4),
            args: list(Field::ProcessArgs, 11),
            not_name: list(Field::ProcessName, 58),
            not_parent: list(Field::ParentExecutable, 28),
        }
    }

    fn matches(&self, event: &Owned) -> bool {
        Block::new(&event.args).any(|arg| self.args.matches(arg))
            && !self.not_name.matches(base_name(event.executable))
            && !self.not_parent.matches(event.parent)
            && self.executable.matches(event.executable)
            && !self.not_executable.matches(event.executable)
    }
}

fn text(test: &Test) -> String {
    let Test::Pattern(pattern) = test else {
        panic!("the seed rule has no numbers")
    };
    pattern
        .tokens
        .iter()
        .map(|token| {
            if let Token::Byte(byte) = token {
                char::from(*byte)
            } else {
                '*'
            }
        })
        .collect()
}

fn benchmark(criterion: &mut Criterion) {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../rules/suspicious_system_commands_by_unknown_executable.toml"
    );
    let sources = Sources::read(&[folder], &Mapping::default());
    let rule = sources.rules[0].1.clone();
    let bytes = assemble(std::slice::from_ref(&rule), 0).expect("a pack");
    let engine = Engine::new(Pack::parse(&bytes).expect("a pack"), Limits::Device);
    let mut evaluation = Evaluation::new();
    let mut constants = Packer::<64>::new();
    engine
        .facts(
            &mut evaluation,
            &mut Constants,
            FieldSet::of(Field::ALL),
            &mut constants,
        )
        .expect("few facts");

    let events: Vec<Owned> = EVENTS
        .iter()
        .map(|(executable, args, parent)| {
            let mut parent_facts = Packer::new();
            let mut as_parent = Captured {
                executable: b"",
                args: b"",
                constants: Packed::EMPTY,
                parent: Parent::Path(parent.as_bytes()),
            };
            evaluation.clear();
            engine
                .facts(
                    &mut evaluation,
                    &mut as_parent,
                    FieldSet::of(&[Field::ParentExecutable, Field::ParentName]),
                    &mut parent_facts,
                )
                .expect("few facts");
            let args = args.iter().flat_map(|arg| arg.bytes().chain([0])).collect();
            Owned {
                executable: executable.as_bytes(),
                args,
                parent: parent.as_bytes(),
                parent_facts,
            }
        })
        .collect();

    let mut evaluate = |event: &Owned, parent: Parent| {
        let mut matched = false;
        let mut captured = Captured {
            executable: event.executable,
            args: &event.args,
            constants: constants.list(),
            parent,
        };
        evaluation.clear_but(SAME);
        engine.evaluate(&mut evaluation, &mut captured, Kinds::EXEC, |_| {
            matched = true
        });
        matched
    };
    let globset: Peer<GlobSet> = Peer::new(&rule.queries[0].condition);
    let star_loop: Peer<StarLoop> = Peer::new(&rule.queries[0].condition);
    for (place, event) in events.iter().enumerate() {
        let expected = MATCHING.contains(&place);
        assert_eq!(
            evaluate(event, Parent::Facts(event.parent_facts.list())),
            expected,
            "event {place}"
        );
        assert_eq!(
            evaluate(event, Parent::Path(event.parent)),
            expected,
            "event {place}"
        );
        assert_eq!(globset.matches(event), expected, "event {place}");
        assert_eq!(star_loop.matches(event), expected, "event {place}");
    }

    for (name, chosen) in [
        ("all", 0..events.len()),
        ("ordinary", 0..6),
        ("match", 11..12),
    ] {
        let chosen = &events[chosen];
        let mut group = criterion.benchmark_group(format!("seed rule, {name} events"));
        group.throughput(Throughput::Elements(chosen.len() as u64));
        group.bench_function("peewit, parent's facts", |bencher| {
            bencher.iter(|| {
                chosen
                    .iter()
                    .filter(|event| {
                        evaluate(black_box(event), Parent::Facts(event.parent_facts.list()))
                    })
                    .count()
            });
        });
        group.bench_function("peewit, parent's path", |bencher| {
            bencher.iter(|| {
                chosen
                    .iter()
                    .filter(|event| evaluate(black_box(event), Parent::Path(event.parent)))
                    .count()
            });
        });
        group.bench_function("globset", |bencher| {
            bencher.iter(|| {
                chosen
                    .iter()
                    .filter(|event| globset.matches(black_box(event)))
                    .count()
            })
        });
        group.bench_function("star loop", |bencher| {
            bencher.iter(|| {
                chosen
                    .iter()
                    .filter(|event| star_loop.matches(black_box(event)))
                    .count()
            })
        });
        group.finish();
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
