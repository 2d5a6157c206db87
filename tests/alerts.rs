//! The alert log with real alerts on real file systems: full, read-only, taken away; its segments, and who reads them meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use peewit_tests::{Attack, PATIENCE, Sensor, alone, ctl, missing, root, sensor};
use serde_json::Value;

/// A program each of whose starts raises an alert, and the rule that says so.
struct Flood {
    attack: Attack,
    rules: String,
}

impl Flood {
    fn new() -> Option<Self> {
        if !root() {
            return None;
        }
        let attack = Attack::new()?;
        // Nobody else starts one with this path.
        let program = attack.path("nop");
        let rule = attack.path("rule.toml");
        fs::write(
            &rule,
            format!(
                "[rule]\nrule_id = \"0badcafe-0000-4000-8000-000000000001\"\nname = \"Each start of nop\"\nauthor = [\"A. Writer\"]\n\
                 description = \"d\"\nseverity = \"low\"\nrisk_score = 21\ntype = \"eql\"\nlanguage = \"eql\"\n\
                 query = '''process where event.action == \"exec\" and process.executable == \"{program}\"'''\n"
            ),
        )
        .ok()?;
        let rules = attack.path("rules.pack");
        let output = Command::new(ctl()?)
            .args(["compile", &rule, "-o", &rules])
            .output()
            .ok()?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(Self { attack, rules })
    }

    /// A sensor with a log of its own.
    fn sensor(&self, log: &Path, options: &[&str]) -> Option<Sensor> {
        let log = log.display().to_string();
        let mut all = vec!["--rules", &self.rules, "--alerts", &log];
        all.extend(options);
        Sensor::start(&all)
    }

    /// Raises so many alerts. A start that a busy machine ended before it was read, which is counted so, is made up for.
    fn raise(&self, sensor: &Sensor, count: u64, rate: u64) {
        let status = sensor.status();
        let wanted = counted(&status, "alerts") + count;
        let mut seen = counted(&status, "execs");
        let mut missing = count;
        while missing > 0 {
            self.attack
                .shell(&format!("$X/storm {missing} $X/nop --rate {rate}"));
            // The storm's program is started too, by a shell or not.
            seen += missing + 1;
            until(|| counted(&sensor.status(), "execs") >= seen);
            missing = wanted - counted(&sensor.status(), "alerts");
        }
    }
}

fn counted(health: &Value, name: &str) -> u64 {
    let key = format!("peewit.health.{name}");
    health[&key].as_u64().expect("a number")
}

#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `peewit alerts` gives: records, and what it complains of.
struct Read {
    records: Vec<Value>,
    complaints: String,
    well: bool,
}

fn read(log: &Path, options: &[&str]) -> Read {
    let output = Command::new(sensor().expect("it is built"))
        .args(["alerts", "--json"])
        .args(options)
        .arg(log)
        .output()
        .expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    Read {
        records: lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect(),
        complaints: String::from_utf8(output.stderr).expect("UTF-8"),
        well: output.status.success(),
    }
}

impl Read {
    fn kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let kind = kind.to_owned();
        self.records
            .iter()
            .filter(move |record| record["event.kind"] == kind)
    }

    /// Numbers of alerts.
    fn numbers(&self) -> Vec<u64> {
        self.kind("alert").map(number).collect()
    }
}

fn number(alert: &Value) -> u64 {
    alert["peewit.alert.sequence"].as_u64().expect("a number")
}

fn segments(log: &Path) -> Vec<String> {
    let folder = log.parent().expect("a folder");
    let start = format!("{}.0", log.file_name().expect("a name").display());
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name.starts_with(&start))
        .collect();
    names.sort();
    names
}

