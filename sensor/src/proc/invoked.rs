//! The path by which a program was invoked: of an applet of busybox the applet's own, of a script the script's.
//!
//! The kernel leaves it in the new program's memory (AT_EXECFN) as it was handed to execve(2). No path is walked here to find out
//! what it leads to: that could take as long as whoever made it likes, in a thread that must not wait.

use peewit_core::event::{Block, base_name};
use peewit_core::parts;

use super::{Executable, Proc};
use crate::sys::Errno;

/// Its number among the values that a program is started with (`linux/auxvec.h`).
const AT_EXECFN: u64 = 31;

/// What else is known of the program that was invoked.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its path.
    pub executable: Option<&'a [u8]>,
    /// Its arguments, each ended by NUL.
    pub args: &'a [u8],
    /// It has not run yet, so its working directory is that of the call.
    pub stands: bool,
}

impl Proc {
    /// The path by which a process' program was invoked, absolute, as the process itself sees it. Half of the room is for what was
    /// handed to the kernel, half for what came of it.
    ///
    /// Where that names a descriptor, not a file, or cannot be read, it is the name that the program was told to have (`argv[0]`,
    /// without a login shell's dash), in the folder of the executable. `None` if it cannot be told: a relative path of a program
    /// that may have changed its directory, or a `..` behind a name, which may be a link.
    #[inline(never)]
    pub fn invoked<'b>(
        &self,
        pid: u32,
        program: &Program<'_>,
        room: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let given = self.exec_name(pid, room).unwrap_or(0);
        let (path, rest) = room.split_at_mut(room.len() / 2);
        let mut length = 0;
        if given > 0 {
            length = self.absolute(pid, program, rest.get(..given)?, path)?;
        }
        if length == 0 || is_descriptor(path.get(..length)?) {
            let name = base_name(Block::new(program.args).next()?);
            let executable = program.executable?;
            let folder = executable.len() - base_name(executable).len();
            path.get_mut(..folder)?
                .copy_from_slice(executable.get(..folder)?);
            let name = name.strip_prefix(b"-").unwrap_or(name);
            length = join(path, folder.checked_sub(1)?, name)?;
        }
        path.get(..length).filter(|path| !path.is_empty())
    }

    /// Reads what was handed to execve(2) into the second half of the room, and gives its length.
    fn exec_name(&self, pid: u32, room: &mut [u8]) -> Result<usize, Errno> {
        let values = self.read_of(pid, b"auxv", room)?;
        // As wide as a word of the program, which may be narrower than the kernel's.
        let place = exec_name_at(values, 8).or_else(|| exec_name_at(values, 4));
        let memory = self.file(pid, b"mem")?;
        memory.seek_to(place.ok_or(Errno::NOT_FOUND)?)?;
        let half = room.len() / 2;
        let bytes = room.get_mut(half..).unwrap_or(&mut []);
        memory.read(bytes)?;
        let end = bytes.iter().position(|&byte| byte == 0);
        end.ok_or(Errno::TOO_LONG)
    }

    /// Makes a path absolute, and gives its length.
    fn absolute(
        &self,
        pid: u32,
        program: &Program<'_>,
        path: &[u8],
        into: &mut [u8],
    ) -> Option<usize> {
        let mut length = 0;
        if !path.starts_with(b"/") {
            if !program.stands {
                return None;
            }
            let mut root = [0; 256];
            let root = self.root(pid, &mut root).ok()?;
            let directory = Executable::new(self.working_directory(pid, into).ok()?).path;
            let end = directory.len();
            let seen = below(directory, root);
            // Not so if it lies outside of the root.
            if !seen.starts_with(b"/") {
                return None;
            }
            length = seen.len();
            into.copy_within(end - length..end, 0);
            if length == 1 {
                length = 0;
            }
        }
        join(into, length, path)
    }
}

