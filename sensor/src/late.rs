//! Facts about a process that are read only if a rule is still undecided without them.
//!
//! Each costs a read of `/proc` or more, so the engine asks for them last (`docs/fields.md`). They are read while the process
//! stands still, and kept until its event has been judged: what a rule saw is what an alert's term says.

use heapless::Vec;
use peewit_core::event::{Block, Values, base_name};
use peewit_core::field::Field;

use crate::proc::{Arguments, CAPABILITIES, Entry, Proc, Stat, Status};
use crate::sys::Errno;
use crate::text::Decimal;

/// Most facts that are kept of one event.
const MAX_FACTS: usize = 16;

/// Longest argument list of an entry leader that is looked at.
const MAX_LEADER_ARGS: usize = 256;

/// Facts that are read when they are first asked for.
#[derive(Debug)]
pub struct Late<'a> {
    proc: &'a Proc,
    buffer: &'a mut [u8],
    used: usize,
    facts: Vec<Fact, MAX_FACTS>,
    status: Vec<(u32, Option<Status>), 2>,
    stat: Vec<(u32, Option<Stat>), 2>,
    leader: Option<Option<(u32, Entry)>>,
    environment: Option<Arguments<'static>>,
    capabilities: Vec<&'static [u8], 41>,
    /// Whether paths that the process sees are those of the host.
    pub root: Root,
}

/// What is known of a process' root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Nothing.
    Unread,
    /// It is the host's.
    Host,
    /// It is another one, or could not be read.
    Other,
}

/// A fact that was read.
#[derive(Clone, Copy, Debug)]
struct Fact {
    field: Field,
    pid: u32,
    kept: Kept,
}

/// What came of reading.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// There is none.
    Missing,
    /// It could not be read, or there was no room for it.
    Lost,
    /// It stands in the buffer.
    Text { start: u16, end: u16 },
    /// A number, or a boolean as 0 or 1.
    Number(i64),
    /// In `environment`.
    Environment,
    /// In `capabilities`.
    Capabilities,
}

/// The process whose fact a field is.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// The process of the event.
    pub pid: u32,
    /// Its parent; 0 if not known.
    pub parent: u32,
}

impl Whose {
    /// The process to look at for a field.
    const fn of(self, field: Field) -> u32 {
        match field {
            Field::ParentWorkingDirectory
            | Field::ParentInteractive
            | Field::ParentUserId
            | Field::ParentGroupId
            | Field::ParentEntityId => self.parent,
            _ => self.pid,
        }
    }
}

impl<'a> Late<'a> {
    /// Nothing was read yet. The buffer is for texts; one that does not fit in is lost.
    pub fn new(proc: &'a Proc, buffer: &'a mut [u8]) -> Self {
        Self {
            proc,
            buffer,
            used: 0,
            facts: Vec::new(),
            status: Vec::new(),
            stat: Vec::new(),
            leader: None,
            environment: None,
            capabilities: Vec::new(),
            root: Root::Unread,
        }
    }

    /// Whether a field is read only when it is asked for.
    pub const fn reads(field: Field) -> bool {
        matches!(
            field,
            Field::ProcessWorkingDirectory
                | Field::ProcessEntityId
                | Field::ProcessInteractive
                | Field::ProcessEnvVars
                | Field::ProcessLogonId
                | Field::ProcessCapabilitiesEffective
                | Field::ProcessCapabilitiesPermitted
                | Field::ProcessUserId
                | Field::ProcessRealUserId
                | Field::ProcessGroupId
                | Field::ProcessRealGroupId
                | Field::EntryLeaderType
                | Field::EntryLeaderEntityId
                | Field::EntryLeaderExecutable
                | Field::EntryLeaderArgs
                | Field::SessionLeaderName
                | Field::GroupLeaderName
                | Field::ParentEntityId
                | Field::ParentWorkingDirectory
                | Field::ParentInteractive
                | Field::ParentUserId
                | Field::ParentGroupId
                | Field::UserId
                | Field::UserName
                | Field::UserRealId
                | Field::GroupRealId
                | Field::ContainerId
        )
    }