#[test]
fn segments_are_bounded_and_what_was_dropped_is_counted() {
    let _turn = alone();
    let Some(flood) = Flood::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("alerts.log");
    let small = [
        "--segment-size",
        "8192",
        "--segments",
        "3",
        "--rate-limit",
        "0",
    ];
    let Some(sensor) = flood.sensor(&log, &small) else {
        return;
    };
    flood.raise(&sensor, 60, 1000);
    let consume = |number: &str| {
        let read = read(&log, &["--consumed", number]);
        (read.well, read.complaints)
    };
    until(|| read(&log, &[]).numbers().len() == 60);
    let first = segments(&log)[0].clone();
    assert_eq!(first, "alerts.log.00000001");
    assert_eq!(
        consume("61"),
        (
            false,
            "peewit: there is no such alert yet; the last one is 60\n".to_owned()
        )
    );
    assert_eq!(consume("60"), (true, String::new()));
    assert_eq!(segments(&log), Vec::<String>::new());
    assert_eq!(
        fs::read_to_string(folder.path().join("alerts.log.consumed")).unwrap(),
        "60\n"
    );
    // Whoever is late says nothing new.
    assert_eq!(consume("7"), (true, String::new()));
    assert_eq!(
        fs::read_to_string(folder.path().join("alerts.log.consumed")).unwrap(),
        "60\n"
    );
    flood.raise(&sensor, 400, 1000);
    until(|| read(&log, &[]).numbers().last() == Some(&460));
    let names = segments(&log);
    assert_eq!(names.len(), 2, "{names:?}");
    let whole = read(&log, &[]);
    assert!(whole.well, "{}", whole.complaints);
    assert_eq!(whole.complaints, "");
    let numbers = whole.numbers();
    let expected: Vec<u64> = (numbers[0]..=460).collect();
    assert_eq!(numbers, expected);
    // 60 were consumed; the others before the first one that is there were not.
    let status = sensor.status();
    assert_eq!(counted(&status, "alerts_dropped"), numbers[0] - 61);
    assert_eq!(counted(&status, "alerts_lost"), 0);
    for name in &names {
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() <= 8192);
    }
    // Who asks for the next one is told of those that are gone.
    let resumed = read(&log, &["--from", "61"]);
    assert_eq!(resumed.numbers(), numbers);
    assert_eq!(
        resumed.complaints,
        format!("peewit: lost: alerts 61 to {}\n", numbers[0] - 1)
    );
    let resumed = read(&log, &["--from", "450"]);
    assert_eq!(resumed.numbers(), (450..=460).collect::<Vec<_>>());
    assert_eq!(resumed.complaints, "");
    // Each file says whose its alerts are, and soon what they are about.
    for record in whole.kind("alert") {
        assert!(record["host.id"].is_string());
    }
    for record in resumed.kind("alert") {
        assert_eq!(record["rule.name"], "Each start of nop");
    }
    let said = sensor.stop(libc::SIGTERM);
    assert!(
        said.contains("the oldest segment of the alert log was removed; alerts in it that nobody had consumed: "),
        "{said}"
    );
    // The next one goes on with the numbers, behind what was torn meanwhile.
    let mut bytes = fs::read(&log).unwrap();
    let whole = bytes.len();
    bytes.extend_from_within(..20);
    fs::write(&log, &bytes).unwrap();
    // However full the file is, one more goes into it.
    let larger = ["--segment-size", "16384"];
    let Some(sensor) = flood.sensor(&log, &larger) else {
        return;
    };
    flood.raise(&sensor, 1, 0);
    until(|| read(&log, &["--from", "461"]).numbers() == [461]);
    let content = fs::read(&log).unwrap();
    assert_eq!(content[..whole], bytes[..whole]);
    assert!(content.len() < whole + 1000 && read(&log, &[]).well);
}