/// Puts a path behind a directory of so many bytes, and gives the length of both. The directory's names are no links.
fn join(into: &mut [u8], directory: usize, path: &[u8]) -> Option<usize> {
    let (mut length, mut named) = (directory, false);
    for name in parts(path, b'/') {
        match name {
            b"" | b"." => {}
            // The name before it may be a link.
            b".." if named => return None,
            b".." => {
                let above = into.get(..length)?;
                length = above.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            }
            _ => {
                named = true;
                let place = into.get_mut(length..=length + name.len())?;
                let (slash, rest) = place.split_first_mut()?;
                *slash = b'/';
                rest.copy_from_slice(name);
                length += 1 + name.len();
            }
        }
    }
    Some(length)
}

/// Whether a path says no more than which descriptor, or which process' program: so it is of fexecve(3), and of the shell of
/// busybox that starts applets without looking for them.
fn is_descriptor(path: &[u8]) -> bool {
    path.starts_with(b"/dev/fd/") || path.starts_with(b"/proc/")
}

/// Where the path stands in the program's memory, of words of `width` bytes. `None`: they are not that wide, or it is not there.
fn exec_name_at(values: &[u8], width: usize) -> Option<u64> {
    for pair in values.chunks_exact(2 * width) {
        let (key, value) = pair.split_at(width);
        match word(key)? {
            AT_EXECFN => return word(value),
            // Two narrow ones taken for a wide one.
            0x1_0000.. => return None,
            _ => {}
        }
    }
    None
}

/// A number of 8 or 4 bytes.
fn word(bytes: &[u8]) -> Option<u64> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(u64::from_ne_bytes(bytes));
    }
    Some(u32::from_ne_bytes(bytes.try_into().ok()?).into())
}

