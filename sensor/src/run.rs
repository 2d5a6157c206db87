//! `peewit run`: watches until it is told to end.

mod error;
mod pulse;
mod reload;
mod start;
mod threads;

use peewit_core::alert::{COUNT_NAMES, Limits, Reason, Source};
use peewit_core::pack::Pack;

use crate::demo::Stage;
use crate::health::Keeper;
use crate::host::Host;
use crate::options::{Name, Options, Told};
use crate::problem::Problem;
use crate::proc::Proc;
use crate::rules::RULES;
use crate::state::{SENSOR, STATE, Sensor};
use crate::store::Store;
use crate::sys::{
    Asked, Control, Ended, Errno, Once, OpenMode, STDOUT, Signals, Supervisor, ThreadId, Waited,
    boot_ms, device_events, is_terminal, lock_on_fault, open, process_id, release_code,
    release_stack, sleep_ms, thread_id,
};
use crate::text::{plain, say};
use crate::texts::Text;
use crate::{age, capture, config, exceptions, limits, rules, source, status, terms, writer};
use error::Error;
use pulse::Pulse;
pub use start::pinnable;
use start::{learn, open_store, rate, start_writer};
pub use threads::SOCKET_BUFFER;
use threads::Threads;

/// How long forks that no exec follows may wait to be taken note of.
const FORK_DELAY_MS: u32 = 20;
/// The same where execs follow each other closely, whose handling takes note of forks too. A CPU that falls idle looks for a
/// waiting task to run, and may find the one that is being read on another: this thread should make none fall idle.
const BUSY_DELAY_MS: u32 = 250;
/// How many execs between two visits are that close.
const BUSY: u64 = 10;
/// How long after a look at all processes the next may follow.
const REFRESH_MS: u64 = 1000;
/// How long to wait for the own child to be seen.
const PROOF_MS: u64 = 2000;
/// How often to look for losses, and after a socket that may be stuck.
const LOOK_MS: u32 = 5000;
/// How often an own child is started to be seen, and a health record is written, in seconds.
const CANARY_S: u64 = 60;
const HEALTH_S: u64 = 3600;

/// The command, with what was told on the command line. Gives the exit status: 2 if the configuration makes no sense.
pub fn run(told: &Options) -> u8 {
    let Some(options) = config::load(told) else {
        return 2;
    };
    match watch(told, &options) {
        Ok(()) => 0,
        Err(error) => {
            error.tell(&options);
            1
        }
    }
}

fn watch(told: &Options, options: &Options) -> Result<(), Error> {
    let me = thread_id();
    let signals = Signals::take()?;
    let supervisor = Supervisor::find();
    let store = open_store(options, me)?;
    read_rules(options, me)?;
    let rules = RULES.hold().ok_or(Errno::NOT_FOUND)?;
    let pack = rules.engine().pack();
    let stage = options.has(Name::Demo).then(Stage::build).transpose();
    let stage = stage.map_err(Error::Demo)?;
    let host = host(&pack, store.as_ref().map(Store::host_id))?;
    let events = options
        .value(Name::Events)
        .map(|path| open(path, OpenMode::Truncate));
    let events = events.transpose().map_err(Error::Events)?;

    let rule_count = pack.rule_count();
    drop(rules);

    let buffer = options.figure(Name::Buffer, SOCKET_BUFFER as u64);
    let buffer = i32::try_from(buffer).unwrap_or(SOCKET_BUFFER);

    // Code and data that were in use once stay in memory; kernels before 4.4 do not know it.
    let _ = lock_on_fault();
    STATE.lock(me).lock_memory();
    let proc = Proc::open().map_err(|_| Problem::NoProc)?;
    let source = choose(options)?;
    let sensor = SENSOR.set(Sensor {
        proc,
        lineage: threads::lineage(source, buffer)?,
        source,
        host_id: host.id(),
        writer: crate::sys::Wake::new(),
        pid: process_id(),
    })?;
    STATE.lock(me).prepare()?;
    start_writer(options, stage.as_ref(), host, events, store, me)?;
    terms::baseline(options, sensor, me);
    let threads = Threads::start(source, buffer)?;
    sensor.lineage.listen().map_err(Problem::of)?;
    let mut watch = Watch {
        sensor,
        keeper: Keeper::new(sensor, found(sensor, &threads)),
        threads,
        canary_ms: 0,
        host,
        control: control(options),
        supervisor,
        told: *told,
        options: *options,
        on_terminal: is_terminal(&STDOUT),
        me,
    };
    watch.obey(options);
    let result = watch.until_signal(&signals, stage.as_ref(), rule_count);
    watch.supervisor.tell(b"STOPPING=1");
    sensor.lineage.ignore();
    if result.is_ok() {
        watch.keeper.tell(Reason::Stop, me);
    }
    let written = writer::finish(2000);
    if result.is_ok() {
        watch.summary(written);
    }
    if watch.control.is_some() {
        let _ = crate::sys::remove_file(socket(options));
    }
    result
}

