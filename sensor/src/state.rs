//! What all threads share, and what happens to it.

mod ends;
mod forks;
mod seeds;
mod swap;

use peewit_core::alert::{Action, Flags, MatchedArg, ProcessEvent, Source};
use peewit_core::lineage::{Image, Parent as Kin};
use peewit_core::pack::RuleIndex;
use peewit_core::packed::Packer;

use crate::invoked::{self, Invoked};
use crate::judge::{Judge, Rules};
use crate::late::Late;
use crate::outlet::{Beside, Outlet, Table, args_len};
use crate::proc::{Arguments, PATH_MAX, Proc};
use crate::rules::RULES;
use crate::source::{Lineage, Notice};
use crate::subject::{Parent, Subject};
use crate::sys::{Book, Errno, Held, Mapping, Once, PiMutex, Wake, lock_value, real_ms};

/// What does not change once the sensor runs.
pub struct Sensor {
    /// `/proc`.
    pub proc: Proc,
    /// Forks, ends, answers.
    pub lineage: Lineage,
    /// Where events come from.
    pub source: Source,
    /// ECS `host.id`.
    pub host_id: &'static str,
    /// The bell of the writer.
    pub writer: Wake,
    /// This process.
    pub pid: u32,
}

/// The sensor, once it has been set up.
pub static SENSOR: Once<Sensor> = Once::new();

/// What changes. Held for some microseconds at a time.
pub static STATE: PiMutex<State> = PiMutex::new(State::new());

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Execs handled.
    pub execs: u64,
    /// Of them those whose program, arguments and parent are all known.
    pub complete: u64,
    /// The others, by what is missing.
    pub missing: [u64; 4],
    /// New processes.
    pub forks: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Times that the kernel had no room for events.
    pub overruns: u64,
}

/// What changes.
pub struct State {
    lineage: Table,
    /// Alerts and events leave through it.
    pub outlet: Outlet,
    /// Elsewhere in memory, so that an empty state is all zero.
    describer: Option<&'static mut Describer>,
    /// How much happened.
    pub counters: Counters,
    /// The last child of this process that was seen to exec; 0: none yet.
    pub own_child: u32,
    /// The kernel answered LISTEN.
    pub answered: bool,
    /// The rules were replaced, and of some processes it is not known yet what holds of them by the new ones.
    relearning: bool,
}

/// What it takes to look at a process that did not just exec.
struct Describer {
    path: &'static mut [u8],
    invoked: &'static mut [u8],
    arguments: Arguments<'static>,
    judge: Judge,
}

/// What is known about a process' parent, taken along.
pub type Facts = Packer<{ peewit_core::lineage::MAX_FACTS }>;

/// An exec, as far as it was read without the lock.
pub struct Exec<'a> {
    /// The process.
    pub pid: u32,
    /// The thread that made the call.
    pub tid: u32,
    /// Its program, if it could be read.
    pub executable: Option<crate::proc::Executable<'a>>,
    /// Its arguments, if they could be read.
    pub args: Option<&'a [u8]>,
    /// What kept one of them from being read.
    pub missing: Option<Missing>,
}

/// What was found out about an exec.
pub struct Found<'a> {
    /// By these rules.
    pub book: &'a Held<Book>,
    /// Those that hold.
    pub rules: Rules,
    /// Those that hold too, but are stages of sequences that had not got there.
    pub left_out: Rules,
    /// Some of them, and the arguments by which they do.
    pub matched: &'a [(RuleIndex, Option<MatchedArg<'a>>)],
}

/// Why an exec is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The program was gone.
    Program,
    /// The arguments were gone, but not the program.
    Arguments,
    /// It may not be read.
    Right,
    /// Only the parent is not known.
    Parent,
}

impl Missing {
    /// What is missing, by how program and arguments could be read.
    pub fn of<A, B>(args: &Result<A, Errno>, executable: &Result<B, Errno>) -> Option<Self> {
        match (args, executable) {
            (Ok(_), Ok(_)) => None,
            (Err(Errno::DENIED | Errno::NOT_PERMITTED), _)
            | (_, Err(Errno::DENIED | Errno::NOT_PERMITTED)) => Some(Self::Right),
            (Err(_), Ok(_)) => Some(Self::Arguments),
            (_, Err(_)) => Some(Self::Program),
        }
    }
}

impl State {
    /// Nothing is known. All zero: it takes up no space in the binary.
    const fn new() -> Self {
        Self {
            lineage: Table::new(),
            outlet: Outlet::new(),
            describer: None,
            counters: Counters {
                execs: 0,
                complete: 0,
                missing: [0; 4],
                forks: 0,
                alerts: 0,
                overruns: 0,
            },
            own_child: 0,
            answered: false,
            relearning: false,
        }
    }

    /// Gets ready to look at processes in `/proc`.
    ///
    /// # Errors
    /// Those of mmap(2) and getrandom(2).
    pub fn prepare(&mut self) -> Result<(), Errno> {
        let mut secret = [0; 4];
        crate::sys::random(&mut secret)?;
        self.lineage.set_secret(u32::from_ne_bytes(secret));
        // A page for all: whose path is longer is lost, and said to be.
        let (path, small) = Mapping::new(PATH_MAX)?
            .leak()
            .split_at_mut(PATH_MAX / 4 * 3);
        let (invoked, path) = path.split_at_mut(invoked::ROOM);
        let describer = Describer {
            path,
            invoked,
            arguments: Arguments::new(small),
            judge: Judge::new(),
        };
        self.describer = Some(Mapping::place(describer)?);
        Ok(())
    }

