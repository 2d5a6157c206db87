//! What `/proc` tells about a process.

use crate::sys::{Errno, Fd, Mapping, OpenMode, open, open_at, read_link_at};
use crate::text::{Decimal, PathBuffer, number};

/// `/proc`, open: paths below it are shorter for the kernel to walk.
#[derive(Debug)]
pub struct Proc {
    directory: Fd,
}

/// Longest path that the kernel gives, its NUL included.
pub const PATH_MAX: usize = 4096;

/// Most bytes of arguments and environment that Linux takes: three quarters of `_STK_LIM`, 6 MiB, and room
/// to see that it was not more.
const MAX_ARGUMENTS: usize = (6 << 20) + 4096;

/// What the kernel puts behind the path of a program whose file is gone.
const DELETED: &[u8] = b" (deleted)";

/// A program's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executable<'a> {
    /// Without the mark.
    pub path: &'a [u8],
    /// Whether its file was unlinked.
    pub deleted: bool,
}

impl<'a> Executable<'a> {
    /// Takes the mark off what `/proc/PID/exe` says.
    pub fn new(link: &'a [u8]) -> Self {
        match link.strip_suffix(DELETED) {
            Some(path) => Self {
                path,
                deleted: true,
            },
            None => Self {
                path: link,
                deleted: false,
            },
        }
    }
}

/// A process' ids, from its `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The parent; 0 if it has none in this pid namespace.
    pub parent: u32,
    /// The real user.
    pub user: u32,
    /// The effective user.
    pub effective_user: u32,
}

/// Room for arguments of any length: small ones in memory that is always there, the rest in a big mapping
/// that takes up memory only while it is in use.
#[derive(Debug)]
pub struct Arguments<'b> {
    small: &'b mut [u8],
    big: Option<Mapping>,
    in_big: bool,
    length: usize,
}

impl<'b> Arguments<'b> {
    /// With this room for the usual ones. Without the memory for the mapping, longer ones are cut.
    pub fn new(small: &'b mut [u8]) -> Self {
        Self {
            small,
            big: Mapping::new(MAX_ARGUMENTS).ok(),
            in_big: false,
            length: 0,
        }
    }

    /// Reads the first arguments from an open `cmdline`. Gives whether there may be more.
    ///
    /// # Errors
    /// Those of read(2).
    fn begin(&mut self, file: &Fd) -> Result<bool, Errno> {
        self.release();
        self.length = file.read(self.small)?;
        Ok(self.length == self.small.len())
    }

    /// Reads the others. Gives how many bytes those had.
    ///
    /// # Errors
    /// Those of read(2), and [`Errno::TOO_LONG`] without the memory for them.
    fn go_on(&mut self, file: &Fd) -> Result<usize, Errno> {
        let big = self.big.as_mut().ok_or(Errno::TOO_LONG)?.bytes();
        big.get_mut(..self.length)
            .ok_or(Errno::TOO_LONG)?
            .copy_from_slice(self.small);
        self.in_big = true;
        // In one call for all: during it the kernel keeps the arguments, even if the process ends.
        let rest = file.read(big.get_mut(self.length..).unwrap_or(&mut []))?;
        self.length += rest;
        Ok(rest)
    }

    /// What was read: strings, each ended by NUL.
    pub fn block(&self) -> &[u8] {
        let bytes = match &self.big {
            Some(big) if self.in_big => big.as_bytes(),
            _ => &*self.small,
        };
        bytes.get(..self.length).unwrap_or(&[])
    }

    /// Forgets them, and gives back what the long ones took.
    pub fn release(&mut self) {
        self.length = 0;
        if core::mem::take(&mut self.in_big)
            && let Some(big) = &mut self.big
        {
            big.release();
        }
    }
}

