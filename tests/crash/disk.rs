//! Power cuts: a guest with a disk, gone in the midst of alerts and of writes to the state, and started again from the same disk.

use std::thread::sleep;

use peewit_tests::alone;

use crate::device::{boot, disk, looks, wait_for};
use crate::kept::{Kept, Losses};
use crate::random::Random;
use crate::times;

/// For how long, in milliseconds, a guest lives at most once its disk is there.
const LIFE: usize = 8000;

/// Strangers, new ones and those of former lives, and others, and after each of them a look at what is durable.
const SCRIPT: &str = r#"
mount -t ext4 /dev/vda /disk
echo "the disk is there"
look
old=$(peewit terms list --state /disk/state/ | cut -f 4)
begin
turn=0
while :; do
    for known in $old -; do
        turn=$((turn + 1))
        stranger stranger$LIFE.$turn
        [ $known = - ] || stranger $known
        /dev/shm/nop
        settled
        look
    done
done
"#;

#[test]
fn power_cuts() {
    let _turn = alone();
    let cuts = times("PEEWIT_POWER_CUTS", 4);
    let folder = tempfile::tempdir().expect("a folder");
    let Some(image) = disk(folder.path().join("disk"), 16, &[]) else {
        return;
    };
    let mut random = Random::new();
    let mut before = Kept::default();
    let mut losses = Losses::default();
    // After the last cut it only has to look.
    for life in 0..=cuts {
        let script = format!("LIFE={life}\n{SCRIPT}");
        let Some(mut guest) = boot(&script, &[&image], &[]) else {
            return;
        };
        if life < cuts {
            wait_for(&mut guest, "\nthe disk is there\n");
            sleep(random.time(LIFE));
        } else {
            wait_for(&mut guest, "\nit watches\n");
        }
        let shown = guest.shown();
        drop(guest);
        for now in looks(&shown) {
            let lost = before.losses(&now);
            assert_eq!(
                lost,
                Losses::default(),
                "life {life}: {before:?}, then:\n{shown}"
            );
            losses += lost;
            before = now;
        }
    }
    println!(
        "{cuts} power cuts, {} alerts, {} terms: {losses:?}",
        before.alerts.len(),
        before.terms.len()
    );
    assert!(
        before.alerts.len() >= cuts && !before.terms.is_empty(),
        "{before:?}"
    );
}
