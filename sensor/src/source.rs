//! Where events come from: several sources, one record.
//!
//! Each has two sides. [`Execs`] is what a capture thread waits for, woken within the exec. [`Lineage`] tells of forks and
//! ends; all threads share it, and whoever handles an exec drains it first: a fork is always there before the
//! exec of its child.

pub mod connector;
pub mod fanotify;
pub mod perf;

use peewit_core::alert::Source;

use crate::problem::Problem;
use crate::sys::{Errno, Fd, Message};
use connector::Connection;

/// What a process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It became another program.
    Exec {
        /// The thread that asked for it.
        tid: u32,
        /// The process.
        pid: u32,
    },
    /// It started a process or a thread.
    Fork {
        /// The process that asked for it.
        parent: u32,
        /// The new process; of a thread the one that it belongs to.
        child: u32,
        /// Whether it is a thread.
        thread: bool,
    },
    /// A thread ended.
    Exit {
        /// The thread.
        tid: u32,
        /// The process.
        pid: u32,
        /// What it left for wait(2), where the source says that.
        status: Option<u32>,
    },
    /// The answer to a request.
    Answer {
        /// One more than the request's own number.
        to: u32,
    },
}

/// The execs of a CPU, or of several.
pub enum Execs {
    /// A socket of the process connector.
    Connector(Connection),
    /// A ring of a tracepoint.
    Perf(perf::Execs),
    /// Files that are opened to be executed.
    Fanotify(fanotify::Group),
}

impl Execs {
    /// Waits for an exec, or anything else that is to be looked at. `None`: only to look around.
    ///
    /// # Errors
    /// [`Errno::OVERRUN`] if events were lost.
    pub fn next(&self, message: &mut Message) -> Result<Option<Notice>, Errno> {
        match self {
            Self::Connector(connection) => connection.next(message),
            Self::Perf(execs) => execs.next(),
            // Has a loop of its own.
            Self::Fanotify(_) => Err(Errno::INVALID),
        }
    }

    /// Frees what may be stuck after an overrun, from another thread than the one that waits. Gives whether events were lost
    /// that this one is not told of any more.
    pub fn look_after(&self) -> bool {
        match self {
            Self::Connector(connection) => connection.look_after(),
            Self::Perf(_) | Self::Fanotify(_) => false,
        }
    }

    /// How many events the kernel had no room for.
    pub fn drops(&self) -> u64 {
        match self {
            Self::Connector(connection) => connection.drops(),
            Self::Perf(execs) => execs.drops(),
            Self::Fanotify(group) => group.drops(),
        }
    }
}

/// Forks and ends.
pub enum Lineage {
    /// A socket of the process connector.
    Connector(Connection),
    /// A ring for each CPU.
    Perf(perf::Tasks),
    /// Nobody tells: `/proc` is asked at each exec.
    Proc,
}

impl Lineage {
    /// Takes what happened up to now, in its order, or until `take` says that it is enough. Gives whether something was lost. One
    /// thread at a time.
    pub fn drain(&self, take: &mut dyn FnMut(Notice) -> bool) -> bool {
        match self {
            Self::Connector(connection) => connection.drain(take),
            Self::Perf(tasks) => tasks.drain(take),
            Self::Proc => false,
        }
    }

    /// How many events the kernel had no room for.
    pub fn drops(&self) -> u64 {
        match self {
            Self::Connector(connection) => connection.drops(),
            Self::Perf(tasks) => tasks.drops(),
            Self::Proc => 0,
        }
    }

    /// What becomes readable when there is something to take.
    pub fn fd(&self) -> Option<&Fd> {
        match self {
            Self::Connector(connection) => Some(connection.fd()),
            Self::Perf(tasks) => Some(tasks.fd()),
            Self::Proc => None,
        }
    }

    /// Takes note that it is readable: from then on only what is new makes it so.
    pub fn seen(&self) {
        if let Self::Perf(tasks) = self {
            tasks.seen();
        }
    }

    /// Asks the kernel for events.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn listen(&self) -> Result<(), Errno> {
        match self {
            Self::Connector(connection) => connection.listen(),
            _ => Ok(()),
        }
    }

    /// Asks for no more of them.
    pub fn ignore(&self) {
        if let Self::Connector(connection) = self {
            connection.ignore();
        }
    }
}

/// What keeps a source from working here. `None`: as far as can be told without watching, nothing.
pub fn problem(source: Source) -> Option<Problem> {
    match source {
        Source::Connector => connector::problem(),
        Source::Perf => perf::problem(),
        Source::Fanotify => fanotify::problem(),
    }
}

/// The best source that works.
///
/// # Errors
/// What is wrong with the first of them.
pub fn best() -> Result<Source, Problem> {
    let mut first = None;
    for source in Source::ALL {
        match problem(source) {
            None => return Ok(source),
            Some(problem) => {
                first.get_or_insert(problem);
            }
        }
    }
    Err(first.unwrap_or(Problem::Refused))
}
