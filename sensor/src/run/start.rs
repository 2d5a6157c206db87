//! Starting the threads.

use peewit_core::alert::Record;
use peewit_core::frame::encode;

use super::error::Error;
use crate::capture::{self, CAPTURES, Capture, MAX_THREADS};
use crate::cli::RunOptions;
use crate::demo::Stage;
use crate::host::Host;
use crate::netlink::{exec_elsewhere, exec_on};
use crate::ring::Ring;
use crate::state::STATE;
use crate::sys::{
    Connector, CpuSet, Errno, Fd, MAX_CPUS, Mapping, Memory, Once, OpenMode, STDOUT, ThreadId,
    allow, is_terminal, open, pin, random, realtime, reset_scheduling, start,
};
use crate::text::Printable;
use crate::writer::{self, WRITER, Writer};
use crate::{log, say};

/// Receive buffer of each socket: about 2,500 events.
pub(super) const SOCKET_BUFFER: i32 = 1 << 20;
/// Room for alerts on their way to the writer: more than a hundred of the usual ones.
const ALERT_QUEUE: usize = 16 << 10;
/// Room for events on their way to the writer.
const EVENT_QUEUE: usize = 4 << 20;
/// How long a socket waits before it looks after itself.
const SOCKET_TIMEOUT_S: u32 = 5;

/// Opens the log, makes the queues, and starts the writer.
#[inline(never)]
pub(super) fn start_writer(
    options: &RunOptions,
    stage: Option<&Stage>,
    host: &Host,
    events: Option<Fd>,
    me: ThreadId,
) -> Result<(), Error> {
    static ALERTS: Once<Ring> = Once::new();
    static EVENTS: Once<Ring> = Once::new();
    let queue = |ring: &'static Once<Ring>, length| {
        let bytes = Mapping::new(length)
            .map_err(|error| Error::Kernel("get memory", error))?
            .share();
        ring.set(Ring::new(bytes))
            .map(Ring::ends)
            .map_err(|_| Error::Kernel("start twice", Errno::INVALID))
    };
    let (alerts_in, alerts) = queue(&ALERTS, ALERT_QUEUE)?;
    let (events_in, events_out) = match &events {
        Some(_) => {
            queue(&EVENTS, EVENT_QUEUE).map(|(input, output)| (Some(input), Some(output)))?
        }
        None => (None, None),
    };
    let mut key = [0; 16];
    random(&mut key).map_err(|error| Error::Kernel("get random numbers", error))?;
    let mut state = STATE.lock(me);
    let log = open_log(options, stage, host, state.outlet.frame());
    let sequence = log
        .as_ref()
        .map_or(0, |log| log::last_sequence(log, state.outlet.frame()));
    state.outlet.open(key, sequence, alerts_in, events_in);
    drop(state);
    let buffer = if events.is_some() {
        writer::EVENT_BUFFER
    } else {
        writer::BUFFER
    };
    let show = stage.is_some() || is_terminal(&STDOUT);
    *WRITER.lock(me) = Some(Writer {
        alerts,
        events: events_out,
        log,
        events_file: events,
        show,
    });
    start(writer::run, 0, writer::STACK, buffer, Memory::OnDemand)
        .map_err(|error| Error::Kernel("start a thread", error))
}

/// Opens the alert log and begins a stream in it. Without one, alerts are only shown.
fn open_log(
    options: &RunOptions,
    stage: Option<&Stage>,
    host: &Host,
    frame: &mut [u8],
) -> Option<Fd> {
    let path = match (options.alerts, stage) {
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
            say!(
                "peewit: cannot write to {}: {error}; alerts are only shown",
                Printable(path)
            );
            None
        }
    }
}

/// What the capture threads can do.
#[derive(Clone, Copy)]
pub(super) struct Threads {
    /// How many.
    pub count: usize,
    /// Whether they have real-time priority.
    pub realtime: bool,
}

/// Starts a capture thread for each CPU, and one for all others there may be.
pub(super) fn start_capture() -> Result<Threads, Error> {
    let realtime = realtime().and_then(|()| reset_scheduling()).is_ok();
    if !realtime {
        say!(
            "peewit: no real-time priority (`peewit check` says why): programs that end at once may be missed"
        );
    }
    let cpus = pinnable();
    let pinned = cpus.iter().take(MAX_THREADS - 1);
    let mut count = 0;
    for cpu in pinned.clone() {
        let number = u32::try_from(cpu).unwrap_or(u32::MAX);
        start_thread(count, Some(cpu), realtime, &exec_on(number, !realtime))?;
        count += 1;
    }
    if count == 0 || elsewhere(&cpus, count) {
        let cpus = pinned.filter_map(|cpu| u32::try_from(cpu).ok());
        start_thread(count, None, realtime, &exec_elsewhere(cpus))?;
        count += 1;
    }
    Ok(Threads { count, realtime })
}

#[inline(never)]
fn start_thread(
    index: usize,
    cpu: Option<usize>,
    realtime: bool,
    filter: &[crate::sys::Instruction],
) -> Result<(), Error> {
    let socket = Connector::open(filter, SOCKET_BUFFER).map_err(Error::NoConnector)?;
    socket
        .set_timeout(SOCKET_TIMEOUT_S)
        .map_err(|error| Error::Kernel("set a timeout", error))?;
    if let Some(place) = CAPTURES.get(index) {
        place
            .set(Capture {
                socket,
                cpu,
                realtime,
            })
            .map_err(|_| Error::Kernel("start twice", Errno::INVALID))?;
    }
    start(
        capture::run,
        index,
        capture::STACK,
        capture::BUFFER,
        Memory::Locked,
    )
    .map_err(|error| Error::Kernel("start a thread", error))
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

/// Whether there may be CPUs, now or after a hotplug, without a thread of their own.
fn elsewhere(pinned: &CpuSet, threads: usize) -> bool {
    let mut buffer = [0; 64];
    let read = open(c"/sys/devices/system/cpu/possible", OpenMode::Read)
        .and_then(|file| file.read(&mut buffer));
    // A list of ranges, usually one: 0-3.
    let possible = read.ok().and_then(|read| last_number(buffer.get(..read)?));
    possible.is_none_or(|last| (0..=last).any(|cpu| !pinned.contains(cpu)) || threads < last + 1)
}

fn last_number(list: &[u8]) -> Option<usize> {
    let last = list
        .trim_ascii()
        .rsplit(|byte| matches!(byte, b'-' | b','))
        .next()?;
    usize::try_from(crate::text::number(last)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        for (list, last) in [
            ("0\n", Some(0)),
            ("0-3\n", Some(3)),
            ("0-1,4-127", Some(127)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(last_number(list.as_bytes()), last, "{list}");
        }
    }
}
