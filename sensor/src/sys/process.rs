//! This process, its children, and the machine they run on.

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;
use core::ptr;

use super::Errno;
use super::call::call;

/// A child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The process id that it had.
    pub pid: u32,
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<u8>,
}

impl Ended {
    /// Of a child that ended well.
    ///
    /// # Errors
    /// [`Errno::DENIED`] for any other: above all one whose program could not be started.
    pub fn well(self) -> Result<Self, Errno> {
        match self.status {
            Some(0) => Ok(self),
            _ => Err(Errno::DENIED),
        }
    }
}

/// Most arguments that [`run`] takes, the program's name included.
const MAX_ARGUMENTS: usize = 4;

/// The exit status of a child whose program could not be started, as of a shell's.
const NOT_STARTED: u8 = 127;

/// Runs a program with these arguments (the first is its name for itself), no environment, and no signals blocked, and
/// waits until it has ended. Its status is 127 if it could not be started.
///
/// # Errors
/// Those of clone(2) and waitpid(2).
pub fn run(program: &CStr, arguments: &[&CStr]) -> Result<Ended, Errno> {
    let mut argv = [ptr::null(); MAX_ARGUMENTS + 1];
    for (slot, argument) in argv.iter_mut().take(MAX_ARGUMENTS).zip(arguments) {
        *slot = argument.as_ptr();
    }
    // SAFETY: a child with a copy of all memory and the calling thread alone, on its own stack: the only one that gets 0. It
    // makes nothing but system calls until it is another program or has ended, so it does not matter which locks other
    // threads held. Both lists end with null, and the strings with NUL.
    let pid = unsafe {
        let pid = call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if pid == Ok(0) {
            super::signal::unblock();
            let empty = [ptr::null::<u8>()];
            let _ = call!(
                libc::SYS_execve,
                program.as_ptr(),
                argv.as_ptr(),
                empty.as_ptr()
            );
            exit(NOT_STARTED);
        }
        pid
    }?;
    let pid = pid as u32;
    let mut status: c_int = 0;
    loop {
        // SAFETY: `status` is where the result belongs.
        match unsafe { call!(libc::SYS_wait4, pid, &raw mut status, 0, 0) } {
            Ok(_) => break,
            Err(Errno::INTERRUPTED) => {}
            Err(error) => return Err(error),
        }
    }
    let exited = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    Ok(Ended {
        pid,
        status: exited.and_then(|status| u8::try_from(status).ok()),
    })
}

/// Ends this process at once.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: does not return.
        let _ = unsafe { call!(libc::SYS_exit_group, c_int::from(status)) };
    }
}

/// This process' id.
pub fn process_id() -> u32 {
    // SAFETY: no memory is involved, and it cannot fail.
    unsafe { call!(libc::SYS_getpid) }.unwrap_or(0) as u32
}

/// Fills the buffer with random bytes.
///
/// # Errors
/// Those of getrandom(2).
pub fn random(buffer: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: the kernel writes at most so many bytes there; up to 256 come all at once.
    match unsafe { call!(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0) } {
        Ok(filled) if filled == buffer.len() => Ok(()),
        Ok(_) => Err(Errno::AGAIN),
        Err(error) => Err(error),
    }
}

/// What the kernel says about itself.
#[derive(Clone, Copy)]
pub struct Machine(libc::utsname);

/// Asks the kernel about itself.
pub fn machine() -> Option<Machine> {
    let mut names = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: filled in if the call succeeds, and only then taken for initialised.
    unsafe {
        call!(libc::SYS_uname, names.as_mut_ptr()).ok()?;
        Some(Machine(names.assume_init()))
    }
}

fn text(field: &[c_char]) -> &str {
    // SAFETY: `c_char` is a byte, signed or not.
    let bytes = unsafe { core::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    peewit_core::utf8(&bytes[..end]).unwrap_or("?")
}

/// The host's name.
pub fn host_name(machine: &Machine) -> &str {
    text(&machine.0.nodename)
}

/// The kernel's release.
pub fn release(machine: &Machine) -> &str {
    text(&machine.0.release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_run_and_waited_for() {
        let shell = |script| run(c"/bin/sh", &[c"sh", c"-c", script]).unwrap();
        assert_eq!(shell(c"exit 7").status, Some(7));
        assert_eq!(shell(c"exit 7").well(), Err(Errno::DENIED));
        assert_eq!(shell(c"kill -9 $$").status, None);
        assert_eq!(shell(c"exit").well().unwrap().status, Some(0));
        assert!(shell(c"exit").pid > 1);
        let nothing = run(c"/nowhere/to/be/found", &[c"x"]).unwrap();
        assert_eq!(nothing.status, Some(127));
        // What does not fit is left out.
        let many = [c"sh", c"-c", c"exit $#", c"a", c"b"];
        assert_eq!(run(c"/bin/sh", &many).unwrap().status, Some(0));
    }

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        random(&mut one).unwrap();
        random(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
