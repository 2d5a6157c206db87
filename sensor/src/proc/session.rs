//! `/proc/PID/stat`, and what follows from it: sessions, terminals, entry leaders.

use super::Proc;
use crate::sys::{Errno, device_at};
use crate::text::number;
use peewit_core::parts;

/// What a process' `stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The parent; 0 if it has none in this pid namespace.
    pub parent: u32,
    /// The leader of its process group.
    pub group: u32,
    /// The leader of its session.
    pub session: u32,
    /// Major and minor number of its controlling terminal.
    pub terminal: Option<(u32, u32)>,
    /// When it started, in clock ticks since the system did.
    pub start: u64,
    /// By what it was started, if by something that lets sessions or services in.
    comm: Comm,
}

/// The first bytes of a process' name, as the kernel keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Comm([u8; 15]);

/// How somebody or something got in (ECS `process.entry_leader.entry_meta.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By the secure shell.
    Sshd,
    /// As the first process of a container.
    Container,
    /// By a login at a terminal.
    Terminal,
    /// A service, or whatever else the first process started.
    Init,
}

impl Entry {
    /// The name in ECS.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Container => "container",
            Self::Terminal => "terminal",
            Self::Init => "init",
        }
    }
}

/// Most steps from a process up to its entry leader.
const MAX_STEPS: usize = 32;

/// Programs that let others in, by the beginnings of their names.
static ENTRIES: [(&[u8], Entry); 12] = [
    (b"sshd", Entry::Sshd),
    (b"dropbear", Entry::Sshd),
    (b"containerd-shim", Entry::Container),
    (b"conmon", Entry::Container),
    (b"runc", Entry::Container),
    (b"crun", Entry::Container),
    (b"lxc-start", Entry::Container),
    (b"docker-init", Entry::Container),
    (b"login", Entry::Terminal),
    (b"getty", Entry::Terminal),
    (b"agetty", Entry::Terminal),
    (b"tmux", Entry::Terminal),
];

impl Proc {
    /// Its parent, session, terminal and start.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone altogether.
    #[inline(never)]
    pub fn stat(&self, pid: u32) -> Result<Stat, Errno> {
        let mut buffer = [0; 384];
        parse(self.read_of(pid, b"stat", &mut buffer)?).ok_or(Errno::INVALID)
    }

    /// Whether somebody may be typing: input and errors of the process are its controlling terminal (ECS
    /// `process.interactive`).
    pub fn interactive(&self, pid: u32, stat: &Stat) -> bool {
        stat.terminal.is_some_and(|terminal| {
            [&b"fd/0"[..], b"fd/2"].into_iter().all(|name| {
                device_at(&self.directory, super::Path::new(pid, name).as_c_str())
                    .is_ok_and(|device| device == Some(terminal))
            })
        })
    }

    /// The entry leader of a process: it or the nearest ancestor that was started by what lets sessions, containers or services
    /// in, and by what that was.
    ///
    /// # Errors
    /// Those of [`Proc::stat`]; [`Errno::NOT_FOUND`] without such an ancestor.
    pub fn entry_leader(&self, pid: u32) -> Result<(u32, Entry), Errno> {
        let (mut leader, mut parent) = (pid, self.stat(pid)?.parent);
        for _ in 0..MAX_STEPS {
            if parent <= 1 {
                break;
            }
            let stat = self.stat(parent)?;
            if let Some((_, entry)) = ENTRIES
                .iter()
                .find(|(name, _)| stat.comm.0.starts_with(name))
            {
                return Ok((leader, *entry));
            }
            (leader, parent) = (parent, stat.parent);
        }
        match parent {
            1 => Ok((leader, Entry::Init)),
            _ => Err(Errno::NOT_FOUND),
        }
    }
}

fn parse(stat: &[u8]) -> Option<Stat> {
    // `PID (NAME) STATE PPID ...`: in the name anything may stand, spaces and parentheses too.
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let mut comm = Comm([0; 15]);
    for (place, byte) in comm.0.iter_mut().zip(stat.get(open + 1..close)?) {
        *place = *byte;
    }
    let mut fields = parts(stat.get(close + 2..)?, b' ').skip(1);
    let mut next = || number(fields.next()?);
    let mut id = || u32::try_from(next()?).ok();
    let (parent, group, session) = (id()?, id()?, id()?);
    // 12 bits of major number between the low 8 and the high 12 of the minor one (`new_encode_dev`).
    let device = id()?;
    let terminal =
        (device != 0).then_some((device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00));
    // tpgid is -1 without a terminal; flags, faults, times, priority, threads and a timer follow.
    let start = number(fields.nth(14)?)?;
    Some(Stat {
        parent,
        group,
        session,
        terminal,
        start,
        comm,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"7 (a) R 1 (b) S 4 5 6 34817 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10";
        assert_eq!(
            parse(stat),
            Some(Stat {
                parent: 4,
                group: 5,
                session: 6,
                terminal: Some((136, 1)),
                start: 4711,
                comm: Comm(*b"a) R 1 (b\0\0\0\0\0\0"),
            })
        );
        assert_eq!(
            parse(b"7 (a) S 4 5 6 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 1 9")
                .unwrap()
                .terminal,
            None
        );
        assert_eq!(parse(b"7 (a) S 4 5"), None);
        assert_eq!(parse(b"7 (a)"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_process() {
        let proc = Proc::open().unwrap();
        let me = crate::sys::process_id();
        let stat = proc.stat(me).unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        // A shell, a service or a container brought this test about, whatever it was.
        match proc.entry_leader(me) {
            Ok((leader, _)) => assert!(proc.stat(leader).is_ok()),
            Err(error) => assert_eq!(error, Errno::NOT_FOUND),
        }
        assert!(proc.stat(u32::MAX).is_err());
    }
}