/// `peewit alerts -f`, and its lines as they come.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    fn new(log: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(sensor().expect("it is built"))
            .args(["alerts", "--json", "-f"])
            .args(options)
            .arg(log)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The numbers of the next so many alerts.
    fn numbers(&self, count: usize) -> Vec<u64> {
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok());
        lines
            .map(|line| serde_json::from_str::<Value>(&line).expect("JSON"))
            .filter(|record| record["event.kind"] == "alert")
            .take(count)
            .map(|alert| number(&alert))
            .collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn followers_see_each_alert_once_across_files() {
    let _turn = alone();
    let Some(flood) = Flood::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("alerts.log");
    // Before there is a log.
    let follower = Follower::new(&log, &[]);
    let options = [
        "--segment-size",
        "4096",
        "--segments",
        "1000",
        "--rate-limit",
        "0",
    ];
    let Some(sensor) = flood.sensor(&log, &options) else {
        return;
    };
    flood.raise(&sensor, 500, 500);
    assert_eq!(follower.numbers(500), (1..=500).collect::<Vec<_>>());
    assert!(segments(&log).len() > 20);
    // The file is emptied, and moved away: neither the sensor nor the reader stays with it.
    let late = Follower::new(&log, &["--from", "499"]);
    assert_eq!(late.numbers(2), [499, 500]);
    fs::rename(&log, folder.path().join("old")).unwrap();
    flood.raise(&sensor, 3, 0);
    assert_eq!(follower.numbers(3), [501, 502, 503]);
    assert_eq!(late.numbers(3), [501, 502, 503]);
    for sync in ["none", "interval", "always"] {
        let output = Command::new(peewit_tests::sensor().expect("it is built"))
            .args(["run", "--source", "none", "--sync", sync, "--alerts"])
            .arg(folder.path().join("other"))
            .output()
            .expect("it runs");
        assert!(!output.status.success());
    }
}

#[test]
fn gaps_and_damage_are_named() {
    let _turn = alone();
    let Some(flood) = Flood::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("alerts.log");
    let options = ["--segment-size", "4096", "--rate-limit", "0"];
    let Some(sensor) = flood.sensor(&log, &options) else {
        return;
    };
    flood.raise(&sensor, 60, 1000);
    until(|| read(&log, &[]).numbers().len() == 60);
    sensor.stop(libc::SIGTERM);
    // A frame in the middle of a full file: the alert behind its 2500th byte.
    let path = folder.path().join("alerts.log.00000002");
    let mut bytes = fs::read(&path).unwrap();
    let at = 2500 + bytes[2500..].iter().position(|&byte| byte == 0).unwrap() + 5;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let damaged = read(&log, &[]);
    assert!(!damaged.well);
    let numbers = damaged.numbers();
    assert_eq!(numbers.len(), 59);
    let lost = (1..=60).find(|number| !numbers.contains(number)).unwrap();
    let lines: Vec<_> = damaged.complaints.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let begin = at - 3;
    assert!(
        lines[0].starts_with(&format!(
            "peewit: {}, byte {begin}: skipped: no record, bytes: ",
            path.display()
        )) || lines[0].starts_with(&format!(
            "peewit: {}, byte {}: skipped: no record, bytes: ",
            path.display(),
            begin - 1
        )),
        "{lines:?} {begin}"
    );
    assert_eq!(lines[1], format!("peewit: lost: alerts {lost} to {lost}"));
}

/// A file system of 1 MiB.
struct Disk {
    folder: tempfile::TempDir,
    /// How it is mounted.
    arguments: Vec<String>,
}

impl Disk {
    fn mount(arguments: &[&str]) -> Option<Self> {
        let disk = Self {
            folder: tempfile::tempdir().ok()?,
            arguments: arguments.iter().copied().map(String::from).collect(),
        };
        if disk.mounted() {
            return Some(disk);
        }
        missing("a file system cannot be mounted");
        None
    }

    fn mounted(&self) -> bool {
        let status = Command::new("mount")
            .args(&self.arguments)
            .arg(self.folder.path())
            .status();
        status.is_ok_and(|status| status.success())
    }

    fn tmpfs() -> Option<Self> {
        Self::mount(&["-t", "tmpfs", "-o", "size=1m", "none"])
    }

