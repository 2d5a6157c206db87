//! What a sensor knows outlives it: restarts, damage, a second sensor.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use peewit_tests::{Attack, Sensor, alone, root};
use tempfile::TempDir;

/// Starts the attack under this name, and gives the terms of all alerts so far once `expected` are there and the sensor has
/// seen all that came before.
fn attack(attack: &Attack, sensor: &Sensor, name: &str, expected: usize) -> Vec<String> {
    fs::copy(attack.path("dropper"), attack.path(name)).expect("a name of its own");
    attack.shell(&format!("$X/{name} $X/implant id"));
    // A term that is new each time: when its alert is there, so are all before it.
    let mark = format!("mark-{expected}-{}", sensor.pid());
    fs::copy(attack.path("dropper"), attack.path(&mark)).expect("a name of its own");
    attack.shell(&format!("$X/{mark} $X/implant id"));
    let alerts = sensor.wait_for_alerts(expected + 1);
    let terms: Vec<String> = alerts
        .iter()
        .map(|alert| alert["kibana.alert.new_terms"][0].to_string())
        .map(|term| term.trim_matches('"').to_string())
        .collect();
    assert_eq!(terms.len(), expected + 1, "{terms:?}");
    terms
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
    assert_eq!(health["peewit.health.terms"], 7);
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
    // Three terms, the build number of the rules, and the numbers of alerts that may be used.
    assert_eq!(sensor.status()["peewit.health.state_unwritten"], 5);
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