impl Proc {
    /// Opens `/proc`.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open() -> Result<Self, Errno> {
        open(c"/proc", OpenMode::Directory).map(|directory| Self { directory })
    }

    /// Where `/proc/PID/NAME` leads.
    fn link<'b>(&self, pid: u32, name: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        read_link_at(&self.directory, path(pid, name)?.as_c_str(), buffer)
    }

    fn file(&self, pid: u32, name: &[u8]) -> Result<Fd, Errno> {
        open_at(&self.directory, path(pid, name)?.as_c_str(), OpenMode::Read)
    }

    /// Reads a process' arguments and its program, in the order in which they are in danger: a process that is not
    /// held up by a thread above it on its CPU may end at any moment, and both are gone then.
    ///
    /// Each is an error if it could not be read, all of it; [`Errno::NOT_FOUND`] if the process has ended. A kernel thread has
    /// no program, and no arguments. `delayed` is called before the rest of long arguments is read, which takes
    /// milliseconds.
    pub fn look<'b>(
        &self,
        pid: u32,
        arguments: &mut Arguments<'_>,
        path: &'b mut [u8],
        delayed: &mut dyn FnMut(),
    ) -> (Result<(), Errno>, Result<Executable<'b>, Errno>) {
        arguments.release();
        let file = match self.file(pid, b"cmdline") {
            Ok(file) => file,
            Err(error) => return (Err(error), Err(error)),
        };
        let begun = arguments.begin(&file);
        // A system call less for those that wait: closing can wait too.
        let executable = self.executable(pid, path);
        let read = match begun {
            // Nothing more: there were exactly so many bytes, or the process has ended.
            Ok(true) => {
                delayed();
                arguments
                    .go_on(&file)
                    .and_then(|rest| if rest == 0 { self.alive(pid) } else { Ok(()) })
            }
            Ok(false) if arguments.length == 0 && executable.is_err() => Err(Errno::NOT_FOUND),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        (read, executable)
    }

    /// Whether the process still has its memory.
    fn alive(&self, pid: u32) -> Result<(), Errno> {
        let mut byte = [0; 1];
        match self.executable(pid, &mut byte) {
            Ok(_) | Err(Errno::TOO_LONG) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Its program. [`Errno::NOT_FOUND`]: it has ended, or is a kernel thread.
    ///
    /// # Errors
    /// [`Errno::DENIED`] without the right to trace it.
    pub fn executable<'b>(&self, pid: u32, buffer: &'b mut [u8]) -> Result<Executable<'b>, Errno> {
        self.link(pid, b"exe", buffer).map(Executable::new)
    }

    /// Its working directory.
    ///
    /// # Errors
    /// As for [`Proc::executable`].
    pub fn working_directory<'b>(&self, pid: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        self.link(pid, b"cwd", buffer)
    }

    /// Its root directory, as seen from ours.
    ///
    /// # Errors
    /// As for [`Proc::executable`].
    pub fn root<'b>(&self, pid: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        self.link(pid, b"root", buffer)
    }

    /// Its parent and users.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone altogether; a process that has ended but was not waited for
    /// still has them.
    pub fn ids(&self, pid: u32) -> Result<Ids, Errno> {
        let mut buffer = [0; 512];
        let read = self.file(pid, b"status")?.read(&mut buffer)?;
        parse_ids(buffer.get(..read).unwrap_or(&[])).ok_or(Errno::INVALID)
    }

    /// Reads a small file of `/proc` itself.
    ///
    /// # Errors
    /// Those of open(2) and read(2).
    pub fn read<'b>(
        &self,
        name: &core::ffi::CStr,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Errno> {
        let read = open_at(&self.directory, name, OpenMode::Read)?.read(buffer)?;
        Ok(buffer.get(..read).unwrap_or(&[]))
    }

    /// Calls `process` with the id of each process there is.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn processes(&self, mut process: impl FnMut(u32)) -> Result<(), Errno> {
        let mut directory =
            crate::sys::Directory::new(open_at(&self.directory, c".", OpenMode::Directory)?);
        while let Some(name) = directory.next_name() {
            if let Some(pid) = number(name).and_then(|pid| u32::try_from(pid).ok()) {
                process(pid);
            }
        }
        Ok(())
    }
}

