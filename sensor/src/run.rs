//! `peewit run`: watches until it is told to end.

mod error;
mod start;

use peewit_core::engine::{Engine, Limits};
use peewit_core::pack::Pack;

use crate::capture::CAPTURES;
use crate::check::readable;
use crate::cli::{Name, Options};
use crate::demo::Stage;
use crate::host::Host;
use crate::netlink::{LINEAGE, Request, request};
use crate::problem::Problem;
use crate::proc::Proc;
use crate::rules;
use crate::state::{SENSOR, STATE, Sensor};
use crate::sys::{
    Connector, Ended, Errno, Messages, Once, OpenMode, Signals, ThreadId, Waited, boot_ms,
    lock_on_fault, lock_value, open, process_id, sleep_ms, thread_id,
};
use crate::text::{plain, say};
use crate::writer::{self, UNWRITTEN};
use error::Error;
use start::{SOCKET_BUFFER, Threads, start_capture, start_writer};
pub use start::{cpu_list, pinnable};

/// How long forks that no exec follows may wait to be taken note of.
const FORK_DELAY_MS: u32 = 20;
/// How long after a look at all processes the next may follow.
const REFRESH_MS: u64 = 1000;
/// How long to wait for the own child to be seen.
const PROOF_MS: u64 = 2000;

/// The command. Gives the exit status.
pub fn run(options: &Options) -> u8 {
    match watch(options) {
        Ok(()) => 0,
        Err(error) => {
            error.tell(options);
            1
        }
    }
}

fn watch(options: &Options) -> Result<(), Error> {
    let me = thread_id();
    let signals = Signals::take()?;
    let pack = pack(options)?;
    let stage = options.has(Name::Demo).then(Stage::build).transpose();
    let stage = stage.map_err(Error::Demo)?;
    let host = host(&pack)?;
    let events = options
        .value(Name::Events)
        .map(|path| open(path, OpenMode::Truncate));
    let events = events.transpose().map_err(Error::Events)?;

    // Code and data that were in use once stay in memory; kernels before 4.4 do not know it.
    let _ = lock_on_fault();
    let _ = lock_value(&STATE);
    let shared = Connector::open(&LINEAGE, SOCKET_BUFFER).map_err(Problem::of)?;
    let proc = Proc::open().map_err(|_| Problem::NoProc)?;
    let sensor = SENSOR.set(Sensor {
        engine: engine(pack)?,
        proc,
        lineage: shared,
        host_id: host.id(),
        writer: crate::sys::Wake::new(),
        pid: process_id(),
    })?;
    STATE.lock(me).prepare()?;
    start_writer(options, stage.as_ref(), host, events, me)?;
    let threads = start_capture()?;
    let listening = sensor.lineage.send(&request(Request::Listen, 1));
    listening.map_err(Problem::of)?;
    let result = watch_until_signal(sensor, &signals, stage.as_ref(), &pack, threads, me);
    // Otherwise the kernel would go on making events for nobody.
    let _ = sensor.lineage.send(&request(Request::Ignore, 2));
    let written = writer::finish(2000);
    if result.is_ok() {
        summary(threads, written, me);
    }
    result
}

/// Which rules to use.
fn pack(options: &Options) -> Result<Pack<'static>, Error> {
    match rules::load(options.value(Name::Rules).unwrap_or(rules::DEFAULT)) {
        Err(rules::Error::Unreadable(Errno::NOT_FOUND)) if !options.has(Name::Rules) => {
            rules::built_in()
        }
        loaded => loaded,
    }
    .map_err(Error::Rules)
}

/// Not inlined, and no part of [`Sensor`]: it has some KiB, which would stay on the stack for ever.
#[inline(never)]
fn engine(pack: Pack<'static>) -> Result<&'static Engine<'static>, Errno> {
    static ENGINE: Once<Engine<'_>> = Once::new();
    ENGINE.make(|| Engine::new(pack, Limits::Device))
}

