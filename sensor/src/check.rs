//! `peewit check`: what this kernel and these privileges allow.

use core::fmt::Write;

use crate::log;
use crate::netlink::{ANSWERS, Request, request};
use crate::proc::{self, Proc};
use crate::run::pinnable;
use crate::sys::{
    Connector, CpuSet, Errno, Kind, OpenMode, STDOUT, kind, machine, memory_lock_limit, open,
    process_id, realtime, release, reset_scheduling, wait_readable,
};
use crate::text::{Out, Printable, number};

/// How long the kernel may take to answer.
const ANSWER_MS: u32 = 500;

/// Numbers of capabilities (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_NICE: u32 = 23;

/// Processes of other users that are looked at, at most.
const SAMPLE: u32 = 32;

/// How a thing stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Fine,
    /// Works, but not as well as it could.
    Warn,
    /// Does not work.
    Fail,
}

struct Report<'f> {
    out: Out<'f>,
    failed: bool,
}

impl Report<'_> {
    /// A line: what, how it stands, and how to mend it where there is something to mend.
    #[inline(never)]
    fn line(&mut self, mark: Mark, what: &str, says: &str, mend: &str) {
        let word = match mark {
            Mark::Fine => "ok    ",
            Mark::Warn => "warn  ",
            Mark::Fail => "FAIL  ",
        };
        self.failed |= mark == Mark::Fail;
        for text in [word, what, ": ", says] {
            self.out.bytes(text.as_bytes());
        }
        if mark != Mark::Fine {
            self.out.bytes(b"; ");
            self.out.bytes(mend.as_bytes());
        }
        self.out.bytes(b"\n");
    }

    fn yes_or(&mut self, fine: bool, otherwise: Mark, what: &str, says: [&str; 2], mend: &str) {
        self.line(
            if fine { Mark::Fine } else { otherwise },
            what,
            says[usize::from(!fine)],
            mend,
        );
    }
}

/// The command. Gives the exit status: 1 if `run` cannot work.
pub fn check() -> u8 {
    let mut report = Report {
        out: Out::new(&STDOUT),
        failed: false,
    };
    if let Some(machine) = machine() {
        report.line(Mark::Fine, "kernel", release(&machine), "");
    }
    let Ok(proc) = Proc::open() else {
        report.line(
            Mark::Fail,
            "/proc",
            "cannot be opened",
            "mount it: mount -t proc proc /proc",
        );
        return finish(report);
    };
    let capabilities = capabilities(&proc);
    connector(&mut report);
    let has = |capability: u32| capabilities >> capability & 1 == 1;
    report.yes_or(
        has(CAP_NET_ADMIN),
        Mark::Warn,
        "CAP_NET_ADMIN",
        [
            "held",
            "not held: small socket buffers, and no events at all before Linux 6.6",
        ],
        "run as root, or give the capability",
    );
    scheduling(&mut report, has(CAP_SYS_NICE));
    others(&mut report, &proc, has(CAP_SYS_PTRACE));
    cpus(&mut report);
    memory(&mut report);
    alert_log(&mut report);
    finish(report)
}

fn finish(mut report: Report<'_>) -> u8 {
    let flushed = report.out.flush();
    u8::from(report.failed || flushed.is_err())
}