    /// `/proc`.
    pub const fn proc(&self) -> &'a Proc {
        self.proc
    }

    /// Reads a field, unless that was done.
    #[inline(never)]
    pub fn read(&mut self, field: Field, whose: Whose) {
        let pid = whose.of(field);
        if self.fact(field, pid).is_none() {
            // Whatever went wrong, the process may have it.
            let kept = self.look(field, pid).unwrap_or(Kept::Lost);
            // Without room it counts as not read, and so as lost.
            let _ = self.facts.push(Fact { field, pid, kept });
        }
    }

    /// A field as it was read.
    pub fn values(&self, field: Field, whose: Whose) -> Values<'_> {
        match self.fact(field, whose.of(field)) {
            None | Some(Kept::Lost) => Values::Lost,
            Some(Kept::Missing) => Values::Missing,
            Some(Kept::Number(number)) => Values::Number(number),
            Some(Kept::Capabilities) => Values::Many(&self.capabilities),
            Some(Kept::Environment) => match &self.environment {
                Some(environment) => Values::Block(environment.block()),
                None => Values::Lost,
            },
            Some(Kept::Text { start, end }) => {
                let text = self.buffer.get(usize::from(start)..usize::from(end));
                match (text, field) {
                    (None, _) => Values::Lost,
                    (Some(text), Field::EntryLeaderArgs) => Values::Block(text),
                    (Some(text), _) => Values::One(text),
                }
            }
        }
    }

    /// The text of a field, if it was read.
    pub fn text(&self, field: Field, whose: Whose) -> Option<&[u8]> {
        match self.values(field, whose) {
            Values::One(text) => Some(text),
            _ => None,
        }
    }

    /// The status of a process, if it was read.
    pub fn status_read(&self, pid: u32) -> Option<Status> {
        self.status.iter().find(|(of, _)| *of == pid)?.1
    }

    fn fact(&self, field: Field, pid: u32) -> Option<Kept> {
        let fact = self
            .facts
            .iter()
            .find(|fact| fact.field == field && fact.pid == pid)?;
        Some(fact.kept)
    }

    /// Looks a fact up. `None`: it is lost.
    fn look(&mut self, field: Field, pid: u32) -> Option<Kept> {
        if pid == 0 {
            return None;
        }
        match field {
            Field::ProcessWorkingDirectory | Field::ParentWorkingDirectory => {
                let read = |proc: &Proc, pid, buffer: &mut [u8]| {
                    proc.working_directory(pid, buffer).map(<[u8]>::len)
                };
                self.place(pid, read, |path| path)
            }
            Field::UserId | Field::ProcessUserId | Field::ParentUserId => {
                let user = self.status(pid)?.effective_user;
                self.decimal(u64::from(user))
            }
            Field::ProcessRealUserId | Field::UserRealId => {
                let user = self.status(pid)?.user;
                self.decimal(u64::from(user))
            }
            Field::ProcessGroupId | Field::ParentGroupId => {
                let group = self.status(pid)?.effective_group;
                self.decimal(u64::from(group))
            }
            Field::ProcessRealGroupId | Field::GroupRealId => {
                let group = self.status(pid)?.group;
                self.decimal(u64::from(group))
            }
            Field::UserName => {
                let user = self.status(pid)?.effective_user;
                let name = self.proc.user_name(user)?;
                self.keep(name)
            }
            Field::ProcessCapabilitiesPermitted => {
                let (permitted, _) = self.status(pid)?.capabilities?;
                self.name_capabilities(permitted)
            }
            Field::ProcessCapabilitiesEffective => {
                let (_, effective) = self.status(pid)?.capabilities?;
                self.name_capabilities(effective)
            }
            Field::ProcessEnvVars => {
                let mut environment = Arguments::new(&mut []);
                self.proc.environment(pid, &mut environment).ok()?;
                let empty = environment.block().is_empty();
                self.environment = Some(environment);
                Some(if empty {
                    Kept::Missing
                } else {
                    Kept::Environment
                })
            }
            Field::ProcessLogonId => match self.proc.login_user(pid) {
                Ok(user) => self.decimal(u64::from(user)),
                // A kernel without audit knows nobody's.
                Err(_) => self.stat(pid).map(|_| Kept::Missing),
            },
            Field::ProcessInteractive | Field::ParentInteractive => {
                let stat = self.stat(pid)?;
                Some(Kept::Number(i64::from(self.proc.interactive(pid, &stat))))
            }
            Field::ProcessEntityId | Field::ParentEntityId => self.entity(pid),
            Field::SessionLeaderName => {
                let leader = self.stat(pid)?.session;
                self.program(leader, base_name)
            }
            Field::GroupLeaderName => {
                let leader = self.stat(pid)?.group;
                self.program(leader, base_name)
            }
            Field::ContainerId => {
                let mut id = [0; 64];
                match self.proc.container(pid, &mut id) {
                    Ok(id) => self.keep(id),
                    Err(Errno::INVALID) => Some(Kept::Missing),
                    Err(_) => None,
                }
            }
            Field::EntryLeaderType => {
                let (_, entry) = self.entry_leader(pid)?;
                self.keep(entry.name().as_bytes())
            }
            Field::EntryLeaderEntityId => {
                let (leader, _) = self.entry_leader(pid)?;
                self.entity(leader)
            }
            Field::EntryLeaderExecutable => {
                let (leader, _) = self.entry_leader(pid)?;
                self.program(leader, |path| path)
            }
            Field::EntryLeaderArgs => {
                let (leader, _) = self.entry_leader(pid)?;
                let mut buffer = [0; MAX_LEADER_ARGS];
                let args = self.proc.some_arguments(leader, &mut buffer).ok()?;
                self.keep(args)
            }
            _ => None,
        }
    }

    /// A process and when it started: no two processes have both in common (ECS `process.entity_id`).
    fn entity(&mut self, pid: u32) -> Option<Kept> {
        let start = self.stat(pid)?.start;
        let start_in_buffer = self.used;
        self.keep(Decimal::new(u64::from(pid)).as_bytes())?;
        self.keep(b"-")?;
        let last = self.keep(Decimal::new(start).as_bytes())?;
        match last {
            Kept::Text { end, .. } => Some(Kept::Text {
                start: u16::try_from(start_in_buffer).ok()?,
                end,
            }),
            other => Some(other),
        }
    }

    fn status(&mut self, pid: u32) -> Option<Status> {
        if let Some((_, status)) = self.status.iter().find(|(of, _)| *of == pid) {
            return *status;
        }
        let status = self.proc.status(pid).ok();
        // There is room for the process and its parent.
        let _ = self.status.push((pid, status));
        status
    }

    fn stat(&mut self, pid: u32) -> Option<Stat> {
        if let Some((_, stat)) = self.stat.iter().find(|(of, _)| *of == pid) {
            return *stat;
        }
        let stat = self.proc.stat(pid).ok();
        // Those of the process and its parent are asked for more than once.
        let _ = self.stat.push((pid, stat));
        stat
    }

    fn entry_leader(&mut self, pid: u32) -> Option<(u32, Entry)> {
        let proc = self.proc;
        *self
            .leader
            .get_or_insert_with(|| proc.entry_leader(pid).ok())
    }

    fn name_capabilities(&mut self, bits: u64) -> Option<Kept> {
        self.capabilities.clear();
        let names = Block::new(CAPABILITIES).enumerate();
        let held = names.filter(|(bit, _)| bits >> bit & 1 == 1);
        self.capabilities.extend(held.map(|(_, name)| name));
        Some(match bits {
            0 => Kept::Missing,
            _ => Kept::Capabilities,
        })
    }

    /// The program of a process, or a part of its path. A kernel thread has none.
    fn program(&mut self, pid: u32, part: fn(&[u8]) -> &[u8]) -> Option<Kept> {
        if pid == 0 {
            return Some(Kept::Missing);
        }
        let read = |proc: &Proc, pid, buffer: &mut [u8]| {
            proc.executable(pid, buffer)
                .map(|executable| executable.path.len())
        };
        self.place(pid, read, part)
    }

    /// Lets a path be read into the buffer, and keeps its last bytes: those of `part`.
    fn place(
        &mut self,
        pid: u32,
        read: impl Fn(&Proc, u32, &mut [u8]) -> Result<usize, Errno>,
        part: fn(&[u8]) -> &[u8],
    ) -> Option<Kept> {
        let room = self.buffer.get_mut(self.used..)?;
        let length = read(self.proc, pid, room).ok()?;
        let end = self.used + length;
        let kept = part(room.get(..length)?).len();
        self.used = end;
        Some(Kept::Text {
            start: u16::try_from(end - kept).ok()?,
            end: u16::try_from(end).ok()?,
        })
    }

    fn decimal(&mut self, number: u64) -> Option<Kept> {
        self.keep(Decimal::new(number).as_bytes())
    }

    fn keep(&mut self, text: &[u8]) -> Option<Kept> {
        let (start, end) = (self.used, self.used + text.len());
        self.buffer.get_mut(start..end)?.copy_from_slice(text);
        self.used = end;
        Some(Kept::Text {
            start: u16::try_from(start).ok()?,
            end: u16::try_from(end).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::process::Command;
    use std::string::String;

    fn show(late: &mut Late<'_>, field: Field, whose: Whose) -> String {
        late.read(field, whose);
        match late.values(field, whose) {
            Values::One(text) => String::from_utf8_lossy(text).into_owned(),
            Values::Block(block) => String::from_utf8_lossy(block).replace('\0', "|"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_child_is_read() {
        // It has a group of its own, an environment of one variable, and nothing to type at.
        let mut child =
            std::os::unix::process::CommandExt::process_group(&mut Command::new("/bin/sleep"), 0)
                .arg("60")
                .env_clear()
                .envs([
                    ("A", "1"),
                    ("LD_BIND_NOW", "1"),
                    ("B", "2"),
                    ("RUNNER_TRACKING_ID", "x"),
                ])
                .current_dir("/usr")
                .stdin(std::process::Stdio::null())
                .spawn()
                .unwrap();
        // `spawn` returns when the old image is gone, a moment before the new one is complete.
        while std::fs::read(format!("/proc/{}/environ", child.id()))
            .unwrap()
            .is_empty()
        {
            std::thread::yield_now();
        }
        let proc = Proc::open().unwrap();
        let mut buffer = [0; 1024];
        let mut late = Late::new(&proc, &mut buffer);
        let whose = Whose {
            pid: child.id(),
            parent: std::process::id(),
        };
        let (mine, its) = (
            proc.stat(whose.parent).unwrap(),
            proc.stat(whose.pid).unwrap(),
        );
        let id = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
        let id = id.trim();
        for (field, expected) in [
            (Field::ProcessWorkingDirectory, "/usr"),
            (
                Field::ParentWorkingDirectory,
                std::env::current_dir().unwrap().to_str().unwrap(),
            ),
            (Field::UserId, id),
            (Field::ProcessRealUserId, id),
            (Field::ParentUserId, id),
            (Field::ProcessEnvVars, "LD_BIND_NOW=1|RUNNER_TRACKING_ID=x|"),
            (Field::ProcessInteractive, "Number(0)"),
            (Field::GroupLeaderName, "sleep"),
            (
                Field::ProcessEntityId,
                &format!("{}-{}", whose.pid, its.start),
            ),
            (
                Field::ParentEntityId,
                &format!("{}-{}", whose.parent, mine.start),
            ),
        ] {
            assert_eq!(show(&mut late, field, whose), expected, "{field:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was read stays, what was not is lost.
        assert_eq!(
            show(&mut late, Field::ProcessWorkingDirectory, whose),
            "/usr"
        );
        assert_eq!(show(&mut late, Field::ContainerId, whose), "Lost");
        let mut later = Late::new(&proc, &mut []);
        assert_eq!(
            show(&mut later, Field::ProcessWorkingDirectory, whose),
            "Lost"
        );
    }

    #[test]
    fn capabilities_have_names() {
        let proc = Proc::open().unwrap();
        let mut late = Late::new(&proc, &mut []);
        let me = Whose {
            pid: std::process::id(),
            parent: 0,
        };
        let (_, effective) = proc.status(me.pid).unwrap().capabilities.unwrap();
        late.read(Field::ProcessCapabilitiesEffective, me);
        match late.values(Field::ProcessCapabilitiesEffective, me) {
            Values::Many(names) => {
                assert_eq!(names.len(), effective.count_ones() as usize);
                assert_eq!(names.contains(&&b"CAP_CHOWN"[..]), effective & 1 == 1);
            }
            other => assert!(
                effective == 0 && matches!(other, Values::Missing),
                "{other:?}"
            ),
        }
    }
}
