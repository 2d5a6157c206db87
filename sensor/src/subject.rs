//! A process event as the rules see it.

use peewit_core::alert::Action;
use peewit_core::event::{Block, Event, Values, base_name};
use peewit_core::field::Field;
use peewit_core::lineage::Process;
use peewit_core::packed::Packed;

use crate::invoked::Invoked;
use crate::late::{Late, Root, Whose};
use crate::proc::{Program, Status, below};
use crate::state::Sensor;

/// What is known of the parent.
#[derive(Clone, Copy, Debug)]
pub enum Parent<'a> {
    /// There is none: the kernel started the process.
    None,
    /// There is one, but its name was lost.
    Lost,
    /// What held for it when it started.
    Facts(Packed<'a>),
    /// What it is.
    Named {
        /// Its program; `None` for a kernel thread.
        path: Option<&'a [u8]>,
        /// By which path that was invoked, if it was kept.
        invoked: Option<&'a [u8]>,
    },
    /// The process itself: what its children will see, and its forks.
    Itself,
}

impl<'a> Parent<'a> {
    /// As the table knows it.
    pub const fn named(process: &Process<'a>) -> Self {
        Self::Named {
            path: process.path,
            invoked: process.invoked,
        }
    }
}

/// A process event.
#[derive(Debug)]
pub struct Subject<'a> {
    /// What the process did.
    pub action: Action,
    /// The process.
    pub pid: u32,
    /// Its parent's id; 0 if not known.
    pub parent_pid: u32,
    /// Its program; `None` if it could not be read.
    pub executable: Option<&'a [u8]>,
    /// Its arguments, each ended by NUL; `None` if they could not be read.
    pub args: Option<&'a [u8]>,
    /// By which path its program was invoked.
    pub invoked: Invoked<'a>,
    /// Its parent.
    pub parent: Parent<'a>,
    /// How it ended, if it did and that is known.
    pub exit_code: Option<u8>,
    /// `host.id`
    pub host_id: &'a str,
    /// What is read only if somebody asks.
    pub late: Late<'a>,
}

/// How a value that is there or was lost looks to a rule.
fn known<'v>(value: Option<&'v [u8]>, values: impl Fn(&'v [u8]) -> Values<'v>) -> Values<'v> {
    value.map_or(Values::Lost, values)
}

fn count(block: &[u8]) -> Values<'_> {
    Values::Number(i64::try_from(Block::new(block).count()).unwrap_or(i64::MAX))
}

fn name(path: &[u8]) -> Values<'_> {
    Values::One(base_name(path))
}

impl<'a> Subject<'a> {
    /// An event of which nothing more is known. The buffer is that of [`Late::new`].
    #[inline(never)]
    pub fn new(
        action: Action,
        (pid, parent_pid): (u32, u32),
        sensor: &'a Sensor,
        buffer: &'a mut [u8],
    ) -> Self {
        Self {
            action,
            pid,
            parent_pid,
            executable: None,
            args: None,
            invoked: Invoked::Lost,
            parent: Parent::Lost,
            exit_code: None,
            host_id: sensor.host_id,
            late: Late::new(&sensor.proc, buffer),
        }
    }
}

