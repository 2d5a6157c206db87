//! `peewit check`: what this kernel and these privileges allow, and whether configuration, rules and exceptions are good.

use peewit_core::alert::{Limits, Source};

use core::ffi::CStr;

use crate::file::File;
use crate::netlink::ANSWERS;
use crate::options::{Name, Options};
use crate::proc::Proc;
use crate::run::{SOCKET_BUFFER, pinnable};
use crate::source::connector::Connection;
use crate::sys::{STDOUT, machine, memory_lock_limit, realtime, release, reset_scheduling};
use crate::text::Out;
use crate::texts::Text;
use crate::{config, exceptions, limits, log, rules, source, store};

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
}

/// The command. Gives the exit status: 1 if `run` cannot work.
#[inline(never)]
pub fn check(told: &Options) -> u8 {
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
            report.line(Mark::Fail, "").long(Text::NoProc);
        }
    }
    files(&mut report, told);
    let flushed = report.out.text("\n").flush();
    u8::from(report.failed || flushed.is_err())
}

fn all(report: &mut Report, proc: &Proc) {
    sources(report);
    let pinned = pinnable();
    let realtime = realtime().and_then(|()| reset_scheduling()).is_ok();
    let limits = limits::found(proc, realtime, &pinned).with(
        Limits::SMALL_BUFFERS,
        Connection::open(&ANSWERS, SOCKET_BUFFER)
            .is_ok_and(|connection| connection.is_small(SOCKET_BUFFER)),
    );
    for &(limit, fine) in &[
        (Limits::NO_REALTIME, "real-time priority"),
        (Limits::CPUS_SHARED, "a thread on each CPU"),
        (
            Limits::UNREADABLE,
            "programs of other processes can be read",
        ),
        (Limits::SMALL_BUFFERS, "large buffers in the kernel"),
        (Limits::PID_NAMESPACE, "the host's pid namespace"),
    ] {
        if limits.contains(limit) {
            report.line(Mark::Warn, "").long(limits::text(limit, proc));
        } else {
            report.line(Mark::Fine, fine);
        }
    }
    if memory_lock_limit().is_none_or(|limit| limit >= LOCKED) {
        report.line(Mark::Fine, "locked memory");
    } else {
        report.line(Mark::Warn, "").long(Text::LittleLocked);
    }
}

/// What `run` would read with these options, and where it would write.
#[inline(never)]
fn files(report: &mut Report, told: &Options) {
    let path = config::path(told);
    let (mut file, mut is_there) = (None, false);
    let merged = config::read(told).and_then(|read| {
        is_there = read.is_some();
        file = read;
        config::merge(told, file.as_mut().map_or(&mut [], File::with_end))
    });
    let told = match merged {
        Ok(merged) => {
            let line = report.line(Mark::Fine, "configuration ");
            line.printable(path.to_bytes());
            if !is_there {
                line.text(" is not there: all is as usual");
            }
            merged
        }
        Err(error) => {
            error.tell(path, report.line(Mark::Fail, "configuration "));
            return;
        }
    };
    match rules::choose(&told) {
        Ok((book, build)) => {
            let pack = book.engine().pack();
            let line = report.line(Mark::Fine, "rules ");
            match build {
                0 if !told.has(Name::Rules) => line.text("built in"),
                _ => line.printable(rules::path(&told).to_bytes()),
            }
            .count(": ", pack.rule_count() as u64);
            let path = exceptions::path(&told);
            match exceptions::load(&told, &pack) {
                Ok((_, summary)) => {
                    report
                        .line(Mark::Fine, "exceptions ")
                        .printable(path.to_bytes())
                        .count(": ", u64::from(summary.count));
                    if let Some(doubt) = summary.doubt {
                        exceptions::doubt(doubt).tell(path, report.line(Mark::Warn, "exceptions "));
                    }
                }
                Err(error) => {
                    error.tell(path, report.line(Mark::Fail, "exceptions "));
                }
            }
        }
        Err(error) => {
            error.tell(rules::path(&told), report.line(Mark::Fail, ""));
        }
    }
    alert_log(report, told.value(Name::Alerts).unwrap_or(log::DEFAULT));
    state(report, told.value(Name::State).unwrap_or(store::DEFAULT));
}

/// A line for each source. One that works is enough, the first is the best.
fn sources(report: &mut Report) {
    let mut works = false;
    for source in Source::ALL {
        match source::problem(source) {
            None => {
                let line = report.line(Mark::Fine, "source ");
                line.text(source.name());
                if works {
                    line.text(" could be used too");
                }
                works = true;
            }
            Some(problem) => {
                report.line(Mark::Warn, "").long(problem.text());
            }
        }
    }
    if !works {
        report.line(Mark::Fail, "there is no source of events");
    }
}

/// What is locked at most, with some CPUs.
const LOCKED: u64 = 1 << 20;

fn state(report: &mut Report, path: &CStr) {
    let tried = store::check(path);
    let mark = match tried {
        Ok(()) => Mark::Fine,
        Err(_) => Mark::Warn,
    };
    let line = report.line(mark, "state ");
    line.printable(path.to_bytes());
    match tried {
        Ok(()) => line.text(" can be written"),
        Err(error) => line.text(": ").error(error).long(Text::NoState),
    };
}

fn alert_log(report: &mut Report, path: &CStr) {
    let tried = log::file(path).and_then(|file| log::append(&file));
    let (mark, text) = match tried {
        Ok(_) => (Mark::Fine, " can be written"),
        Err(_) => (Mark::Warn, ": "),
    };
    let line = report.line(mark, "alert log ");
    line.printable(path.to_bytes()).text(text);
    if let Err(error) = tried {
        line.error(error)
            .text("; without it alerts are only shown; choose another with --alerts");
    }
}