    /// The image is in this folder.
    fn ext4(images: &Path) -> Option<Self> {
        let image = images.join("image").display().to_string();
        fs::File::create(&image).ok()?.set_len(1 << 20).ok()?;
        let made = Command::new("/sbin/mkfs.ext4")
            .args(["-q", "-F", "-b", "4096", &image])
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            missing("mkfs.ext4 is needed");
            return None;
        }
        Self::mount(&["-o", "loop,errors=remount-ro", &image])
    }

    /// Has each block written by itself. The loop driver says that all of a request was written when only its first blocks were.
    fn block_by_block(&self) {
        let device = Command::new("findmnt")
            .args(["-n", "-o", "SOURCE"])
            .arg(self.folder.path())
            .output();
        let device = String::from_utf8(device.expect("findmnt").stdout).expect("a path");
        let name = device.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/block/{name}/queue/max_sectors_kb"), "4").expect("a loop device");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        let mut length = 1 << 20;
        let mut filler = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("filler"))
            .expect("room for a name");
        while length > 0 {
            use std::io::Write;
            if filler.write_all(&vec![7; length]).is_err() {
                length /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path("filler")).expect("it is there");
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount")
            .args(["-o", how])
            .arg(self.folder.path())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{how}");
    }

    /// The kernel finds an error on it, and makes it read-only.
    fn fail(&self) {
        let mounts = fs::read_to_string("/proc/mounts").expect("/proc is mounted");
        let path = self.folder.path().display().to_string();
        let device = mounts
            .lines()
            .find_map(|line| {
                line.strip_suffix(line.split_once(&path)?.1)?
                    .split(' ')
                    .next()
            })
            .and_then(|device| device.strip_prefix("/dev/"))
            .expect("it is mounted");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")
            .expect("the kernel can be told to find an error");
    }

    fn mount_again(&self) {
        let status = Command::new("umount").arg(self.folder.path()).status();
        assert!(status.is_ok_and(|status| status.success()));
        assert!(self.mounted());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}

/// The counts agree: each alert that was raised is in the log or counted as lost, and the gaps are as large as the losses.
#[track_caller]
fn agrees(sensor: &Sensor, log: &Path) -> (u64, u64) {
    let status = sensor.status();
    let raised = counted(&status, "alerts");
    let lost = counted(&status, "alerts_lost") + counted(&status, "alerts_unwritten");
    let whole = read(log, &[]);
    let numbers = whole.numbers();
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert_eq!(numbers.len() as u64 + lost, raised, "{status}");
    let gaps: u64 = numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
    let edges = numbers[0] - 1 + raised - numbers[numbers.len() - 1];
    assert_eq!(gaps + edges, lost);
    let complaints = whole.complaints.matches("lost: alerts ").count();
    assert_eq!(complaints > 0, gaps > 0, "{}", whole.complaints);
    (raised, lost)
}

/// A disk that is full for a while, and then not any more.
fn full_disk(disk: &Disk, flood: &Flood) {
    let log = disk.path("alerts/alerts.log");
    let Some(sensor) = flood.sensor(&log, &["--health", "1000000", "--rate-limit", "0"]) else {
        return;
    };
    flood.raise(&sensor, 10, 0);
    until(|| read(&log, &[]).numbers().len() == 10);
    disk.fill();
    flood.raise(&sensor, 100, 1000);
    // They wait.
    let held = read(&log, &[]).numbers().len();
    assert!(held < 40, "{held}");
    assert_eq!(counted(&sensor.status(), "alerts_unwritten"), 0);
    disk.empty();
    until(|| read(&log, &[]).numbers().len() == 110);
    assert_eq!(agrees(&sensor, &log), (110, 0));
    // More than can wait.
    disk.fill();
    flood.raise(&sensor, 1000, 1000);
    until(|| counted(&sensor.status(), "alerts_unwritten") > 0);
    assert_eq!(read(&log, &[]).complaints, "");
    disk.empty();
    until(|| read(&log, &[]).numbers().len() > 300);
    flood.raise(&sensor, 10, 100);
    until(|| read(&log, &[]).numbers().last() == Some(&1120));
    let (raised, lost) = agrees(&sensor, &log);
    assert_eq!(raised, 1120);
    assert!((100..900).contains(&lost), "{lost}");
    // The log itself says how many.
    until(|| {
        let whole = read(&log, &[]);
        whole.kind("state").any(|health| {
            health["event.action"] == "loss" && counted(health, "alerts_unwritten") == lost
        })
    });
    let said = sensor.stop(libc::SIGTERM);
    assert_eq!(
        said.matches("no space left").count(),
        2,
        "each failure is told once: {said}"
    );
    assert_eq!(said.matches("the alert log is written again").count(), 2);
    assert!(read(&log, &[]).well);
}

