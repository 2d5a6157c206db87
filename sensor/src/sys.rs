//! The kernel, made safe: every `unsafe` block of the sensor is in this module.
//!
//! Only what the sensor needs, each call once, with lengths and lifetimes in its types. Times and
//! files are 64 bits wide on every target.

#![allow(unsafe_code)]

mod args;
mod book;
mod call;
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
use core::num::NonZero;

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
pub use memory::{
    Mapping, lock_on_fault, lock_value, memory_lock_limit, release_code, release_stack,
};
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

// The C library itself, for what compilers call to copy and compare memory: the `libc` crate leaves linking to `std`, which is not
// there.
#[cfg(not(test))]
#[link(name = "c")]
unsafe extern "C" {}

/// An error number of the kernel: never 0, so that a result of nothing else fits into one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZero<c_int>);

impl Errno {
    /// That of a number, which is not 0.
    pub(crate) const fn of(number: c_int) -> Self {
        match NonZero::new(number) {
            Some(number) => Self(number),
            None => panic!(),
        }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0.get().unsigned_abs()
    }

    /// Interrupted by a signal.
    pub const INTERRUPTED: Self = Self::of(libc::EINTR);
    /// Nothing there at the moment.
    pub const AGAIN: Self = Self::of(libc::EAGAIN);
    /// No such file, or no such process any more.
    pub const NOT_FOUND: Self = Self::of(libc::ENOENT);
    /// It is there already.
    pub const EXISTS: Self = Self::of(libc::EEXIST);
    /// Forbidden.
    pub const DENIED: Self = Self::of(libc::EACCES);
    /// Forbidden without a capability.
    pub const NOT_PERMITTED: Self = Self::of(libc::EPERM);
    /// The kernel does not know the request, or not with these values.
    pub const INVALID: Self = Self::of(libc::EINVAL);
    /// A queue ran over.
    pub const OVERRUN: Self = Self::of(libc::ENOBUFS);
    /// Nobody listens at the other end.
    pub const REFUSED: Self = Self::of(libc::ECONNREFUSED);
    /// No more room for this user or project.
    pub const QUOTA: Self = Self::of(libc::EDQUOT);
    /// No room on the disk.
    pub const NO_SPACE: Self = Self::of(libc::ENOSPC);
    /// Somebody else has it.
    pub const IN_USE: Self = Self::of(libc::EADDRINUSE);
    /// A value does not fit.
    pub const TOO_LONG: Self = Self::of(libc::ENAMETOOLONG);
    /// More than fits.
    pub const TOO_LARGE: Self = Self::of(libc::EFBIG);
    /// The protocol is not built in.
    pub const NO_PROTOCOL: Self = Self::of(libc::EPROTONOSUPPORT);
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
            .find(|(number, _)| *number == self.0.get())
            .map(|(_, text)| *text)
    }
}