impl Subject<'_> {
    /// Makes the program's path what the process itself would see: in a chroot the kernel gives it as seen from our root. A
    /// root with a path of more than 255 bytes is not taken off.
    pub fn read_root(&mut self) {
        if self.late.root != Root::Unread {
            return;
        }
        self.late.root = Root::Other;
        let mut buffer = [0; 256];
        if let (Some(path), Ok(root)) = (
            self.executable,
            self.late.proc().root(self.pid, &mut buffer),
        ) {
            if root == b"/" {
                self.late.root = Root::Host;
            }
            self.executable = Some(below(path, root));
        }
    }

    /// Finds out by which path the program was invoked, unless that was done. Without arguments it may not be the program yet.
    #[inline(never)]
    pub fn read_invoked(&mut self) {
        if !matches!(self.invoked, Invoked::Unread { .. }) {
            return;
        }
        if let Invoked::Unread { room, stands } =
            core::mem::replace(&mut self.invoked, Invoked::Lost)
            && let Some(args) = self.args
        {
            let program = Program {
                executable: self.executable,
                args,
                stands,
            };
            self.invoked = Invoked::kept(self.late.proc().invoked(self.pid, &program, room));
        }
    }

    /// Reads what an alert says beside what the rules asked for.
    #[cold]
    pub fn read_all(&mut self) {
        self.read_root();
        for field in [Field::ProcessWorkingDirectory, Field::UserId] {
            self.late.read(field, self.whose());
        }
    }

    /// Reads the fields whose values a rule's alerts or state are told apart by.
    pub fn read_keys(&mut self, keys: impl Iterator<Item = Field>) {
        for field in keys {
            let _ = self.values(field);
        }
    }

    /// The working directory, if it was read.
    pub fn directory(&self) -> Option<&[u8]> {
        self.late.text(Field::ProcessWorkingDirectory, self.whose())
    }

    /// Its users and groups, if they were read.
    pub fn status(&self) -> Option<Status> {
        self.late.status_read(self.pid)
    }

    fn whose(&self) -> Whose {
        let parent = match self.parent {
            Parent::Itself => self.pid,
            _ => self.parent_pid,
        };
        Whose {
            pid: self.pid,
            parent,
        }
    }

    /// A field of the process itself that was captured with the event.
    fn captured(&self, field: Field) -> Values<'_> {
        match field {
            Field::HostOsType => Values::One(b"linux"),
            Field::HostId => Values::One(self.host_id.as_bytes()),
            Field::EventKind => Values::One(b"event"),
            Field::EventCategory => Values::One(b"process"),
            Field::EventType => Values::One(self.action.event_type().as_bytes()),
            Field::EventAction => Values::One(self.action.name().as_bytes()),
            Field::ProcessExecutable => known(self.executable, Values::One),
            Field::ProcessName => known(self.executable, name),
            Field::ProcessArgs => known(self.args, Values::Block),
            Field::ProcessArgsCount => known(self.args, count),
            Field::ProcessCommandLine => known(self.args, Values::Joined),
            Field::ProcessInvokedPath => known(self.invoked.path(), Values::One),
            Field::ProcessInvokedName => known(self.invoked.path(), name),
            Field::ProcessPid => Values::Number(i64::from(self.pid)),
            Field::ProcessExitCode if self.action == Action::End => self
                .exit_code
                .map_or(Values::Lost, |code| Values::Number(i64::from(code))),
            Field::ParentPid if self.parent_pid != 0 => Values::Number(i64::from(self.parent_pid)),
            Field::ParentExecutable
            | Field::ParentName
            | Field::ParentArgs
            | Field::ParentArgsCount
            | Field::ParentCommandLine
            | Field::ParentInvokedPath
            | Field::ParentInvokedName => self.parent(field),
            _ => Values::Missing,
        }
    }

    fn parent(&self, field: Field) -> Values<'_> {
        match self.parent {
            Parent::None => Values::Missing,
            Parent::Lost => Values::Lost,
            Parent::Facts(facts) => Values::Facts(facts),
            // A kernel thread has none of them.
            Parent::Named { path: None, .. } => Values::Missing,
            Parent::Named { path, invoked } => match field {
                Field::ParentExecutable => known(path, Values::One),
                Field::ParentName => known(path, name),
                Field::ParentInvokedPath => known(invoked, Values::One),
                Field::ParentInvokedName => known(invoked, name),
                // Only what holds for them is kept.
                _ => Values::Lost,
            },
            Parent::Itself => match field {
                Field::ParentExecutable => known(self.executable, Values::One),
                Field::ParentName => known(self.executable, name),
                Field::ParentArgs => known(self.args, Values::Block),
                Field::ParentArgsCount => known(self.args, count),
                Field::ParentInvokedPath => known(self.invoked.path(), Values::One),
                Field::ParentInvokedName => known(self.invoked.path(), name),
                _ => known(self.args, Values::Joined),
            },
        }
    }
}