fn host(pack: &Pack<'_>) -> Result<&'static Host, Errno> {
    static HOST: Once<Host> = Once::new();
    HOST.set(Host::this(pack)?)
}

/// Everything from the first event to the signal.
fn watch_until_signal(
    sensor: &'static Sensor,
    signals: &Signals,
    stage: Option<&Stage>,
    pack: &Pack<'_>,
    threads: Threads,
    me: ThreadId,
) -> Result<(), Error> {
    let mut messages = Messages::new();
    seed(sensor, me);
    prove(sensor, &mut messages, me)?;
    // The own child shows that events come, not that those of other users' processes can be used.
    if readable(&sensor.proc).is_ok_and(|(seen, denied)| denied > 0 && denied == seen) {
        return Err(Problem::Unreadable.into());
    }
    plain(concat!("peewit ", env!("CARGO_PKG_VERSION"), " watches; "))
        .count("rules: ", pack.rule_count() as u64)
        .count(", threads: ", threads.count as u64)
        .count(", processes known: ", STATE.lock(me).processes() as u64)
        .text(if threads.realtime {
            ""
        } else {
            ", no real-time priority"
        });
    if let Some(stage) = stage {
        stage.play().map_err(Error::Demo)?;
        // The writer has been woken; it only has to get a CPU.
        sleep_ms(100);
        explain(me);
    }
    let (mut overruns, mut refreshed) = (0, boot_ms());
    loop {
        // Forks without an exec wake nobody for a while: one visit takes note of all that came since the last.
        match signals.wait(Some(sensor.lineage.fd()), None) {
            Waited::Signal => return Ok(()),
            Waited::Readable => {
                if signals.wait(None, Some(FORK_DELAY_MS)) == Waited::Signal {
                    return Ok(());
                }
            }
            Waited::Nothing => {}
        }
        let seen = {
            let mut state = STATE.lock(me);
            state.drain(sensor, &mut messages);
            state.counters.overruns
        };
        // Forks were lost: whoever is not known by now is looked up.
        if seen != overruns && boot_ms() - refreshed >= REFRESH_MS {
            seed(sensor, me);
            (overruns, refreshed) = (seen, boot_ms());
        }
    }
}

/// Enters the processes that are there.
fn seed(sensor: &Sensor, me: ThreadId) {
    // A process at a time, so that a capture thread waits for one look into /proc at most.
    let first = sensor
        .proc
        .processes(|pid| STATE.lock(me).seed_new(sensor, pid));
    let second = sensor
        .proc
        .processes(|pid| STATE.lock(me).adopt(sensor, pid));
    if let Err(error) = first.and(second) {
        say("cannot list /proc: ")
            .error(error)
            .text("; parents of earlier processes are unknown");
    }
}

/// Starts a child, and waits until its exec was seen.
fn prove(sensor: &Sensor, messages: &mut Messages, me: ThreadId) -> Result<(), Error> {
    let child = crate::sys::run(c"/proc/self/exe", &[c"peewit", c"canary"])
        .and_then(Ended::well)
        .map_err(Error::Child)?;
    let until = boot_ms() + PROOF_MS;
    loop {
        let mut state = STATE.lock(me);
        state.drain(sensor, messages);
        if state.own_child == child.pid {
            if !state.own_child_complete {
                say("an own child was seen but not read: came too late, or ")
                    .text(Problem::Unreadable.text());
            }
            return Ok(());
        }
        if boot_ms() >= until {
            return Err(Error::Problem(if state.answered {
                Problem::NoEvents
            } else {
                Problem::NoAnswer
            }));
        }
        drop(state);
        sleep_ms(1);
    }
}

/// What the demo's alert means.
fn explain(me: ThreadId) {
    let alerts = STATE.lock(me).counters.alerts;
    plain(if alerts == 0 {
        "\nNo alert came: the rules in use do not look for this attack."
    } else {
        "\nThe line above is a real alert, about real processes: the kernel told of them before\n\
         `implant` ran its first instruction. A program in a directory that anybody can write to\n\
         looked for its way around, started by a program that this device had never seen do that.\n\
         The same again would be no news, and no alert."
    })
    .text("\n\nNow watching this device, until Ctrl-C.");
}

fn summary(threads: Threads, written: bool, me: ThreadId) {
    let state = STATE.lock(me);
    let counters = state.counters;
    let mut drops = SENSOR.get().map_or(0, |sensor| sensor.lineage.drops());
    for capture in CAPTURES.iter().take(threads.count).filter_map(Once::get) {
        drops = drops.saturating_add(capture.socket.drops());
    }
    let unwritten = UNWRITTEN.load(core::sync::atomic::Ordering::Relaxed);
    let mut line = plain("");
    line.count("\npeewit: execs: ", counters.execs)
        .count(", complete: ", counters.complete)
        .count(", incomplete: ", counters.execs - counters.complete)
        .count("; forks: ", counters.forks)
        .count("; dropped by the kernel: ", u64::from(drops))
        .count("; alerts: ", counters.alerts)
        .count(", lost: ", state.outlet.alerts_lost)
        .count(", not in the log: ", unwritten);
    if state.outlet.wants_events() {
        line.count("; events not in the file: ", state.outlet.events_lost);
    }
    if !written {
        line.text("; the writer was not done in time");
    }
}
