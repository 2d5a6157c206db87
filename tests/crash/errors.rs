//! A disk that fails for a while: the device mapper's error target under the log and the state.

use peewit_tests::alone;
use serde_json::Value;

use crate::device::{boot, disk, looks};
use crate::kept::Losses;

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
# It answers, and says what it could not do.
peewit status | sed 's/^/status /'
works
# A file system with a journal gives up for good when that cannot be written.
[ $AGAIN = no ] || { umount /disk && mount -t ext4 /dev/dm-0 /disk; } || echo "the disk is busy"
sleep 3
for turn in 1 2 3; do stranger after$turn; done
sleep 1
settled
kill -TERM $sensor
wait $sensor
sed 's/^/said /' /tmp/said
# By force: what is written later than now comes too late.
sync
umount /disk
mount -t ext4 /dev/dm-0 /disk
look
peewit alerts --json /disk/alerts/ | sed -n '/"event.kind":"state"/s/^/health /p'
begin
for known in /tmp/before* /tmp/after*; do stranger ${known#/tmp/}; done
settled
look
"#;

/// More than there is room for meanwhile.
#[test]
fn a_disk_that_fails_for_long() {
    let lost = fails(&["-O", "^has_journal"], "no", 600);
    assert!(lost.is_none_or(|lost| lost > 0), "{lost:?}");
}

/// With a file system made so, and whether it is mounted anew then; so many alerts more while it fails. Gives how many were lost.
#[track_caller]
fn fails(options: &[&str], again: &str, flood: u64) -> Option<u64> {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let image = disk(folder.path().join("disk"), MEBIBYTES, options)?;
    let script = format!(
        "SECTORS={} AGAIN={again} FLOOD={flood}\n{SCRIPT}",
        (MEBIBYTES << 20) / 512
    );
    let shown = boot(&script, &[&image], &[])?.finish();
    let looks = looks(&shown);
    let [before, after, again] = looks.as_slice() else {
        panic!("{shown}");
    };
    assert_eq!(before.alerts.len(), 3, "{shown}");
    assert_eq!(before.losses(after), Losses::default(), "{shown}");
    let has = |term: &str| after.alerts.values().any(|alert| alert == term);
    assert!((1..=3).all(|turn| has(&format!("after{turn}"))), "{shown}");

    // Each that was raised is there, or was counted.
    let mut healths = shown
        .lines()
        .filter_map(|line| line.strip_prefix("health "));
    let last: Value =
        serde_json::from_str(healths.next_back().expect("one at its end")).expect("JSON");
    let count = |what: &str| {
        last[&format!("peewit.health.{what}")]
            .as_u64()
            .expect("a number")
    };
    let (raised, expected) = (count("alerts"), 11 + flood);
    // A guest is slow: what was gone before it was read is no alert, and counted.
    let unseen = count("execs") - count("complete");
    assert!(raised <= expected && raised + unseen >= expected, "{shown}");
    let lost = count("alerts_lost") + count("alerts_unwritten") + count("alerts_dropped");
    assert_eq!(after.alerts.len() as u64 + lost, raised, "{shown}");
    println!(
        "{raised} alerts raised, {} on the disk, {lost} counted as lost",
        after.alerts.len()
    );

    // What is known stays so.
    assert_eq!(again.alerts, after.alerts, "{shown}");
    Some(lost)
}
