//! `peewit check`: what this kernel and these privileges allow.

use crate::log;
use crate::netlink::{ANSWERS, Request, request};
use crate::problem::Problem;
use crate::proc::{self, Proc};
use crate::run::{cpu_list, pinnable};
use crate::sys::{
    Connector, Errno, STDOUT, machine, memory_lock_limit, process_id, read_file, realtime, release,
    reset_scheduling, wait_readable,
};
use crate::text::{Out, number};

/// How long the kernel may take to answer.
const ANSWER_MS: u32 = 500;

/// Numbers of capabilities (linux/capability.h), as bits.
const CAP_NET_ADMIN: u32 = 1 << 12;
const CAP_SYS_NICE: u32 = 1 << 23;

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

/// A line for each thing: how it stands, and how to mend it where there is something to mend.
struct Report {
    out: Out<'static>,
    failed: bool,
}

impl Report {
    /// Begins a line.
    #[inline(never)]
    fn line(&mut self, mark: Mark, text: &str) -> &mut Out<'static> {
        self.failed |= mark == Mark::Fail;
        let word = match mark {
            Mark::Fine => "\nok    ",
            Mark::Warn => "\nwarn  ",
            Mark::Fail => "\nFAIL  ",
        };
        self.out.text(word).text(text)
    }

    /// A line that says one thing or the other.
    fn either(&mut self, fine: bool, yes: &str, no: &str) {
        if fine {
            self.line(Mark::Fine, yes);
        } else {
            self.line(Mark::Warn, no);
        }
    }
}

/// The command. Gives the exit status: 1 if `run` cannot work.
#[inline(never)]
pub fn check() -> u8 {
    let mut report = Report {
        out: Out::new(&STDOUT),
        failed: false,
    };
    if let Some(machine) = machine() {
        report.out.text("kernel ").text(release(&machine));
    }
    match Proc::open() {
        Ok(proc) => all(&mut report, &proc),
        Err(_) => {
            report.line(Mark::Fail, Problem::NoProc.text());
        }
    }
    let flushed = report.out.text("\n").flush();
    u8::from(report.failed || flushed.is_err())
}

fn all(report: &mut Report, proc: &Proc) {
    match connector() {
        None => report.line(Mark::Fine, "process connector: answers"),
        Some(problem) => report.line(Mark::Fail, problem.text()),
    };
    let capabilities = capabilities(proc);
    report.either(
        capabilities & CAP_NET_ADMIN != 0,
        "CAP_NET_ADMIN",
        "no CAP_NET_ADMIN: small socket buffers, no events at all before Linux 6.6; run as root, or give it",
    );
    report.either(
        realtime().and_then(|()| reset_scheduling()).is_ok(),
        "real-time priority",
        match group_runtime() {
            _ if capabilities & CAP_SYS_NICE == 0 => {
                "no real-time priority: programs that end at once may be missed; run as root, or with CAP_SYS_NICE"
            }
            Some(0) => {
                "no real-time priority: programs that end at once may be missed; its control group has no share \
                 (CONFIG_RT_GROUP_SCHED): write one to the group's cpu.rt_runtime_us, or run in the root group"
            }
            _ => {
                "no real-time priority: programs that end at once may be missed; is sched_setscheduler allowed \
                 here (seccomp, RestrictRealtime=yes)?"
            }
        },
    );
    others(report, proc);
    cpus(report);
    report.either(
        memory_lock_limit().is_none_or(|limit| limit >= LOCKED),
        "locked memory",
        "locked memory: less than 1 MiB, so that events may be handled late when memory is short; \
         raise RLIMIT_MEMLOCK (ulimit -l), or give CAP_IPC_LOCK",
    );
    alert_log(report);
}

/// What is locked at most, with some CPUs.
const LOCKED: u64 = 1 << 20;

