//! The kernel, made safe: every `unsafe` block of the sensor is in this module.
//!
//! Only what the sensor needs, each call once, with lengths and lifetimes in its types. Times and
//! files are 64 bits wide on every target.

#![allow(unsafe_code)]

mod args;
mod book;
mod clock;
mod control;
mod fanotify;
mod fd;
mod memory;
mod mutex;
mod notify;
mod once;
mod pair;
mod perf;
mod process;
mod signal;
mod socket;
mod thread;
mod trace;
mod wake;

use core::ffi::c_int;

use crate::texts::Text;

pub use args::{Args, arguments};
pub use book::Book;
pub use clock::{boot_ms, is_synchronised, monotonic_ns, nap, real_ms, sleep_ms};
pub use control::{Control, ask};
pub use fanotify::{Fanotify, Opened, OpenedBatch};
pub use fd::{
    Directory, Entries, Fd, Identity, OpenMode, STDERR, STDOUT, device_at, identity, identity_at,
    identity_by, is_directory, is_terminal, make_directory, open, open_at, read_file, read_link,
    read_link_at, remove_directory, remove_file, rename,
};
pub use memory::{Mapping, lock_on_fault, lock_value, memory_lock_limit, release_stack};
pub use mutex::{Guard, PiMutex};
pub use notify::Supervisor;
pub use once::Once;
pub use pair::{Held, Pair};
pub use perf::{Many, PerfRecord, PerfRing, Tells};
pub use process::{Ended, exit, host_name, machine, process_id, random, release, run};
pub use signal::{Asked, Signals, Waited, wait_readable};
pub use socket::{Connector, Instruction, Message, device_events};
pub use thread::{
    CpuSet, MAX_CPUS, Memory, PRIORITY, Start, ThreadId, allow, favour, pin, pin_thread, realtime,
    reset_scheduling, start, thread_id,
};
pub use trace::trace_directory;
pub use wake::Wake;

#[cfg(test)]
pub use {clock::tests::pass, fd::tests::SYNCS};

// The C library itself: the `libc` crate leaves linking to `std`, which is not there.
#[cfg(not(test))]
#[link(name = "c")]
unsafe extern "C" {}

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub c_int);

impl Errno {
    /// Interrupted by a signal.
    pub const INTERRUPTED: Self = Self(libc::EINTR);
    /// Nothing there at the moment.
    pub const AGAIN: Self = Self(libc::EAGAIN);
    /// No such file, or no such process any more.
    pub const NOT_FOUND: Self = Self(libc::ENOENT);
    /// It is there already.
    pub const EXISTS: Self = Self(libc::EEXIST);
    /// Forbidden.
    pub const DENIED: Self = Self(libc::EACCES);
    /// Forbidden without a capability.
    pub const NOT_PERMITTED: Self = Self(libc::EPERM);
    /// The kernel does not know the request, or not with these values.
    pub const INVALID: Self = Self(libc::EINVAL);
    /// A queue ran over.
    pub const OVERRUN: Self = Self(libc::ENOBUFS);
    /// Nobody listens at the other end.
    pub const REFUSED: Self = Self(libc::ECONNREFUSED);
    /// No more room for this user or project.
    pub const QUOTA: Self = Self(libc::EDQUOT);
    /// No room on the disk.
    pub const NO_SPACE: Self = Self(libc::ENOSPC);
    /// Somebody else has it.
    pub const IN_USE: Self = Self(libc::EADDRINUSE);
    /// A value does not fit.
    pub const TOO_LONG: Self = Self(libc::ENAMETOOLONG);
    /// More than fits.
    pub const TOO_LARGE: Self = Self(libc::EFBIG);
    /// The protocol is not built in.
    pub const NO_PROTOCOL: Self = Self(libc::EPROTONOSUPPORT);

    /// That of the last call that failed in this thread.
    fn last() -> Self {
        // SAFETY: gives a valid pointer to the calling thread's own variable.
        Self(unsafe { *libc::__errno_location() })
    }

    /// What a call that gives -1 for an error has given.
    #[inline(never)]
    fn check_long(result: isize) -> Result<usize, Self> {
        usize::try_from(result).map_err(|_| Self::last())
    }

    /// What a call that gives -1 for an error has given.
    fn check(result: impl TryInto<isize>) -> Result<usize, Self> {
        // Wider than a word is only what no call gives.
        Self::check_long(result.try_into().unwrap_or(-1))
    }
}

/// The errors that a user can do something about. The C library's own table of all of them takes up 2 KiB.
static TEXTS: [(c_int, Text); 20] = [
    (libc::EPERM, Text::NotPermitted),
    (libc::ENOENT, Text::NotFound),
    (libc::EIO, Text::InputOutputError),
    (libc::ENOMEM, Text::OutOfMemory),
    (libc::EACCES, Text::PermissionDenied),
    (libc::EBUSY, Text::Busy),
    (libc::EEXIST, Text::ItIsThereAlready),
    (libc::ENOTDIR, Text::NotADirectory),
    (libc::EISDIR, Text::IsADirectory),
    (libc::EINVAL, Text::InvalidArgument),
    (libc::EMFILE, Text::TooManyOpenFiles),
    (libc::EFBIG, Text::FileTooLarge),
    (libc::ENOSPC, Text::NoSpaceLeft),
    (libc::EROFS, Text::ReadOnlyFileSystem),
    (libc::EPIPE, Text::BrokenPipe),
    (libc::EAGAIN, Text::ResourceUnavailable),
    (libc::ENAMETOOLONG, Text::NameTooLong),
    (libc::ENOSYS, Text::NotInThisKernel),
    (libc::ELOOP, Text::TooManySymbolicLinks),
    (libc::EDQUOT, Text::QuotaExceeded),
];

impl Errno {
    /// What it means, if that is worth a text.
    pub fn text(self) -> Option<Text> {
        TEXTS
            .iter()
            .find(|(number, _)| *number == self.0)
            .map(|(_, text)| *text)
    }
}
