//! Files that are opened to be executed as a source, for kernels with neither the process connector nor tracepoints.
//!
//! The kernel tells when the file is opened, while the process still is what it was: so each file waits in a short list
//! until its process has become that program, and only then are its arguments read. That an exec opens the program's
//! interpreter too is told by the program itself. Forks and ends are not told: parents come from `/proc`.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::capture::Worker;
use crate::log::Path;
use crate::problem::Problem;
use crate::proc::Proc;
use crate::sys::{
    Errno, Fanotify, Fd, Identity, OpenMode, Opened, OpenedBatch, boot_ms, identity, nap, open,
};

/// Stack of its thread in bytes: beside what every capture thread needs, what it knows.
pub const STACK: usize = 20 << 10;

/// Files that wait for their process at a time.
const MAX_PENDING: usize = 16;
/// How long a file waits: an exec that takes longer, or fails, is told of by its path alone.
const PATIENCE_MS: u64 = 500;
/// How long a thread sleeps between two looks, so that the process can go on; longer if it seems not to.
const NAP_US: u32 = 50;
const LONG_NAP_US: u32 = 200;
/// When it seems so.
const SOON_MS: u64 = 10;
/// How long it waits before it looks after itself.
const TIMEOUT_MS: u32 = 5000;

/// Watched file systems.
pub struct Group {
    watched: Fanotify,
    /// The list of mounted file systems: says when it has changed.
    mounts: Fd,
    overruns: AtomicU64,
}

impl Group {
    /// Watches all file systems that are mounted.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open() -> Result<Self, Problem> {
        let watched = Fanotify::new().map_err(Problem::of_fanotify)?;
        let mounts = open(c"/proc/self/mountinfo", OpenMode::Read).map_err(|_| Problem::NoProc)?;
        watched.watch(c"/").map_err(Problem::of_fanotify)?;
        let group = Self {
            watched,
            mounts,
            overruns: AtomicU64::new(0),
        };
        group.watch_all();
        Ok(group)
    }

    /// Watches what is mounted now. What is watched already stays so.
    fn watch_all(&self) {
        let mut line = Line::new();
        let mut piece = [0; 512];
        let _ = self.mounts.seek_to(0);
        while let Ok(read @ 1..) = self.mounts.read(&mut piece) {
            for byte in piece.get(..read).unwrap_or(&[]) {
                if *byte == b'\n' {
                    // Some kinds, from which nothing can be executed, cannot be watched.
                    if let Some(path) = line.mount_point() {
                        let _ = self.watched.watch(path.as_c_str());
                    }
                    line = Line::new();
                } else {
                    line.push(*byte);
                }
            }
        }
    }

    /// How often the queue ran over: the kernel does not say how many events were lost.
    pub(super) fn drops(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }
}

/// The fifth word of a line, as it comes.
struct Line {
    spaces: u8,
    path: Path,
    /// Digits of an escape that are still to come, and its value so far.
    escape: (u8, u8),
    whole: bool,
}

impl Line {
    const fn new() -> Self {
        Self {
            spaces: 0,
            path: Path::new(),
            escape: (0, 0),
            whole: true,
        }
    }

    fn push(&mut self, byte: u8) {
        if byte == b' ' {
            self.spaces = self.spaces.saturating_add(1);
        } else if self.spaces == 4 {
            let byte = match (self.escape, byte) {
                ((0, _), b'\\') => {
                    self.escape = (3, 0);
                    return;
                }
                ((0, _), byte) => byte,
                ((left, value), digit) => {
                    let value = value << 3 | digit & 7;
                    self.escape = (left - 1, value);
                    if left > 1 {
                        return;
                    }
                    value
                }
            };
            self.whole &= self.path.push(&[byte]).is_ok();
        }
    }

    fn mount_point(&self) -> Option<&Path> {
        (self.whole && self.spaces > 4).then_some(&self.path)
    }
}

/// What keeps it from being used.
pub(super) fn problem() -> Option<Problem> {
    Fanotify::new()
        .and_then(|watched| watched.watch(c"/"))
        .err()
        .map(Problem::of_fanotify)
}

/// A program that was opened to be executed.
struct Pending {
    pid: u32,
    file: Fd,
    identity: Identity,
    /// Whether the process opens another file for it.
    interpreter: bool,
    /// Where its arguments were when the file was opened.
    before: u64,
    until_ms: u64,
}

/// What the thread knows.
struct Watch<'w> {
    proc: &'w Proc,
    pending: heapless::Vec<Pending, MAX_PENDING>,
    /// Processes that became a program before the opening of its interpreter was read here.
    opening: heapless::Vec<u32, MAX_PENDING>,
    /// Where the arguments of the last processes were that were read.
    read: heapless::Deque<(u32, u64), MAX_PENDING>,
}

/// The thread.
pub fn run(group: &Group, worker: &mut Worker) {
    let mut watch = Watch {
        proc: worker.proc(),
        pending: heapless::Vec::new(),
        opening: heapless::Vec::new(),
        read: heapless::Deque::new(),
    };
    let mut batch = OpenedBatch::new();
    loop {
        match watch.pending.last() {
            // Files that are mounted anew are opened by nobody before.
            None => {
                if group.watched.wait(&group.mounts, TIMEOUT_MS) {
                    group.watch_all();
                }
            }
            Some(newest) if newest.until_ms < boot_ms() + PATIENCE_MS - SOON_MS => nap(LONG_NAP_US),
            Some(_) => nap(NAP_US),
        }
        let taken = group.watched.take(&mut batch, |opened| match opened {
            Opened::File { pid, file } if pid != 0 => watch.opened(pid, file, worker),
            Opened::File { .. } => {}
            Opened::Overrun => {
                group.overruns.fetch_add(1, Ordering::Relaxed);
                worker.overrun();
            }
        });
        match taken {
            Ok(()) | Err(Errno::AGAIN) => {}
            // Not to be expected; a real-time thread must not spin.
            Err(_) => crate::sys::sleep_ms(100),
        }
        watch.look(worker);
    }
}