/// The effective capabilities, a bit for each.
fn capabilities(proc: &Proc) -> u64 {
    let mut buffer = [0; 2048];
    let status = proc.read(c"self/status", &mut buffer).unwrap_or(&[]);
    let digits = proc::line(status, b"CapEff").and_then(|digits| core::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

fn connector(report: &mut Report<'_>) {
    const WHAT: &str = "process connector";
    let asked = Connector::open(&ANSWERS, 1 << 16).and_then(|socket| {
        socket.send(&request(Request::Listen, 1))?;
        let answered = wait_readable(socket.fd(), ANSWER_MS);
        // Otherwise the kernel would go on making events for nobody.
        let _ = socket.send(&request(Request::Ignore, 2));
        Ok(answered)
    });
    match asked {
        Ok(true) => report.line(Mark::Fine, WHAT, "answers", ""),
        Ok(false) => report.line(
            Mark::Fail,
            WHAT,
            "does not answer",
            "needs the host's pid and user namespace (for a container: --pid host), and a kernel with CONFIG_PROC_EVENTS=y",
        ),
        Err(Errno::REFUSED) => report.line(
            Mark::Fail,
            WHAT,
            "out of reach from this network namespace",
            "run in the host's (for a container: --network host)",
        ),
        Err(Errno::NO_PROTOCOL) => {
            report.line(Mark::Fail, WHAT, "not in this kernel", "build it with CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y");
        }
        Err(Errno::NOT_PERMITTED) => report.line(Mark::Fail, WHAT, "may not be listened to", "run as root, or with CAP_NET_ADMIN"),
        Err(_) => report.line(Mark::Fail, WHAT, "cannot be listened to", "is netlink allowed here (seccomp, an LSM)?"),
    }
}

fn scheduling(report: &mut Report<'_>, may: bool) {
    let settable = realtime().and_then(|()| reset_scheduling()).is_ok();
    let mend = match (may, group_runtime()) {
        (false, _) => {
            "run as root, or with CAP_SYS_NICE (in a systemd unit without RestrictRealtime=yes)"
        }
        (true, Some(0)) => {
            "the control group has no real-time share (CONFIG_RT_GROUP_SCHED): write one to its cpu.rt_runtime_us, \
             or move peewit to the root group"
        }
        (true, _) => "is sched_setscheduler allowed here (seccomp, RestrictRealtime=yes)?",
    };
    report.yes_or(
        settable,
        Mark::Warn,
        "real-time priority",
        [
            "can be set",
            "cannot be set: programs that end at once may be missed",
        ],
        mend,
    );
}

/// The real-time share of our control group in microseconds, where there are such shares.
fn group_runtime() -> Option<u64> {
    let mut buffer = [0; 1024];
    let read = open(c"/proc/self/cgroup", OpenMode::Read)
        .and_then(|file| file.read(&mut buffer))
        .ok()?;
    let group = buffer
        .get(..read)?
        .split(|&byte| byte == b'\n')
        .find_map(|line| {
            let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
            let controllers = fields.next()?;
            controllers
                .split(|&byte| byte == b',')
                .any(|name| name == b"cpu")
                .then(|| fields.next())
                .flatten()
        })?;
    let path = log::Path::of(&[b"/sys/fs/cgroup/cpu", group, b"/cpu.rt_runtime_us"]).ok()?;
    let mut digits = [0; 24];
    let read = open(path.as_c_str(), OpenMode::Read)
        .and_then(|file| file.read(&mut digits))
        .ok()?;
    number(digits.get(..read)?.trim_ascii())
}

/// How many other processes were looked at, and of how many the program may not be read.
///
/// # Errors
/// Those of open(2).
pub fn readable(proc: &Proc) -> Result<(u32, u32), Errno> {
    let (mut seen, mut denied) = (0, 0);
    let mut buffer = [0; 1];
    let me = process_id();
    proc.processes(|pid| {
        if seen < SAMPLE && pid != me {
            // Kernel threads have none; the path itself is not wanted.
            match proc.executable(pid, &mut buffer) {
                Ok(_) | Err(Errno::TOO_LONG) => seen += 1,
                Err(Errno::DENIED) => {
                    seen += 1;
                    denied += 1;
                }
                Err(_) => {}
            }
        }
    })?;
    Ok((seen, denied))
}

fn others(report: &mut Report<'_>, proc: &Proc, may: bool) {
    let Ok((seen, denied)) = readable(proc) else {
        return;
    };
    let mend = if may {
        "is there a Landlock domain or an LSM around, or /proc mounted with hidepid (ProtectProc=invisible)?"
    } else {
        "run as root, or with CAP_SYS_PTRACE"
    };
    let mut says = heapless::String::<64>::new();
    // Fits.
    let _ = write!(says, "{} of {seen} can be read", seen - denied);
    let mark = match denied {
        0 => Mark::Fine,
        // Some init processes hide themselves from everybody.
        denied if denied < seen => Mark::Warn,
        _ => Mark::Fail,
    };
    report.line(mark, "programs of other processes", &says, mend);
}

fn cpus(report: &mut Report<'_>) {
    let allowed = CpuSet::allowed().map_or(0, |cpus| cpus.iter().count());
    let pinned = pinnable();
    let count = pinned.iter().count();
    let mut says = heapless::String::<64>::new();
    // Fits.
    let _ = write!(says, "{count} to pin a thread to, {allowed} allowed now");
    let mend = "the control group's cpuset leaves some out: their programs are seen late";
    let online = online();
    let mark = if count == 0 || online.is_some_and(|online| online > count) {
        Mark::Warn
    } else {
        Mark::Fine
    };
    report.line(mark, "CPUs", &says, mend);
}

/// How many CPUs are online.
fn online() -> Option<usize> {
    let mut buffer = [0; 256];
    let read = open(c"/sys/devices/system/cpu/online", OpenMode::Read)
        .and_then(|file| file.read(&mut buffer))
        .ok()?;
    let mut count = 0;
    for range in buffer.get(..read)?.trim_ascii().split(|&byte| byte == b',') {
        let mut ends = range.splitn(2, |&byte| byte == b'-').map(number);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        count += usize::try_from(last.checked_sub(first)?).ok()? + 1;
    }
    Some(count)
}

fn memory(report: &mut Report<'_>) {
    /// What is locked at most, with some CPUs.
    const NEEDED: u64 = 1 << 20;
    let enough = memory_lock_limit().is_none_or(|limit| limit >= NEEDED);
    report.yes_or(
        enough,
        Mark::Warn,
        "locked memory",
        [
            "enough",
            "less than 1 MiB: under memory pressure events may be handled late",
        ],
        "raise RLIMIT_MEMLOCK (ulimit -l), or run with CAP_IPC_LOCK",
    );
}

fn alert_log(report: &mut Report<'_>) {
    let folder = log::DEFAULT;
    let tried = log::file(folder).and_then(|file| log::append(&file));
    let mut says = heapless::String::<128>::new();
    // Fits.
    let _ = match (&tried, kind(folder)) {
        (Ok(_), _) => write!(says, "{} can be written", Printable(folder.to_bytes())),
        (Err(error), Ok(Kind::Directory)) => write!(
            says,
            "{} cannot be written: {error}",
            Printable(folder.to_bytes())
        ),
        (Err(error), _) => write!(
            says,
            "{} cannot be made: {error}",
            Printable(folder.to_bytes())
        ),
    };
    let mark = if tried.is_ok() {
        Mark::Fine
    } else {
        Mark::Warn
    };
    report.line(
        mark,
        "alert log",
        &says,
        "without it alerts are only shown; choose another with --alerts",
    );
}
