//! A Debian kernel under QEMU, with peewit, the test programs and busybox in an initramfs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::initramfs::Initramfs;
use crate::{missing, program};

/// How long a guest may take, boot included.
const PATIENCE: Duration = Duration::from_secs(240);

/// Emulation in one thread, or in one for each CPU.
const MANY: [&str; 2] = ["-accel", "tcg,thread=single"];
const SEVERAL: [&str; 2] = ["-accel", "tcg,thread=multi"];

/// How packages without systemd start peewit.
const INIT_SCRIPT: &[u8] = include_bytes!("../../targets/packages/init/peewit.init");

/// A log of alerts that reads the same everywhere.
const GOLDEN: &[u8] = include_bytes!("../machines/golden/alerts.log");

/// What a guest does before its case's script, and after it.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
cp /bin/nop /tmp/nop
# Starts peewit and waits until it watches.
watch() {
    peewit run --alerts /tmp/alerts --events /tmp/events "$@" >/dev/null 2>/tmp/said &
    sensor=$!
    until grep -q watches /tmp/said; do
        kill -0 $sensor || { cat /tmp/said; return; }
        usleep 50000
    done
}
# The numbers of the storm that were captured with program and arguments, and what peewit says at its end.
captured() {
    sleep 1
    kill -TERM $sensor
    wait $sensor
    cat /tmp/said
    grep '"exec"' /tmp/events | grep '"process.executable":"/tmp/nop"' |
        grep -o '"process.args":."/tmp/nop","[0-9]*".' | sort -u | wc -l | sed 's/^ */captured: /'
}
"#;

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PC.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit ARM with pages of 16 KiB.
    Aarch64Pages16K,
    /// 32-bit ARM.
    Armv7,
}

/// A guest.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// The kind.
    pub kind: Kind,
    /// How many CPUs.
    pub cpus: usize,
    /// Memory in MiB.
    pub memory: usize,
    /// What is added to the kernel's command line.
    pub kernel: &'static str,
}

impl Guest {
    /// Boots, runs the script as the first process, and gives what stands on the console; `None` if something is
    /// not there. Each line of the script may use `watch [OPTION...]` and `captured`.
    pub fn run(&self, script: &str) -> Option<String> {
        self.run_with(script, |_| ())
    }

    /// The same with more in its first file system.
    pub fn run_with(&self, script: &str, more: impl FnOnce(&mut Initramfs)) -> Option<String> {
        let mut initramfs = self.initramfs(script)?;
        more(&mut initramfs);
        self.boot(&initramfs.finish())
    }

    /// Boots with this initramfs, and gives what stands on the console until the guest is off.
    pub fn boot(&self, initramfs: &[u8]) -> Option<String> {
        Some(self.start(initramfs, &[])?.finish())
    }

