//! What `/proc` tells about a process.

mod image;
mod invoked;
mod session;
mod status;

use core::ffi::CStr;
use peewit_core::parts;

pub use invoked::{Program, below};
pub use session::{Entry, Stat};
pub use status::{CAPABILITIES, Status, hexadecimal, line};

use crate::sys::{Errno, Fd, Mapping, Once, OpenMode, open, open_at, read_link_at};
use crate::text::number;

/// `/proc`, open: paths below it are shorter for the kernel to walk.
#[derive(Debug)]
pub struct Proc {
    directory: Fd,
}

/// The system's list of users, once it was read.
static USERS: Once<&[u8]> = Once::new();

/// Longest path that the kernel gives, its NUL included.
pub const PATH_MAX: usize = 4096;

/// Most bytes of arguments and environment that Linux takes: three quarters of `_STK_LIM`, 6 MiB, and room
/// to see that it was not more.
const MAX_ARGUMENTS: usize = (6 << 20) + 4096;

/// Beginnings of the names of variables that change what a program runs, or say on whose behalf.
static VARIABLES: [&[u8]; 3] = [b"LD_", b"GLIBC_TUNABLES=", b"RUNNER_TRACKING_ID="];

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
        if self.small.is_empty() {
            return Ok(true);
        }
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

    /// Leaves out those strings that `keep` does not take.
    #[inline(never)]
    fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        let bytes = match &mut self.big {
            Some(big) if self.in_big => big.bytes(),
            _ => &mut *self.small,
        };
        let (mut from, mut to) = (0, 0);
        while let Some(rest) = bytes.get(from..self.length).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|&byte| byte == 0);
            let next = from + end.map_or(rest.len(), |end| end + 1);
            if keep(rest) {
                bytes.copy_within(from..next, to);
                to += next - from;
            }
            from = next;
        }
        self.length = to;
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
        read_link_at(&self.directory, Path::new(pid, name).as_c_str(), buffer)
    }

    fn file(&self, pid: u32, name: &[u8]) -> Result<Fd, Errno> {
        open_at(
            &self.directory,
            Path::new(pid, name).as_c_str(),
            OpenMode::Read,
        )
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

    /// What one read gives of `/proc/PID/NAME`.
    fn read_of<'b>(&self, pid: u32, name: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let read = self.file(pid, name)?.read(buffer)?;
        Ok(buffer.get(..read).unwrap_or(&[]))
    }

    /// The user who logged in, whatever the process has become since. `u32::MAX`: nobody did.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone, or in a kernel without it.
    pub fn login_user(&self, pid: u32) -> Result<u32, Errno> {
        let mut buffer = [0; 16];
        number(self.read_of(pid, b"loginuid", &mut buffer)?)
            .and_then(|user| u32::try_from(user).ok())
            .ok_or(Errno::INVALID)
    }

    /// The id of its container, as the names of control groups have it: 64 hexadecimal digits, the first found.
    ///
    /// # Errors
    /// As for [`Proc::login_user`]; [`Errno::INVALID`] outside of containers.
    #[inline(never)]
    pub fn container<'b>(&self, pid: u32, id: &'b mut [u8; 64]) -> Result<&'b [u8], Errno> {
        let mut buffer = [0; 1024];
        let groups = self.read_of(pid, b"cgroup", &mut buffer)?;
        *id = container_id(groups).ok_or(Errno::INVALID)?;
        Ok(id)
    }

    /// Its arguments, if they fit into the buffer.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone; [`Errno::TOO_LONG`] if they may be longer.
    pub fn some_arguments<'b>(&self, pid: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let room = buffer.len();
        let args = self.read_of(pid, b"cmdline", buffer)?;
        if args.len() < room {
            Ok(args)
        } else {
            Err(Errno::TOO_LONG)
        }
    }

    /// The name of a user, as the system's list had it when [`Proc::read_users`] read it.
    pub fn user_name(&self, user: u32) -> Option<&'static [u8]> {
        let users = USERS.get().copied().unwrap_or(b"root:x:0:");
        user_name(users, user)
    }

    /// Reads the system's list of users, for [`Proc::user_name`]. Of a longer list only the first 64 KiB are known.
    ///
    /// # Errors
    /// Those of open(2), read(2) and mmap(2).
    pub fn read_users(&self) -> Result<(), Errno> {
        let list = Mapping::new(64 << 10)?.leak();
        let read = crate::sys::read_file(c"/etc/passwd", list)?.len();
        USERS.set(list.get(..read).unwrap_or(&[])).map(drop)
    }

    /// Reads its environment: strings, each ended by NUL. As Elastic's sensor does, only variables that it has been told to look at
    /// are kept: here those that rules ask for ([`VARIABLES`]). Every other one would be news each time.
    ///
    /// # Errors
    /// As for [`Proc::executable`]; [`Errno::TOO_LONG`] without the memory for it.
    pub fn environment(&self, pid: u32, into: &mut Arguments<'_>) -> Result<(), Errno> {
        let file = self.file(pid, b"environ")?;
        if into.begin(&file)? {
            into.go_on(&file)?;
        }
        into.retain(|variable| VARIABLES.iter().any(|name| variable.starts_with(name)));
        Ok(())
    }

    /// Reads a small file of `/proc` itself.
    ///
    /// # Errors
    /// Those of open(2) and read(2).
    pub fn read<'b>(&self, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
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

