//! The kernel's directory of tracepoints.

use super::call::call;
use super::{Errno, Fd, OpenMode, open, open_at};

/// fsopen(2) and what belongs to it have the same numbers on every architecture (Linux 5.2).
const FSOPEN: libc::c_long = 430;
const FSCONFIG: libc::c_long = 431;
const FSMOUNT: libc::c_long = 432;
/// FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC.
const CLOEXEC: u32 = 1;
/// FSCONFIG_CMD_CREATE
const CREATE: u32 = 6;

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
    let context = unsafe { call!(FSOPEN, c"tracefs".as_ptr(), CLOEXEC) }?;
    let context = Fd::own(context);
    // SAFETY: no key and no value are handed over.
    unsafe { call!(FSCONFIG, context.raw(), CREATE, 0, 0, 0) }?;
    // SAFETY: no memory is involved.
    unsafe { call!(FSMOUNT, context.raw(), CLOEXEC, 0) }.map(Fd::own)
}