    /// Keeps in memory what every event needs. Without the right to do so, it is likely to stay there all the same. Tables of
    /// terms, sequences and thresholds take up none before a rule holds, and stay from then on.
    pub fn lock_memory(&self) {
        let _ = lock_value(&self.lineage);
    }

    /// Takes note of the forks and ends up to now. If a process is named and its fork is among them, only up to that, unless the
    /// rules ask for the order of events: all that it came from was before, and what was later is still there the next time.
    pub fn drain(&mut self, sensor: &Sensor, until: Option<u32>) {
        let Some(rules) = RULES.hold() else {
            return;
        };
        let engine = rules.engine();
        let until = until.filter(|_| !rules.has_sequences());
        let lost = sensor.lineage.drain(&mut |notice| {
            match notice {
                Notice::Fork {
                    parent,
                    child,
                    thread: false,
                } => {
                    self.forked(sensor, engine, parent, child);
                    return until == Some(child);
                }
                Notice::Exit { tid, pid, status } if tid == pid => {
                    self.ended(sensor, engine, pid, status);
                }
                Notice::Answer { .. } => self.answered = true,
                _ => {}
            }
            false
        });
        self.counters.overruns += u64::from(lost);
    }

    fn raised(&mut self, sensor: &Sensor, raised: u32) {
        if raised > 0 {
            self.counters.alerts += u64::from(raised);
            sensor.writer.ring();
        }
    }

    /// The table of processes.
    pub const fn lineage(&self) -> &Table {
        &self.lineage
    }

    /// What is known about the parent of a process that just called exec. One of which no fork was seen is looked up.
    pub fn parent(&mut self, sensor: &Sensor, pid: u32, facts: &mut Facts) -> (u32, bool) {
        if let Kin::Lost = self.lineage.parent(pid) {
            self.find_parent(sensor, pid);
        }
        if self.relearning {
            self.learn_parent(sensor, pid);
        }
        facts.clear();
        match self.lineage.parent(pid) {
            Kin::Known(parent) => {
                // As many as the table keeps.
                let _ = facts.copy(parent.facts);
                (parent.pid, !parent.lost)
            }
            Kin::None => (0, true),
            Kin::Lost => (0, false),
        }
    }

    /// An exec of this process is being read, and that takes long: another CPU may have pulled the process and let it
    /// run. What it starts meanwhile must not be judged by the program that it ran before.
    pub fn unsettle(&mut self, pid: u32) {
        self.lineage.exec(pid, &Image::LOST);
    }

    /// Enters an exec that was judged: alerts first, then the process' new program. Nothing is done, and `false` given, if the
    /// rules were replaced meanwhile, or a sequence got to where it had not been: then it is to be judged from the beginning.
    pub fn exec(
        &mut self,
        sensor: &'static Sensor,
        exec: &Exec<'_>,
        subject: &mut Subject<'_>,
        judge: &Judge,
        found: Found<'_>,
    ) -> bool {
        if !RULES.is_current(found.book) {
            return false;
        }
        let mut awaited = found.left_out;
        if !awaited.is_empty() {
            self.outlet
                .leave_out(&found.book.engine().pack(), &mut awaited);
            if !awaited.is_empty() {
                return false;
            }
        }
        let mut rules = found.rules;
        let mut flags = Flags::NONE;
        if exec.executable.is_some_and(|executable| executable.deleted) {
            flags |= Flags::DELETED;
        }
        if judge.beyond_upstream() {
            flags |= Flags::BEYOND_UPSTREAM;
        }
        let length = args_len(exec.args);
        let mut raised = 0;
        if !rules.is_empty() {
            let view = Subject {
                parent: match self.lineage.parent(exec.pid) {
                    Kin::Known(parent) if !parent.lost => Parent::named(&parent),
                    Kin::None => Parent::None,
                    Kin::Known(_) | Kin::Lost => Parent::Lost,
                },
                invoked: Invoked::kept(subject.invoked.path()),
                late: core::mem::replace(&mut subject.late, Late::new(&sensor.proc, &mut [])),
                ..*subject
            };
            while let Some(rule) = rules.pop_last() {
                let beside = Beside {
                    tid: exec.tid,
                    args_len: length,
                    flags,
                    matched: found
                        .matched
                        .iter()
                        .find(|(of, _)| *of == rule)
                        .and_then(|(_, arg)| *arg),
                };
                raised +=
                    self.outlet
                        .matched(found.book.engine(), rule, &view, &self.lineage, &beside);
            }
        }
        let parent_known = !matches!(subject.parent, Parent::Lost);
        let missing = exec.missing.or((!parent_known).then_some(Missing::Parent));
        let complete = missing.is_none();
        self.counters.execs += 1;
        match missing {
            None => self.counters.complete += 1,
            Some(missing) => self.counters.missing[missing as usize] += 1,
        }
        if subject.parent_pid == sensor.pid {
            self.own_child = exec.pid;
        }
        if self.outlet.wants_events() {
            let parent_executable = match self.lineage.parent(exec.pid) {
                Kin::Known(parent) => parent.path,
                Kin::None | Kin::Lost => None,
            };
            let filling = self.outlet.event(&ProcessEvent {
                action: Action::Exec,
                time_ms: real_ms(),
                pid: exec.pid,
                tid: exec.tid,
                ppid: subject.parent_pid,
                executable: subject.executable,
                args: exec.args.unwrap_or(&[]),
                args_len: length,
                cwd: None,
                uid: None,
                parent_executable,
                complete,
            });
            if filling {
                sensor.writer.ring();
            }
        }
        let image = judge.image(subject, found.book.keeps_invoked());
        self.lineage.exec(exec.pid, &image);
        self.raised(sensor, raised);
        true
    }
}
