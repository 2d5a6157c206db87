//! Signals as something to wait for, beside files.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;

use super::{Errno, Fd};

/// The signals that ask for an end: SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub struct Signals {
    fd: Fd,
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A signal asks for an end.
    Signal,
    /// There is something to read.
    Readable,
    /// Neither in the time given.
    Nothing,
}

impl Signals {
    /// Holds those signals back in this thread and in all that it starts from now on, and ignores SIGPIPE: a reader that
    /// has gone is an error of the write.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn take() -> Result<Self, Errno> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is initialised before it is used.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            Errno::check(fd)?;
            Ok(Self { fd: Fd::own(fd) })
        }
    }

    /// Waits for a signal, or until `other` has something to read, at most so many milliseconds.
    pub fn wait(&self, other: Option<&Fd>, at_most_ms: Option<u32>) -> Waited {
        let mut files = [entry(self.fd.raw()), entry(other.map_or(-1, Fd::raw))];
        poll(&mut files, at_most_ms);
        match files.map(|file| file.revents != 0) {
            [true, _] => Waited::Signal,
            [_, true] => Waited::Readable,
            _ => Waited::Nothing,
        }
    }
}

/// Waits until there is something to read, at most so many milliseconds.
pub fn wait_readable(fd: &Fd, at_most_ms: u32) -> bool {
    let mut files = [entry(fd.raw())];
    poll(&mut files, Some(at_most_ms));
    files[0].revents != 0
}

/// The kernel leaves out a negative descriptor.
fn entry(fd: c_int) -> libc::pollfd {
    libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }
}

fn poll(files: &mut [libc::pollfd], at_most_ms: Option<u32>) {
    let timeout = at_most_ms.map_or(-1, |ms| c_int::try_from(ms).unwrap_or(c_int::MAX));
    // SAFETY: so many entries. On an error (a signal that is not held back) none is marked.
    unsafe { libc::poll(files.as_mut_ptr(), files.len() as libc::nfds_t, timeout) };
}
