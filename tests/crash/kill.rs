//! `kill -9` at random moments: while it watches under load, while it starts, while it stops.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use peewit_tests::{Attack, alone, root, sensor};

use crate::kept::{Kept, Losses, copy};
use crate::random::Random;
use crate::times;

/// How often a state and a log are killed before others begin: so many terms find room in the table.
const A_LIFE: usize = 50;
/// New terms between two kills, at most.
const NEW_TERMS: usize = 7;

/// How long a start may take: the kernel is asked for a child of its own to be seen, on a machine under load.
const SLOWEST_START: Duration = Duration::from_secs(5);

/// What a killed sensor was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Watching,
    Starting,
    Stopping,
}

/// The programs that raise alerts, until they are told to stop.
struct Load {
    attack: Attack,
    /// In shared memory, where nothing may be started: each start of it is an alert.
    shared: PathBuf,
    /// How many terms there may be.
    terms: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    fn new() -> Option<Self> {
        let attack = Attack::new()?;
        let shared = PathBuf::from(format!("/dev/shm/peewit-{}", std::process::id()));
        fs::copy(attack.path("nop"), &shared).ok()?;
        Some(Self {
            attack,
            shared,
            terms: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Programs of new names and old ones start another one with a word that strangers have no business with.
    fn strangers(&self) {
        let mut random = Random::new();
        let mut names: Vec<String> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let name = if names.len() < self.terms.load(Ordering::Relaxed) && random.below(3) == 0 {
                let name = self.attack.path(&format!("stranger{}", names.len()));
                fs::hard_link(self.attack.path("dropper"), &name).expect("another name");
                names.push(name.clone());
                name
            } else if names.is_empty() {
                self.attack.path("dropper")
            } else {
                names[random.below(names.len())].clone()
            };
            run(Command::new(name)
                .arg("-s")
                .arg(self.attack.path("implant")));
            sleep(random.time(10));
        }
    }

    /// Alerts that are always new.
    fn others(&self) {
        let mut random = Random::new();
        while !self.stop.load(Ordering::Relaxed) {
            run(&mut Command::new(&self.shared));
            sleep(random.time(10));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.shared);
    }
}

/// Ends the load, whatever happens: the scope waits for it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn run(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}");
}

/// Starts the sensor over what is in the folder.
pub fn start(sensor: &Path, folder: &Path) -> Child {
    let mut command = Command::new(sensor);
    command.args(["run", "--rate-limit", "0", "--segments", "64"]);
    for (option, name) in [
        ("--alerts", "alerts/"),
        ("--state", "state/"),
        ("--socket", "socket"),
    ] {
        command.arg(option).arg(folder.join(name));
    }
    command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// Waits until it says that it watches.
pub fn watches(child: &mut Child) {
    let mut said = String::new();
    let mut messages = BufReader::new(child.stderr.take().expect("it is piped"));
    while !said.contains("watches") {
        let read = messages.read_line(&mut said).expect("it can be read");
        assert!(read > 0, "the sensor ended: {said}");
    }
    // What it says from here on nobody wants to know, and must not stop it.
    std::thread::spawn(move || std::io::copy(&mut messages, &mut std::io::sink()));
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: sends a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), signal) };
}

/// What came of the kills of a life.
#[derive(Default)]
struct Outcome {
    losses: Losses,
    alerts: usize,
    terms: usize,
    slowest: Duration,
}

/// Kills it so often over one state and one log.
fn life(sensor: &Path, kills: usize, load: &Load, outcome: &mut Outcome) {
    let folder = tempfile::tempdir().expect("a folder");
    let (living, seen) = (folder.path().join("living"), folder.path().join("seen"));
    fs::create_dir(&living).expect("a folder");
    let mut random = Random::new();
    let mut before = Kept::default();
    for kill in 0..=kills {
        let moment = match random.below(10) {
            // The last one is left to start.
            0 if kill < kills => Moment::Starting,
            1 => Moment::Stopping,
            _ => Moment::Watching,
        };
        load.terms.fetch_add(NEW_TERMS, Ordering::Relaxed);
        let begun = Instant::now();
        let mut child = start(sensor, &living);
        if moment == Moment::Starting {
            sleep(random.time(60));
        } else {
            watches(&mut child);
            outcome.slowest = outcome.slowest.max(begun.elapsed());
            sleep(random.time(250));
            if moment == Moment::Stopping {
                signal(&child, libc::SIGTERM);
                sleep(random.time(20));
            } else {
                // What can be read now was written before; an alert before its term.
                for part in ["state", "alerts"] {
                    copy(&living.join(part), &seen.join(part));
                }
            }
        }
        signal(&child, libc::SIGKILL);
        child.wait().expect("it was started");
        if moment == Moment::Watching {
            let now = Kept::read(sensor, &seen);
            let losses = before.losses(&now);
            assert_eq!(losses, Losses::default(), "kill {kill}: {:?}", before);
            outcome.losses += losses;
            before = now;
        }
    }
    outcome.alerts += before.alerts.len();
    outcome.terms += before.terms.len();
}

#[test]
fn killed_at_random_moments() {
    let _turn = alone();
    if !root() {
        return;
    }
    let Some(sensor) = sensor() else { return };
    let kills = times("PEEWIT_KILLS", 50);
    let mut outcome = Outcome::default();
    for first in (0..kills).step_by(A_LIFE) {
        let Some(load) = Load::new() else { return };
        scope(|scope| {
            scope.spawn(|| load.strangers());
            scope.spawn(|| load.others());
            let _stop = Stop(&load.stop);
            life(&sensor, A_LIFE.min(kills - first), &load, &mut outcome);
        });
    }
    let Outcome {
        losses,
        alerts,
        terms,
        slowest,
    } = outcome;
    println!(
        "{kills} kills, {alerts} alerts, {terms} terms: {losses:?}, slowest start {slowest:?}"
    );
    assert!(alerts > kills, "{alerts} alerts");
    assert!(terms > 0);
    assert_eq!(losses, Losses::default());
    assert!(slowest < SLOWEST_START, "{slowest:?}");
}
