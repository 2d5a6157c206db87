//! What a sensor knows outlives it: restarts, damage, a second sensor.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use peewit_tests::{Attack, PATIENCE, Sensor, alone, root};
use tempfile::TempDir;

const RULE: &str = "e9001ee6-2d00-4d2f-849e-b8b1fb05234c";

/// Starts the attack under this name, and gives the terms of all alerts so far once `expected` are there and the sensor has
/// seen all that came before.
fn attack(attack: &Attack, sensor: &Sensor, name: &str, expected: usize) -> Vec<String> {
    fs::copy(attack.path("dropper"), attack.path(name)).expect("a name of its own");
    attack.shell(&format!("\"$X\"/'{name}' $X/implant id"));
    // A term that is new each time: when its alert is there, so are all before it.
    let mark = format!("mark-{expected}-{}", sensor.pid());
    fs::copy(attack.path("dropper"), attack.path(&mark)).expect("a name of its own");
    attack.shell(&format!("$X/{mark} $X/implant id"));
    let start = Instant::now();
    loop {
        let alerts = sensor.alerts();
        let terms = alerts
            .iter()
            .map(|alert| alert["kibana.alert.new_terms"][0].to_string())
            .map(|term| term.trim_matches('"').to_string())
            // On a busy machine the shell's own start may be missed: then this program is taken for the parent.
            .filter(|term| !term.starts_with("state-"));
        let terms: Vec<String> = terms.collect();
        // Its term is written behind its alert.
        let missing = fs::read(sensor.path("state/journal.1")).is_ok_and(|journal| {
            !journal
                .windows(mark.len())
                .any(|bytes| bytes == mark.as_bytes())
        });
        if terms.contains(&mark) && !missing || start.elapsed() > PATIENCE {
            assert_eq!(terms.len(), expected + 1, "{terms:?}");
            return terms;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn setting() -> Option<(Attack, TempDir)> {
    if !root() {
        return None;
    }
    Some((Attack::new()?, tempfile::tempdir().ok()?))
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_restart_does_not_alert_again() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 1);
    let (folder, said) = sensor.end(libc::SIGTERM);
    assert!(
        !said.contains("state:") && !said.contains("state/"),
        "{said}"
    );
    let state = folder.path().join("state");
    assert_eq!(mode(&state), 0o700);
    for file in ["state.1", "journal.1"] {
        assert_eq!(mode(&state.join(file)), 0o600);
    }
    assert_eq!(fs::read_dir(&state).expect("a folder").count(), 2);

    // It knows the first after a clean end, and the second after being killed.
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 2);
    attack(&programs, &sensor, "second", 4);
    let (folder, _) = sensor.end(libc::SIGKILL);
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 5);
    let terms = attack(&programs, &sensor, "second", 6);
    for name in ["first", "second"] {
        assert_eq!(terms.iter().filter(|term| *term == name).count(), 1);
    }
    let health = sensor.status();
    assert!(
        health["peewit.health.terms"].as_u64() >= Some(7),
        "{health}"
    );
    assert_eq!(health["peewit.health.state_unwritten"], 0);
    sensor.stop(libc::SIGTERM);
}

#[test]
fn a_damaged_state_is_set_aside_and_learning_begins_anew() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 1);
    let (folder, _) = sensor.end(libc::SIGTERM);
    let state = folder.path().join("state");
    let mut bytes = fs::read(state.join("state.1")).expect("a state");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(state.join("state.1"), &bytes).expect("damaged");
    // A later version's, beside ours.
    fs::write(state.join("state.2"), "of a later version").expect("a file");

    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    let terms = attack(&programs, &sensor, "first", 3);
    assert_eq!(terms.iter().filter(|term| *term == "first").count(), 2);
    let (folder, said) = sensor.end(libc::SIGTERM);
    assert!(
        said.contains("state/state.1: damaged, or not ours; set aside as .bad"),
        "{said}"
    );
    assert!(said.contains("learning begins anew"), "{said}");
    let state = folder.path().join("state");
    assert_eq!(fs::read(state.join("state.1.bad")).expect("kept"), bytes);
    let later = fs::read(state.join("state.2")).expect("untouched");
    assert_eq!(later, b"of a later version");

    // A torn journal: what stands before the tear counts.
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "second", 5);
    let (folder, _) = sensor.end(libc::SIGKILL);
    let journal = folder.path().join("state/journal.1");
    let bytes = fs::read(&journal).expect("a journal");
    fs::write(&journal, &bytes[..bytes.len() - 3]).expect("torn");
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    let terms = attack(&programs, &sensor, "second", 6);
    assert_eq!(terms.iter().filter(|term| *term == "second").count(), 1);
    let said = sensor.stop(libc::SIGTERM);
    assert!(
        said.contains("journal.1: damaged, or cut off by a power failure; bytes left out: "),
        "{said}"
    );
}

