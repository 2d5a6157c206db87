//! The new-terms table under load, and what it and the lineage table cost.
//!
//! First a simulation, printed as a table: where terms stand on the ring, how many are evicted
//! and what that costs. Then timings. `cargo bench -p peewit-benches --bench terms`

use std::collections::HashMap;
use std::hash::Hasher;
use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use fnv::FnvHasher;
use peewit_core::lineage::{Image, Lineage};
use peewit_core::packed::Packed;
use peewit_core::terms::{Key, Terms, fingerprint};

const N: usize = 1024;
const RING: usize = 2048;
const WINDOW: u64 = 432_000_000;
const KEY: Key = Key(*b"a device's key..");

/// How a name gets its place on the ring.
#[derive(Clone, Copy)]
enum Placement {
    /// As the product does.
    Fingerprint,
    /// By FNV-1a, which is public: what the product would suffer if it did.
    Fnv,
}

impl Placement {
    const fn name(self) -> &'static str {
        match self {
            Self::Fingerprint => "SipHash-1-3",
            Self::Fnv => "FNV-1a",
        }
    }

    fn place(self, name: &str) -> u64 {
        match self {
            Self::Fingerprint => fingerprint(&KEY, b"rule", &[name.as_bytes()]),
            Self::Fnv => fnv(name.as_bytes()),
        }
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// A small generator of numbers that look random: every run sees the same ones.
struct Random(u64);

impl Random {
    /// Less than `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

/// Names as they come.
fn usual(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("program-{number}"))
        .collect()
}

/// Names whose FNV hashes all have the same place on the ring, found by trying.
fn chosen(count: usize) -> Vec<String> {
    (0_u32..)
        .map(|number| format!("{number:x}"))
        .filter(|name| fnv(name.as_bytes()).is_multiple_of(RING as u64))
        .take(count)
        .collect()
}

struct Outcome {
    mean: f64,
    longest: usize,
    evicted: u64,
    extra: u64,
    missed: u64,
}

/// Each name once, then a hundred sightings a name on average, at random, a second apart;
/// beside a map that forgets nothing.
fn simulate(names: &[String], placement: Placement) -> Outcome {
    let mut terms = Box::new(Terms::<N, RING>::new());
    let mut oracle = HashMap::new();
    let mut random = Random(1);
    let (mut extra, mut missed) = (0, 0);
    let places: Vec<u64> = names.iter().map(|name| placement.place(name)).collect();
    for step in 0..names.len() * 101 {
        let name = if step < names.len() {
            step
        } else {
            random.below(names.len())
        };
        let now = WINDOW + step as u64 * 1000;
        let known = oracle
            .insert(name, now)
            .is_some_and(|last| now - last <= WINDOW);
        match (terms.seen(places[name], now, WINDOW).is_new(), known) {
            (true, true) => extra += 1,
            (false, false) => missed += 1,
            _ => {}
        }
    }
    let probes: Vec<usize> = places.iter().map(|&place| terms.probes(place)).collect();
    Outcome {
        mean: probes.iter().sum::<usize>() as f64 / probes.len() as f64,
        longest: probes.iter().copied().max().unwrap_or_default(),
        evicted: terms.evicted(),
        extra,
        missed,
    }
}

fn simulation() {
    println!("{N} terms, {RING} places, 100 sightings a term, window 5 days");
    println!(
        "load  names            placement    probes mean   max  evicted  extra alerts  missed alerts"
    );
    for percent in [50, 75, 100, 110, 150] {
        let count = N * percent / 100;
        let usual = ("as they come", usual(count));
        let chosen = ("chosen for FNV", chosen(count));
        for (kind, names) in [&usual, &chosen] {
            for placement in [Placement::Fingerprint, Placement::Fnv] {
                let outcome = simulate(names, placement);
                let Outcome {
                    mean,
                    longest,
                    evicted,
                    extra,
                    missed,
                } = outcome;
                println!(
                    "{percent:3}%  {kind:16} {:12} {mean:11.2} {longest:5} {evicted:8} {extra:13} {missed:14}",
                    placement.name(),
                );
                assert_eq!(missed, 0, "an alert was missed");
            }
        }
    }
    println!();
}

fn terms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("terms");
    group.bench_function("fingerprint", |bencher| {
        let rule = b"e9fe3645-f588-43d6-99f5-437b3ef56f25";
        bencher.iter(|| fingerprint(&KEY, black_box(rule), &[black_box(b"dropper")]));
    });
    let places: Vec<u64> = usual(4 * N)
        .iter()
        .map(|name| Placement::Fingerprint.place(name))
        .collect();

    let mut table = Box::new(Terms::<N, RING>::new());
    let mut step = 0;
    for &place in &places[..N] {
        table.seen(place, WINDOW, WINDOW);
    }
    group.bench_function("seen, known, full table", |bencher| {
        bencher.iter(|| {
            step += 1;
            table.seen(
                black_box(places[step * 7 % N]),
                WINDOW + step as u64,
                WINDOW,
            )
        });
    });
    group.bench_function("seen, new, one evicted", |bencher| {
        bencher.iter(|| {
            step += 1;
            table.seen(
                black_box(places[step % places.len()]),
                WINDOW + step as u64,
                WINDOW,
            )
        });
    });
    group.bench_function("seen, 1024 new ones into an empty table", |bencher| {
        bencher.iter_batched_ref(
            || Box::new(Terms::<N, RING>::new()),
            |table| {
                places[..N]
                    .iter()
                    .filter(|&&place| table.seen(place, WINDOW, WINDOW).is_new())
                    .count()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

type Table = Lineage<1024, 256, 16384>;

fn image<'a>(path: &'a [u8], facts: &'a [u8]) -> Image<'a> {
    Image {
        path: Some(path),
        facts: Packed::new(facts),
        lost: false,
        ..Image::LOST
    }
}

/// A table of a machine at rest: a hundred processes, thirty programs.
fn at_rest() -> Box<Table> {
    let mut table = Box::new(Table::new());
    table.set_secret(0x5eed);
    table.seed(1, 0, &image(b"/sbin/init", &[]));
    for number in 0..100_u16 {
        let pid = 100 + u32::from(number);
        let path = format!("/usr/sbin/daemon-{}", number % 30);
        table.seed(pid, 1, &image(path.as_bytes(), &[(number % 5) as u8]));
        table.adopt(pid, 1);
    }
    table
}

/// One round: fork, exec, look at the parent, and perhaps exit. Gives back the next pid.
fn round(table: &mut Table, pid: u32, path: &[u8], exits: bool) -> u32 {
    let _ = black_box(table.fork(100, pid));
    table.exec(pid, &image(path, &[2, 4]));
    black_box(table.parent(pid));
    if exits {
        table.exit(pid);
    }
    1000 + (pid - 999) % 4_000_000
}

fn lineage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lineage");
    let mut pid = 1000;
    let mut table = at_rest();
    group.bench_function("fork, exec, parent, exit", |bencher| {
        bencher.iter(|| pid = round(&mut table, pid, black_box(b"/usr/bin/true"), true));
    });
    let mut table = at_rest();
    group.bench_function("the same without exit events", |bencher| {
        bencher.iter(|| pid = round(&mut table, pid, black_box(b"/usr/bin/true"), false));
    });
    let mut table = at_rest();
    let paths: Vec<String> = (0..1000)
        .map(|number| format!("/usr/libexec/tests/case-{number}"))
        .collect();
    group.bench_function("the same, a thousand programs in turn", |bencher| {
        bencher.iter(|| {
            let path = &paths[pid as usize % paths.len()];
            pid = round(&mut table, pid, black_box(path.as_bytes()), true);
        });
    });
    let mut table = at_rest();
    group.bench_function("the same, each leaves a child behind", |bencher| {
        bencher.iter(|| {
            let parent = pid;
            pid = round(&mut table, pid, black_box(b"/usr/bin/daemon"), false);
            let _ = table.fork(parent, pid);
            table.exit(parent);
            pid = 1000 + (pid - 999) % 4_000_000;
        });
    });
    group.finish();
}

fn main() {
    simulation();
    let mut criterion = Criterion::default().configure_from_args();
    terms(&mut criterion);
    lineage(&mut criterion);
    criterion.final_summary();
}
