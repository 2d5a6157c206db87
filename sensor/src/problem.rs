//! What can be wrong with a kernel or with privileges, and how to mend it: the same words for `run` and for `check`.

use crate::sys::Errno;

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no `/proc`.
    NoProc,
    /// The connector may not be listened to.
    Forbidden,
    /// The kernel was built without it.
    NoConnector,
    /// It is out of reach.
    NetworkNamespace,
    /// It cannot be listened to for another reason.
    Refused,
    /// It does not answer.
    NoAnswer,
    /// It answers, but events do not come.
    NoEvents,
    /// There is no tracepoint to be found.
    NoTracepoints,
    /// Tracepoints may not be used.
    PerfForbidden,
    /// They cannot be used for another reason.
    NoPerf,
    /// Opened files may not be watched.
    FanotifyForbidden,
    /// They cannot be watched for another reason.
    NoFanotify,
    /// Programs of other processes cannot be read, by lack of a right.
    Unreadable,
}

impl Problem {
    /// Why the connector cannot be listened to.
    pub const fn of(error: Errno) -> Self {
        match error {
            Errno::NOT_PERMITTED => Self::Forbidden,
            Errno::NO_PROTOCOL => Self::NoConnector,
            Errno::REFUSED => Self::NetworkNamespace,
            _ => Self::Refused,
        }
    }

    /// Why tracepoints cannot be used.
    pub const fn of_perf(error: Errno) -> Self {
        match error {
            Errno::NOT_PERMITTED | Errno::DENIED => Self::PerfForbidden,
            _ => Self::NoPerf,
        }
    }

    /// Why opened files cannot be watched.
    pub const fn of_fanotify(error: Errno) -> Self {
        match error {
            Errno::NOT_PERMITTED | Errno::DENIED => Self::FanotifyForbidden,
            _ => Self::NoFanotify,
        }
    }

    /// What is wrong; how to mend it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoProc => "/proc cannot be opened; mount it: mount -t proc proc /proc",
            Self::Forbidden => {
                "process connector: may not be listened to; run as root, or with CAP_NET_ADMIN"
            }
            Self::NoConnector => {
                "process connector: not in this kernel; build it with CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y"
            }
            Self::NetworkNamespace => {
                "process connector: out of reach; run in the host's network namespace (container: --network host)"
            }
            Self::Refused => {
                "process connector: cannot be listened to; is netlink allowed here (seccomp, an LSM)?"
            }
            Self::NoAnswer => {
                "process connector: does not answer; run in the host's pid and user namespaces (container: --pid host), \
                 on a kernel with CONFIG_PROC_EVENTS=y"
            }
            Self::NoEvents => {
                "process connector: answers, but does not tell of a child started to see it"
            }
            Self::NoTracepoints => {
                "perf: no tracepoint sched:sched_process_exec to be found; build the kernel with CONFIG_FTRACE=y and \
                 CONFIG_PERF_EVENTS=y, or mount tracefs: mount -t tracefs tracefs /sys/kernel/tracing"
            }
            Self::PerfForbidden => {
                "perf: tracepoints may not be used; run as root, or with CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8)"
            }
            Self::NoPerf => "perf: not in this kernel; build it with CONFIG_PERF_EVENTS=y",
            Self::FanotifyForbidden => {
                "fanotify: opened files may not be watched; run as root, or with CAP_SYS_ADMIN"
            }
            Self::NoFanotify => {
                "fanotify: not in this kernel (5.0 or later); build it with CONFIG_FANOTIFY=y"
            }
            Self::Unreadable => {
                "programs of other processes cannot be read; run as root, or with CAP_SYS_PTRACE, \
                 outside a Landlock domain, with /proc not hidden (hidepid, ProtectProc=invisible)"
            }
        }
    }
}