#[test]
fn a_full_tmpfs() {
    let _turn = alone();
    let (Some(flood), Some(disk)) = (Flood::new(), Disk::tmpfs()) else {
        return;
    };
    full_disk(&disk, &flood);
}

#[test]
fn a_full_ext4() {
    let _turn = alone();
    let images = tempfile::tempdir().expect("a folder");
    let (Some(flood), Some(disk)) = (Flood::new(), Disk::ext4(images.path())) else {
        return;
    };
    full_disk(&disk, &flood);
}

#[test]
fn on_a_full_disk_what_was_consumed_makes_room() {
    let _turn = alone();
    let (Some(flood), Some(disk)) = (Flood::new(), Disk::tmpfs()) else {
        return;
    };
    let log = disk.path("alerts.log");
    let options = [
        "--segment-size",
        "16384",
        "--segments",
        "100",
        "--rate-limit",
        "0",
    ];
    let Some(sensor) = flood.sensor(&log, &options) else {
        return;
    };
    flood.raise(&sensor, 300, 1000);
    until(|| read(&log, &[]).numbers().len() == 300);
    let before = segments(&log);
    assert!(before.len() >= 3);
    // A consumer that can only leave its number, not remove anything.
    fs::write(disk.path("alerts.log.consumed"), "290\n").unwrap();
    disk.fill();
    flood.raise(&sensor, 100, 1000);
    until(|| read(&log, &["--from", "301"]).numbers().len() == 100);
    assert!(!segments(&log).contains(&before[0]));
    assert_eq!(counted(&sensor.status(), "alerts_unwritten"), 0);
    assert_eq!(counted(&sensor.status(), "alerts_dropped"), 0);
}

#[test]
fn a_read_only_disk() {
    let _turn = alone();
    let images = tempfile::tempdir().expect("a folder");
    let (Some(flood), Some(disk)) = (Flood::new(), Disk::ext4(images.path())) else {
        return;
    };
    // From the start on, before there is a folder.
    disk.remount("remount,ro");
    let log = disk.path("a/b/alerts.log");
    let Some(sensor) = flood.sensor(&log, &["--rate-limit", "0"]) else {
        return;
    };
    flood.raise(&sensor, 20, 1000);
    disk.remount("remount,rw");
    until(|| read(&log, &[]).numbers().len() == 20);
    // And later: as the kernel does it when a disk fails.
    disk.fail();
    flood.raise(&sensor, 20, 1000);
    assert_eq!(read(&log, &[]).numbers().len(), 20);
    // Nothing keeps it from being unmounted, checked and mounted again.
    disk.mount_again();
    until(|| read(&log, &[]).numbers().len() == 40);
    assert_eq!(agrees(&sensor, &log), (40, 0));
    // Taken away altogether.
    fs::remove_dir_all(disk.path("a")).unwrap();
    flood.raise(&sensor, 1, 0);
    until(|| read(&log, &[]).numbers() == [41]);
    // What still waits at the end is lost, and counted.
    disk.fail();
    flood.raise(&sensor, 5, 0);
    let said = sensor.stop(libc::SIGTERM);
    assert!(
        said.contains("read-only file system; alerts wait in memory"),
        "{said}"
    );
    assert!(said.contains("alerts_unwritten: 5"), "{said}");
}

