//! Starting the writer, and what is there for the others.

use peewit_core::alert::Record;
use peewit_core::frame::encode;

use crate::cli::{Name, Options};
use crate::demo::Stage;
use crate::host::Host;
use crate::log;
use crate::ring::{Consumer, Producer, Ring};
use crate::state::STATE;
use crate::sys::{
    CpuSet, Errno, Fd, MAX_CPUS, Mapping, Memory, Once, STDOUT, ThreadId, allow, is_terminal, pin,
    random, start,
};
use crate::text::say;
use crate::writer::{self, WRITER, Writer};

/// Room for alerts on their way to the writer: more than a hundred of the usual ones.
const ALERT_QUEUE: usize = 16 << 10;
/// Room for events on their way to the writer.
const EVENT_QUEUE: usize = 4 << 20;

/// Opens the log, makes the queues, and starts the writer.
#[inline(never)]
pub(super) fn start_writer(
    options: &Options,
    stage: Option<&Stage>,
    host: &Host,
    events: Option<Fd>,
    me: ThreadId,
) -> Result<(), Errno> {
    static ALERTS: Once<Ring> = Once::new();
    static EVENTS: Once<Ring> = Once::new();
    let (alerts_in, alerts) = queue(&ALERTS, ALERT_QUEUE)?;
    let (mut events_in, mut events_out, mut buffer) = (None, None, writer::BUFFER);
    if events.is_some() {
        let (input, output) = queue(&EVENTS, EVENT_QUEUE)?;
        (events_in, events_out, buffer) = (Some(input), Some(output), writer::EVENT_BUFFER);
    }
    let mut key = [0; 16];
    random(&mut key)?;
    let mut state = STATE.lock(me);
    let log = open_log(options, stage, host, state.outlet.frame());
    let sequence = log
        .as_ref()
        .map_or(0, |log| log::last_sequence(log, state.outlet.frame()));
    state.outlet.open(key, sequence, alerts_in, events_in);
    drop(state);
    let show = stage.is_some() || is_terminal(&STDOUT);
    *WRITER.lock(me) = Some(Writer {
        alerts,
        events: events_out,
        log,
        events_file: events,
        show,
    });
    start(writer::run, 0, writer::STACK, buffer, Memory::OnDemand)
}

#[inline(never)]
fn queue(ring: &'static Once<Ring>, length: usize) -> Result<(Producer, Consumer), Errno> {
    let bytes = Mapping::new(length)?.share();
    ring.set(Ring::new(bytes)).map(Ring::ends)
}

/// Opens the alert log and begins a stream in it. Without one, alerts are only shown.
fn open_log(options: &Options, stage: Option<&Stage>, host: &Host, frame: &mut [u8]) -> Option<Fd> {
    let path = match (options.value(Name::Alerts), stage) {
        (None, Some(stage)) => stage.log(),
        (path, _) => log::file(path.unwrap_or(log::DEFAULT)),
    };
    let opened = path.as_ref().map_err(|error| *error).and_then(log::append);
    let result = opened.and_then(|log| {
        let header = encode(&Record::Header(host.header()), frame).map_err(|_| Errno::INVALID)?;
        log.write_all(header)?;
        Ok(log)
    });
    match result {
        Ok(log) => Some(log),
        Err(error) => {
            let path = path
                .as_ref()
                .map_or(&b"the alert log"[..], log::Path::as_bytes);
            say("cannot write to ")
                .printable(path)
                .text(": ")
                .error(error)
                .text("; alerts are only shown");
            None
        }
    }
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
