//! Starting the writer, and what is there for the others.

use peewit_core::alert::Record;

use super::Error;
use crate::age;
use crate::demo::Stage;
use crate::host::Host;
use crate::log::{self, Settings, Sync};
use crate::options::{self, Name, Options, Told};
use crate::rate;
use crate::ring::{Consumer, Producer, Ring};
use crate::rules;
use crate::state::STATE;
use crate::store::{self, Store};
use crate::sys::{
    CpuSet, Errno, Fd, MAX_CPUS, Mapping, Memory, Once, STDOUT, ThreadId, allow, is_terminal, pin,
    random, start,
};
use crate::writer::{self, WRITER, Writer};

/// Room for alerts on their way to the writer: more than a hundred of the usual ones.
const ALERT_QUEUE: usize = 16 << 10;
/// Room for events on their way to the writer.
const EVENT_QUEUE: usize = 4 << 20;

/// Says how long to learn, unless nothing outlives this run.
#[inline(never)]
pub(super) fn learn(told: &Told<'_>, me: ThreadId) {
    if told.has(Name::State) || !told.has(Name::Demo) {
        let learning = told.has(Name::Learning);
        let learning = learning.then(|| told.figure(Name::Learning, 0).saturating_mul(1000));
        STATE.lock(me).outlet.learn(learning);
    }
}

/// Opens the state, and takes what it says of terms into the table. The demo has none of its own accord: its terms are to be new.
///
/// # Errors
/// Those of getrandom(2) and mmap(2).
#[inline(never)]
pub(super) fn open_store(options: &Options, me: ThreadId) -> Result<Option<Store>, Error> {
    let path = match options.value(Name::State) {
        None if options.has(Name::Demo) => None,
        path => Some(path.unwrap_or(store::DEFAULT)),
    };
    let store = match path {
        Some(path) => Store::open(path, me)?,
        None => None,
    };
    let mut state = STATE.lock(me);
    match &store {
        Some(store) => {
            state.outlet.set_key(store.key());
            rules::note_build(store.pack_build());
        }
        None => {
            let mut key = [0; 16];
            random(&mut key)?;
            state.outlet.set_key(key);
        }
    }
    drop(state);
    learn(options, me);
    age::look();
    Ok(store)
}

/// Opens the log, makes the queues, and starts the writer.
#[inline(never)]
pub(super) fn start_writer(
    options: &Options,
    stage: Option<&Stage>,
    host: &Host,
    events: Option<Fd>,
    store: Option<Store>,
    me: ThreadId,
) -> Result<(), Error> {
    let (alerts_in, alerts) = queue(&writer::ALERTS, ALERT_QUEUE)?;
    let (mut events_in, mut events_out, mut buffer) = (None, None, writer::BUFFER);
    if events.is_some() {
        let (input, output) = queue(&writer::EVENTS, EVENT_QUEUE)?;
        (events_in, events_out, buffer) = (Some(input), Some(output), writer::EVENT_BUFFER);
    }
    let path = match (options.value(Name::Alerts), stage) {
        (None, Some(stage)) => stage.log(),
        (path, _) => log::file(path.unwrap_or(log::DEFAULT)),
    }?;
    let settings = settings(options, stage);
    let mut state = STATE.lock(me);
    let (log, sequence) = log::start(path, settings, state.outlet.frame());
    // After a crash some numbers are left out: whether they were used is not known.
    let sequence = sequence.max(store.as_ref().map_or(0, Store::reserved));
    state.outlet.open(sequence, alerts_in, events_in);
    // The first record of the stream.
    state.outlet.tell(&Record::Header(host.header()));
    drop(state);
    let show = stage.is_some() || is_terminal(&STDOUT);
    *WRITER.lock(me) = Some(Mapping::place(Writer {
        alerts,
        events: events_out,
        log,
        store,
        events_file: events,
        show,
    })?);
    start(writer::run, 0, writer::STACK, buffer, Memory::OnDemand).map_err(Error::Start)
}

/// How many alerts there may be, in how many seconds.
pub(super) fn rate(told: &Told<'_>) -> (u32, u32) {
    let text = told.value(Name::RateLimit);
    text.map_or(rate::DEFAULT, |text| {
        // Anything else that is a value is 0.
        options::rate(text.to_bytes()).unwrap_or((0, 0))
    })
}

/// How the log is to be kept.
#[inline(never)]
fn settings(options: &Options, stage: Option<&Stage>) -> Settings {
    let default = Settings::DEFAULT;
    // The demo removes one file at its end.
    let segments = stage.map_or(default.segments, |_| 1);
    Settings {
        segment_size: options.figure(Name::SegmentSize, default.segment_size),
        segments: options.figure(Name::Segments, segments),
        sync: options
            .value(Name::Sync)
            .and_then(|name| Sync::named(name.to_bytes()))
            .unwrap_or(default.sync),
    }
}

#[inline(never)]
fn queue(ring: &'static Once<Ring>, length: usize) -> Result<(Producer, Consumer), Errno> {
    let bytes = Mapping::new(length)?.share();
    ring.set(Ring::new(bytes)).map(Ring::ends)
}

/// The CPUs that a thread can be pinned to. Tried out: what is online and what a cpuset allows changes.
pub fn pinnable() -> CpuSet {
    let mut cpus = CpuSet::EMPTY;
    let Ok(before) = CpuSet::allowed() else {
        return cpus;
    };
    for cpu in 0..MAX_CPUS {
        if pin(cpu).is_ok() {
            cpus.insert(cpu);
        }
    }
    // Was allowed a moment ago; if not any more, the kernel has put us somewhere else.
    let _ = allow(&before);
    cpus
}
