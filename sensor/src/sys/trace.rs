//! The kernel's directory of tracepoints.

use core::ptr;

use super::{Errno, Fd, OpenMode, open, open_at};

/// fsopen(2) and what belongs to it have the same numbers on every architecture (Linux 5.2).
const FSOPEN: libc::c_long = 430;
const FSCONFIG: libc::c_long = 431;
const FSMOUNT: libc::c_long = 432;
/// FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC.
const CLOEXEC: libc::c_ulong = 1;
/// FSCONFIG_CMD_CREATE
const CREATE: libc::c_ulong = 6;

/// The directory: where it is mounted, else mounted for this process alone, where nobody can see it.
///
/// # Errors
/// Those of fsopen(2).
pub fn trace_directory() -> Result<Fd, Errno> {
    for path in [c"/sys/kernel/tracing", c"/sys/kernel/debug/tracing"] {
        if let Ok(directory) = open(path, OpenMode::Directory)
            && open_at(&directory, c"events", OpenMode::Directory).is_ok()
        {
            return Ok(directory);
        }
    }
    // SAFETY: the name is NUL-terminated.
    let context = Errno::check(unsafe { libc::syscall(FSOPEN, c"tracefs".as_ptr(), CLOEXEC) })?;
    let context = Fd::own(context);
    let none = ptr::null::<u8>();
    // SAFETY: no key and no value are handed over.
    Errno::check(unsafe { libc::syscall(FSCONFIG, context.raw(), CREATE, none, none, 0) })?;
    // SAFETY: no memory is involved.
    Errno::check(unsafe { libc::syscall(FSMOUNT, context.raw(), CLOEXEC, 0) }).map(Fd::own)
}
