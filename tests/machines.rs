//! The kernels that devices have, booted: capture on several CPUs, architectures and kinds of preemption.
//!
//! Emulation makes each read some fifty times slower than a device would. `tests/machines/fetch` gets the kernels, and
//! `PROGRAMS=1 targets/build TARGET...` builds what runs in the guests.

#[path = "machines/appliance.rs"]
mod appliance;
#[path = "machines/debian.rs"]
mod debian;
#[path = "machines/multicall.rs"]
mod multicall;

use peewit_tests::guest::{Guest, Kind};
use peewit_tests::{alone, guest, initramfs};

const STORM: usize = 1000;

/// B9 for emulated machines with several CPUs.
const SEVERAL_CPUS: usize = STORM * 995 / 1000;

/// Set if the host has nothing else to do, and a CPU for each of the guest's: only then a budget can be held. A CPU that falls
/// idle may pull the task that is being read, and on a busy host a read takes long.
const QUIET_HOST: &str = "QUIET_HOST";

/// A storm of `count` in a guest, `parallel` at a time: gives what the console shows and how many were captured whole.
fn storm(guest: Guest, count: usize, parallel: usize) -> Option<(String, usize)> {
    let _turn = alone();
    let shown = guest.run(&format!(
        "watch\nstorm {count} /tmp/nop --parallel {parallel}\ncaptured"
    ))?;
    Some((shown.clone(), figure(&shown, "captured: ")))
}

/// The number behind these words on the console.
#[track_caller]
fn figure(shown: &str, words: &str) -> usize {
    let (_, rest) = shown
        .split_once(words)
        .unwrap_or_else(|| panic!("no {words:?} in:\n{shown}"));
    let end = rest
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().expect("a number")
}

#[track_caller]
fn is_captured(guest: Guest, count: usize, parallel: usize, at_least: usize) {
    if let Some((shown, captured)) = storm(guest, count, parallel) {
        println!("{guest:?}, {parallel} at a time: {captured} of {count}\n{shown}");
        accounts(&shown, count, captured);
        assert!(
            captured >= at_least || guest.cpus > 1 && std::env::var_os(QUIET_HOST).is_none(),
            "{captured} of {count}:\n{shown}"
        );
    }
}

/// Every exec was seen; what was not captured whole is counted so.
#[track_caller]
fn accounts(shown: &str, count: usize, captured: usize) {
    let execs = figure(shown, ", execs: ");
    assert!(execs >= count, "{shown}");
    for dropped in ["execs_dropped: ", "forks_dropped: "] {
        assert_eq!(figure(shown, dropped), 0, "{shown}");
    }
    let incomplete = execs - figure(shown, ", complete: ");
    assert!(
        captured + incomplete >= count,
        "{captured} of {count}:\n{shown}"
    );
}

const PC: Guest = Guest {
    kind: Kind::X86_64,
    cpus: 4,
    memory: 256,
    kernel: "",
};

const ARM: Guest = Guest {
    kind: Kind::Aarch64,
    ..PC
};

#[test]
fn x86_64_with_one_cpu() {
    // Nobody can pull anything, however slow.
    is_captured(Guest { cpus: 1, ..PC }, STORM, 1, STORM);
}

#[test]
fn x86_64_without_preemption_in_the_kernel() {
    let kernel = "preempt=none";
    is_captured(Guest { kernel, ..PC }, STORM, 1, STORM);
}

#[test]
fn x86_64_with_preemption_in_the_kernel() {
    let kernel = "preempt=full";
    is_captured(Guest { kernel, ..PC }, STORM, 1, STORM);
}

#[test]
fn aarch64_with_four_cpus() {
    is_captured(ARM, STORM, 1, SEVERAL_CPUS);
}

#[test]
fn armv7_with_two_cpus() {
    let kind = Kind::Armv7;
    is_captured(
        Guest {
            kind,
            cpus: 2,
            ..PC
        },
        STORM,
        1,
        SEVERAL_CPUS,
    );
}

#[test]
fn pages_of_16_kib() {
    let guest = Guest {
        kind: Kind::Aarch64Pages16K,
        memory: 512,
        cpus: 2,
        ..PC
    };
    is_captured(guest, STORM, 1, SEVERAL_CPUS);
}

#[test]
fn sixty_four_cpus() {
    let guest = Guest {
        cpus: 64,
        memory: 1024,
        ..ARM
    };
    if let Some((shown, captured)) = storm(guest, 200, 4) {
        assert_eq!(figure(&shown, "threads: "), 64, "{shown}");
        accounts(&shown, 200, captured);
    }
}

/// A CPU goes and comes back while programs are started on all of them.
#[test]
fn a_cpu_goes_and_comes_back() {
    let _turn = alone();
    let script = format!(
        "watch
        storm {STORM} /tmp/nop --rate 80 &
        for turn in 1 2 3; do
            sleep 2; echo 0 >/sys/devices/system/cpu/cpu1/online
            sleep 2; echo 1 >/sys/devices/system/cpu/cpu1/online
        done
        wait $!
        echo online: $(cat /sys/devices/system/cpu/online)
        captured"
    );
    let Some(shown) = PC.run(&script) else { return };
    println!("{shown}");
    assert!(shown.contains("online: 0-3\n"), "{shown}");
    accounts(&shown, STORM, figure(&shown, "captured: "));
}

/// On all CPUs at once: no capture thread sleeps while another one holds the lock.
#[test]
fn x86_64_with_a_storm_on_each_cpu() {
    is_captured(PC, STORM, 4, STORM);
}

/// Another program's request silences all listeners of a kernel before 6.6: an own child that is not seen gives it away.
#[test]
fn a_silenced_connector_is_woken() {
    let _turn = alone();
    let script = "watch --canary 2\nsilence\nsleep 8\nstorm 200 /tmp/nop\ncaptured";
    let Some(shown) = PC.run(script) else { return };
    println!("{shown}");
    let missed = figure(&shown, "canaries_missed: ");
    assert!((1..=2).contains(&missed), "{shown}");
    accounts(&shown, 200, figure(&shown, "captured: "));
}