impl Watch<'_> {
    #[inline(never)]
    fn opened(&mut self, pid: u32, file: Fd, worker: &mut Worker) {
        // The interpreter of a program that is known already.
        if let Some(pending) = self
            .pending
            .iter_mut()
            .find(|pending| pending.pid == pid && pending.interpreter)
        {
            pending.interpreter = false;
            return;
        }
        if let Some(place) = self.opening.iter().position(|known| *known == pid) {
            self.opening.remove(place);
            return;
        }
        let mut start = [0; 1024];
        let read = file.read(&mut start).unwrap_or(0);
        let start = start.get(..read).unwrap_or(&[]);
        // A script: its interpreter is opened next, and that is the program.
        if start.starts_with(b"#!") {
            return;
        }
        let Ok(identity) = identity(&file) else {
            return;
        };
        // Its parent may be gone, or it itself, when it has become the program.
        worker.meet(pid);
        let mut pending = Pending {
            pid,
            file,
            identity,
            interpreter: has_interpreter(start),
            before: 0,
            until_ms: boot_ms() + PATIENCE_MS,
        };
        if self.is_now(&pending) {
            // It has become the program, unless it was that before: then its arguments are still where its parent has
            // them, or where they were read the last time.
            let (place, parent) = self.proc.arguments_at(pid).unwrap_or((0, 0));
            let parents = self.proc.arguments_at(parent).map_or(0, |(place, _)| place);
            if place == parents || self.read.iter().any(|read| *read == (pid, place)) {
                pending.before = place;
            }
        }
        if let Err(pending) = self.pending.push(pending) {
            // Too many at a time: the oldest has waited long enough.
            let oldest = self.pending.remove(0);
            worker.opened(oldest.pid, &oldest.file, false);
            // There is room now.
            let _ = self.pending.push(pending);
        }
    }

    /// Whether the process runs that program.
    fn is_now(&self, pending: &Pending) -> bool {
        self.proc.program(pending.pid) == Ok(pending.identity)
    }

    /// Handles what has become a program by now.
    fn look(&mut self, worker: &mut Worker) {
        let mut place = 0;
        while let Some(pending) = self.pending.get(place) {
            let (pid, before) = (pending.pid, pending.before);
            let late = boot_ms() >= pending.until_ms;
            match self.proc.program(pid) {
                Ok(identity) if identity == pending.identity => {
                    let (at, _) = self.proc.arguments_at(pid).unwrap_or((0, 0));
                    let ready = (before == 0 || at != before)
                        && self.proc.some_arguments(pid, &mut [0; 2]) != Ok(&[]);
                    if !ready && !late {
                        place += 1;
                        continue;
                    }
                    let done = self.pending.remove(place);
                    worker.opened(pid, &done.file, true);
                    if self.read.is_full() {
                        self.read.pop_front();
                    }
                    let _ = self.read.push_back((pid, at));
                    self.completed(&done);
                }
                Ok(_) if !late => place += 1,
                Err(Errno::DENIED) if !late => place += 1,
                _ => {
                    let done = self.pending.remove(place);
                    worker.opened(pid, &done.file, false);
                    self.completed(&done);
                }
            }
        }
    }

    fn completed(&mut self, pending: &Pending) {
        if pending.interpreter {
            if self.opening.is_full() {
                self.opening.remove(0);
            }
            let _ = self.opening.push(pending.pid);
        }
    }
}

/// Whether an ELF file names an interpreter: a program header of kind 3, among those at the beginning of the file.
#[inline(never)]
fn has_interpreter(start: &[u8]) -> bool {
    let Some(&class) = start.strip_prefix(b"\x7fELF").and_then(<[u8]>::first) else {
        return false;
    };
    let half = |at: usize| {
        let bytes = start.get(at..)?.first_chunk::<2>()?;
        Some(usize::from(u16::from_ne_bytes(*bytes)))
    };
    // Of a 64-bit file the lower half of the offset, in our own byte order, is enough.
    let (offset, size, count) = match class {
        1 => (half(28), half(42), half(44)),
        _ => (half(32), half(54), half(56)),
    };
    let (Some(offset), Some(size), Some(count)) = (offset, size, count) else {
        return false;
    };
    (0..count).any(|number| half(offset + number * size) == Some(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found() {
        let of = |text: &str| {
            let mut line = Line::new();
            text.bytes().for_each(|byte| line.push(byte));
            line.mount_point().map(|path| path.as_bytes().to_vec())
        };
        for (line, expected) in [
            (
                "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw",
                Some(&b"/mnt2"[..]),
            ),
            (r"1 2 0:3 / /a\040b\134c rw - tmpfs x rw", Some(b"/a b\\c")),
            ("1 2 0:3 / /cut", None),
            ("", None),
        ] {
            assert_eq!(of(line).as_deref(), expected, "{line}");
        }
        let long = std::format!("1 2 0:3 / /{} rw - x x x", "x".repeat(600));
        assert_eq!(of(&long), None);
    }

    #[test]
    fn programs_name_their_interpreter() {
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(has_interpreter(&shell[..1024]));
        assert!(!has_interpreter(&shell[..40]));
        assert!(!has_interpreter(b"\x7fELF"));
        assert!(!has_interpreter(b"echo"));
    }
}
