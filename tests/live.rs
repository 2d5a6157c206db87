//! Real processes, the real kernel, the real binary: what is started here comes back as an alert.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use peewit_tests::{Attack, PATIENCE, Sensor, alone, missing, root, sensor};
use serde_json::{Value, json};

const RULE: &str = "e9001ee6-2d00-4d2f-849e-b8b1fb05234c";
const STORM: usize = 5000;

/// The attack's programs and a running sensor.
fn scene(options: &[&str]) -> Option<(Attack, Sensor)> {
    if !root() {
        return None;
    }
    Some((Attack::new()?, Sensor::start(options)?))
}

#[track_caller]
fn is_alert(alert: &Value, expected: &[(&str, Value)]) {
    for (key, value) in expected {
        assert_eq!(&alert[*key], value, "{key} in {alert}");
    }
}

#[test]
fn a_dropper_is_reported_once_by_its_fork() {
    let _turn = alone();
    let Some((attack, sensor)) = scene(&[]) else {
        return;
    };
    attack.shell("$X/dropper $X/implant id");
    attack.shell("$X/dropper $X/implant id");
    attack.shell("id >/dev/null");
    let alerts = sensor.wait_for_alerts(1);
    is_alert(
        &alerts[0],
        &[
            ("rule.id", json!(RULE)),
            ("kibana.alert.new_terms", json!(["dropper"])),
            ("event.action", json!("fork")),
            ("process.executable", json!(attack.path("dropper"))),
            (
                "process.args",
                json!([attack.path("dropper"), attack.path("implant"), "id"]),
            ),
            ("process.parent.executable", json!(attack.path("dropper"))),
            ("peewit.alert.matched_arg", json!("id")),
            ("peewit.alert.sequence", json!(1)),
            ("user.id", json!("0")),
        ],
    );
    let said = sensor.stop(libc::SIGTERM);
    assert!(said.contains("alerts: 1"), "{said}");
}

#[test]
fn a_dropper_without_the_word_is_reported_by_the_implants_exec() {
    let _turn = alone();
    let Some((attack, sensor)) = scene(&[]) else {
        return;
    };
    attack.shell("$X/dropper -s $X/implant");
    attack.shell("$X/dropper -s $X/implant");
    let alerts = sensor.wait_for_alerts(1);
    is_alert(
        &alerts[0],
        &[
            ("kibana.alert.new_terms", json!(["dropper"])),
            ("event.action", json!("exec")),
            ("process.executable", json!(attack.path("implant"))),
            ("process.args", json!([attack.path("implant"), "id"])),
            ("process.parent.executable", json!(attack.path("dropper"))),
            ("peewit.alert.matched_arg_index", json!(1)),
        ],
    );
    let ancestors = alerts[0]["peewit.ancestors"]
        .as_array()
        .expect("ancestors")
        .clone();
    assert!(!ancestors.is_empty(), "{}", alerts[0]);
    let said = sensor.stop(libc::SIGINT);
    assert!(said.contains("alerts: 1"), "{said}");
}

/// `route` is the one command word that is no excluded process name.
#[test]
fn route_started_by_an_unknown_program_is_reported() {
    let _turn = alone();
    let Some((attack, sensor)) = scene(&[]) else {
        return;
    };
    fs::rename(attack.path("implant"), attack.path("route")).expect("a name of its own");
    fs::rename(attack.path("dropper"), attack.path("netwatch")).expect("a name of its own");
    attack.shell("cd $X && PATH=$X ./netwatch route");
    let alerts = sensor.wait_for_alerts(1);
    assert_eq!(alerts.len(), 1);
    is_alert(
        &alerts[0],
        &[("kibana.alert.new_terms", json!(["netwatch"]))],
    );
}

/// Busy loops at nice 0, one for each.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start(count: usize) -> Self {
        let hog = |_| {
            Command::new("/bin/sh")
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
        };
        Self((0..count).filter_map(|number| hog(number).ok()).collect())
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

/// B9: every exec of a storm is captured with its program and its arguments.
///
/// A CPU that falls idle may pull the task that the capture thread has just preempted, and let it run and
/// end before it was read: one or two in ten thousand on idle CPUs. Such an exec is seen and counted as
/// incomplete. `incomplete` is how many there may be.
fn storm_is_captured(hogs: usize, incomplete: usize) {
    let _turn = alone();
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let events = folder.path().join("events.ndjson");
    let Some((attack, sensor)) = scene(&["--events", &events.display().to_string()]) else {
        return;
    };
    let hogs = Hogs::start(hogs);
    attack.shell(&format!("$X/storm {STORM} $X/nop"));
    drop(hogs);
    let said = sensor.stop(libc::SIGTERM);
    let execs: Vec<Value> = fs::read_to_string(&events)
        .expect("events")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|event| event["event.action"] == "exec")
        .filter(|event| event["process.parent.name"] == "storm")
        .collect();
    assert_eq!(execs.len(), STORM, "{said}");
    let nop = attack.path("nop");
    let numbers: BTreeSet<usize> = execs
        .iter()
        .filter(|event| event["process.executable"] == *nop)
        .filter_map(|event| event["process.args"][1].as_str()?.parse().ok())
        .collect();
    assert!(
        numbers.len() >= STORM - incomplete,
        "{} of {STORM}: {said}",
        numbers.len()
    );
}

