//! `peewit run`: watches until it is told to end.

mod error;
mod start;

use peewit_core::engine::{Engine, Limits};
use peewit_core::pack::Pack;

use crate::capture::CAPTURES;
use crate::check::readable;
use crate::cli::RunOptions;
use crate::demo::Stage;
use crate::host::Host;
use crate::netlink::{LINEAGE, Request, request};
use crate::proc::Proc;
use crate::state::{SENSOR, STATE, Sensor};
use crate::sys::{
    Connector, Errno, Messages, Once, OpenMode, Signals, ThreadId, Waited, boot_ms, lock_on_fault,
    lock_value, open, process_id, sleep_ms, spawn, thread_id, wait,
};
use crate::writer::{self, UNWRITTEN};
use crate::{rules, say};
use error::Error;
pub use start::pinnable;
use start::{SOCKET_BUFFER, Threads, start_capture, start_writer};

/// How long forks that no exec follows may wait to be taken note of.
const FORK_DELAY_MS: u32 = 20;
/// How long to wait for the own child to be seen.
const PROOF_MS: u64 = 2000;

/// The command. Gives the exit status.
pub fn run(options: &RunOptions) -> u8 {
    match watch(options) {
        Ok(()) => 0,
        Err(error) => {
            say!("peewit: {error}");
            if !matches!(error, Error::Rules(..) | Error::Events(..) | Error::Demo(_)) {
                say!("peewit: `peewit check` says what this kernel and these privileges allow");
            }
            1
        }
    }
}

fn watch(options: &RunOptions) -> Result<(), Error> {
    let me = thread_id();
    let signals = Signals::take().map_err(|error| Error::Kernel("take signals", error))?;
    let pack = pack(options)?;
    let stage = if options.demo {
        Some(Stage::build().map_err(Error::Demo)?)
    } else {
        None
    };
    let host = host(&pack)?;
    let events = match options.events {
        Some(path) => Some(
            open(path, OpenMode::Truncate)
                .map_err(|error| Error::Events(path.to_bytes(), error))?,
        ),
        None => None,
    };

    // Code and data that were in use once stay in memory; kernels before 4.4 do not know it.
    let _ = lock_on_fault();
    let _ = lock_value(&STATE);
    let shared = Connector::open(&LINEAGE, SOCKET_BUFFER).map_err(Error::NoConnector)?;
    let sensor = SENSOR
        .set(Sensor {
            engine: Engine::new(pack, Limits::Device),
            proc: Proc::open().map_err(|error| Error::Kernel("open /proc", error))?,
            lineage: shared,
            host_id: host.id(),
            writer: crate::sys::Wake::new(),
            pid: process_id(),
        })
        .map_err(|_| Error::Kernel("start twice", Errno::INVALID))?;
    STATE
        .lock(me)
        .prepare()
        .map_err(|error| Error::Kernel("get memory", error))?;
    start_writer(options, stage.as_ref(), host, events, me)?;
    let threads = start_capture()?;
    sensor
        .lineage
        .send(&request(Request::Listen, 1))
        .map_err(|error| match error {
            Errno::REFUSED => Error::NetworkNamespace,
            error => Error::NoConnector(error),
        })?;
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
fn pack(options: &RunOptions) -> Result<Pack<'static>, Error> {
    if let Some(path) = options.rules {
        return rules::load(path).map_err(|error| Error::Rules(path.to_bytes(), error));
    }
    match rules::load(rules::DEFAULT) {
        Err(rules::Error::Unreadable(Errno::NOT_FOUND)) => {
            rules::built_in().map_err(|error| Error::Rules(b"built in", error))
        }
        loaded => loaded.map_err(|error| Error::Rules(rules::DEFAULT.to_bytes(), error)),
    }
}

fn host(pack: &Pack<'_>) -> Result<&'static Host, Error> {
    static HOST: Once<Host> = Once::new();
    let host = Host::this(pack).map_err(|error| Error::Kernel("get random numbers", error))?;
    HOST.set(host)
        .map_err(|_| Error::Kernel("start twice", Errno::INVALID))
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
        return Err(Error::Unreadable);
    }
    say!(
        "peewit {} watches: {} rules, {} CPUs, {} processes known{}",
        crate::host::VERSION,
        pack.rule_count(),
        threads.count,
        STATE.lock(me).processes(),
        if threads.realtime {
            ""
        } else {
            ", no real-time priority"
        }
    );
    if let Some(stage) = stage {
        stage.play().map_err(Error::Demo)?;
        // The writer has been woken; it only has to get a CPU.
        sleep_ms(100);
        explain(me);
    }
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
        STATE.lock(me).drain(sensor, &mut messages);
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
        say!("peewit: cannot list /proc: {error}; parents of earlier processes are unknown");
    }
}

/// Starts a child, and waits until its exec was seen.
fn prove(sensor: &Sensor, messages: &mut Messages, me: ThreadId) -> Result<(), Error> {
    let child = spawn(c"/proc/self/exe", &[c"peewit", c"canary"])
        .map_err(|error| Error::Kernel("start a child", error))?;
    wait(child).map_err(|error| Error::Kernel("wait for a child", error))?;
    let until = boot_ms() + PROOF_MS;
    loop {
        let mut state = STATE.lock(me);
        state.drain(sensor, messages);
        if state.own_child == child.pid() {
            if !state.own_child_complete {
                say!(
                    "peewit: programs can be seen but not read: it needs CAP_SYS_PTRACE and no Landlock domain, or came too late"
                );
            }
            return Ok(());
        }
        if boot_ms() >= until {
            return Err(if state.answered {
                Error::NoEvents
            } else {
                Error::NoAnswer
            });
        }
        drop(state);
        sleep_ms(1);
    }
}

/// What the demo's alert means.
fn explain(me: ThreadId) {
    let alerts = STATE.lock(me).counters.alerts;
    if alerts == 0 {
        say!("\nNo alert came: the rules in use do not look for this attack.");
    } else {
        say!(
            "\nThe line above is a real alert, about real processes: the kernel told of them before\n\
             `implant` ran its first instruction. A program in a directory that anybody can write to\n\
             looked for its way around, started by a program that this device had never seen do that.\n\
             The same again would be no news, and no alert."
        );
    }
    say!("\nNow watching this device, until Ctrl-C.");
}

fn summary(threads: Threads, written: bool, me: ThreadId) {
    let state = STATE.lock(me);
    let counters = state.counters;
    let sockets = CAPTURES
        .iter()
        .take(threads.count)
        .filter_map(Once::get)
        .map(|capture| &capture.socket);
    let shared = SENSOR.get().map(|sensor| &sensor.lineage);
    let drops: u64 = sockets
        .chain(shared)
        .map(|socket| u64::from(socket.drops()))
        .sum();
    say!(
        "\npeewit: {} execs ({} complete, {} incomplete), {} forks; dropped by the kernel: {}; alerts: {}",
        counters.execs,
        counters.complete,
        counters.execs - counters.complete,
        counters.forks,
        drops,
        counters.alerts
    );
    let unwritten = UNWRITTEN.load(core::sync::atomic::Ordering::Relaxed);
    if state.outlet.alerts_lost > 0 || unwritten > 0 || !written {
        say!(
            "peewit: alerts lost: {}, not in the log: {unwritten}",
            state.outlet.alerts_lost
        );
    }
    if state.outlet.events_lost > 0 {
        say!(
            "peewit: events lost on their way to the file: {}",
            state.outlet.events_lost
        );
    }
}
