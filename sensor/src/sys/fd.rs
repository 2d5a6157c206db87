//! Files, directories and links.

use core::ffi::{CStr, c_int, c_long};
use peewit_core::parts;

use super::Errno;
use super::call::call;

/// An open file, closed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Fd(c_int);

/// Standard output.
pub static STDOUT: Fd = Fd(1);
/// Standard error.
pub static STDERR: Fd = Fd(2);

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Only for reading.
    Read,
    /// A directory, for what is in it.
    Directory,
    /// For writing at its end; made if it is not there, readable by its owner only.
    Append,
    /// For writing from its beginning, emptied; made if it is not there.
    Truncate,
    /// For writing; made executable, and must not be there yet.
    NewProgram,
}

impl OpenMode {
    fn flags(self) -> c_int {
        libc::O_CLOEXEC
            | match self {
                Self::Read => libc::O_RDONLY,
                Self::Directory => libc::O_RDONLY | libc::O_DIRECTORY,
                Self::Append => libc::O_RDWR | libc::O_CREAT | libc::O_APPEND,
                Self::Truncate => libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
                Self::NewProgram => libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL,
            }
    }

    fn permissions(self) -> libc::mode_t {
        match self {
            Self::NewProgram => 0o700,
            _ => 0o600,
        }
    }
}

/// Opens a file.
///
/// # Errors
/// Those of open(2).
pub fn open(path: &CStr, mode: OpenMode) -> Result<Fd, Errno> {
    open_from(libc::AT_FDCWD, path, mode)
}

/// Opens a file whose path begins at `directory`.
///
/// # Errors
/// Those of openat(2).
pub fn open_at(directory: &Fd, path: &CStr, mode: OpenMode) -> Result<Fd, Errno> {
    open_from(directory.0, path, mode)
}

fn open_from(directory: c_int, path: &CStr, mode: OpenMode) -> Result<Fd, Errno> {
    loop {
        // SAFETY: `path` is NUL-terminated.
        match unsafe {
            call!(
                libc::SYS_openat,
                directory,
                path.as_ptr(),
                mode.flags() | libc::O_LARGEFILE,
                mode.permissions(),
            )
        } {
            Err(Errno::INTERRUPTED) => {}
            result => return result.map(Fd::own),
        }
    }
}

impl Fd {
    /// Takes over a descriptor that a call has just given: an `int` to the kernel.
    pub(super) const fn own(fd: usize) -> Self {
        Self((fd as u32).cast_signed())
    }

    /// Its number, for calls in this module.
    pub(super) const fn raw(&self) -> c_int {
        self.0
    }

    /// Its number, as `/proc/self/fd` has it.
    pub const fn number(&self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Reads what is there, at most what fits. 0: the end.
    ///
    /// # Errors
    /// Those of read(2), except for an interruption.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            // SAFETY: the kernel writes at most so many bytes there.
            match unsafe { call!(libc::SYS_read, self.0, buffer.as_mut_ptr(), buffer.len()) } {
                Err(Errno::INTERRUPTED) => {}
                result => return result,
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Those of write(2), except for an interruption: how much was written is then not known.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            bytes = bytes.get(written..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Writes as much of it as goes at once.
    ///
    /// # Errors
    /// Those of write(2), except for an interruption.
    #[inline(never)]
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            // SAFETY: the kernel reads at most so many bytes there.
            match unsafe { call!(libc::SYS_write, self.0, bytes.as_ptr(), bytes.len()) } {
                Err(Errno::INTERRUPTED) => {}
                result => return result,
            }
        }
    }

    /// Waits until what was written is on the disk: of a directory, the names in it.
    ///
    /// # Errors
    /// Those of fdatasync(2).
    pub fn sync(&self) -> Result<(), Errno> {
        #[cfg(test)]
        tests::SYNCS.set(tests::SYNCS.get() + 1);
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_fdatasync, self.0) }.map(drop)
    }

    /// Cuts the file to this length.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub fn truncate(&self, length: u64) -> Result<(), Errno> {
        // SAFETY: no memory is involved.
        #[cfg(target_pointer_width = "64")]
        let result = unsafe { call!(libc::SYS_ftruncate, self.0, length as usize) };
        // SAFETY: as above. Both halves, in a pair of registers, which has an even number.
        #[cfg(target_pointer_width = "32")]
        let result = unsafe {
            let (low, high) = (length as u32, (length >> 32) as u32);
            call!(libc::SYS_ftruncate64, self.0, 0, low, high)
        };
        result.map(drop)
    }

    /// The length of the file in bytes.
    ///
    /// # Errors
    /// Those of lseek(2): a pipe has no length.
    pub fn seek_to_end(&self) -> Result<u64, Errno> {
        self.seek(0, libc::SEEK_END)
    }

    /// Goes on at this place.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub fn seek_to(&self, offset: u64) -> Result<(), Errno> {
        self.seek(offset, libc::SEEK_SET).map(drop)
    }

    /// Waits until the names in a directory are on the disk. fdatasync(2) may leave out those of a rename.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync_names(&self) -> Result<(), Errno> {
        #[cfg(test)]
        tests::SYNCS.set(tests::SYNCS.get() + 1);
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_fsync, self.0) }.map(drop)
    }

    /// Keeps others from locking the same file, for as long as this one is open.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if somebody else has it locked.
    pub fn lock(&self) -> Result<(), Errno> {
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_flock, self.0, libc::LOCK_EX | libc::LOCK_NB) }.map(drop)
    }

    #[cfg(target_pointer_width = "64")]
    fn seek(&self, offset: u64, whence: c_int) -> Result<u64, Errno> {
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_lseek, self.0, offset as usize, whence) }.map(|place| place as u64)
    }

    #[cfg(target_pointer_width = "32")]
    fn seek(&self, offset: u64, whence: c_int) -> Result<u64, Errno> {
        let (low, high) = (offset as u32, (offset >> 32) as u32);
        let mut place = 0u64;
        // SAFETY: `place` is where the result belongs.
        unsafe { call!(libc::SYS__llseek, self.0, high, low, &raw mut place, whence) }?;
        Ok(place)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody can use it after this.
        let _ = unsafe { call!(libc::SYS_close, self.0) };
    }
}

