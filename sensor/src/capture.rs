//! The thread that handles the execs of a CPU.
//!
//! The kernel sends an exec's message from within the exec, before the new program's first instruction. Woken on that
//! CPU above the program's priority, this thread runs before it does: the order below is the whole trick.

use peewit_core::alert::Action;
use peewit_core::field::FieldSet;
use peewit_core::pack::Kinds;

use crate::exceptions;
use crate::invoked::{self, Invoked};
use crate::judge::{Judge, Rules};
use crate::late::Root;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::outlet::matched_arg;
use crate::proc::{Arguments, PATH_MAX, Proc};
use crate::roots::{self, Roots};
use crate::rules::RULES;
use crate::source::{Execs, Notice, fanotify};
use crate::state::{Exec, Facts, Found, Missing, SENSOR, STATE, Sensor};
use crate::subject::{Parent, Subject};
use crate::sys::{
    Book, Errno, Fd, Held, Message, Once, Start, ThreadId, favour, pin, realtime, sleep_ms,
    thread_id,
};

/// Most capture threads. The events of further CPUs go to the last one.
pub const MAX_THREADS: usize = crate::netlink::MAX_LEFT_OUT + 1;

/// Stack of a capture thread in bytes.
pub const STACK: usize = 16 << 10;

/// Its buffer: arguments of the usual lengths, and paths.
pub const BUFFER: usize = 2 * PATH_MAX;

/// What a capture thread works with.
pub struct Capture {
    /// Where it gets them from.
    pub execs: Execs,
    /// Its CPU; `None`: wherever it is.
    pub cpu: Option<usize>,
    /// Whether it may have real-time priority.
    pub realtime: bool,
    /// Its id, once it runs.
    pub thread: AtomicU32,
}

/// All of them, by the number given to their threads.
pub static CAPTURES: [Once<Capture>; MAX_THREADS] = [const { Once::new() }; MAX_THREADS];

/// The thread.
pub fn run(start: Start) {
    let (Some(capture), Some(sensor)) = (
        CAPTURES.get(start.argument).and_then(Once::get),
        SENSOR.get(),
    ) else {
        return;
    };
    // Whether all of that is possible was tried beforehand.
    if let Some(cpu) = capture.cpu {
        let _ = pin(cpu);
    }
    let _ = if capture.realtime {
        realtime()
    } else {
        favour()
    };
    let (small, path) = start.buffer.split_at_mut(PATH_MAX);
    let (invoked, small) = small.split_at_mut(invoked::ROOM);
    let mut me = thread_id();
    if capture.realtime && capture.cpu.is_some() {
        me = me.with_realtime();
    }
    capture.thread.store(me.number(), Ordering::Relaxed);
    let mut worker = Worker {
        sensor,
        me,
        arguments: Arguments::new(small),
        path,
        invoked,
        judge: Judge::new(),
        roots: Roots::new(),
    };
    if let Execs::Fanotify(group) = &capture.execs {
        fanotify::run(group, &mut worker);
        return;
    }
    let mut message: Message = [0; 96];
    loop {
        match capture.execs.next(&mut message) {
            Ok(Some(Notice::Exec { tid, pid })) => worker.exec(pid, tid),
            Err(Errno::OVERRUN) => worker.overrun(),
            // A fork only serves to wake.
            Ok(_) | Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
            // Not to be expected; a real-time thread must not spin.
            Err(_) => sleep_ms(100),
        }
    }
}

/// Looks after the sources of all of them, now and then: one that ran over can be stuck.
pub fn look_after(me: ThreadId) {
    let captures = CAPTURES.iter().map_while(Once::get);
    let lost = captures.filter(|capture| capture.execs.look_after());
    let lost = lost.count() as u64;
    if lost > 0 {
        STATE.lock(me).counters.overruns += lost;
    }
}

/// Reads and handles execs.
pub struct Worker {
    sensor: &'static Sensor,
    me: ThreadId,
    arguments: Arguments<'static>,
    path: &'static mut [u8],
    invoked: &'static mut [u8],
    judge: Judge,
    roots: Roots,
}

