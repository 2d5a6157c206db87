//! What the end-to-end tests share: where things are, and running the sensor.
//!
//! `tests/run` builds what they need. What a test lacks is said in one line; in CI (`CI` set) it is a
//! failure, elsewhere the test is skipped.

pub mod guest;
pub mod initramfs;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The target that the sensor and the test programs are built for.
pub const TARGET: &str = "x86_64-unknown-linux-musl";

/// All targets.
pub const TARGETS: [&str; 3] = [
    TARGET,
    "aarch64-unknown-linux-musl",
    "armv7-unknown-linux-musleabihf",
];

/// The most that `targets/budgets` allows of something, on a target.
///
/// # Panics
/// If it has no such budget.
pub fn budget(name: &str, target: &str) -> u64 {
    let lines = include_str!("../../targets/budgets").lines();
    let mut budgets = lines.filter_map(|line| {
        let mut words = line.split(' ');
        let is_it = words.next() == Some(name)
            && words
                .next()
                .is_some_and(|word| word == target || word == "each");
        words.next().filter(|_| is_it)?.parse().ok()
    });
    budgets
        .next()
        .unwrap_or_else(|| panic!("no budget {name} for {target}"))
}

/// How long anything may take that does not depend on how much there is to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Something a test needs is missing: says so, and fails in CI.
pub fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    // Not `eprintln!`: the harness would keep it from the reader.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// A built program, `None` if it is not there.
pub fn program(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target")
        .join(path);
    match path.canonicalize() {
        Ok(path) => Some(path),
        Err(_) => {
            missing(&format!(
                "{} is not built: tests/run builds it",
                path.display()
            ));
            None
        }
    }
}

/// The sensor.
pub fn sensor() -> Option<PathBuf> {
    program(&format!("{TARGET}/release/peewit"))
}

/// The workstation's tool.
pub fn ctl() -> Option<PathBuf> {
    program("release/peewitctl")
}

/// A test program.
pub fn test_program(name: &str) -> Option<PathBuf> {
    program(&format!("{TARGET}/release/{name}"))
}

/// This machine's Debian package, and in the folder the next version of it.
pub fn debian_packages(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let version = env!("CARGO_PKG_VERSION");
    let package = program(&format!("packages/peewit_{version}-1_amd64.deb"))?;
    let upgrade = folder.join("upgrade.deb");
    let status = Command::new("/bin/sh")
        .args(["-ec", "dpkg-deb -R $1 $2; sed -i 's/^Version: .*/Version: '$3-2/ $2/DEBIAN/control; dpkg-deb -b $2 $4 >/dev/null", "sh"])
        .args([&package, &folder.join("unpacked"), Path::new(version), &upgrade])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        missing("dpkg-deb is needed to pack");
        return None;
    }
    Some((package, upgrade))
}

/// A folder of test data that is not part of the project, by the variable that names it.
pub fn data(variable: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).map(PathBuf::from) {
        Some(path) if path.is_dir() => Some(path),
        Some(path) => {
            missing(&format!("{variable}: {} is not a folder", path.display()));
            None
        }
        None => {
            missing(&format!(
                "{variable} is not set: it names a folder of test data"
            ));
            None
        }
    }
}

/// Whether this process is root, as capture needs it.
pub fn root() -> bool {
    // SAFETY: reads the user id.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        missing("live capture needs root");
    }
    root
}

/// Live tests take turns: each fills the machine.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compiles rules in KQL, each an id and a query, to a pack with a build number.
///
/// # Panics
/// If they are no rules.
pub fn compile(rules: &[(&str, &str)], build: u32, pack: &Path) -> Option<()> {
    let folder = tempfile::tempdir().expect("a folder");
    for (id, query) in rules {
        let text = format!(
            "[rule]\nrule_id = \"{id}\"\nname = \"{id}\"\nauthor = [\"us\"]\ntype = \"query\"\nlanguage = \"kuery\"\n\
             severity = \"low\"\nrisk_score = 21\nquery = '''\n{query}\n'''\n"
        );
        fs::write(folder.path().join(format!("{id}.toml")), text).expect("a rule");
    }
    let output = Command::new(ctl()?)
        .arg("compile")
        .arg(folder.path())
        .args(["--strict", "--build", &build.to_string(), "-o"])
        .arg(pack)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(())
}

/// A folder with copies of the test programs below `/tmp`, where the seed rule looks.
pub struct Attack {
    folder: tempfile::TempDir,
}

