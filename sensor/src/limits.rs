//! What stands in the way of seeing every exec whole, and how to mend it: the same for `run` and for `check`.

use peewit_core::alert::Limits;
use peewit_core::parts;

use crate::log::Path;
use crate::proc::{self, Proc};
use crate::sys::{CpuSet, Errno, MAX_CPUS, process_id, read_file, read_link};
use crate::text::number;
use crate::texts::Text;

/// Numbers of capabilities (linux/capability.h), as bits.
const CAP_SYS_PTRACE: u32 = 1 << 19;
const CAP_SYS_NICE: u32 = 1 << 23;

/// The inode of the first pid namespace is the same in every kernel (PROC_PID_INIT_INO).
const FIRST_PID_NAMESPACE: &[u8] = b"pid:[4026531836]";

/// Processes of other users that are looked at, at most.
const SAMPLE: u32 = 32;

/// What can be told of them before watching.
pub fn found(proc: &Proc, realtime: bool, pinned: &CpuSet) -> Limits {
    let online = cpu_list(c"/sys/devices/system/cpu/online");
    let shared = online.is_some_and(|online| online.iter().any(|cpu| !pinned.contains(cpu)));
    let unreadable = capabilities(proc) & CAP_SYS_PTRACE == 0
        || readable(proc).is_ok_and(|(seen, denied)| denied > 0 && denied == seen);
    let mut link = [0; 32];
    let elsewhere = read_link(c"/proc/self/ns/pid", &mut link)
        .is_ok_and(|namespace| namespace != FIRST_PID_NAMESPACE);
    Limits::NONE
        .with(Limits::NO_REALTIME, !realtime)
        .with(Limits::CPUS_SHARED, shared || pinned == &CpuSet::EMPTY)
        .with(Limits::UNREADABLE, unreadable)
        .with(Limits::PID_NAMESPACE, elsewhere)
}

/// What a limit means, and how to mend it.
pub fn text(limit: Limits, proc: &Proc) -> Text {
    match limit {
        Limits::NO_REALTIME => realtime_text(proc),
        Limits::CPUS_SHARED => Text::CpusShared,
        Limits::UNREADABLE => Text::Unreadable,
        Limits::SMALL_BUFFERS => Text::SmallBuffers,
        Limits::EXECS_ONLY => Text::ExecsOnly,
        _ => Text::PidNamespace,
    }
}

fn realtime_text(proc: &Proc) -> Text {
    match group_runtime() {
        _ if capabilities(proc) & CAP_SYS_NICE == 0 => Text::NoPriority,
        Some(0) => Text::NoShare,
        _ => Text::NoScheduler,
    }
}

/// The first capabilities that are in effect, a bit for each.
fn capabilities(proc: &Proc) -> u32 {
    let mut buffer = [0; 2048];
    let status = proc.read(c"self/status", &mut buffer).unwrap_or(&[]);
    let bits = proc::line(status, b"CapEff").and_then(proc::hexadecimal);
    // Those that are asked for are in the lower half.
    bits.unwrap_or(0) as u32
}

/// The real-time share of our control group in microseconds, where there are such shares.
fn group_runtime() -> Option<u64> {
    let mut buffer = [0; 1024];
    let groups = read_file(c"/proc/self/cgroup", &mut buffer).ok()?;
    let group = parts(groups, b'\n').find_map(|line| controlled(line, b"cpu"))?;
    let path = Path::of(&[b"/sys/fs/cgroup/cpu", group, b"/cpu.rt_runtime_us"]).ok()?;
    let mut digits = [0; 24];
    number(read_file(path.as_c_str(), &mut digits).ok()?.trim_ascii())
}

/// The path in a line `NUMBER:CONTROLLER,...:PATH`, if the controller is among them.
fn controlled<'a>(line: &'a [u8], controller: &[u8]) -> Option<&'a [u8]> {
    let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    parts(controllers, b',')
        .any(|name| name == controller)
        .then_some(path)
}

/// The CPUs that a file lists.
pub fn cpu_list(path: &core::ffi::CStr) -> Option<CpuSet> {
    let mut buffer = [0; 256];
    parse_list(read_file(path, &mut buffer).ok()?)
}

/// Ranges, usually one: `0-3`, `0-1,4-7`.
fn parse_list(list: &[u8]) -> Option<CpuSet> {
    let mut cpus = CpuSet::EMPTY;
    for range in parts(list.trim_ascii(), b',') {
        let mut ends = range.splitn(2, |&byte| byte == b'-').map(number);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        for cpu in first..=last.min(MAX_CPUS as u64) {
            cpus.insert(cpu as usize);
        }
    }
    Some(cpus)
}

/// How many other processes were looked at, and of how many the program may not be read.
///
/// # Errors
/// Those of open(2).
fn readable(proc: &Proc) -> Result<(u32, u32), Errno> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lists_of_cpus() {
        for (list, cpus) in [
            ("0\n", Some(&[0][..])),
            ("0-3\n", Some(&[0, 1, 2, 3])),
            ("0-1,64,126-127", Some(&[0, 1, 64, 126, 127])),
            ("3-1", Some(&[])),
            ("1022-18446744073709551615", Some(&[1022, 1023])),
            ("", None),
            ("x", None),
            ("0-", None),
        ] {
            let parsed = parse_list(list.as_bytes()).map(|cpus| cpus.iter().collect::<Vec<_>>());
            assert_eq!(parsed.as_deref(), cpus, "{list}");
        }
    }

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
