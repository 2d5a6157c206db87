//! What can be wrong with a kernel or with privileges, and how to mend it: the same words for `run` and for `check`.

use crate::sys::Errno;
use crate::texts::Text;

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
    pub const fn text(self) -> Text {
        match self {
            Self::NoProc => Text::NoProc,
            Self::Forbidden => Text::Forbidden,
            Self::NoConnector => Text::NoConnector,
            Self::NetworkNamespace => Text::NetworkNamespace,
            Self::Refused => Text::Refused,
            Self::NoAnswer => Text::NoAnswer,
            Self::NoEvents => Text::NoEvents,
            Self::NoTracepoints => Text::NoTracepoints,
            Self::PerfForbidden => Text::PerfForbidden,
            Self::NoPerf => Text::NoPerf,
            Self::FanotifyForbidden => Text::FanotifyForbidden,
            Self::NoFanotify => Text::NoFanotify,
            Self::Unreadable => Text::Unreadable,
        }
    }
}
