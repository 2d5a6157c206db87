//! Other rules, configuration and exceptions while the sensor runs: no event is missed, none is judged twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use peewit_tests::{Attack, Sensor, alone, compile, root};
use serde_json::Value;

const STORM: usize = 5000;
/// Programs a second: a storm of six seconds.
const RATE: usize = 800;
const RELOADS: usize = 20;

/// What a device has: a pack, which is replaced by others of the folder.
struct Device {
    folder: tempfile::TempDir,
    attack: Attack,
}

impl Device {
    fn new() -> Option<Self> {
        if !root() {
            return None;
        }
        Some(Self {
            folder: tempfile::tempdir().expect("a folder"),
            attack: Attack::new()?,
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Compiles a pack.
    fn pack(&self, name: &str, build: u32, rules: &[(&str, &str)]) -> Option<()> {
        compile(rules, build, Path::new(&self.path(name)))
    }

    /// Installs a pack as one should: by rename.
    fn install(&self, name: &str) {
        fs::copy(self.path(name), self.path("rules.new")).expect("a copy");
        fs::rename(self.path("rules.new"), self.path("rules.pack")).expect("installed");
    }

    fn sensor(&self, options: &[&str]) -> Option<Sensor> {
        let pack = self.path("rules.pack");
        Sensor::start(&[&["--rules", &pack], options].concat())
    }
}

fn count(status: &Value, name: &str) -> u64 {
    status[format!("peewit.health.{name}")]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} in {status}"))
}

/// Two packs say the same of the same events, by rules of different names and places. So each event that they are about is in exactly one
/// alert, if and only if it was judged once and wholly by one of them.
#[test]
fn no_event_is_lost_or_judged_by_halves_in_a_storm() {
    let _turn = alone();
    let Some(device) = Device::new() else { return };
    let nop = device.attack.path("nop");
    let numbers = format!(
        "event.action : exec and process.executable : \"{nop}\" and process.args : *7 and process.parent.name : storm"
    );
    // Would hold if it were not known that the parent is `storm`, which was there before.
    let orphans = format!(
        "event.action : exec and process.executable : \"{nop}\" and not process.parent.name : storm"
    );
    let other = "process.name : nothing and process.args : x* and process.parent.args : y";
    let Some(()) = device.pack(
        "one.pack",
        1,
        &[("one", &numbers), ("orphan-one", &orphans)],
    ) else {
        return;
    };
    device.pack(
        "two.pack",
        2,
        &[
            ("a", other),
            ("b", other),
            ("orphan-two", &orphans),
            ("two", &numbers),
        ],
    );
    let whole = fs::read(device.path("two.pack")).expect("a pack");
    fs::write(device.path("truncated.pack"), &whole[..whole.len() - 10]).expect("a file");
    let mut broken = whole.clone();
    broken[whole.len() / 2] ^= 1;
    fs::write(device.path("broken.pack"), &broken).expect("a file");
    fs::write(
        device.path("peewit.conf"),
        "allow-older-pack = yes\nrate-limit = 0\n",
    )
    .expect("a file");
    device.install("one.pack");
    let events = device.path("events.ndjson");
    let config = device.path("peewit.conf");
    let Some(sensor) = device.sensor(&["--events", &events, "--config", &config]) else {
        return;
    };
    let mut storm = Command::new(device.attack.path("storm"))
        .args([&STORM.to_string(), &nop, &RATE.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .expect("the storm starts");
    let (mut done, mut refused) = (0, 0);
    for (number, name) in ["two.pack", "broken.pack", "one.pack", "truncated.pack"]
        .iter()
        .cycle()
        .take(RELOADS)
        .enumerate()
    {
        device.install(name);
        let counts = sensor.reload();
        match number % 2 {
            0 => done += 1,
            _ => refused += 1,
        }
        assert_eq!(counts, (done, refused), "{name}");
        std::thread::sleep(Duration::from_millis(80));
    }
    assert!(
        storm.try_wait().expect("it was started").is_none(),
        "the storm was over before"
    );
    assert!(storm.wait().expect("it ends").success());

    let alerts = sensor.wait_for_alerts(STORM / 10);
    let status = sensor.status();
    for loss in [
        "execs_dropped",
        "forks_dropped",
        "overruns",
        "alerts_lost",
        "alerts_unwritten",
        "events_lost",
    ] {
        assert_eq!(count(&status, loss), 0, "{loss} in {status}");
    }
    assert_eq!(
        (count(&status, "reloads"), count(&status, "reloads_refused")),
        (10, 10)
    );
    let said = sensor.stop(libc::SIGTERM);

    let mut seen = BTreeMap::new();
    for line in fs::read_to_string(&events).expect("events").lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        if event["event.action"] == "exec" && event["process.executable"] == nop {
            let argument = event["process.args"][1].as_str().unwrap_or("?").to_owned();
            *seen.entry(argument).or_insert(0) += 1;
        }
    }
    let expected: BTreeMap<_, _> = (0..STORM).map(|number| (number.to_string(), 1)).collect();
    // As without a reload: one in thousands may not have been read in time (docs/capture.md).
    let missed = expected
        .keys()
        .filter(|number| !seen.contains_key(*number))
        .count();
    assert!(missed <= 2, "{missed} of {STORM} events: {said}");

    let (mut told, mut by) = (BTreeMap::new(), BTreeMap::new());
    for alert in &alerts {
        let argument = alert["process.args"][1].as_str().unwrap_or("?").to_owned();
        *told.entry(argument).or_insert(0) += 1;
        *by.entry(alert["rule.id"].to_string()).or_insert(0) += 1;
    }
    let expected: BTreeMap<_, _> = seen
        .keys()
        .filter(|number| number.ends_with('7'))
        .map(|number| (number.clone(), 1))
        .collect();
    assert_eq!(told, expected, "{by:?}: {said}");
    assert_eq!(by.len(), 2, "both packs were in use: {by:?}");
}

/// What only other rules, a changed configuration or changed exceptions do is done after it was read, and not before; and what a
/// process was as a parent is known by the new rules, though it was there before.
#[test]
fn what_was_read_again_is_obeyed() {
    let _turn = alone();
    let Some(device) = Device::new() else { return };
    let implant = device.attack.path("implant");
    let shell = fs::canonicalize("/bin/sh").expect("a shell");
    let shell = shell
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
        .to_owned();
    let by_nop = format!(
        "event.action : exec and process.executable : \"{implant}\" and process.args : second and process.parent.name : {shell}"
    );
    let by_other = format!(
        "event.action : exec and process.executable : \"{implant}\" and not process.parent.name : {shell}"
    );
    let Some(()) = device.pack(
        "one.pack",
        5,
        &[(
            "first",
            "event.action : exec and process.name : implant and process.args : first",
        )],
    ) else {
        return;
    };
    device.pack("two.pack", 6, &[("other", &by_other), ("second", &by_nop)]);
    device.pack("older.pack", 4, &[("older", "process.name : implant")]);
    device.install("one.pack");
    let (config, exceptions) = (device.path("peewit.conf"), device.path("exceptions"));
    fs::write(&config, format!("exceptions = {exceptions}\n")).expect("a file");
    fs::write(&exceptions, "# none\n").expect("a file");
    let Some(sensor) = device.sensor(&["--config", &config]) else {
        return;
    };

    // A shell that lives through all of it, and starts a program for each line that it is given.
    let mut parent = Command::new("/bin/sh")
        .args(["-c", "while read word; do $0 $word; done", &implant])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let start = |shell: &mut std::process::Child, word: &str| {
        use std::io::Write;
        let input = shell.stdin.as_mut().expect("it is piped");
        writeln!(input, "{word}").expect("it reads");
    };
    let ids = |count: usize| -> Vec<String> {
        let id = |alert: &Value| alert["rule.id"].as_str().unwrap_or("?").to_owned();
        sensor.wait_for_alerts(count).iter().map(id).collect()
    };
    let settle = || std::thread::sleep(Duration::from_millis(300));

    start(&mut parent, "first");
    assert_eq!(ids(1), ["first"]);
    start(&mut parent, "second");
    settle();
    device.install("two.pack");
    assert_eq!(sensor.reload(), (1, 0));
    start(&mut parent, "second");
    start(&mut parent, "first");
    assert_eq!(ids(2), ["first", "second"]);

    // One that is older than the newest, and files that are wrong: all stays.
    device.install("older.pack");
    assert_eq!(sensor.reload(), (1, 1));
    device.install("two.pack");
    fs::write(&exceptions, "process.name : implant\nprocess.nmae : x\n").expect("a file");
    assert_eq!(sensor.reload(), (1, 2));
    fs::write(&config, format!("exceptions = {exceptions}\nhealht = 5\n")).expect("a file");
    assert_eq!(sensor.reload(), (1, 3));
    start(&mut parent, "second");
    assert_eq!(ids(3), ["first", "second", "second"]);

    // An exception, and a key that waits for the next start.
    fs::write(
        &config,
        format!("exceptions = {exceptions}\nbuffer = 65536\n"),
    )
    .expect("a file");
    fs::write(
        &exceptions,
        format!(
            "rule.id : second and process.executable : {implant} and process.parent.executable : */{shell}\n"
        ),
    )
    .expect("a file");
    assert_eq!(sensor.reload(), (2, 3));
    start(&mut parent, "second");
    settle();
    assert_eq!(count(&sensor.status(), "excepted"), 1);
    fs::write(&exceptions, "").expect("a file");
    assert_eq!(sensor.reload(), (3, 3));
    start(&mut parent, "second");
    assert_eq!(ids(4), ["first", "second", "second", "second"]);
    assert_eq!(count(&sensor.status(), "excepted"), 1);

    drop(parent.stdin.take());
    assert!(parent.wait().expect("it ends").success());
    let reasons: Vec<_> = sensor
        .health()
        .iter()
        .map(|health| health["event.action"].clone())
        .collect();
    assert_eq!(
        reasons.iter().filter(|reason| **reason == "reload").count(),
        6,
        "{reasons:?}"
    );
    let said = sensor.stop(libc::SIGTERM);
    for line in [
        "takes it all the same): build number 4".to_owned(),
        format!("{exceptions}:2:1: there is no such field"),
        format!("{config}:2:1: there is no such key"),
        "buffer: takes effect at the next start".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
}

/// The memory of old rules is given back.
#[test]
fn memory_does_not_grow_with_reloads() {
    let _turn = alone();
    let Some(device) = Device::new() else { return };
    let Some(()) = device.pack("one.pack", 1, &[("one", "process.name : one")]) else {
        return;
    };
    let many: Vec<_> = (0..200)
        .map(|number| {
            (
                format!("rule-{number}"),
                format!("process.args : *x{number}y*"),
            )
        })
        .collect();
    let many: Vec<_> = many
        .iter()
        .map(|(id, query)| (id.as_str(), query.as_str()))
        .collect();
    device.pack("two.pack", 2, &many);
    device.install("one.pack");
    let Some(sensor) = device.sensor(&["--allow-older-pack"]) else {
        return;
    };
    let round = || {
        for name in ["two.pack", "one.pack"] {
            device.install(name);
            sensor.reload();
        }
        sensor.memory("Anonymous")
    };
    // Tables and the ring of alerts take up memory as they are filled by processes and records of these reloads.
    let figures: Vec<u64> = (0..60).map(|_| round()).collect();
    let (before, after) = (figures[39], figures[59]);
    assert!(after <= before + 4, "{figures:?} KiB");
    assert_eq!(count(&sensor.status(), "reloads"), 120);
}
