//! Why the sensor cannot watch, in words that say how to mend it.

use core::fmt;

use crate::rules;
use crate::sys::Errno;
use crate::text::Printable;

/// Why the sensor cannot watch.
#[derive(Debug)]
pub(super) enum Error {
    Rules(&'static [u8], rules::Error),
    Kernel(&'static str, Errno),
    NoConnector(Errno),
    NetworkNamespace,
    NoAnswer,
    NoEvents,
    Unreadable,
    Events(&'static [u8], Errno),
    Demo(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(path, error) => write!(f, "rules {}: {error}", Printable(path)),
            Self::Kernel(what, error) => write!(f, "cannot {what}: {error}"),
            Self::NoConnector(Errno::NOT_PERMITTED) => {
                f.write_str("may not listen to the kernel's process connector: it needs root, or CAP_NET_ADMIN")
            }
            Self::NoConnector(Errno::NO_PROTOCOL) => {
                f.write_str("this kernel has no process connector: it needs CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y")
            }
            Self::NoConnector(error) => write!(f, "cannot listen to the kernel's process connector: {error}"),
            Self::NetworkNamespace => f.write_str(
                "the kernel's process connector is out of reach from this network namespace: run in the host's (for a container: --network host)",
            ),
            Self::NoAnswer => f.write_str(
                "the kernel's process connector does not answer: run in the host's pid and user namespace (for a container: --pid host), \
                 on a kernel with CONFIG_PROC_EVENTS=y",
            ),
            Self::NoEvents => f.write_str("the kernel's process connector answers, but does not tell of a child that was started to see it"),
            Self::Unreadable => f.write_str("may not read which programs other processes run: it needs root, or CAP_SYS_PTRACE"),
            Self::Events(path, error) => write!(f, "events {}: {error}", Printable(path)),
            Self::Demo(error) => write!(f, "the demo cannot be played: {error}"),
        }
    }
}

impl core::error::Error for Error {}