fn path(pid: u32, name: &[u8]) -> Result<PathBuffer<24>, Errno> {
    PathBuffer::of(&[Decimal::new(u64::from(pid)).as_bytes(), b"/", name])
}

/// The value of a line `KEY:\tVALUE` of a status file.
pub fn line<'a>(file: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    file.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(b":\t"))
}

fn parse_ids(status: &[u8]) -> Option<Ids> {
    // The first line is `Name:`, in which the kernel escapes newlines.
    let mut users = line(status, b"Uid")?.split(|&byte| byte == b'\t');
    let mut user = || u32::try_from(number(users.next()?)?).ok();
    Some(Ids {
        user: user()?,
        effective_user: user()?,
        parent: u32::try_from(number(line(status, b"PPid")?)?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_behind_a_hostile_name() {
        let status = b"Name:\tUid:\\n7\nUmask:\t0022\nState:\tR (running)\nTgid:\t9\nPid:\t9\nPPid:\t4\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(
            parse_ids(status),
            Some(Ids {
                parent: 4,
                user: 1000,
                effective_user: 0
            })
        );
        assert_eq!(parse_ids(&status[..70]), None);
        assert_eq!(parse_ids(b""), None);
    }

    #[test]
    fn a_deleted_program_keeps_its_path() {
        assert_eq!(
            Executable::new(b"/tmp/x (deleted)"),
            Executable {
                path: b"/tmp/x",
                deleted: true
            }
        );
        assert_eq!(
            Executable::new(b"/memfd:a (deleted)"),
            Executable {
                path: b"/memfd:a",
                deleted: true
            }
        );
        assert_eq!(
            Executable::new(b"/tmp/x"),
            Executable {
                path: b"/tmp/x",
                deleted: false
            }
        );
    }

    #[test]
    fn this_process_is_described() {
        let proc = Proc::open().unwrap();
        let me = crate::sys::process_id();
        let mut buffer = [0; PATH_MAX];
        let expected = std::env::current_exe().unwrap();
        let mut small = [0; 4096];
        let mut arguments = Arguments::new(&mut small);
        let (read, looked) = proc.look(me, &mut arguments, &mut buffer, &mut || ());
        assert_eq!(
            (read, looked.unwrap().path),
            (Ok(()), expected.as_os_str().as_encoded_bytes())
        );
        let first = std::env::args_os().next().unwrap();
        assert!(arguments.block().starts_with(first.as_encoded_bytes()));
        assert_eq!(
            proc.ids(me).unwrap().parent,
            std::os::unix::process::parent_id()
        );
        let mut found = false;
        proc.processes(|pid| found |= pid == me).unwrap();
        assert!(found);
        assert_eq!(proc.ids(0), Err(Errno::NOT_FOUND));
        let gone = proc.look(0, &mut arguments, &mut buffer, &mut || ());
        assert_eq!(gone, (Err(Errno::NOT_FOUND), Err(Errno::NOT_FOUND)));
    }

    #[test]
    fn long_arguments_are_read_whole_and_given_back() {
        let file =
            std::env::temp_dir().join(std::format!("peewit-arguments-{}", std::process::id()));
        let long: std::vec::Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        let path = PathBuffer::<256>::of(&[file.as_os_str().as_encoded_bytes()]).unwrap();
        let mut small = [0; 64];
        let mut arguments = Arguments::new(&mut small);
        for length in [0, 1, 63, 64, 65, 100_000] {
            std::fs::write(&file, &long[..length]).unwrap();
            let file = open(path.as_c_str(), OpenMode::Read).unwrap();
            if arguments.begin(&file).unwrap() {
                assert_eq!(arguments.go_on(&file), Ok(length - 64));
            }
            assert_eq!(arguments.block(), &long[..length]);
            assert_eq!(arguments.in_big, length >= 64);
            arguments.release();
            assert_eq!(arguments.block(), b"");
        }
        std::fs::remove_file(&file).unwrap();
    }
}
