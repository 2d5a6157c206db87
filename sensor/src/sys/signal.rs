//! Signals as something to wait for, beside files.

use core::ffi::{c_int, c_long};
use core::ptr;

use super::call::call;
use super::{Errno, Fd};

/// The signals that ask for something: SIGINT and SIGTERM for an end, SIGHUP for another look at the configuration.
#[derive(Debug)]
pub struct Signals {
    fd: Fd,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT or SIGTERM: an end.
    End,
    /// SIGHUP: to read all again.
    Reload,
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There is a signal: see [`Signals::next`].
    Signal,
    /// There is something to read in these: a bit for each place.
    Readable(u32),
    /// Neither in the time given.
    Nothing,
}

impl Signals {
    /// Holds those signals back in this thread and in all that it starts from now on, and SIGPIPE with them: a reader that
    /// has gone is an error of the write.
    ///
    /// # Errors
    /// Those of signalfd(2).
    #[inline(never)]
    pub fn take() -> Result<Self, Errno> {
        let awaited = bit(libc::SIGINT) | bit(libc::SIGTERM) | bit(libc::SIGHUP);
        mask(libc::SIG_BLOCK, awaited | bit(libc::SIGPIPE));
        // SAFETY: the set is only read, and has the kernel's size.
        let fd = unsafe {
            call!(
                libc::SYS_signalfd4,
                -1,
                &raw const awaited,
                size_of::<u64>(),
                libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
            )
        }?;
        Ok(Self { fd: Fd::own(fd) })
    }

    /// Takes the next signal, if there is one.
    pub fn next(&self) -> Option<Asked> {
        // struct signalfd_siginfo: the number first.
        let mut signal = [0u32; 32];
        // SAFETY: the kernel writes at most so many bytes there.
        let read = unsafe {
            call!(
                libc::SYS_read,
                self.fd.raw(),
                signal.as_mut_ptr(),
                size_of_val(&signal),
            )
        };
        let number = signal
            .first()
            .copied()
            .filter(|_| read.is_ok_and(|read| read > 0))?;
        Some(match number.cast_signed() {
            libc::SIGHUP => Asked::Reload,
            _ => Asked::End,
        })
    }

    /// Waits for a signal, or until one of `others` has something to read, at most so many milliseconds.
    pub fn wait(&self, others: [Option<&Fd>; OTHERS], at_most_ms: u32) -> Waited {
        let mut files = [entry(self.fd.raw()); OTHERS + 1];
        for (place, other) in files.iter_mut().skip(1).zip(others) {
            *place = entry(other.map_or(-1, Fd::raw));
        }
        poll(&mut files, at_most_ms);
        let mut bits = 0;
        for (place, file) in files.iter().enumerate() {
            bits |= u32::from(file.revents != 0) << place;
        }
        match bits {
            0 => Waited::Nothing,
            bits if bits & 1 == 1 => Waited::Signal,
            bits => Waited::Readable(bits >> 1),
        }
    }
}

/// How many files [`Signals::wait`] can wait for.
const OTHERS: usize = 3;

/// Holds no signal back any more.
pub(super) fn unblock() {
    mask(libc::SIG_SETMASK, 0);
}

/// A signal in the kernel's own sets, which have 64 bits on all our targets.
const fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// Changes which signals the calling thread holds back.
fn mask(how: c_int, set: u64) {
    let no_old = ptr::null_mut::<u64>();
    // SAFETY: the set is only read, has the kernel's size, and the old one is not asked for. Cannot fail.
    let _ = unsafe {
        call!(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const set,
            no_old,
            size_of::<u64>(),
        )
    };
}

/// Waits until there is something to read, at most so many milliseconds.
pub fn wait_readable(fd: &Fd, at_most_ms: u32) -> bool {
    let mut files = [entry(fd.raw())];
    poll(&mut files, at_most_ms);
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

/// Waits until something is marked in one of the files, at most so many milliseconds.
pub(super) fn poll(files: &mut [libc::pollfd], at_most_ms: u32) {
    // The kernel's old `struct timespec` for this call, at every word size.
    let mut time = [
        (at_most_ms / 1000) as c_long,
        (at_most_ms % 1000 * 1_000_000) as c_long,
    ];
    // SAFETY: so many entries, and a time in which the kernel leaves what is left. On an error (a signal that is not held back)
    // none is marked.
    let _ = unsafe {
        call!(
            libc::SYS_ppoll,
            files.as_mut_ptr(),
            files.len(),
            time.as_mut_ptr(),
            0
        )
    };
}
