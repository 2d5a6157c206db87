//! Whether a process has become another program yet.

use super::{Arguments, Executable, Path, Proc};
use crate::sys::{Errno, Fd, Identity, identity_at, read_link_at};
use crate::text::{Decimal, PathBuffer, number};
use peewit_core::parts;

impl Proc {
    /// Which file its program is.
    ///
    /// # Errors
    /// As for [`Proc::executable`].
    pub fn program(&self, pid: u32) -> Result<Identity, Errno> {
        identity_at(&self.directory, Path::new(pid, b"exe").as_c_str())
    }

    /// The path of an open file.
    ///
    /// # Errors
    /// Those of readlink(2).
    pub fn opened<'b>(&self, file: &Fd, buffer: &'b mut [u8]) -> Result<Executable<'b>, Errno> {
        let link =
            PathBuffer::<24>::of(&[b"self/fd/", Decimal::new(file.number().into()).as_bytes()])?;
        read_link_at(&self.directory, link.as_c_str(), buffer).map(Executable::new)
    }

    /// Reads its arguments: those of an open file's program have a path already.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if there are none, as it is gone; [`Errno::TOO_LONG`] without the memory for them.
    pub fn arguments(&self, pid: u32, into: &mut Arguments<'_>) -> Result<(), Errno> {
        let file = self.file(pid, b"cmdline")?;
        if into.begin(&file)? {
            into.go_on(&file)?;
        }
        if into.block().is_empty() {
            return Err(Errno::NOT_FOUND);
        }
        Ok(())
    }

    /// Where in its memory its arguments begin, and its parent. 0 without the right to trace it.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone altogether.
    pub fn arguments_at(&self, pid: u32) -> Result<(u64, u32), Errno> {
        let mut buffer = [0; 768];
        parse(self.read_of(pid, b"stat", &mut buffer)?).ok_or(Errno::INVALID)
    }
}

/// The 4th and the 48th word. The second is a name in parentheses, which may hold anything.
fn parse(stat: &[u8]) -> Option<(u64, u32)> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut words = parts(stat.get(end + 2..)?, b' ');
    let parent = u32::try_from(number(words.nth(1)?)?).ok()?;
    Some((number(words.nth(43)?)?, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_behind_the_name() {
        let numbers: std::vec::Vec<_> = (4..53).map(|number| std::format!("{number}")).collect();
        let stat = std::format!("7 (a) b) 9) S {}\n", numbers.join(" "));
        assert_eq!(parse(stat.as_bytes()), Some((48, 4)));
        assert_eq!(parse(b"7 (a) S 4 5"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_process_has_a_program_and_arguments() {
        let proc = Proc::open().unwrap();
        let me = crate::sys::process_id();
        let (place, parent) = proc.arguments_at(me).unwrap();
        assert_eq!(parent, std::os::unix::process::parent_id());
        assert_ne!(place, 0);
        assert_eq!(proc.program(me), identity_at(&proc.directory, c"self/exe"));
        assert_ne!(
            proc.program(me),
            identity_at(&proc.directory, c"self/cmdline")
        );
        assert_eq!(proc.program(0), Err(Errno::NOT_FOUND));
    }
}
