//! Tracepoints as a source, for kernels without the process connector.
//!
//! `sched:sched_process_exec` is passed at the same place of an exec, just before the connector would send. For each CPU
//! there are a ring for it, whose thread is woken through an interrupt of its own CPU, and a ring for new and ended
//! tasks, which all share.

use core::sync::atomic::{AtomicU64, Ordering};

use super::Notice;
use crate::problem::Problem;
use crate::sys::{
    CpuSet, Errno, Many, Once, OpenMode, PerfRecord, PerfRing, Tells, monotonic_ns, open_at,
    trace_directory, wait_readable,
};
use crate::text::number;

/// `PERF_RECORD_*`
const LOST: u32 = 2;
const EXIT: u32 = 4;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;

/// Pages of a CPU's ring for execs, 24 bytes each.
const EXEC_PAGES: usize = 4;
/// Pages of its ring for tasks, 32 bytes each.
const TASK_PAGES: usize = 16;

/// Most CPUs.
const MAX_RINGS: usize = crate::capture::MAX_THREADS;

/// How long a thread waits before it looks after its ring.
const TIMEOUT_MS: u32 = 5000;

/// The execs of a CPU.
pub struct Execs {
    ring: PerfRing,
    lost: AtomicU64,
}

impl Execs {
    /// Of this CPU.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open(cpu: usize) -> Result<Self, Problem> {
        let ring = PerfRing::open(Tells::Tracepoint(tracepoint()?), cpu, EXEC_PAGES)
            .map_err(Problem::of_perf)?;
        Ok(Self {
            ring,
            lost: AtomicU64::new(0),
        })
    }

    pub(super) fn next(&self) -> Result<Option<Notice>, Errno> {
        let Some(record) = self.ring.peek(self.ring.head()) else {
            wait_readable(self.ring.fd(), TIMEOUT_MS);
            return Ok(None);
        };
        self.ring.advance(&record);
        match record.kind {
            SAMPLE => Ok(exec(&record)),
            LOST => {
                self.lost.fetch_add(record.long(2), Ordering::Relaxed);
                Err(Errno::OVERRUN)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn drops(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A sample: process, thread, time. 0: none of this pid namespace.
fn exec(record: &PerfRecord) -> Option<Notice> {
    let [pid, tid, ..] = record.words;
    (pid != 0 && pid != u32::MAX).then_some(Notice::Exec { tid, pid })
}

/// A new or ended task: process, parent's process, thread, parent's thread, time.
fn task(record: &PerfRecord) -> Option<Notice> {
    let [child, parent, tid, ..] = record.words;
    if child == 0 || child == u32::MAX {
        return None;
    }
    match record.kind {
        FORK => Some(Notice::Fork {
            parent,
            child,
            thread: child != tid,
        }),
        EXIT => Some(Notice::Exit {
            tid,
            pid: child,
            status: None,
        }),
        _ => None,
    }
}

/// The rings for tasks, one for each CPU.
static RINGS: [Once<PerfRing>; MAX_RINGS] = [const { Once::new() }; MAX_RINGS];

/// New and ended tasks of all CPUs.
pub struct Tasks {
    wake: Many,
    lost: AtomicU64,
}

impl Tasks {
    /// Of these CPUs.
    ///
    /// # Errors
    /// Those of perf_event_open(2), mmap(2) and epoll_create1(2).
    pub fn open(cpus: &CpuSet) -> Result<Self, Errno> {
        let tasks = Self {
            wake: Many::new()?,
            lost: AtomicU64::new(0),
        };
        cpus.iter()
            .take(MAX_RINGS)
            .try_for_each(|cpu| tasks.add(cpu))?;
        Ok(tasks)
    }

    /// Takes those of one more CPU, or of one that came back: the kernel took its ring's events away when it went.
    ///
    /// # Errors
    /// Those of perf_event_open(2) and mmap(2); [`Errno::TOO_LONG`] if there is no place for it.
    pub fn add(&self, cpu: usize) -> Result<(), Errno> {
        let ring = PerfRing::open(Tells::Tasks, cpu, TASK_PAGES)?;
        self.wake.add(ring.fd())?;
        let free = RINGS.iter().find(|place| place.get().is_none());
        free.ok_or(Errno::TOO_LONG)?.set(ring).map(drop)
    }

    /// The rings are merged by time. What is written later than this begins is left for the next time: a task's start is
    /// written before it runs, so whatever follows from a record taken here has been taken too.
    pub(super) fn drain(&self, take: &mut dyn FnMut(Notice) -> bool) -> bool {
        let until = monotonic_ns();
        let mut lost = false;
        loop {
            let mut first: Option<(u64, &PerfRing, PerfRecord)> = None;
            for ring in RINGS.iter().map_while(Once::get) {
                // Losses and whatever we do not know have no time: they are taken at once.
                while let Some(record) = ring.peek(ring.head()) {
                    if let FORK | EXIT = record.kind {
                        let time = record.long(4);
                        if time <= until && first.is_none_or(|(earliest, ..)| time < earliest) {
                            first = Some((time, ring, record));
                        }
                        break;
                    }
                    if record.kind == LOST {
                        self.lost.fetch_add(record.long(2), Ordering::Relaxed);
                        lost = true;
                    }
                    ring.advance(&record);
                }
            }
            let Some((_, ring, record)) = first else {
                return lost;
            };
            ring.advance(&record);
            if task(&record).is_some_and(&mut *take) {
                return lost;
            }
        }
    }

    pub(super) fn drops(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn seen(&self) {
        self.wake.seen();
    }

    pub(super) fn fd(&self) -> &crate::sys::Fd {
        self.wake.fd()
    }
}

/// The number of the tracepoint.
fn tracepoint() -> Result<u64, Problem> {
    let directory = trace_directory().map_err(|_| Problem::NoTracepoints)?;
    let file = open_at(
        &directory,
        c"events/sched/sched_process_exec/id",
        OpenMode::Read,
    );
    let mut digits = [0; 16];
    file.and_then(|file| file.read(&mut digits))
        .ok()
        .and_then(|read| number(digits.get(..read)?.trim_ascii()))
        .ok_or(Problem::NoTracepoints)
}

/// What keeps tracepoints from being used.
pub(super) fn problem() -> Option<Problem> {
    // Some CPU is there; the lowest nearly always.
    Execs::open(0).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, words: [u32; 6]) -> PerfRecord {
        let mut record = PerfRecord::default();
        (record.kind, record.words) = (kind, words);
        record
    }

    #[test]
    fn records_are_read() {
        assert_eq!(
            exec(&record(SAMPLE, [7, 7, 1, 0, 0, 0])),
            Some(Notice::Exec { tid: 7, pid: 7 })
        );
        // Of another pid namespace.
        assert_eq!(exec(&record(SAMPLE, [0, 0, 1, 0, 0, 0])), None);
        assert_eq!(exec(&record(SAMPLE, [u32::MAX, 0, 1, 0, 0, 0])), None);
        let fork = |child, tid| task(&record(FORK, [child, 3, tid, 4, 0, 0]));
        assert_eq!(
            fork(9, 9),
            Some(Notice::Fork {
                parent: 3,
                child: 9,
                thread: false
            })
        );
        assert_eq!(
            fork(9, 10),
            Some(Notice::Fork {
                parent: 3,
                child: 9,
                thread: true
            })
        );
        assert_eq!(
            task(&record(EXIT, [9, 3, 10, 4, 0, 0])),
            Some(Notice::Exit {
                tid: 10,
                pid: 9,
                status: None
            })
        );
        assert_eq!(task(&record(3, [9, 3, 10, 4, 0, 0])), None);
    }
}