#[test]
fn a_second_sensor_goes_without() {
    let _turn = alone();
    let Some((_, folder)) = setting() else {
        return;
    };
    let first = Sensor::start_in(folder, &[]).expect("it starts");
    let state = first.path("state").display().to_string();
    let second = Sensor::start(&["--state", &state]).expect("it starts");
    let said = second.stop(libc::SIGTERM);
    assert!(
        said.contains("another peewit has it; this one keeps terms in memory only"),
        "{said}"
    );
    first.stop(libc::SIGTERM);
}

#[test]
fn without_a_place_for_it_detection_goes_on() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    // A file where the folder should be, until it is removed.
    let state = folder.path().join("state");
    fs::write(&state, "").expect("a file");
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 1);
    attack(&programs, &sensor, "first", 2);
    // Three terms, and the numbers of alerts that may be used.
    assert_eq!(sensor.status()["peewit.health.state_unwritten"], 4);
    fs::remove_file(&state).expect("out of the way");
    let (folder, said) = sensor.end(libc::SIGTERM);
    assert!(
        said.contains("terms are kept in memory, and tried to be written again"),
        "{said}"
    );
    // At its end it could be written.
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    let terms = attack(&programs, &sensor, "first", 3);
    assert_eq!(terms.iter().filter(|term| *term == "first").count(), 1);
    sensor.stop(libc::SIGTERM);
}

/// Asks `peewit terms`. Gives its exit status, and what it printed and said.
fn terms(sensor: &Sensor, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(peewit_tests::sensor().expect("it is built"))
        .arg("terms")
        .args(words)
        .arg("--state")
        .arg(sensor.path("state"))
        .arg("--socket")
        .arg(sensor.path("socket"))
        .output()
        .expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("ASCII");
    let status = output.status.code().expect("it ends");
    (status, text(output.stdout), text(output.stderr))
}

