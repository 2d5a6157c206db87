//! Files that are opened to be executed (fanotify(7)).

use core::ffi::CStr;

use super::call::call;
use super::signal::poll;
use super::{Errno, Fd};

/// FAN_OPEN_EXEC, since Linux 5.0.
const OPEN_EXEC: u32 = 0x1000;
/// FAN_MARK_FILESYSTEM, since Linux 4.20.
const WHOLE_FILE_SYSTEM: u32 = 0x100;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// A process opened a file to execute it.
    File {
        /// The process; 0 if it is in none of our pid namespaces.
        pid: u32,
        /// The file, open for reading.
        file: Fd,
    },
    /// The queue ran over: events were lost.
    Overrun,
}

/// Room for some events.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct OpenedBatch([u8; 512]);

impl OpenedBatch {
    /// Empty.
    pub const fn new() -> Self {
        Self([0; 512])
    }
}

impl Default for OpenedBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// A group of watched file systems.
#[derive(Debug)]
pub struct Fanotify(Fd);

impl Fanotify {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Those of fanotify_init(2): [`Errno::NOT_PERMITTED`] without CAP_SYS_ADMIN.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let file_flags = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC;
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_fanotify_init, flags, file_flags) }.map(|fd| Self(Fd::own(fd)))
    }

    /// Watches the file system at this path.
    ///
    /// # Errors
    /// Those of fanotify_mark(2): [`Errno::INVALID`] before Linux 5.0.
    pub fn watch(&self, path: &CStr) -> Result<(), Errno> {
        let mark = |scope: u32| {
            let (how, path) = (libc::FAN_MARK_ADD | scope, path.as_ptr());
            let (group, here) = (self.0.raw(), libc::AT_FDCWD);
            // SAFETY: `path` is NUL-terminated.
            #[cfg(target_pointer_width = "64")]
            let result =
                unsafe { call!(libc::SYS_fanotify_mark, group, how, OPEN_EXEC, here, path) };
            // SAFETY: as above. Both halves of the mask.
            #[cfg(target_pointer_width = "32")]
            let result = unsafe {
                call!(
                    libc::SYS_fanotify_mark,
                    group,
                    how,
                    OPEN_EXEC,
                    0,
                    here,
                    path
                )
            };
            result.map(drop)
        };
        mark(WHOLE_FILE_SYSTEM).or_else(|_| mark(libc::FAN_MARK_MOUNT))
    }

    /// Takes what has happened, without waiting; `take` gets one after the other.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if there was nothing.
    pub fn take(&self, batch: &mut OpenedBatch, mut take: impl FnMut(Opened)) -> Result<(), Errno> {
        let read = self.0.read(&mut batch.0)?;
        let mut rest = batch.0.get(..read).unwrap_or(&[]);
        // struct fanotify_event_metadata: length 4, version 1, reserved 1, own length 2, mask 8, fd 4, pid 4
        while let Some(event) = rest.first_chunk::<24>() {
            let word = |at: usize| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&event[at..at + 4]);
                u32::from_ne_bytes(bytes)
            };
            let fd = word(16).cast_signed();
            if fd >= 0 {
                take(Opened::File {
                    pid: word(20),
                    // The kernel has just opened it for us.
                    file: Fd::own(word(16) as usize),
                });
            } else {
                take(Opened::Overrun);
            }
            rest = rest.get(word(0).max(24) as usize..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Waits until there is something to take, `mounts` (an open `mountinfo`) has changed, or so many milliseconds are over.
    /// Gives whether it has changed.
    pub fn wait(&self, mounts: &Fd, at_most_ms: u32) -> bool {
        let mut files = [
            libc::pollfd {
                fd: self.0.raw(),
                events: libc::POLLIN,
                revents: 0,
            },
            libc::pollfd {
                fd: mounts.raw(),
                events: libc::POLLPRI,
                revents: 0,
            },
        ];
        poll(&mut files, at_most_ms);
        files[1].revents != 0
    }
}