    /// Boots with this initramfs, and with these options of the emulator besides.
    pub fn start(&self, initramfs: &[u8], options: &[&str]) -> Option<Running> {
        let folder = tempfile::tempdir().ok()?;
        let initrd = folder.path().join("initramfs");
        fs::write(&initrd, initramfs).expect("the initramfs can be written");
        let output = fs::File::create(folder.path().join("console")).expect("a file");
        let mut command = Command::new(self.kind.emulator());
        command
            .args(self.kind.machine(self.cpus))
            .args(["-smp", &self.cpus.to_string()])
            // More CPUs than the host's take turns in one thread: otherwise they wait for each other's locks.
            .args(if self.cpus > 8 { MANY } else { SEVERAL })
            .args(["-m", &self.memory.to_string()])
            .args(["-nographic", "-no-reboot", "-nodefaults"])
            .args(["-serial", "stdio", "-monitor", "none"])
            .arg("-kernel")
            .arg(self.kind.file("vmlinuz")?)
            .arg("-initrd")
            .arg(&initrd)
            .args(["-append", &self.command_line()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output);
        let Ok(emulator) = command.spawn() else {
            missing(&format!("{} is not installed", self.kind.emulator()));
            return None;
        };
        Some(Running { emulator, folder })
    }

    fn command_line(&self) -> String {
        let Self { kind, kernel, .. } = self;
        // A busy host may keep the timer waiting when a PC's kernel tries it out.
        format!(
            "console={} panic=-1 quiet no_timer_check {kernel}",
            kind.console()
        )
    }

    /// The programs, and the script as the first process; more can be added.
    pub fn initramfs(&self, script: &str) -> Option<Initramfs> {
        let mut initramfs = Initramfs::default();
        for path in [
            "bin",
            "dev",
            "etc",
            "etc/init.d",
            "proc",
            "run",
            "sys",
            "tmp",
            "usr",
            "usr/sbin",
            "var",
            "var/lib",
            "var/run",
        ] {
            initramfs.directory(path);
        }
        let read = |path: PathBuf| fs::read(path).expect("it can be read");
        initramfs.program("bin/busybox", &read(self.kind.file("busybox")?));
        for tool in [
            "base64",
            "cat",
            "chmod",
            "cmp",
            "cp",
            "dd",
            "echo",
            "grep",
            "head",
            "kill",
            "ls",
            "mkdir",
            "mount",
            "poweroff",
            "rm",
            "sed",
            "sh",
            "sleep",
            "sort",
            "start-stop-daemon",
            "uname",
            "usleep",
            "wc",
        ] {
            initramfs.link(&format!("bin/{tool}"), "busybox");
        }
        let built =
            |name: &str| program(&format!("{}/release/{name}", self.kind.target())).map(read);
        for name in ["storm", "nop", "dropper", "silence"] {
            initramfs.program(&format!("bin/{name}"), &built(name)?);
        }
        // Where packages put it, with the script that they start it by.
        initramfs.program("usr/sbin/peewit", &built("peewit")?);
        initramfs.link("bin/peewit", "../usr/sbin/peewit");
        initramfs.program("etc/init.d/peewit", INIT_SCRIPT);
        initramfs.program("etc/golden.log", GOLDEN);
        let init = format!("{INIT}{script}\necho the case is done\npoweroff -f\n");
        initramfs.program("init", init.as_bytes());
        Some(initramfs)
    }
}

/// A guest that runs. Dropped it is gone, as by a power cut.
#[derive(Debug)]
pub struct Running {
    emulator: Child,
    folder: TempDir,
}

impl Running {
    /// What stands on its console so far.
    pub fn shown(&self) -> String {
        let shown = fs::read(self.folder.path().join("console")).expect("the console's file");
        String::from_utf8_lossy(&shown).replace('\r', "")
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        let ended = self.emulator.try_wait().expect("it is a child");
        ended.is_none()
    }

    /// Waits until it is off, and gives what stands on its console.
    ///
    /// # Panics
    /// If it takes too long, or does not say at the end that the case is done.
    pub fn finish(mut self) -> String {
        let start = Instant::now();
        while self.runs() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100));
        }
        let shown = self.shown();
        assert!(
            shown.contains("the case is done"),
            "the guest did not finish:\n{shown}"
        );
        shown
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Aarch64Pages16K => "aarch64-16k",
            Self::Armv7 => "armv7",
        }
    }

    /// What programs for it are built for.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 | Self::Aarch64Pages16K => "aarch64-unknown-linux-musl",
            Self::Armv7 => "armv7-unknown-linux-musleabihf",
        }
    }

    fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 | Self::Aarch64Pages16K => "qemu-system-aarch64",
            Self::Armv7 => "qemu-system-arm",
        }
    }

    fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            _ => "ttyAMA0",
        }
    }

    fn machine(self, cpus: usize) -> [&'static str; 4] {
        match self {
            Self::X86_64 => ["-M", "pc", "-cpu", "qemu64"],
            // The older interrupt controller knows eight CPUs.
            Self::Aarch64 if cpus > 8 => ["-M", "virt,gic-version=3", "-cpu", "cortex-a53"],
            Self::Aarch64 => ["-M", "virt", "-cpu", "cortex-a53"],
            // One that has pages of 16 KiB.
            Self::Aarch64Pages16K => ["-M", "virt", "-cpu", "cortex-a76"],
            Self::Armv7 => ["-M", "virt", "-cpu", "cortex-a15"],
        }
    }

    /// A file that `tests/machines/fetch` brought.
    pub fn file(self, name: &str) -> Option<PathBuf> {
        program(&format!("machines/{}/{name}", self.folder()))
    }
}
