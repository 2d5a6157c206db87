//! Starting the writer, and what is there for the others.

use peewit_core::alert::Record;

use super::{Error, figure};
use crate::age;
use crate::cli::{Name, Options};
use crate::demo::Stage;
use crate::host::Host;
use crate::log::{self, Settings, Sync};
use crate::rate;
use crate::ring::{Consumer, Producer, Ring};
use crate::state::STATE;
use crate::store::{self, Store};
use crate::sys::{
    CpuSet, Errno, Fd, MAX_CPUS, Mapping, Memory, Once, STDOUT, ThreadId, allow, is_terminal, pin,
    random, start,
};
use crate::text::number;
use crate::writer::{self, WRITER, Writer};

/// Room for alerts on their way to the writer: more than a hundred of the usual ones.
const ALERT_QUEUE: usize = 16 << 10;
/// Room for events on their way to the writer.
const EVENT_QUEUE: usize = 4 << 20;

/// Opens the state, and takes what it says of terms into the table. The demo has none of its own accord: its terms are to be new.
///
/// # Errors
/// Those of getrandom(2) and mmap(2), and if `--learning` is no number.
#[inline(never)]
pub(super) fn open_store(options: &Options, me: ThreadId) -> Result<Option<Store>, Error> {
    let path = match options.value(Name::State) {
        None if options.has(Name::Demo) => None,
        path => Some(path.unwrap_or(store::DEFAULT)),
    };
    let learning = options
        .value(Name::Learning)
        .map(|_| figure(options, Name::Learning, 0))
        .transpose()?;
    let store = match path {
        Some(path) => Store::open(path, me)?,
        None => None,
    };
    let mut state = STATE.lock(me);
    match &store {
        Some(store) => state.outlet.set_key(store.key()),
        None => {
            let mut key = [0; 16];
            random(&mut key)?;
            state.outlet.set_key(key);
        }
    }
    if path.is_some() {
        let learning = learning.map(|seconds| seconds.saturating_mul(1000));
        state.outlet.learn(learning);
    }
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
    static ALERTS: Once<Ring> = Once::new();
    static EVENTS: Once<Ring> = Once::new();
    let (alerts_in, alerts) = queue(&ALERTS, ALERT_QUEUE)?;
    let (mut events_in, mut events_out, mut buffer) = (None, None, writer::BUFFER);
    if events.is_some() {
        let (input, output) = queue(&EVENTS, EVENT_QUEUE)?;
        (events_in, events_out, buffer) = (Some(input), Some(output), writer::EVENT_BUFFER);
    }
    let path = match (options.value(Name::Alerts), stage) {
        (None, Some(stage)) => stage.log(),
        (path, _) => log::file(path.unwrap_or(log::DEFAULT)),
    }?;
    let settings = settings(options, stage)?;
    let (alerts_at_most, seconds) = rate(options)?;
    let mut state = STATE.lock(me);
    let (log, sequence) = log::start(path, settings, state.outlet.frame());
    // After a crash some numbers are left out: whether they were used is not known.
    let sequence = sequence.max(store.as_ref().map_or(0, Store::reserved));
    state.outlet.open(sequence, alerts_in, events_in);
    state.outlet.rate.limit(alerts_at_most, seconds);
    // The first record of the stream.
    state.outlet.tell(&Record::Header(host.header()));
    drop(state);
    let show = stage.is_some() || is_terminal(&STDOUT);
    *WRITER.lock(me) = Some(Writer {
        alerts,
        events: events_out,
        log: Mapping::place(log)?,
        store,
        events_file: events,
        show,
    });
    start(writer::run, 0, writer::STACK, buffer, Memory::OnDemand).map_err(Error::Start)
}

/// How many alerts there may be, in how many seconds.
#[inline(never)]
fn rate(options: &Options) -> Result<(u64, u64), Error> {
    let Some(text) = options.value(Name::RateLimit) else {
        return Ok(rate::DEFAULT);
    };
    let mut numbers = text.to_bytes().split(|&byte| byte == b'/').map(number);
    match (numbers.next().flatten(), numbers.next(), numbers.next()) {
        (Some(0), None, _) => Ok((0, 0)),
        (Some(alerts @ 1..), Some(Some(seconds @ 1..)), None) => Ok((alerts, seconds)),
        _ => Err(Error::Option(Name::RateLimit)),
    }
}

/// How the log is to be kept.
#[inline(never)]
fn settings(options: &Options, stage: Option<&Stage>) -> Result<Settings, Error> {
    let mut settings = Settings::DEFAULT;
    settings.segment_size = figure(options, Name::SegmentSize, settings.segment_size)?;
    if settings.segment_size < Settings::LEAST_SIZE {
        return Err(Error::Option(Name::SegmentSize));
    }
    // The demo removes one file at its end.
    let segments = stage.map_or(settings.segments, |_| 1);
    settings.segments = figure(options, Name::Segments, segments)?;
    if !(1..=Settings::MOST_SEGMENTS).contains(&settings.segments) {
        return Err(Error::Option(Name::Segments));
    }
    if let Some(name) = options.value(Name::Sync) {
        settings.sync = Sync::named(name.to_bytes()).ok_or(Error::Option(Name::Sync))?;
    }
    Ok(settings)
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