impl Event for Subject<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        match field {
            // The name is the same below any root.
            Field::ProcessExecutable => self.read_root(),
            Field::ProcessInvokedPath | Field::ProcessInvokedName => self.read_invoked(),
            Field::ParentInvokedPath | Field::ParentInvokedName
                if matches!(self.parent, Parent::Itself) =>
            {
                self.read_invoked();
            }
            field if Late::reads(field) => self.late.read(field, self.whose()),
            _ => {}
        }
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        if Late::reads(field) {
            return self.late.values(field, self.whose());
        }
        self.captured(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::Proc;
    use std::format;
    use std::string::String;

    fn show(values: Values<'_>) -> String {
        format!("{values:?}")
    }

    #[test]
    fn fields_of_an_exec() {
        let proc = Proc::open().unwrap();
        let (mut buffer, mut room) = ([0; 4096], [0; 1024]);
        let me = crate::sys::process_id();
        let mut subject = Subject {
            action: Action::Exec,
            pid: me,
            parent_pid: 4,
            executable: Some(b"/tmp/x/implant"),
            args: Some(b"implant\0id\0"),
            invoked: Invoked::Unread {
                room: &mut room,
                stands: true,
            },
            parent: Parent::Facts(Packed::new(&[3, 1])),
            exit_code: None,
            host_id: "h",
            late: Late::new(&proc, &mut buffer),
        };
        let directory = std::env::current_dir().unwrap();
        // How this test itself was started.
        let invoked = std::fs::canonicalize("/proc/self/exe").unwrap();
        let text = |bytes: &[u8]| show(Values::One(bytes));
        for (field, expected) in [
            (Field::HostOsType, text(b"linux")),
            (Field::HostId, text(b"h")),
            (Field::EventAction, text(b"exec")),
            (Field::ProcessExecutable, text(b"/tmp/x/implant")),
            (Field::ProcessName, text(b"implant")),
            (Field::ProcessArgs, show(Values::Block(b"implant\0id\0"))),
            (Field::ProcessArgsCount, show(Values::Number(2))),
            (
                Field::ProcessCommandLine,
                show(Values::Joined(b"implant\0id\0")),
            ),
            (
                Field::ProcessWorkingDirectory,
                text(directory.as_os_str().as_encoded_bytes()),
            ),
            (
                Field::ProcessInvokedPath,
                text(invoked.as_os_str().as_encoded_bytes()),
            ),
            (
                Field::ProcessInvokedName,
                text(base_name(invoked.as_os_str().as_encoded_bytes())),
            ),
            (
                Field::ParentInvokedName,
                show(Values::Facts(Packed::new(&[3, 1]))),
            ),
            (Field::ParentName, show(Values::Facts(Packed::new(&[3, 1])))),
            (Field::ParentPid, show(Values::Number(4))),
            (Field::EventOutcome, show(Values::Missing)),
        ] {
            assert_eq!(show(subject.values(field)), expected, "{field:?}");
        }
        let parent = |path, invoked| Parent::Named { path, invoked };
        subject.parent = parent(Some(b"/bin/busybox"), Some(b"/tmp/x/dropper.sh"));
        assert_eq!(show(subject.term(Field::ParentName)), text(b"busybox"));
        assert_eq!(
            show(subject.term(Field::ParentInvokedName)),
            text(b"dropper.sh")
        );
        assert_eq!(show(subject.term(Field::ParentArgs)), show(Values::Lost));
        subject.parent = parent(Some(b"/bin/busybox"), None);
        assert_eq!(
            show(subject.term(Field::ParentInvokedPath)),
            show(Values::Lost)
        );
        subject.parent = parent(None, None);
        assert_eq!(show(subject.term(Field::ParentName)), show(Values::Missing));
        subject.parent = Parent::Itself;
        assert_eq!(
            show(subject.values(Field::ParentInvokedPath)),
            text(invoked.as_os_str().as_encoded_bytes())
        );
        subject.action = Action::Fork;
        assert_eq!(
            show(subject.values(Field::ParentExecutable)),
            text(b"/tmp/x/implant")
        );
        assert_eq!(show(subject.values(Field::EventAction)), text(b"fork"));
        assert_eq!(
            show(subject.values(Field::ProcessExitCode)),
            show(Values::Missing)
        );
        subject.action = Action::End;
        assert_eq!(show(subject.values(Field::EventType)), text(b"end"));
        assert_eq!(
            show(subject.values(Field::ProcessExitCode)),
            show(Values::Lost)
        );
        subject.exit_code = Some(3);
        assert_eq!(
            show(subject.values(Field::ProcessExitCode)),
            show(Values::Number(3))
        );
    }

    #[test]
    fn what_could_not_be_read_is_lost_not_missing() {
        let proc = Proc::open().unwrap();
        let mut buffer = [0; 64];
        let mut subject = Subject {
            action: Action::Exec,
            // No process has this id.
            pid: u32::MAX,
            parent_pid: 0,
            executable: None,
            args: None,
            invoked: Invoked::Unread {
                room: &mut [],
                stands: true,
            },
            parent: Parent::Lost,
            exit_code: None,
            host_id: "h",
            late: Late::new(&proc, &mut buffer),
        };
        for field in [
            Field::ProcessExecutable,
            Field::ProcessName,
            Field::ProcessArgs,
            Field::ProcessArgsCount,
            Field::ProcessCommandLine,
            Field::ProcessWorkingDirectory,
            Field::ProcessInvokedPath,
            Field::ProcessInvokedName,
            Field::UserId,
            Field::ParentName,
        ] {
            assert_eq!(show(subject.values(field)), show(Values::Lost), "{field:?}");
        }
        assert_eq!(
            show(subject.values(Field::ParentPid)),
            show(Values::Missing)
        );
        subject.parent = Parent::None;
        assert_eq!(
            show(subject.values(Field::ParentName)),
            show(Values::Missing)
        );
    }
}