#[test]
fn terms_can_be_taken_along_added_and_forgotten() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    let file = folder.path().join("terms").display().to_string();
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "back\\slash", 1);
    let (status, exported, said) = terms(&sensor, &["export"]);
    assert_eq!((status, said.as_str()), (0, ""));
    let mark = format!("mark-1-{}", sensor.pid());
    assert_eq!(exported, format!("{RULE}\tback\\\\slash\n{RULE}\t{mark}\n"));
    let (_, listed, _) = terms(&sensor, &["list"]);
    let line = listed.lines().next().expect("a term");
    let (age, rest) = line.split_once(" s ago\t").expect("its age");
    assert!(age.parse::<u32>().is_ok_and(|age| age < 60), "{listed}");
    assert_eq!(rest, format!("once\t{RULE}\tback\\\\slash"));

    // Added: no alert.
    fs::write(&file, format!("# known\n\n{RULE}\tthird\n{RULE}\tfourth\n")).expect("a file");
    let (status, _, said) = terms(&sensor, &["import", &file]);
    assert_eq!((status, said.as_str()), (0, "peewit: terms known now: 2\n"));
    let names = attack(&programs, &sensor, "third", 2);
    assert!(!names.contains(&"third".to_string()), "{names:?}");
    // Forgotten: an alert again.
    assert_eq!(terms(&sensor, &["forget", RULE, "third"]).0, 0);
    let (status, _, said) = terms(&sensor, &["forget", RULE, "never"]);
    assert_eq!((status, said.as_str()), (1, "peewit: it was not known\n"));
    let names = attack(&programs, &sensor, "third", 4);
    assert!(names.contains(&"third".to_string()), "{names:?}");
    // The disk has it a moment later.
    assert_eq!(terms(&sensor, &["forget", RULE, "fourth"]).0, 0);
    let start = Instant::now();
    loop {
        let (_, exported, said) = terms(&sensor, &["export"]);
        assert!(exported.contains("\tthird\n"), "{exported}{said}");
        if !exported.contains("fourth") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{exported}");
    }

    // Not a part of a file that is not right.
    fs::write(&file, format!("{RULE}\tfifth\n{RULE}\tsi\\xth\n")).expect("a file");
    let (status, _, said) = terms(&sensor, &["import", &file]);
    let place = format!("peewit: {file}:2:{}: no term: ", RULE.len() + 4);
    assert!(status == 1 && said.starts_with(&place), "{said}");
    let (_, exported, _) = terms(&sensor, &["export"]);
    assert!(!exported.contains("fifth"), "{exported}");

    // What is exported is what another one can be given; forgotten and added ones are so after a restart too.
    let (folder, _) = sensor.end(libc::SIGKILL);
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    };
    let (_, again, _) = terms(&sensor, &["export"]);
    assert_eq!(sorted(&again), sorted(&exported));
    fs::write(&file, &exported).expect("a file");
    let other = Sensor::start(&["--baseline", &file]).expect("it starts");
    let (_, again, _) = terms(&other, &["export"]);
    assert_eq!(sorted(&again), sorted(&exported));
    let (_, said) = other.end(libc::SIGTERM);
    assert!(!said.contains("baseline"), "{said}");
    let (status, _, said) = terms(&sensor, &["export", "x"]);
    assert!(status == 2 && said.contains("peewit --help"), "{said}");
    let socket = sensor.path("socket").display().to_string();
    sensor.stop(libc::SIGTERM);
    let output = Command::new(peewit_tests::sensor().expect("it is built"))
        .args(["terms", "forget", RULE, "x", "--socket", &socket])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody answers"));
}

#[test]
fn a_baseline_is_known_from_the_start() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    let file = folder.path().join("baseline");
    let many: String = (0..400).map(|n| format!("{RULE}\tusual-{n}\n")).collect();
    fs::write(&file, many).expect("a file");
    let options = ["--baseline", &file.display().to_string()];
    let sensor = Sensor::start_in(folder, &options).expect("it starts");
    let names = attack(&programs, &sensor, "usual-399", 0);
    assert!(names[0].starts_with("mark-"), "{names:?}");
    let health = sensor.status();
    assert_eq!(health["peewit.health.terms"], 401);
    assert_eq!(health["peewit.health.terms_once"], 1);
    let (folder, _) = sensor.end(libc::SIGTERM);

    // A baseline that is not right is not used, and said so.
    fs::write(&file, "usual\n").expect("a file");
    let sensor = Sensor::start_in(folder, &options).expect("it starts");
    let said = sensor.stop(libc::SIGTERM);
    assert!(said.contains("baseline:1:6: no term"), "{said}");
}

/// Alerts of a young state say so, for as long as is wanted.
#[test]
fn learning_is_marked() {
    let _turn = alone();
    let Some((programs, folder)) = setting() else {
        return;
    };
    let marks = |sensor: &Sensor| -> Vec<bool> {
        let alerts = sensor.alerts();
        let ours = |alert: &&serde_json::Value| {
            let term = &alert["kibana.alert.new_terms"][0];
            !term.as_str().is_some_and(|term| term.starts_with("state-"))
        };
        let marks = alerts
            .iter()
            .filter(ours)
            .map(|alert| alert["peewit.alert.learning"] == true);
        marks.collect()
    };
    let sensor = Sensor::start_in(folder, &[]).expect("it starts");
    attack(&programs, &sensor, "first", 1);
    assert_eq!(marks(&sensor), [true, true]);
    let (folder, _) = sensor.end(libc::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let sensor = Sensor::start_in(folder, &["--learning", "1"]).expect("it starts");
    attack(&programs, &sensor, "second", 3);
    assert_eq!(marks(&sensor), [true, true, false, false]);
    sensor.stop(libc::SIGTERM);
}