/// `PID/NAME`, for each event several times: written from its end, without looking at it once more.
struct Path {
    bytes: [u8; 24],
    start: usize,
}

impl Path {
    fn new(pid: u32, name: &[u8]) -> Self {
        let mut path = Self {
            bytes: [0; 24],
            // The last one stays NUL.
            start: 23,
        };
        name.iter().rev().for_each(|&byte| path.prepend(byte));
        path.prepend(b'/');
        let mut rest = pid;
        loop {
            path.prepend(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                return path;
            }
        }
    }

    fn prepend(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }

    /// For the kernel.
    fn as_c_str(&self) -> &CStr {
        let bytes = self.bytes.get(self.start..).unwrap_or(&[]);
        CStr::from_bytes_until_nul(bytes).unwrap_or(c"")
    }
}

/// The name in the first line `NAME:PASSWORD:USER:...` of a user.
fn user_name(users: &[u8], user: u32) -> Option<&[u8]> {
    parts(users, b'\n').find_map(|line| {
        let mut fields = parts(line, b':');
        let name = fields.next()?;
        (number(fields.nth(1)?)? == u64::from(user)).then_some(name)
    })
}

/// The first run of exactly 64 hexadecimal digits.
fn container_id(groups: &[u8]) -> Option<[u8; 64]> {
    groups
        .split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .find_map(|digits| digits.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PathBuffer;

    #[test]
    fn paths_of_processes() {
        for (pid, expected) in [
            (0, c"0/exe"),
            (10, c"10/exe"),
            (4_194_304, c"4194304/exe"),
            (u32::MAX, c"4294967295/exe"),
        ] {
            assert_eq!(Path::new(pid, b"exe").as_c_str(), expected);
        }
    }

    #[test]
    fn containers_have_64_digits() {
        let id = [b'a'; 64];
        let group = |prefix: &str, id: &[u8], suffix: &str| {
            [prefix.as_bytes(), id, suffix.as_bytes()].concat()
        };
        assert_eq!(
            container_id(&group("0::/system.slice/docker-", &id, ".scope\n")),
            Some(id)
        );
        assert_eq!(
            container_id(&group("4:cpu:/x\n1:pids:/kubepods/pod1/", &id, "\n")),
            Some(id)
        );
        assert_eq!(container_id(&group("0::/docker/", &id[1..], "\n")), None);
        assert_eq!(container_id(&group("0::/docker/b", &id, "\n")), None);
        assert_eq!(container_id(b"0::/init.scope\n"), None);
    }

    #[test]
    fn users_have_names() {
        let users = b"root:x:0:0:root:/root:/bin/sh\n\nbroken\nlp:x:7:7:lp:/:/bin/false";
        assert_eq!(user_name(users, 0), Some(&b"root"[..]));
        assert_eq!(user_name(users, 7), Some(&b"lp"[..]));
        assert_eq!(user_name(users, 8), None);
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
        let mut found = false;
        proc.processes(|pid| found |= pid == me).unwrap();
        assert!(found);
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