impl Attack {
    /// Copies `dropper`, `storm`, and `nop` as `nop` and as `implant`.
    pub fn new() -> Option<Self> {
        let folder = tempfile::Builder::new()
            .prefix("x")
            .tempdir_in("/tmp")
            .ok()?;
        for (name, program) in [
            ("dropper", "dropper"),
            ("storm", "storm"),
            ("nop", "nop"),
            ("implant", "nop"),
        ] {
            fs::copy(test_program(program)?, folder.path().join(name)).ok()?;
        }
        Some(Self { folder })
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs a shell command in which `$X` is the folder, and waits for it.
    pub fn shell(&self, command: &str) {
        let status = Command::new("/bin/sh")
            .args(["-c", command])
            .env("X", self.folder.path())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{command}");
    }
}

/// A running sensor.
pub struct Sensor {
    child: Child,
    messages: BufReader<ChildStderr>,
    said: String,
    folder: Option<tempfile::TempDir>,
}

impl Sensor {
    /// Starts `peewit run` with an alert log and a state of its own and waits until it says that it watches.
    pub fn start(options: &[&str]) -> Option<Self> {
        Self::start_in(tempfile::tempdir().ok()?, options)
    }

    /// The same in the folder of one that has ended.
    pub fn start_in(folder: tempfile::TempDir, options: &[&str]) -> Option<Self> {
        let mut child = Command::new(sensor()?)
            .args(["run", "--alerts"])
            .arg(folder.path().join("alerts"))
            .arg("--state")
            .arg(folder.path().join("state"))
            .arg("--socket")
            .arg(folder.path().join("socket"))
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sensor starts");
        let messages = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let mut sensor = Self {
            child,
            messages,
            said: String::new(),
            folder: Some(folder),
        };
        while !sensor.said.contains("watches") {
            let read = sensor
                .messages
                .read_line(&mut sensor.said)
                .expect("its messages can be read");
            assert!(read > 0, "the sensor ended: {}", sensor.said);
        }
        Some(sensor)
    }

    /// The path of a file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        let folder = self.folder.as_ref().expect("it has one until it ends");
        folder.path().join(name)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The alerts so far, as `peewit alerts --json` gives them.
    pub fn alerts(&self) -> Vec<serde_json::Value> {
        self.records("alert")
    }

    /// What the sensor said so far of how it is.
    pub fn health(&self) -> Vec<serde_json::Value> {
        self.records("state")
    }

    /// How the sensor says that it is, asked now.
    pub fn status(&self) -> serde_json::Value {
        let output = Command::new(sensor().expect("it runs"))
            .args(["status", "--json", "--socket"])
            .arg(self.path("socket"))
            .output()
            .expect("it can be asked");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn records(&self, kind: &str) -> Vec<serde_json::Value> {
        let output = Command::new(sensor().expect("it runs"))
            .args(["alerts", "--json"])
            .arg(self.path("alerts"))
            .output()
            .expect("the alerts can be read");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice::<serde_json::Value>(line).expect("JSON"))
            .filter(|record| record["event.kind"] == kind)
            .collect()
    }

    /// Waits until there are at least `count` alerts, and gives them.
    pub fn wait_for_alerts(&self, count: usize) -> Vec<serde_json::Value> {
        let start = Instant::now();
        loop {
            let alerts = self.alerts();
            if alerts.len() >= count || start.elapsed() > PATIENCE {
                return alerts;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for an alert of which this holds.
    pub fn wait_for_alert(
        &self,
        mut holds: impl FnMut(&serde_json::Value) -> bool,
    ) -> Option<serde_json::Value> {
        let start = Instant::now();
        loop {
            let found = self.alerts().into_iter().find(&mut holds);
            if found.is_some() || start.elapsed() > PATIENCE {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A figure of its memory, KiB, from `smaps_rollup`.
    pub fn memory(&self, what: &str) -> u64 {
        let text =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).expect("it runs");
        let line = text
            .lines()
            .find(|line| line.starts_with(what))
            .expect("the kernel has this figure");
        line.split_whitespace()
            .nth(1)
            .and_then(|figure| figure.parse().ok())
            .expect("a number")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that has not been waited for.
        unsafe { libc::kill(self.pid().cast_signed(), signal) };
    }

    /// Lets it read all again, and waits until it says how that went. Gives how often it was done and refused so far.
    ///
    /// # Panics
    /// If it does not say so in time.
    pub fn reload(&self) -> (u64, u64) {
        let counts = || {
            let status = self.status();
            let count = |name| {
                status[format!("peewit.health.{name}")]
                    .as_u64()
                    .unwrap_or(0)
            };
            (count("reloads"), count("reloads_refused"))
        };
        let before = counts();
        self.signal(libc::SIGHUP);
        let start = Instant::now();
        loop {
            let now = counts();
            if now != before {
                return now;
            }
            assert!(start.elapsed() < PATIENCE, "it does not read again");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it by a signal and gives all that it said.
    pub fn stop(self, signal: i32) -> String {
        self.end(signal).1
    }

    /// The same, and gives its folder for the next one. SIGKILL ends it badly, all others are to end it well.
    pub fn end(mut self, signal: i32) -> (tempfile::TempDir, String) {
        self.signal(signal);
        while self
            .messages
            .read_line(&mut self.said)
            .is_ok_and(|read| read > 0)
        {}
        let status = self.child.wait().expect("it was started");
        let well = status.success() || signal == libc::SIGKILL;
        assert!(well, "{status}: {}", self.said);
        let folder = self.folder.take().expect("it ends once");
        (folder, std::mem::take(&mut self.said))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