/// Whether `path` leads to a directory that may be listed.
pub fn is_directory(path: &CStr) -> bool {
    open(path, OpenMode::Directory).is_ok()
}

/// Makes a directory that only its owner may enter.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_directory(path: &CStr) -> Result<(), Errno> {
    // SAFETY: `path` is NUL-terminated.
    unsafe { call!(libc::SYS_mkdirat, libc::AT_FDCWD, path.as_ptr(), 0o700) }.map(drop)
}

/// Removes an empty directory.
///
/// # Errors
/// Those of rmdir(2).
pub fn remove_directory(path: &CStr) -> Result<(), Errno> {
    remove(path, libc::AT_REMOVEDIR)
}

/// Removes a file.
///
/// # Errors
/// Those of unlink(2).
pub fn remove_file(path: &CStr) -> Result<(), Errno> {
    remove(path, 0)
}

fn remove(path: &CStr, flags: c_int) -> Result<(), Errno> {
    // SAFETY: `path` is NUL-terminated.
    unsafe { call!(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), flags) }.map(drop)
}

/// Gives a file another name, in the place of one that has it.
///
/// # Errors
/// Those of rename(2).
pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    // SAFETY: both are NUL-terminated.
    unsafe {
        let here = libc::AT_FDCWD;
        call!(libc::SYS_renameat, here, from.as_ptr(), here, to.as_ptr())
    }
    .map(drop)
}

/// Where a link leads.
///
/// # Errors
/// Those of readlink(2); [`Errno::TOO_LONG`] if it fills the buffer, and so may have been cut.
pub fn read_link<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    link(libc::AT_FDCWD, path, buffer)
}

/// Where a link leads whose path begins at `directory`.
///
/// # Errors
/// As for [`read_link`].
pub fn read_link_at<'b>(
    directory: &Fd,
    path: &CStr,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Errno> {
    link(directory.0, path, buffer)
}

fn link<'b>(directory: c_int, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let room = buffer.len();
    // SAFETY: `path` is NUL-terminated; the kernel writes at most `room` bytes.
    let length = unsafe {
        call!(
            libc::SYS_readlinkat,
            directory,
            path.as_ptr(),
            buffer.as_mut_ptr(),
            room
        )
    }?;
    if length >= room {
        return Err(Errno::TOO_LONG);
    }
    Ok(buffer.get(..length).unwrap_or(&[]))
}

