//! This process, its children, and the machine they run on.

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;
use core::ptr;

use super::Errno;

/// A child that was started and has not been waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    pid: libc::pid_t,
}

impl Child {
    /// Its process id.
    pub const fn pid(self) -> u32 {
        self.pid.cast_unsigned()
    }
}

/// Most arguments that [`spawn`] takes, the program's name included.
const MAX_ARGUMENTS: usize = 4;

/// Starts a program with these arguments (the first is its name for itself), no environment,
/// and no signals blocked. The C library does it by vfork and exec, without copying this process.
///
/// # Errors
/// Those of execve(2) and clone(2).
pub fn spawn(program: &CStr, arguments: &[&CStr]) -> Result<Child, Errno> {
    let mut argv: [*mut c_char; MAX_ARGUMENTS + 1] = [ptr::null_mut(); MAX_ARGUMENTS + 1];
    if arguments.len() > MAX_ARGUMENTS {
        return Err(Errno::INVALID);
    }
    for (slot, argument) in argv.iter_mut().zip(arguments) {
        *slot = argument.as_ptr().cast_mut();
    }
    let environment: [*mut c_char; 1] = [ptr::null_mut()];
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pid = 0;
    let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
    // SAFETY: attributes and set are initialised before they are used; all strings and both lists
    // end with NUL or null, and outlive the call; the kernel does not write to the strings.
    let error = unsafe {
        libc::posix_spawnattr_init(attributes.as_mut_ptr());
        libc::sigemptyset(signals.as_mut_ptr());
        libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), signals.as_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGPIPE);
        libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), signals.as_ptr());
        libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags as libc::c_short);
        libc::posix_spawn(
            &mut pid,
            program.as_ptr(),
            ptr::null(),
            attributes.as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    if error == 0 {
        Ok(Child { pid })
    } else {
        Err(Errno(error))
    }
}

/// Waits until the child has ended. Gives its exit status; `None` if a signal ended it.
///
/// # Errors
/// Those of waitpid(2).
pub fn wait(child: Child) -> Result<Option<u8>, Errno> {
    let mut status: c_int = 0;
    loop {
        // SAFETY: `status` is where the result belongs.
        match Errno::check(unsafe { libc::waitpid(child.pid, &mut status, 0) }) {
            Ok(_) => break,
            Err(Errno::INTERRUPTED) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(if libc::WIFEXITED(status) {
        u8::try_from(libc::WEXITSTATUS(status)).ok()
    } else {
        None
    })
}

/// Ends this process at once.
pub fn exit(status: u8) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(c_int::from(status)) }
}

/// This process' id.
pub fn process_id() -> u32 {
    // SAFETY: no memory is involved, and it cannot fail.
    unsafe { libc::getpid() }.cast_unsigned()
}

/// Fills the buffer with random bytes.
///
/// # Errors
/// Those of getrandom(2).
pub fn random(buffer: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: the kernel writes at most so many bytes there; up to 256 come all at once.
    match Errno::check(unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) }) {
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
    unsafe { (libc::uname(names.as_mut_ptr()) == 0).then(|| Machine(names.assume_init())) }
}

fn text(field: &[c_char]) -> &str {
    // SAFETY: `c_char` is a byte, signed or not.
    let bytes = unsafe { core::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or("?")
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
    fn children_are_started_and_waited_for() {
        let child = spawn(c"/bin/sh", &[c"sh", c"-c", c"exit 7"]).unwrap();
        assert!(child.pid() > 1);
        assert_eq!(wait(child), Ok(Some(7)));
        let child = spawn(c"/bin/sh", &[c"sh", c"-c", c"kill -9 $$"]).unwrap();
        assert_eq!(wait(child), Ok(None));
        assert_eq!(
            spawn(c"/nowhere/to/be/found", &[c"x"]),
            Err(Errno::NOT_FOUND)
        );
        assert_eq!(
            spawn(c"/bin/sh", &[c"x"; MAX_ARGUMENTS + 1]),
            Err(Errno::INVALID)
        );
    }

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        random(&mut one).unwrap();
        random(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
