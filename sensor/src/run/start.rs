//! Starting the threads.

use core::ffi::CStr;

use peewit_core::alert::Record;
use peewit_core::frame::encode;

use super::error::Error;
use crate::capture::{self, CAPTURES, Capture, MAX_THREADS};
use crate::cli::{Name, Options};
use crate::demo::Stage;
use crate::host::Host;
use crate::log;
use crate::netlink::{exec_elsewhere, exec_on, leave_out};
use crate::problem::Problem;
use crate::ring::{Consumer, Producer, Ring};
use crate::state::STATE;
use crate::sys::{
    Connector, CpuSet, Errno, Fd, MAX_CPUS, Mapping, Memory, Once, STDOUT, ThreadId, allow,
    is_terminal, pin, random, read_file, realtime, reset_scheduling, start,
};
use crate::text::{number, say};
use crate::writer::{self, WRITER, Writer};

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
        say(
            "no real-time priority (`peewit check` says why): programs that end at once may be missed",
        );
    }
    let cpus = pinnable();
    let mut count = 0;
    // Of the events of all CPUs but those with a thread.
    let mut others = exec_elsewhere();
    for cpu in cpus.iter().take(MAX_THREADS - 1) {
        let number = u32::try_from(cpu).unwrap_or(u32::MAX);
        leave_out(&mut others, number);
        start_thread(count, Some(cpu), realtime, &exec_on(number, !realtime))?;
        count += 1;
    }
    if count == 0 || elsewhere(&cpus, count) {
        start_thread(count, None, realtime, &others)?;
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
    let socket = Connector::open(filter, SOCKET_BUFFER).map_err(Problem::of)?;
    socket.set_timeout(SOCKET_TIMEOUT_S)?;
    if let Some(place) = CAPTURES.get(index) {
        place.set(Capture {
            socket,
            cpu,
            realtime,
        })?;
    }
    start(
        capture::run,
        index,
        capture::STACK,
        capture::BUFFER,
        Memory::Locked,
    )?;
    Ok(())
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
    let possible = cpu_list(c"/sys/devices/system/cpu/possible");
    possible.is_none_or(|possible| {
        possible.iter().count() > threads || possible.iter().any(|cpu| !pinned.contains(cpu))
    })
}

/// The CPUs that a file lists.
pub fn cpu_list(path: &CStr) -> Option<CpuSet> {
    let mut buffer = [0; 256];
    parse_list(read_file(path, &mut buffer).ok()?)
}

/// Ranges, usually one: `0-3`, `0-1,4-7`.
fn parse_list(list: &[u8]) -> Option<CpuSet> {
    let mut cpus = CpuSet::EMPTY;
    for range in list.trim_ascii().split(|&byte| byte == b',') {
        let mut ends = range.splitn(2, |&byte| byte == b'-').map(number);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        for cpu in first..=last.min(MAX_CPUS as u64) {
            cpus.insert(cpu as usize);
        }
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lists_of_cpus() {
        for (list, cpus) in [
            ("0\n", Some(&[0][..])),
            ("0-3\n", Some(&[0, 1, 2, 3])),
            ("0-1,64,126-127", Some(&[0, 1, 64, 126, 127])),
            ("3-1", Some(&[])),
            ("1022-18446744073709551615", Some(&[1022, 1023])),
            ("", None),
            ("x", None),
            ("0-", None),
        ] {
            let parsed = parse_list(list.as_bytes()).map(|cpus| cpus.iter().collect::<Vec<_>>());
            assert_eq!(parsed.as_deref(), cpus, "{list}");
        }
    }
}
