//! A guest with disks, and what its scripts have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use peewit_tests::guest::{Guest, Kind, Running};
use peewit_tests::{missing, test_program};

use crate::kept::Kept;

const GUEST: Guest = Guest {
    kind: Kind::X86_64,
    cpus: 1,
    memory: 128,
    // One from the start: with each other one the kernel takes back that its clock is right.
    kernel: "clocksource=acpi_pm",
};

/// What disks and the device mapper need, in the order in which one needs the other.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "dm-mod",
    "dm-log-writes",
];

/// How long until a guest says what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a guest's script may use.
const PRELUDE: &str = r#"
# The emulator's own words have no end of line.
echo
busybox --install -s /bin
for module in /modules/*; do insmod $module; done
mkdir /disk /dev/shm
cp /bin/nop /dev/shm/nop
# Starts peewit with what it keeps on the disk, and waits until it watches.
begin() {
    >/tmp/said
    peewit run --alerts /disk/alerts/ --state /disk/state/ --rate-limit 0 "$@" >/dev/null 2>>/tmp/said &
    sensor=$!
    until grep -q watches /tmp/said; do
        kill -0 $sensor || { cat /tmp/said; break; }
        usleep 20000
    done
    echo "it watches"
}
# A program of this name does what strangers should not.
stranger() {
    [ -e /tmp/$1 ] || ln /bin/dropper /tmp/$1 2>/dev/null || cp /bin/dropper /tmp/$1
    /tmp/$1 -s /tmp/nop
}
# Waits until each of its threads waits for something to happen, and none for a disk: what it began is done, and what it wrote it has
# synchronised.
settled() {
    for task in /proc/$sensor/task/*; do
        while read -r call first second rest <$task/syscall; do
            case "$call $second" in
                # futex with FUTEX_WAIT or FUTEX_WAIT_BITSET, poll, recvfrom, recvmsg, nanosleep, clock_nanosleep, ppoll
                '202 0x0' | '202 0x80' | '202 0x9' | '202 0x89' | '202 0x189' | '7 '* | '45 '* | '47 '* | '35 '* | '230 '* | '271 '*) break ;;
            esac
        done
    done
}
# What the log and the state hold.
look() {
    echo "look $1"
    peewit alerts --json /disk/alerts/ 2>/tmp/unread | sed -n '/"event.kind":"alert"/{
        s/.*\("kibana.alert.new_terms":[^]]*]\).*\("peewit.alert.sequence":[0-9]*\).*/alert {"event.kind":"alert",\1,\2}/p
        t
        s/.*\("peewit.alert.sequence":[0-9]*\).*/alert {"event.kind":"alert",\1}/p
    }'
    peewit terms list --state /disk/state/ | sed 's/^/term /'
    echo looked
}
"#;

/// A disk with an empty file system. `None` if it cannot be made here.
pub fn disk(path: PathBuf, mebibytes: u64, options: &[&str]) -> Option<PathBuf> {
    let file = fs::File::create(&path).expect("a file");
    file.set_len(mebibytes << 20).expect("a length");
    let made = Command::new("mkfs.ext4")
        .args([
            "-q",
            "-F",
            "-b",
            "1024",
            "-E",
            "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
        ])
        .args(options)
        .arg(&path)
        .status();
    if made.is_ok_and(|made| made.success()) {
        return Some(path);
    }
    missing("mkfs.ext4 of e2fsprogs is needed");
    None
}

/// Boots a guest that has these disks: `/dev/vda` and so on. Options are the emulator's.
pub fn boot(script: &str, disks: &[&Path], options: &[&str]) -> Option<Running> {
    let mut initramfs = GUEST.initramfs(&format!("{PRELUDE}{script}"))?;
    initramfs.directory("modules");
    for (place, name) in MODULES.iter().enumerate() {
        let module = fs::read(GUEST.kind.file(&format!("modules/{name}.ko"))?).expect("a module");
        initramfs.file(&format!("modules/{place}"), &module);
    }
    for name in ["clock", "mapper"] {
        initramfs.program(
            &format!("bin/{name}"),
            &fs::read(test_program(name)?).expect("a program"),
        );
    }
    let drives: Vec<String> = disks
        .iter()
        .map(|disk| format!("file={},format=raw,if=virtio", disk.display()))
        .collect();
    let drives = drives.iter().flat_map(|drive| ["-drive", drive]);
    let options: Vec<&str> = drives.chain(options.iter().copied()).collect();
    GUEST.start(&initramfs.finish(), &options)
}

/// Waits until these words stand on its console.
#[track_caller]
pub fn wait_for(guest: &mut Running, words: &str) {
    let start = Instant::now();
    while !guest.shown().contains(words) {
        assert!(
            guest.runs() && start.elapsed() < PATIENCE,
            "no {words:?}:\n{}",
            guest.shown()
        );
        sleep(Duration::from_millis(20));
    }
}

/// What the guest saw, each time that it looked to the end.
pub fn looks(shown: &str) -> Vec<Kept> {
    let mut looks = shown.split("\nlook ").skip(1);
    let whole = looks
        .by_ref()
        .filter_map(|look| look.split_once("\nlooked"));
    whole
        .map(|(look, _)| {
            let of = |kind: &str| -> String {
                let lines = look.lines().filter_map(|line| line.strip_prefix(kind));
                lines.flat_map(|line| [line, "\n"]).collect()
            };
            Kept::of(&of("alert "), &of("term "))
        })
        .collect()
}