/// A disk that takes what is written and then fails to keep it: its image lies on another one that is full.
#[test]
fn a_disk_that_fails_to_sync() {
    let _turn = alone();
    let (Some(flood), Some(below)) = (Flood::new(), Disk::tmpfs()) else {
        return;
    };
    let Some(disk) = Disk::ext4(below.folder.path()) else {
        return;
    };
    disk.block_by_block();
    let log = disk.path("alerts.log");
    let options = ["--segment-size", "16384", "--rate-limit", "0"];
    let Some(sensor) = flood.sensor(&log, &options) else {
        return;
    };
    flood.raise(&sensor, 50, 1000);
    until(|| read(&log, &[]).numbers().len() == 50);
    below.fill();
    flood.raise(&sensor, 100, 1000);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(counted(&sensor.status(), "alerts_unwritten"), 0);
    below.empty();
    until(|| read(&log, &[]).numbers().len() == 150);
    assert_eq!(agrees(&sensor, &log), (150, 0));
    let said = sensor.stop(libc::SIGTERM);
    assert!(said.contains("; alerts wait in memory"), "{said}");
    // As a device would find them after a power cut: nothing is there that is not on the disk.
    disk.mount_again();
    assert_eq!(read(&log, &[]).numbers(), (1..=150).collect::<Vec<_>>());
}

/// How many alerts of so many starts were sent, and how many held back. Each start is one or the other, but for those that could not be
/// read in time on a busy machine, which are counted as such: where there is none, the two add up exactly.
#[track_caller]
fn raised(sensor: &Sensor, starts: u64) -> (u64, u64) {
    let mut counts = (0, 0);
    until(|| {
        let status = sensor.status();
        counts = (counted(&status, "alerts"), counted(&status, "held_back"));
        let unread = ["program_gone", "arguments_gone", "denied"];
        let unread: u64 = unread.iter().map(|name| counted(&status, name)).sum();
        counts.0 + counts.1 + unread >= starts
    });
    assert!(counts.0 + counts.1 <= starts, "{counts:?}");
    counts
}

#[test]
fn a_flood_is_held_back_and_counted() {
    let _turn = alone();
    let Some(flood) = Flood::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("alerts.log");
    let Some(sensor) = flood.sensor(&log, &["--rate-limit", "20/3"]) else {
        return;
    };
    let memory = sensor.memory("Anonymous:");
    flood.attack.shell("$X/storm 3000 $X/nop");
    let (sent, held) = raised(&sensor, 3000);
    assert!((20..=100).contains(&sent), "{sent}");
    let after = sensor.memory("Anonymous:");
    assert!(after < memory + 48, "{memory} KiB, then {after}");
    // The period ends, with and without another alert.
    let told = |read: &Read| -> u64 {
        read.kind("metric")
            .map(|record| record["peewit.held_back.count"].as_u64().expect("a number"))
            .sum()
    };
    until(|| told(&read(&log, &[])) == held);
    let whole = read(&log, &[]);
    assert_eq!(whole.numbers(), (1..=sent).collect::<Vec<_>>());
    assert_eq!(whole.complaints, "");
    let last = whole.kind("metric").last().expect("it was told");
    let rules = &last["peewit.held_back.rules"];
    assert_eq!(rules[0]["id"], "0badcafe-0000-4000-8000-000000000001");
    assert_eq!(rules[0]["example"], "nop");
    assert_eq!(rules[0]["count"], last["peewit.held_back.count"]);
    // An end does not wait for the period's.
    let storm = "$X/storm 100 $X/nop";
    flood.attack.shell(storm);
    let (_, held) = raised(&sensor, 3100);
    let said = sensor.stop(libc::SIGTERM);
    assert!(said.contains(&format!("held_back: {held}")), "{said}");
    assert_eq!(told(&read(&log, &[])), held);
    let text = Command::new(peewit_tests::sensor().expect("it is built"))
        .arg("alerts")
        .arg(&log)
        .output()
        .expect("it runs");
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    let line = text.lines().rfind(|line| line.contains(" held back: "));
    assert!(
        line.is_some_and(|line| line.contains(" (last: nop)")),
        "{text}"
    );
    for limit in ["5", "5/0", "0/5", "5/5/5", "/5", "x"] {
        let output = Command::new(peewit_tests::sensor().expect("it is built"))
            .args(["run", "--rate-limit", limit, "--alerts"])
            .arg(folder.path().join("other"))
            .arg("--state")
            .arg(folder.path().join("state"))
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{limit}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!("peewit: this cannot be its value: {limit}; see peewit --help\n")
        );
    }
}