impl Worker {
    /// `/proc`
    pub fn proc(&self) -> &'static Proc {
        &self.sensor.proc
    }

    /// Events were lost.
    pub fn overrun(&self) {
        STATE.lock(self.me).counters.overruns += 1;
    }

    /// A process became another program.
    pub fn exec(&mut self, pid: u32, tid: u32) {
        // First of all, and before any lock, what is gone when the program is.
        let (args, executable) =
            self.sensor
                .proc
                .look(pid, &mut self.arguments, self.path, &mut || {
                    STATE.lock(self.me).unsettle(pid)
                });
        let exec = Exec {
            pid,
            tid,
            missing: Missing::of(&args, &executable),
            executable: executable.ok(),
            args: args.ok().map(|()| self.arguments.block()),
        };
        let desk = (&mut self.judge, &mut self.roots);
        settle(self.sensor, self.me, desk, self.invoked, &exec);
        self.arguments.release();
    }

    /// A process is about to become another program, and nobody told where it comes from.
    #[inline(never)]
    pub fn meet(&self, pid: u32) {
        STATE.lock(self.me).ask_parent(self.sensor, pid);
    }

    /// A process opened this file to become that program. `became`: and has; else more than that cannot be known.
    pub fn opened(&mut self, pid: u32, file: &Fd, became: bool) {
        let executable = self.sensor.proc.opened(file, self.path);
        let args = if became {
            self.sensor.proc.arguments(pid, &mut self.arguments)
        } else {
            Err(Errno::NOT_FOUND)
        };
        let exec = Exec {
            pid,
            tid: pid,
            missing: Missing::of(&args, &executable),
            executable: executable.ok(),
            args: args.ok().map(|()| self.arguments.block()),
        };
        let desk = (&mut self.judge, &mut self.roots);
        settle(self.sensor, self.me, desk, self.invoked, &exec);
        self.arguments.release();
    }
}

/// Judges and enters an exec, and once more if what it is judged by changed meanwhile.
#[inline(never)]
fn settle(
    sensor: &'static Sensor,
    me: ThreadId,
    (judge, roots): (&mut Judge, &mut Roots),
    room: &mut [u8],
    exec: &Exec<'_>,
) {
    let mut facts = Facts::new();
    while let Some(kin) = kin(sensor, me, exec.pid, &mut facts)
        && !handle(sensor, me, (judge, roots, room), &kin, &facts, exec)
    {}
}

/// Where an exec comes from, and what it is judged by.
struct Kin {
    parent_pid: u32,
    parent_known: bool,
    book: Held<Book>,
    /// What exceptions ask for.
    excepted: FieldSet,
}

/// Takes note of what happened before an exec, and gives its parent and the rules by which that is described. Not inlined: what
/// either needs of the stack, looking up processes here and judging one there, it does not need at the same time.
#[inline(never)]
fn kin(sensor: &Sensor, me: ThreadId, pid: u32, facts: &mut Facts) -> Option<Kin> {
    let mut state = STATE.lock(me);
    state.drain(sensor, Some(pid));
    let (parent_pid, parent_known) = state.parent(sensor, pid, facts);
    Some(Kin {
        parent_pid,
        parent_known,
        book: RULES.hold()?,
        excepted: state.outlet.exceptions.fields,
    })
}

/// Handles an exec of which program and arguments have been read. Gives whether that holds.
#[inline(never)]
fn handle(
    sensor: &'static Sensor,
    me: ThreadId,
    (judge, roots, room): (&mut Judge, &mut Roots, &mut [u8]),
    kin: &Kin,
    facts: &Facts,
    exec: &Exec<'_>,
) -> bool {
    let &Kin {
        parent_pid,
        parent_known,
        ref book,
        excepted,
    } = kin;
    let mut directory = [0; 512];
    let of = (exec.pid, parent_pid);
    let mut subject = Subject::new(Action::Exec, of, sensor, &mut directory);
    subject.executable = exec.executable.map(|executable| executable.path);
    subject.args = exec.args;
    subject.invoked = Invoked::Unread { room, stands: true };
    subject.parent = match (parent_pid, parent_known) {
        (_, false) => Parent::Lost,
        (0, true) => Parent::None,
        (_, true) => Parent::Facts(facts.list()),
    };
    let key = exec
        .executable
        .map_or(0, |executable| roots::key(executable.path, parent_pid));
    if roots.is_host(key) {
        subject.late.root = Root::Host;
    }
    let mut matched = heapless::Vec::<_, 4>::new();
    let (mut rules, mut left_out) = (Rules::NONE, Rules::NONE);
    // Of an exec about which nothing could be read nothing can be said but that: it is counted.
    if exec.executable.is_none() && exec.args.is_none() {
        judge.begin();
    } else {
        let engine = book.engine();
        rules = judge.find(engine, &mut subject, Kinds::EXEC);
        judge.remember(engine, &mut subject, book.keeps_invoked());
        if !rules.is_empty() {
            left_out = STATE.lock(me).outlet.leave_out(&engine.pack(), &mut rules);
        }
        if !rules.is_empty() {
            subject.read_all();
            exceptions::read(excepted, &mut subject);
            let (mut rest, args) = (rules, exec.args.unwrap_or(&[]));
            while let Some(rule) = rest.pop() {
                if let Some(rule) = engine.pack().rule(rule) {
                    subject.read_keys(rule.keys.iter());
                }
                if matched.is_full() {
                    continue;
                }
                let arg = matched_arg(engine, judge.evaluation(), rule, args, false);
                // There is room.
                let _ = matched.push((rule, arg));
            }
        }
    }
    if subject.late.root == Root::Host {
        roots.insert(key);
    }
    let found = Found {
        book,
        rules,
        left_out,
        matched: &matched,
    };
    STATE
        .lock(me)
        .exec(sensor, exec, &mut subject, judge, found)
}
