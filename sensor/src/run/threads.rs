//! The capture threads, and CPUs that come and go.

use core::sync::atomic::{AtomicU32, Ordering};

use peewit_core::alert::Source;

use super::error::Error;
use super::start::pinnable;
use crate::capture::{self, CAPTURES, Capture, MAX_THREADS};
use crate::limits::cpu_list;
use crate::netlink::{LINEAGE, exec_elsewhere, exec_on, leave_out};
use crate::source::connector::Connection;
use crate::source::{Execs, Lineage, fanotify, perf};
use crate::state::Sensor;
use crate::sys::{
    CpuSet, Errno, MAX_CPUS, Memory, Once, pin_thread, realtime, reset_scheduling, start,
};

/// Receive buffer of each socket: about 2,500 events.
pub const SOCKET_BUFFER: i32 = 1 << 20;

/// The capture threads.
pub(super) struct Threads {
    /// Of each socket.
    buffer: i32,
    /// How many.
    pub count: usize,
    /// Whether they have real-time priority.
    pub realtime: bool,
    /// The CPUs that have one.
    pub pinned: CpuSet,
    /// The CPUs that have a ring.
    watched: CpuSet,
    /// The one that takes the execs of all other CPUs.
    others: Option<usize>,
    /// Whether the kernel gave less room than wanted.
    pub small_buffers: bool,
}

/// Opens what tells of forks and ends.
pub(super) fn lineage(source: Source, buffer: i32) -> Result<Lineage, Error> {
    Ok(match source {
        Source::Connector => Lineage::Connector(Connection::open(&LINEAGE, buffer)?),
        Source::Perf => Lineage::Perf(perf::Tasks::open(&online())?),
        Source::Fanotify => Lineage::Proc,
    })
}

/// The CPUs that run.
fn online() -> CpuSet {
    let mut first = CpuSet::EMPTY;
    first.insert(0);
    cpu_list(c"/sys/devices/system/cpu/online").unwrap_or(first)
}

impl Threads {
    /// Starts a thread for each CPU, and one for all others there may be.
    #[inline(never)]
    pub(super) fn start(source: Source, buffer: i32) -> Result<Self, Error> {
        let mut threads = Self {
            buffer,
            count: 0,
            realtime: realtime().and_then(|()| reset_scheduling()).is_ok(),
            pinned: CpuSet::EMPTY,
            watched: CpuSet::EMPTY,
            others: None,
            small_buffers: false,
        };
        match source {
            Source::Connector => {
                let cpus = pinnable();
                for cpu in cpus.iter().take(MAX_THREADS - 1) {
                    threads.add(cpu)?;
                }
                let possible = cpu_list(c"/sys/devices/system/cpu/possible");
                if possible != Some(threads.pinned) {
                    threads.add_others()?;
                }
            }
            Source::Perf => {
                // A ring can be read from any CPU: one without a thread of its own is only read late.
                let cpus = pinnable();
                for cpu in online().iter() {
                    threads.add_ring(cpu, cpus.contains(cpu))?;
                }
            }
            Source::Fanotify => {
                threads.spawn(Execs::Fanotify(fanotify::Group::open()?), None)?;
                // One thread is all that it takes.
                threads.pinned = online();
            }
        }
        Ok(threads)
    }

    /// Starts the thread of a CPU.
    fn add(&mut self, cpu: usize) -> Result<(), Error> {
        let number = u32::try_from(cpu).unwrap_or(u32::MAX);
        let connection = Connection::open(&exec_on(number, !self.realtime), self.buffer)?;
        self.small_buffers |= connection.is_small(self.buffer);
        self.spawn(Execs::Connector(connection), Some(cpu))?;
        self.pinned.insert(cpu);
        Ok(())
    }

    /// Starts the thread of a CPU's ring, pinned if it may be.
    fn add_ring(&mut self, cpu: usize, own: bool) -> Result<(), Error> {
        let execs = Execs::Perf(perf::Execs::open(cpu)?);
        self.spawn(execs, own.then_some(cpu))?;
        self.watched.insert(cpu);
        if own {
            self.pinned.insert(cpu);
        }
        Ok(())
    }

    /// Starts the thread of all other CPUs.
    fn add_others(&mut self) -> Result<(), Error> {
        let connection = Connection::open(&self.elsewhere(), self.buffer)?;
        self.others = Some(self.count);
        self.spawn(Execs::Connector(connection), None)
    }

    /// Lets pass the execs of all CPUs but those with a thread.
    fn elsewhere(&self) -> crate::netlink::Filter {
        let mut filter = exec_elsewhere();
        for cpu in self.pinned.iter() {
            leave_out(&mut filter, u32::try_from(cpu).unwrap_or(u32::MAX));
        }
        filter
    }

    #[inline(never)]
    fn spawn(&mut self, execs: Execs, cpu: Option<usize>) -> Result<(), Error> {
        let stack = match execs {
            Execs::Fanotify(_) => fanotify::STACK,
            _ => capture::STACK,
        };
        let place = CAPTURES.get(self.count).ok_or(Errno::TOO_LONG)?;
        place.set(Capture {
            execs,
            cpu,
            realtime: self.realtime,
            thread: AtomicU32::new(0),
        })?;
        start(
            capture::run,
            self.count,
            stack,
            capture::BUFFER,
            Memory::Locked,
        )?;
        self.count += 1;
        Ok(())
    }

    /// A CPU came or went. One that came back gets its thread back, which the kernel let go when it went; a new one gets one.
    /// Until then its execs went to whichever thread takes them, but late.
    ///
    /// Gives whether all that run are watched by a thread of their own.
    pub(super) fn follow_cpus(&mut self, sensor: &Sensor) -> bool {
        let online = online();
        for capture in CAPTURES.iter().map_while(Once::get) {
            let thread = capture.thread.load(Ordering::Relaxed);
            if let Some(cpu) = capture
                .cpu
                .filter(|cpu| online.contains(*cpu) && thread != 0)
            {
                let _ = pin_thread(thread, cpu);
            }
        }
        match &sensor.lineage {
            Lineage::Connector(_) => self.follow_sockets(&online),
            Lineage::Perf(tasks) => self.follow_rings(&online, tasks),
            Lineage::Proc => true,
        }
    }

    fn follow_sockets(&mut self, online: &CpuSet) -> bool {
        if online.iter().all(|cpu| self.pinned.contains(cpu)) {
            return true;
        }
        let allowed = pinnable();
        for cpu in online.iter().filter(|cpu| allowed.contains(*cpu)) {
            // Without a place, or memory, for a thread the one of all others goes on.
            if self.pinned.contains(cpu) || self.count >= MAX_THREADS || self.add(cpu).is_err() {
                continue;
            }
            if let Some(Execs::Connector(others)) = self
                .others
                .and_then(|place| CAPTURES.get(place)?.get())
                .map(|capture| &capture.execs)
            {
                let _ = others.filter(&self.elsewhere());
            }
        }
        online.iter().all(|cpu| self.pinned.contains(cpu))
    }

    /// A ring does not come back with its CPU: there is a new one, with a new thread. The old one sleeps.
    fn follow_rings(&mut self, online: &CpuSet, tasks: &perf::Tasks) -> bool {
        let mut all = true;
        for cpu in 0..MAX_CPUS {
            if !online.contains(cpu) {
                self.watched.remove(cpu);
            } else if !self.watched.contains(cpu) {
                let allowed = pinnable().contains(cpu);
                all &= tasks.add(cpu).is_ok() && self.add_ring(cpu, allowed).is_ok();
            }
        }
        all
    }
}