#[test]
fn a_storm_on_idle_cpus_is_captured_whole() {
    storm_is_captured(0, 5);
}

#[test]
fn a_storm_on_busy_cpus_is_captured_whole() {
    storm_is_captured(4, 1);
}

/// Padding argv past a sensor's buffer hides nothing: 6 MB of it, the word last. A copy of the shell starts
/// the implant, so that no process before it holds the word.
#[test]
fn arguments_of_any_length_are_matched() {
    let _turn = alone();
    let Some((attack, sensor)) = scene(&[]) else {
        return;
    };
    fs::copy("/bin/sh", attack.path("loader")).expect("a shell");
    let padding = "p".repeat(125_000);
    let arguments = "$P ".repeat(48);
    let script = format!("P={padding}\n$X/implant {arguments} id\nexit 0\n");
    fs::write(attack.path("padded"), script).expect("a script");
    attack.shell("ulimit -s unlimited; $X/loader $X/padded");
    let alerts = sensor.wait_for_alerts(1);
    is_alert(
        &alerts[0],
        &[
            ("kibana.alert.new_terms", json!(["loader"])),
            ("event.action", json!("exec")),
            ("peewit.alert.matched_arg", json!("id")),
            ("peewit.alert.matched_arg_index", json!(49)),
            ("peewit.alert.truncated", json!(true)),
            ("peewit.alert.beyond_upstream", json!(true)),
        ],
    );
    let anonymous = sensor.memory("Anonymous");
    assert!(anonymous <= 192, "B2: {anonymous} KiB anonymous");
}

/// B2, after a storm.
#[test]
fn memory_stays_within_its_budget() {
    let _turn = alone();
    let Some((attack, sensor)) = scene(&[]) else {
        return;
    };
    attack.shell(&format!("$X/storm {STORM} $X/nop"));
    // SAFETY: reads a figure.
    let cpus = u64::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).expect("CPUs");
    let more = 24 * cpus.saturating_sub(2);
    let (rss, anonymous) = (sensor.memory("Rss"), sensor.memory("Anonymous"));
    assert!(
        rss <= 320 + more && anonymous <= 192 + more,
        "B2: Rss {rss} KiB, anonymous {anonymous} KiB"
    );
    let maps = fs::read_to_string(format!("/proc/{}/maps", sensor.pid())).expect("it runs");
    assert!(!maps.contains("[heap]"), "B3: {maps}");
}

#[test]
fn the_demo_shows_its_alert() {
    let _turn = alone();
    if !root() {
        return;
    }
    let Some(path) = sensor() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let screen = folder.path().join("screen");
    let output = fs::File::create(&screen).expect("a file");
    let mut demo = Command::new(path)
        .args(["run", "--demo"])
        .stdout(output.try_clone().expect("a file"))
        .stderr(output)
        .spawn()
        .expect("the demo starts");
    let start = Instant::now();
    let shown = || fs::read_to_string(&screen).unwrap_or_default();
    while !shown().contains("dropper") && start.elapsed() < PATIENCE {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // SAFETY: sends a signal to a child that has not been waited for.
    unsafe { libc::kill(demo.id().cast_signed(), libc::SIGINT) };
    let status = demo.wait().expect("it was started");
    assert!(status.success(), "{status}: {}", shown());
    assert!(shown().contains("alerts: 1"), "{}", shown());
}

#[test]
fn without_the_rights_it_needs_it_says_so_and_fails() {
    if !root() {
        return;
    }
    let Some(path) = sensor() else { return };
    if Command::new("setpriv").arg("--version").output().is_err() {
        return missing("setpriv (util-linux) drops privileges");
    }
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ])
        .arg(path)
        .arg("run")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("CAP_"), "{said}");
}

#[test]
fn unknown_options_and_bad_files_are_named() {
    let Some(path) = sensor() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.pack");
    fs::write(&broken, b"PEEWnonsense").expect("a file");
    let broken = broken.display().to_string();
    for (arguments, named) in [
        (&["run", "--frobnicate"][..], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
        (&["run", "--alerts"], "--alerts"),
        (&["run", "--rules", &broken], &broken),
        (
            &["run", "--rules", "/nonexistent.pack"],
            "/nonexistent.pack",
        ),
        (&["alerts", "/nonexistent"], "/nonexistent"),
    ] {
        let output = Command::new(&path)
            .args(arguments)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}