/// Where events are to come from.
fn choose(options: &Options) -> Result<Source, Error> {
    let named = options.value(Name::Source).and_then(|name| {
        let is_it = |source: &Source| source.name().as_bytes() == name.to_bytes();
        Source::ALL.into_iter().find(is_it)
    });
    if let Some(source) = named {
        return source::problem(source).map_or(Ok(source), |problem| Err(problem.into()));
    }
    let source = source::best()?;
    // What the better ones lack is worth to be known.
    for better in Source::ALL
        .into_iter()
        .take_while(|better| *better != source)
    {
        if let Some(problem) = source::problem(better) {
            say("").long(problem.text());
        }
    }
    Ok(source)
}

/// What stands in the way of seeing all. Says it.
fn found(sensor: &Sensor, threads: &Threads) -> Limits {
    let limits = limits::found(&sensor.proc, threads.realtime, &threads.pinned)
        .with(Limits::SMALL_BUFFERS, threads.small_buffers)
        .with(Limits::EXECS_ONLY, sensor.source == Source::Fanotify);
    for (limit, _) in &Limits::NAMES {
        if limits.contains(*limit) {
            say("").long(limits::text(*limit, &sensor.proc));
        }
    }
    limits
}

fn socket(options: &Options) -> &'static core::ffi::CStr {
    options.value(Name::Socket).unwrap_or(status::DEFAULT)
}

/// Opens the control socket. Without it all else works.
#[inline(never)]
fn control(options: &Options) -> Option<Control> {
    let path = socket(options);
    match Control::open(path) {
        Ok(control) => Some(control),
        Err(error) => {
            let mut line = say("control socket ");
            line.printable(path.to_bytes()).text(": ");
            match error {
                Errno::IN_USE => line.text("another peewit serves it"),
                error => line.error(error),
            }
            .text("; `peewit status` cannot ask this one");
            None
        }
    }
}

/// Reads rules and exceptions. Not inlined: an engine has some KiB, which would stay on the stack for ever.
#[inline(never)]
fn read_rules(options: &Options, me: ThreadId) -> Result<(), Error> {
    let (book, build) = rules::choose(options).map_err(Error::Rules)?;
    let (exceptions, _) =
        exceptions::load(options, &book.engine().pack()).map_err(Error::Exceptions)?;
    rules::note_build(build);
    STATE.lock(me).outlet.exceptions = exceptions;
    // The first ones: nobody is in the way.
    RULES.replace(book);
    Ok(())
}

/// The machine. Not within the function: its place in memory would be behind what is large and seldom used, in a page of its own.
static HOST: Once<Host> = Once::new();

