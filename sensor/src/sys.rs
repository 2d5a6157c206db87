//! The kernel, made safe: every `unsafe` block of the sensor is in this module.
//!
//! Only what the sensor needs, each call once, with lengths and lifetimes in its types. Times and
//! files are 64 bits wide on every target.

#![allow(unsafe_code)]

mod args;
mod clock;
mod fd;
mod memory;
mod mutex;
mod once;
mod process;
mod signal;
mod socket;
mod thread;
mod wake;

use core::ffi::{CStr, c_int};
use core::fmt;

pub use args::{Args, arguments};
pub use clock::{boot_ms, real_ms, sleep_ms};
pub use fd::{
    Directory, Entries, Fd, Kind, OpenMode, STDERR, STDOUT, is_terminal, kind, make_directory,
    open, open_at, read_link, read_link_at, remove_directory, remove_file,
};
pub use memory::{Mapping, lock_on_fault, lock_value, memory_lock_limit};
pub use mutex::{Guard, PiMutex};
pub use once::Once;
pub use process::{Child, exit, host_name, machine, process_id, random, release, spawn, wait};
pub use signal::{Signals, Waited, wait_readable};
pub use socket::{Connector, Instruction, Message, Messages};
pub use thread::{
    CpuSet, MAX_CPUS, Memory, PRIORITY, Start, ThreadId, allow, favour, pin, realtime,
    reset_scheduling, start, thread_id,
};
pub use wake::Wake;

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
    /// A value does not fit.
    pub const TOO_LONG: Self = Self(libc::ENAMETOOLONG);
    /// The protocol is not built in.
    pub const NO_PROTOCOL: Self = Self(libc::EPROTONOSUPPORT);

    /// That of the last call that failed in this thread.
    fn last() -> Self {
        // SAFETY: gives a valid pointer to the calling thread's own variable.
        Self(unsafe { *libc::__errno_location() })
    }

    /// What a call that gives -1 for an error has given.
    fn check(result: impl TryInto<isize>) -> Result<usize, Self> {
        result
            .try_into()
            .ok()
            .and_then(|result| usize::try_from(result).ok())
            .ok_or_else(Self::last)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: gives a NUL-terminated string for any number; musl's are constants.
        let text = unsafe { CStr::from_ptr(libc::strerror(self.0)) };
        f.write_str(text.to_str().unwrap_or("unknown error"))
    }
}

impl core::error::Error for Errno {}