/// Major and minor number of the device that a path beginning at `directory` leads to; `None` if it is none.
///
/// # Errors
/// Those of fstatat(2).
pub fn device_at(directory: &Fd, path: &CStr) -> Result<Option<(u32, u32)>, Errno> {
    let found = look(directory.0, path, 0)?;
    let device = (libc::major(found.st_rdev), libc::minor(found.st_rdev));
    Ok((found.st_mode & libc::S_IFMT == libc::S_IFCHR).then_some(device))
}

/// Which file it is, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    /// A regular file, which has a length and can be renamed without harm.
    pub regular: bool,
}

/// Which file an open one is.
///
/// # Errors
/// Those of fstatat(2).
pub fn identity(file: &Fd) -> Result<Identity, Errno> {
    identity_of(file.0, c"", libc::AT_EMPTY_PATH)
}

/// Which file a path leads to.
///
/// # Errors
/// Those of fstatat(2).
pub fn identity_by(path: &CStr) -> Result<Identity, Errno> {
    identity_of(libc::AT_FDCWD, path, 0)
}

/// Which file a path beginning at `directory` leads to.
///
/// # Errors
/// Those of fstatat(2).
pub fn identity_at(directory: &Fd, path: &CStr) -> Result<Identity, Errno> {
    identity_of(directory.0, path, 0)
}

#[inline(never)]
fn identity_of(from: c_int, path: &CStr, flags: c_int) -> Result<Identity, Errno> {
    let found = look(from, path, flags)?;
    Ok(Identity {
        device: found.st_dev,
        inode: found.st_ino,
        regular: found.st_mode & libc::S_IFMT == libc::S_IFREG,
    })
}

/// What kernels before 4.11 have too, unlike statx(2).
#[inline(never)]
fn look(from: c_int, path: &CStr, flags: c_int) -> Result<libc::stat, Errno> {
    #[cfg(target_pointer_width = "64")]
    const NUMBER: c_long = libc::SYS_newfstatat;
    #[cfg(target_pointer_width = "32")]
    const NUMBER: c_long = libc::SYS_fstatat64;
    // SAFETY: all-zero is a valid value; it is numbers only.
    let mut found: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `path` is NUL-terminated, and there is room for what the kernel writes: the C library's structure begins as the kernel's.
    unsafe { call!(NUMBER, from, path.as_ptr(), &raw mut found, flags) }?;
    Ok(found)
}

/// The beginning of a file: as much of it as one read gives.
///
/// # Errors
/// Those of open(2) and read(2).
#[inline(never)]
pub fn read_file<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let read = open(path, OpenMode::Read)?.read(buffer)?;
    Ok(buffer.get(..read).unwrap_or(&[]))
}

/// Whether somebody may be looking.
pub fn is_terminal(fd: &Fd) -> bool {
    let mut size = [0u16; 4];
    // SAFETY: `struct winsize` is four numbers, and only a terminal has one.
    unsafe {
        call!(
            libc::SYS_ioctl,
            fd.0,
            libc::TIOCGWINSZ as usize,
            size.as_mut_ptr()
        )
    }
    .is_ok()
}

/// A directory that is being listed.
#[derive(Debug)]
pub struct Directory {
    fd: Fd,
    buffer: Entries,
    at: usize,
    filled: usize,
}

/// Room for some entries, aligned as the kernel writes them.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Entries([u8; 1024]);

impl Directory {
    /// Lists a directory.
    pub const fn new(fd: Fd) -> Self {
        Self {
            fd,
            buffer: Entries([0; 1024]),
            at: 0,
            filled: 0,
        }
    }

    /// The next name, `.` and `..` among them. `None` at the end or if reading fails.
    pub fn next_name(&mut self) -> Option<&[u8]> {
        if self.at >= self.filled {
            // SAFETY: the kernel writes at most so many bytes there.
            let read = unsafe {
                call!(
                    libc::SYS_getdents64,
                    self.fd.0,
                    self.buffer.0.as_mut_ptr(),
                    self.buffer.0.len(),
                )
            };
            self.filled = read.ok().filter(|&read| read > 0)?;
            self.at = 0;
        }
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name and NUL
        let entry = self.buffer.0.get(self.at..self.filled)?;
        let length = usize::from(u16::from_ne_bytes([*entry.get(16)?, *entry.get(17)?]));
        self.at += length.max(19);
        let name = entry.get(19..length)?;
        parts(name, 0).next()
    }
}

#[cfg(test)]
pub mod tests {
    use core::cell::Cell;

    std::thread_local! {
        /// How often this thread waited for a disk.
        pub static SYNCS: Cell<u32> = const { Cell::new(0) };
    }
}
