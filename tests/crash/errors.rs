//! A disk that fails: the device mapper's error target under the log and the state.

use peewit_tests::alone;
use serde_json::Value;

use crate::device::{boot, disk, looks};
use crate::kept::{Kept, Losses};

const MEBIBYTES: u64 = 16;

/// Alerts while it works, while it does not, and when it works again; then what the disk has, not what memory has of it.
const SCRIPT: &str = r#"
works() { mapper table broken $SECTORS linear '/dev/vda 0'; }
works
mount -t ext4 /dev/dm-0 /disk
begin
for turn in 1 2 3; do stranger before$turn; done
settled
look
mapper table broken $SECTORS error ''
for turn in 1 2 3 4 5; do
    stranger broken$turn
    sleep 1
done
storm $FLOOD /dev/shm/nop
# It answers all the same.
peewit status | sed 's/^/status /'
works
sleep 3
for turn in 1 2 3; do stranger after$turn; done
sleep 1
settled
kill -TERM $sensor
wait $sensor
sed 's/^/said /' /tmp/said
umount /disk
mount -t ext4 /dev/dm-0 /disk
look
peewit alerts --json /disk/alerts/ | sed -n '/"event.kind":"state"/s/^/health /p'
begin
for known in /tmp/before* /tmp/after*; do stranger ${known#/tmp/}; done
settled
look
"#;

/// What a guest with such a disk showed.
struct Outcome {
    shown: String,
    /// What was there before it failed, after it, and after all terms but those of the time between were seen again.
    looks: [Kept; 3],
    /// How many alerts were raised, and how many it said were lost.
    raised: u64,
    lost: u64,
}

/// With a file system made so, and so many alerts more while it fails.
#[track_caller]
fn fails(options: &[&str], flood: u64) -> Option<Outcome> {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let image = disk(folder.path().join("disk"), MEBIBYTES, options)?;
    let sectors = (MEBIBYTES << 20) / 512;
    let script = format!("SECTORS={sectors} FLOOD={flood}\n{SCRIPT}");
    let shown = boot(&script, &[&image], &[])?.finish();
    let looks: [Kept; 3] = looks(&shown).try_into().expect(&shown);
    assert_eq!(looks[0].alerts.len(), 3, "{shown}");
    assert_eq!(looks[0].losses(&looks[1]), Losses::default(), "{shown}");

    // Each that was raised is there, or was counted.
    let (_, last) = shown.split_once("said peewit: source: ").expect(&shown);
    let count = |what: &str| -> u64 {
        let (_, rest) = last.split_once(&format!(", {what}: ")).expect(what);
        let end = rest.find([',', '\n']).expect("more");
        rest[..end].parse().expect("a number")
    };
    let (raised, expected) = (count("alerts"), 11 + flood);
    // A guest is slow: what was gone before it was read is no alert, and counted.
    let unseen = count("execs") - count("complete");
    assert!(raised <= expected && raised + unseen >= expected, "{shown}");
    let lost = count("alerts_lost") + count("alerts_unwritten") + count("alerts_dropped");
    let there = looks[1].alerts.len() as u64;
    assert_eq!(there + lost, raised, "{shown}");
    println!("{raised} alerts raised, {there} on the disk, {lost} counted as lost");
    Some(Outcome {
        shown,
        looks,
        raised,
        lost,
    })
}

/// Longer than there is room for alerts meanwhile. Without a journal the file system goes on when the disk does.
#[test]
fn a_disk_that_fails_for_a_while() {
    let Some(outcome) = fails(&["-O", "^has_journal"], 600) else {
        return;
    };
    let Outcome {
        shown,
        looks: [_, after, again],
        raised,
        lost,
    } = outcome;
    assert!(lost > 0, "{shown}");
    let has = |term: &str| after.alerts.values().any(|alert| alert == term);
    for turn in 1..=3 {
        assert!(
            has(&format!("broken{turn}")) && has(&format!("after{turn}")),
            "{shown}"
        );
    }
    // The log itself says so too.
    let mut healths = shown
        .lines()
        .filter_map(|line| line.strip_prefix("health "));
    let last = healths.next_back().expect("one at its end");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["peewit.health.alerts"], raised, "{shown}");
    assert_eq!(last["peewit.health.alerts_unwritten"], lost, "{shown}");
    // What is known stays so.
    assert_eq!(again.alerts, after.alerts, "{shown}");
}

/// A file system with a journal that it could not write gives up for good. Of what did not get through everybody is told again.
#[test]
fn a_file_system_that_gives_up() {
    let Some(outcome) = fails(&[], 0) else { return };
    let Outcome {
        shown,
        looks: [before, after, again],
        lost,
        ..
    } = outcome;
    assert_eq!(lost, 8, "{shown}");
    assert_eq!(after.alerts, before.alerts, "{shown}");
    let told: Vec<&str> = again.alerts.values().map(String::as_str).collect();
    let expected = [
        "before1", "before2", "before3", "after1", "after2", "after3",
    ];
    assert_eq!(told, expected, "{shown}");
    // A number that may have been used is not used again.
    assert!(again.alerts.keys().nth(3) > Some(&11), "{shown}");
}