/// A path as seen from below `root`, if it lies there.
pub fn below<'p>(path: &'p [u8], root: &[u8]) -> &'p [u8] {
    match path.strip_prefix(root) {
        Some(rest) if rest.starts_with(b"/") => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn paths_below_a_root() {
        for (path, root, seen) in [
            (&b"/srv/jail/bin/x"[..], &b"/srv/jail"[..], &b"/bin/x"[..]),
            (b"/bin/x", b"/", b"/bin/x"),
            (b"/srv/jailbird/x", b"/srv/jail", b"/srv/jailbird/x"),
            (b"/srv/jail", b"/srv/jail", b"/srv/jail"),
            (b"/bin/x", b"/srv/jail", b"/bin/x"),
        ] {
            assert_eq!(below(path, root), seen);
        }
    }

    #[test]
    fn a_path_is_made_absolute_as_far_as_that_can_be_told() {
        for (directory, path, expected) in [
            ("", "/bin/id", Some("/bin/id")),
            ("", "//tmp/./x//y", Some("/tmp/x/y")),
            ("", "/../x", Some("/x")),
            ("/tmp/a", "x", Some("/tmp/a/x")),
            ("/tmp/a", "./b/x", Some("/tmp/a/b/x")),
            ("/tmp/a", "../x", Some("/tmp/x")),
            ("/tmp/a", "./../../../x", Some("/x")),
            ("/tmp/a", "", Some("/tmp/a")),
            // `a` may be a link to anywhere.
            ("/tmp", "a/../x", None),
            ("", "/bin/../tmp/x", None),
            ("/tmp", "0123456789", None),
        ] {
            let mut room = [0; 14];
            room[..directory.len()].copy_from_slice(directory.as_bytes());
            let length = join(&mut room, directory.len(), path.as_bytes());
            let joined = length.map(|length| std::str::from_utf8(&room[..length]).unwrap());
            assert_eq!(joined, expected, "{directory} {path}");
        }
    }

    #[test]
    fn values_are_as_wide_as_the_programs_words() {
        let wide = |pairs: &[(u64, u64)]| -> Vec<u8> {
            let words = pairs.iter().flat_map(|&(key, value)| [key, value]);
            words.flat_map(u64::to_ne_bytes).collect()
        };
        let narrow = |pairs: &[(u32, u32)]| -> Vec<u8> {
            let words = pairs.iter().flat_map(|&(key, value)| [key, value]);
            words.flat_map(u32::to_ne_bytes).collect()
        };
        let find = |values: &[u8]| exec_name_at(values, 8).or_else(|| exec_name_at(values, 4));
        let high = 0x7fff_dead_beef_u64;
        assert_eq!(
            find(&wide(&[(33, high), (16, 0), (31, high), (0, 0)])),
            Some(high)
        );
        assert_eq!(find(&wide(&[(33, high), (16, 0), (0, 0)])), None);
        let place = 0xBEFF_FFE8;
        for first in [(33, 0x7000_0000), (8, 0)] {
            assert_eq!(
                find(&narrow(&[first, (16, 0x97), (31, place), (0, 0)])),
                Some(place.into())
            );
        }
        assert_eq!(find(&narrow(&[(31, place), (0, 0)])), Some(place.into()));
        assert_eq!(find(b""), None);
        assert_eq!(find(&[0xFF; 40]), None);
    }

    /// A child that runs what it was told to; gone when dropped.
    struct Running(Child);

    impl Running {
        fn new(command: &mut Command) -> Self {
            let child = command.stdin(Stdio::piped()).stdout(Stdio::null());
            let child = child.spawn().unwrap();
            // `spawn` returns when the old image is gone, a moment before the new one is complete.
            while fs::read(std::format!("/proc/{}/cmdline", child.id()))
                .unwrap()
                .is_empty()
            {
                std::thread::yield_now();
            }
            Self(child)
        }

        /// By what it was invoked.
        fn invoked(&self, stands: bool) -> Option<String> {
            let proc = Proc::open().unwrap();
            let args = fs::read(std::format!("/proc/{}/cmdline", self.0.id()));
            let args = args.unwrap();
            let mut exe = [0; 256];
            let program = Program {
                executable: Some(proc.executable(self.0.id(), &mut exe).unwrap().path),
                args: &args,
                stands,
            };
            let mut room = [0; 512];
            let path = proc.invoked(self.0.id(), &program, &mut room)?;
            Some(String::from_utf8(path.to_vec()).unwrap())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn script(path: &Path) {
        fs::write(path, "#!/bin/sh\nread line\n").unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn programs_of_several_names_and_scripts() {
        let name = std::format!("peewit-invoked-{}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&folder).unwrap();
        symlink("/bin/cat", folder.join("applet")).unwrap();
        script(&folder.join("script"));
        let here = |path: &str| {
            let mut command = Command::new(path);
            command.current_dir(&folder);
            command
        };
        let inside = |name: &str| Some(folder.join(name).to_str().unwrap().into());
        // Another name for itself does not change by which it was invoked.
        let applet = Running::new(here("./applet").arg0("/etc/init.d/S01"));
        assert_eq!(applet.invoked(true), inside("applet"));
        assert_eq!(applet.invoked(false), None, "it may have gone elsewhere");
        let script = Running::new(&mut here(inside("script").unwrap().as_str()));
        assert_eq!(script.invoked(false), inside("script"));
        let doubtful = Running::new(&mut here("/bin/../bin/cat"));
        assert_eq!(doubtful.invoked(true), None);
        // A descriptor says nothing: what the program was told to be does.
        let file = fs::File::open("/bin/cat").unwrap();
        let path = std::format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let exe = fs::canonicalize("/bin/cat").unwrap();
        for (name, expected) in [
            ("-sh", exe.with_file_name("sh")),
            ("-/sbin/ash", exe.with_file_name("ash")),
        ] {
            // The file is closed for the child only when it execs.
            let shell = Running::new(here(&path).arg0(name));
            assert_eq!(shell.invoked(true), Some(expected.to_str().unwrap().into()));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
