//! Clocks that are wrong, jump, or cannot be trusted: how long a term has not been seen is counted all the same.
//!
//! The rule's window is 5 days.

use std::fs;
use std::path::Path;

use peewit_tests::alone;
use peewit_tests::guest::Running;
use serde_json::Value;

use crate::device::{boot, disk};

/// Of the alerts: the term, the year, and whether the clock was trusted.
type Told = (String, String, bool);

/// The sensor asks every 5 seconds whether the clock is trusted.
const FIRST: &str = r#"
clock trusted
mount -t ext4 /dev/vda /disk
begin
stranger a
# A clock that stopped, and one that is far ahead.
clock 3600
sleep 8
stranger a
stranger b
clock 2208988800
stranger a
stranger b
stranger c
for turn in 1 2 3; do
    clock 3600
    stranger a
    stranger b
    clock 2208988800
    stranger b
    stranger c
done
# Back in January 2026, by a time server.
clock 1767225700
clock trusted
sleep 8
stranger a
stranger d
tell
"#;

/// All that was known, and one more, after a time switched off.
const AGAIN: &str = r#"
mount -t ext4 /dev/vda /disk
begin
stranger a
stranger b
stranger c
stranger d
stranger e
tell
"#;

/// The time server answers late.
const LATE: &str = r#"
mount -t ext4 /dev/vda /disk
begin
stranger e
clock trusted
sleep 8
stranger a
tell
"#;

/// Stops, says all that there is, and what the sensor said.
const TELL: &str = r#"
tell() {
    settled
    kill -TERM $sensor
    wait $sensor
    peewit alerts --json /disk/alerts/ | sed -n '/"event.kind":"alert"/s/^/told /p'
    sed 's/^/said /' /tmp/said
    umount /disk
}
"#;

/// Boots at this time of the hardware's clock.
fn at(time: &str, script: &str, disk: &Path) -> Option<Running> {
    let clock = format!("base={time}");
    boot(&format!("{TELL}{script}"), &[disk], &["-rtc", &clock])
}

fn told(shown: &str) -> Vec<Told> {
    let lines = shown.lines().filter_map(|line| line.strip_prefix("told "));
    let records = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records
        .map(|alert| {
            let text = |field: &Value| field.as_str().expect("a text").to_owned();
            let untrusted = alert["peewit.alert.clock_untrusted"] == true;
            let year = text(&alert["@timestamp"])[..4].to_owned();
            (text(&alert["kibana.alert.new_terms"][0]), year, !untrusted)
        })
        .collect()
}

fn expected(alerts: &[(&str, &str, bool)]) -> Vec<Told> {
    let one =
        |&(term, year, trusted): &(&str, &str, bool)| (term.to_owned(), year.to_owned(), trusted);
    alerts.iter().map(one).collect()
}

#[test]
fn wrong_clocks_and_times_switched_off() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let Some(image) = disk(folder.path().join("disk"), 16, &[]) else {
        return;
    };
    let Some(first) = at("2026-01-01T00:00:00", FIRST, &image) else {
        return;
    };
    let shown = first.finish();
    let before = [
        ("a", "2026", true),
        ("b", "1970", false),
        ("c", "2040", false),
        ("d", "2026", true),
    ];
    assert_eq!(told(&shown), expected(&before), "{shown}");

    // From here on each has a disk of its own, as it was left.
    let off = |name: &str, time: &str, script: &str| {
        let copy = folder.path().join(name);
        fs::copy(&image, &copy).expect("a disk");
        at(time, script, &copy)
    };
    let trusted = format!("clock trusted\n{AGAIN}");
    let cases = [
        // A reboot.
        (
            off("reboot", "2026-01-01T00:10:00", &trusted),
            &[("e", "2026", true)][..],
        ),
        // Still within the window.
        (
            off("three", "2026-01-04T00:00:00", &trusted),
            &[("e", "2026", true)],
        ),
        // Six days, which count if both clocks are trusted,
        (
            off("trusted", "2026-01-07T00:10:00", &trusted),
            &[
                ("a", "2026", true),
                ("b", "2026", true),
                ("c", "2026", true),
                ("d", "2026", true),
                ("e", "2026", true),
            ],
        ),
        // if only later,
        (
            off("late", "2026-01-07T00:10:00", LATE),
            &[("e", "2026", false), ("a", "2026", true)],
        ),
        // and else do not.
        (
            off("untrusted", "2026-01-07T00:10:00", AGAIN),
            &[("e", "2026", false)],
        ),
    ];
    for (guest, after) in cases {
        let shown = guest.expect("the first one was there").finish();
        let all = [&before[..], after].concat();
        assert_eq!(told(&shown), expected(&all), "{shown}");
    }
}