/// The first capabilities that are in effect, a bit for each.
fn capabilities(proc: &Proc) -> u32 {
    let mut buffer = [0; 2048];
    let status = proc.read(c"self/status", &mut buffer).unwrap_or(&[]);
    let digits = proc::line(status, b"CapEff").unwrap_or(&[]);
    digits.iter().fold(0, |bits, digit| {
        let digit = char::from(*digit).to_digit(16).unwrap_or(0);
        bits << 4 | digit
    })
}

/// What keeps the connector from answering.
fn connector() -> Option<Problem> {
    let asked = Connector::open(&ANSWERS, 1 << 16).and_then(|socket| {
        socket.send(&request(Request::Listen, 1))?;
        let answered = wait_readable(socket.fd(), ANSWER_MS);
        // Otherwise the kernel would go on making events for nobody.
        let _ = socket.send(&request(Request::Ignore, 2));
        Ok(answered)
    });
    match asked {
        Ok(true) => None,
        Ok(false) => Some(Problem::NoAnswer),
        Err(error) => Some(Problem::of(error)),
    }
}

/// The real-time share of our control group in microseconds, where there are such shares.
fn group_runtime() -> Option<u64> {
    let mut buffer = [0; 1024];
    let groups = read_file(c"/proc/self/cgroup", &mut buffer).ok()?;
    let group = groups
        .split(|&byte| byte == b'\n')
        .find_map(|line| controlled(line, b"cpu"))?;
    let path = log::Path::of(&[b"/sys/fs/cgroup/cpu", group, b"/cpu.rt_runtime_us"]).ok()?;
    let mut digits = [0; 24];
    number(read_file(path.as_c_str(), &mut digits).ok()?.trim_ascii())
}

/// The path in a line `NUMBER:CONTROLLER,...:PATH`, if the controller is among them.
fn controlled<'a>(line: &'a [u8], controller: &[u8]) -> Option<&'a [u8]> {
    let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    controllers
        .split(|&byte| byte == b',')
        .any(|name| name == controller)
        .then_some(path)
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

fn others(report: &mut Report, proc: &Proc) {
    let (seen, denied) = readable(proc).unwrap_or((0, 0));
    if denied == 0 {
        report.line(Mark::Fine, "programs of other processes can be read");
        return;
    }
    // Some init processes hide themselves from everybody.
    let mark = if denied < seen {
        Mark::Warn
    } else {
        Mark::Fail
    };
    report
        .line(mark, "")
        .count("", u64::from(denied))
        .count(" of ", u64::from(seen))
        .text(" ")
        .text(Problem::Unreadable.text());
}

fn cpus(report: &mut Report) {
    let count = pinnable().iter().count();
    let online = cpu_list(c"/sys/devices/system/cpu/online");
    let all = online.map_or(count, |online| online.iter().count());
    let mark = if count == 0 || count < all {
        Mark::Warn
    } else {
        Mark::Fine
    };
    let line = report.line(mark, "");
    line.count("CPUs to pin a thread to: ", count as u64);
    if mark != Mark::Fine {
        line.count(" of ", all as u64)
            .text("; the control group's cpuset leaves some out: their programs are seen late");
    }
}

fn alert_log(report: &mut Report) {
    let tried = log::file(log::DEFAULT).and_then(|file| log::append(&file));
    let (mark, text) = match tried {
        Ok(_) => (Mark::Fine, " can be written"),
        Err(_) => (Mark::Warn, ": "),
    };
    let line = report.line(mark, "alert log ");
    line.printable(log::DEFAULT.to_bytes()).text(text);
    if let Err(error) = tried {
        line.error(error)
            .text("; without it alerts are only shown; choose another with --alerts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_control_groups() {
        for (line, path) in [
            (&b"4:cpu,cpuacct:/a/b"[..], Some(&b"/a/b"[..])),
            (b"4:cpuset:/a", None),
            (b"0::/a", None),
            (b"1:cpu:/a:b", Some(b"/a:b")),
            (b"cpu", None),
            (b"", None),
        ] {
            assert_eq!(controlled(line, b"cpu"), path);
        }
    }
}