fn host(pack: &Pack<'_>, kept: Option<&str>) -> Result<&'static Host, Errno> {
    HOST.set(Host::this(pack, kept)?)
}

/// Everything from the first event to the signal.
struct Watch {
    sensor: &'static Sensor,
    keeper: Keeper,
    threads: Threads,
    canary_ms: u64,
    host: &'static Host,
    control: Option<Control>,
    supervisor: Supervisor,
    /// What the command line said.
    told: Options,
    /// The same with what the configuration said at the start.
    options: Options,
    /// Somebody could watch at the start.
    on_terminal: bool,
    me: ThreadId,
}

impl Watch {
    /// Not inlined: it stays apart from the beginning.
    #[inline(never)]
    fn until_signal(
        &mut self,
        signals: &Signals,
        stage: Option<&Stage>,
        rule_count: usize,
    ) -> Result<(), Error> {
        let (sensor, me) = (self.sensor, self.me);
        seed(sensor, me, false);
        self.prove()?;
        let health = self.keeper.tell(Reason::Start, me);
        plain(concat!("peewit ", env!("CARGO_PKG_VERSION"), " watches; "))
            .text("source: ")
            .text(sensor.source.name())
            .text(", ")
            .text(health.grade())
            .count("; rules: ", rule_count as u64)
            .count(", threads: ", self.threads.count as u64)
            .count(", processes known: ", STATE.lock(me).lineage().len() as u64);
        self.supervisor.tell(b"READY=1");
        if let Some(stage) = stage {
            stage.play().map_err(Error::Demo)?;
            // The writer has been woken; it only has to get a CPU.
            sleep_ms(100);
            explain(me);
        }
        // Setting up took more than all that follows.
        release_stack();
        release_code();
        // Where there are no such events, the timer looks.
        let devices = device_events().ok();
        let (mut overruns, mut refreshed) = (0, boot_ms());
        let (mut execs, mut delay) = (0, FORK_DELAY_MS);
        let mut canary_at = boot_ms().saturating_add(self.canary_ms);
        let mut look_at = boot_ms() + u64::from(LOOK_MS);
        let mut pulse = Pulse::new(self.supervisor.watchdog_ms());
        loop {
            let control = self.control.as_ref().map(Control::fd);
            let files = [sensor.lineage.fd(), control, devices.as_ref()];
            let ready = match signals.wait(files, pulse.interval_ms.min(LOOK_MS)) {
                Waited::Signal => match signals.next() {
                    Some(Asked::Reload) if !self.is_hung_up() => {
                        self.reload();
                        release_code();
                        0
                    }
                    Some(_) => return Ok(()),
                    None => 0,
                },
                Waited::Readable(ready) => ready,
                Waited::Nothing => 0,
            };
            // Forks without an exec wake nobody for a while: one visit takes note of all that came since the last.
            if ready & 1 != 0 && signals.wait([None; 3], delay) == Waited::Signal {
                continue;
            }
            sensor.lineage.seen();
            let (seen, handled) = {
                let mut state = STATE.lock(me);
                state.drain(sensor, None);
                (state.counters.overruns, state.counters.execs)
            };
            delay = if handled - execs >= BUSY {
                BUSY_DELAY_MS
            } else {
                FORK_DELAY_MS
            };
            execs = handled;
            // Events were lost: what is known is compared with what there is.
            if seen != overruns && boot_ms() - refreshed >= REFRESH_MS {
                seed(sensor, me, true);
                (overruns, refreshed) = (seen, boot_ms());
                self.keeper.look(me);
            }
            if let (true, Some(control)) = (ready & 2 != 0, &self.control) {
                status::serve(control, self.host, &self.keeper, me);
                release_code();
            }
            if let (true, Some(devices)) = (ready & 4 != 0, &devices) {
                // What exactly has come or gone does not matter.
                let _ = devices.read(&mut [0; 64]);
                let all = self.threads.follow_cpus(sensor);
                self.keeper.limit(Limits::CPUS_SHARED, !all);
            }
            if boot_ms() >= look_at {
                capture::look_after(me);
                if age::look() {
                    sensor.writer.ring();
                }
                self.keeper.look(me);
                look_at = boot_ms() + u64::from(LOOK_MS);
            }
            if pulse.beats(sensor) {
                self.supervisor.tell(b"WATCHDOG=1");
            }
            if boot_ms() >= canary_at {
                self.canary();
                canary_at = boot_ms().saturating_add(self.canary_ms);
            }
        }
    }

    /// The terminal on which somebody watched has gone.
    fn is_hung_up(&self) -> bool {
        self.on_terminal && !is_terminal(&STDOUT)
    }

    /// Does what the options say of what can change while it runs.
    fn obey(&mut self, told: &Told<'_>) {
        let interval = |name, default| told.figure(name, default).saturating_mul(1000);
        STATE.lock(self.me).outlet.rate.limit(rate(told));
        self.keeper.every(interval(Name::Health, HEALTH_S));
        self.canary_ms = interval(Name::Canary, CANARY_S);
        learn(told, self.me);
    }

    /// Whether events still come: another program may have silenced the connector for all. Then it is asked again.
    fn canary(&mut self) {
        let silent = match self.prove() {
            Ok(()) => false,
            // No child could be started: nothing is known.
            Err(Error::Child(_)) => return,
            Err(_) => true,
        };
        if silent {
            self.keeper.canaries_missed += 1;
            let _ = self.sensor.lineage.listen();
        }
        if core::mem::replace(&mut self.keeper.silent, silent) != silent {
            // What came meanwhile was not seen.
            seed(self.sensor, self.me, true);
            self.keeper.tell(Reason::Silence, self.me);
            say(if silent {
                "events have stopped: an own child was not seen; asked for them again"
            } else {
                "events come again"
            });
        }
    }

    /// Starts a child, and waits until its exec was seen.
    fn prove(&self) -> Result<(), Error> {
        let child = crate::sys::run(c"/proc/self/exe", &[c"peewit", c"canary"])
            .and_then(Ended::well)
            .map_err(Error::Child)?;
        let until = boot_ms() + PROOF_MS;
        loop {
            let mut state = STATE.lock(self.me);
            state.drain(self.sensor, None);
            if state.own_child == child.pid {
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

    fn summary(&self, written: bool) {
        let health = self.keeper.health(Reason::Stop, self.me);
        let mut line = plain("\npeewit: source: ");
        line.text(health.source.name());
        for (name, count) in COUNT_NAMES.iter().zip(health.counts) {
            line.text(", ").text(name).count(": ", count);
        }
        if !written {
            line.text("; the writer was not done in time");
        }
    }
}

/// Enters the processes that are there; `again`: and compares those that are known.
fn seed(sensor: &Sensor, me: ThreadId, again: bool) {
    // A process at a time, so that a capture thread waits for one look into /proc at most.
    let first = sensor.proc.processes(|pid| {
        let mut state = STATE.lock(me);
        if again {
            state.refresh(sensor, pid);
        } else {
            state.seed_new(sensor, pid);
        }
    });
    let second = sensor
        .proc
        .processes(|pid| STATE.lock(me).adopt(sensor, pid));
    if let Err(error) = first.and(second) {
        say("cannot list /proc: ")
            .error(error)
            .text("; parents of earlier processes are unknown");
    }
}

/// What the demo's alert means.
fn explain(me: ThreadId) {
    let alerts = STATE.lock(me).counters.alerts;
    let mut line = plain("");
    if alerts == 0 {
        line.text("\nNo alert came: the rules in use do not look for this attack.");
    } else {
        line.long(Text::Explanation);
    }
    line.text("\n\nNow watching this device, until Ctrl-C.");
}
