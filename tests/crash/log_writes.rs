//! Power cuts between any two writes: what a guest's disk was told is recorded, and replayed up to each point where it had to be kept;
//! and once more without some of the writes before that point, as of a disk that had not come to them yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use peewit_tests::{Attack, alone, root, sensor};

use crate::device::{boot, disk, looks};
use crate::kept::{Kept, Losses};
use crate::kill::{run, start, watches};
use crate::random::Random;
use crate::times;

/// Terms that become known while it is recorded.
const TERMS: usize = 20;
const MEBIBYTES: u64 = 16;

/// Each look is of what is durable, and so is the mark behind it. In the end it stops as it should.
const SCRIPT: &str = r#"
mapper table recorded $SECTORS log-writes '/dev/vda /dev/vdb'
mount -t ext4 /dev/dm-0 /disk
begin
for turn in $(seq $TERMS); do
    stranger stranger$turn
    stranger stranger1
    /dev/shm/nop
    settled
    look
    mapper message recorded "mark $turn"
done
kill -TERM $sensor
wait $sensor
look
umount /disk
"#;

/// An entry of the log of dm-log-writes.
struct Entry {
    /// Where on the disk, in bytes.
    place: usize,
    flags: u64,
    /// What was written there, or a mark's text.
    data: Vec<u8>,
}

impl Entry {
    const FLUSH: u64 = 1;
    const FUA: u64 = 2;
    const DISCARD: u64 = 4;
    const MARK: u64 = 8;

    /// Whether what was written until now is there after a power cut.
    fn keeps(&self) -> bool {
        self.flags & (Self::FLUSH | Self::FUA | Self::MARK) != 0
    }

    /// Writes it once more.
    fn replay(&self, image: &mut [u8]) {
        if self.flags & Self::MARK == 0 {
            image[self.place..self.place + self.data.len()].copy_from_slice(&self.data);
        }
    }

    /// The number of a mark.
    fn mark(&self) -> Option<usize> {
        let text = std::str::from_utf8(&self.data).ok()?;
        text.parse().ok().filter(|_| self.flags & Self::MARK != 0)
    }
}

/// What was recorded, from the first on.
///
/// The log begins with a sector of its own: magic number, version, number of entries, bytes of a sector. An entry is a sector with the
/// place and the length in sectors, flags, and the length of a text behind it; then follow the sectors that were written.
fn entries(log: &[u8]) -> Vec<Entry> {
    let number = |place: usize| {
        let bytes = log[place..place + 8].try_into().expect("8 bytes");
        u64::from_le_bytes(bytes)
    };
    assert_eq!(number(0), 0x6A_7366_7773_6872, "its magic number");
    assert_eq!(number(8), 1, "its version");
    let sector = number(24) as usize & 0xFFFF_FFFF;
    let mut at = sector;
    let entries = (0..number(16)).map(|_| {
        let flags = number(at + 16);
        let data = if flags & Entry::MARK != 0 {
            let text = at + 32;
            text..text + number(at + 24) as usize
        } else if flags & Entry::DISCARD != 0 {
            at..at
        } else {
            let written = at + sector;
            written..written + number(at + 8) as usize * sector
        };
        let entry = Entry {
            place: number(at) as usize * sector,
            flags,
            data: log[data.clone()].to_vec(),
        };
        at = data.end.max(at + sector).next_multiple_of(sector);
        entry
    });
    entries.collect()
}

/// What is on a disk after a power cut: the file system is mended as its journal says, and the two folders are taken out.
fn recover(image: &[u8], folder: &Path) -> PathBuf {
    let path = folder.join("cut");
    fs::write(&path, image).expect("it can be written");
    let mended = Command::new("e2fsck")
        .arg("-fy")
        .arg(&path)
        .output()
        .expect("e2fsck runs");
    // Up to 2: there was something to mend, and it was mended.
    assert!(
        mended.status.code().is_some_and(|code| code <= 2),
        "{mended:?}"
    );
    let found = folder.join("found");
    let _ = fs::remove_dir_all(&found);
    fs::create_dir(&found).expect("a folder");
    for part in ["alerts", "state"] {
        let request = format!("rdump /{part} {}", found.display());
        // Nothing comes of it where the folder is not there yet.
        run(Command::new("debugfs")
            .args(["-R", &request])
            .arg(&path)
            .stderr(std::process::Stdio::null()));
    }
    found
}

/// The sensor goes on from there: what it knows does not alert, what it does not know does, under a number of its own.
fn goes_on(sensor: &Path, folder: &Path, kept: &Kept, attack: &Attack) -> Losses {
    let mut child = start(sensor, folder);
    watches(&mut child);
    for name in kept.terms.iter().map(String::as_str).chain(["another"]) {
        let path = attack.path(name);
        let _ = fs::hard_link(attack.path("dropper"), &path);
        run(Command::new(&path).arg("-s").arg(attack.path("implant")));
    }
    let patience = std::time::Instant::now() + peewit_tests::PATIENCE;
    let later = loop {
        let later = Kept::read(sensor, folder);
        if later.terms.contains("another") || std::time::Instant::now() > patience {
            break later;
        }
    };
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    assert!(
        later.alerts.values().any(|term| term == "another"),
        "{later:?}"
    );
    kept.losses(&later)
}

#[test]
fn every_flush_point() {
    let _turn = alone();
    if !root() {
        return;
    }
    let (Some(sensor), Some(attack)) = (sensor(), Attack::new()) else {
        return;
    };
    let points = times("PEEWIT_FLUSH_POINTS", 100);
    let folder = tempfile::tempdir().expect("a folder");
    let (origin, log) = (folder.path().join("disk"), folder.path().join("log"));
    let Some(origin) = disk(origin, MEBIBYTES, &[]) else {
        return;
    };
    let mut image = fs::read(&origin).expect("the disk");
    fs::File::create(&log)
        .and_then(|log| log.set_len(256 << 20))
        .expect("another disk");
    let sectors = (MEBIBYTES << 20) / 512;
    let script = format!("SECTORS={sectors} TERMS={TERMS}\n{SCRIPT}");
    let Some(guest) = boot(&script, &[&origin, &log], &[]) else {
        return;
    };
    let shown = guest.finish();
    let looks = looks(&shown);
    assert_eq!(looks.len(), TERMS + 1, "{shown}");
    assert!(looks[TERMS].terms.len() >= TERMS, "{shown}");

    let entries = entries(&fs::read(&log).expect("the log"));
    let all = entries.iter().filter(|entry| entry.keeps()).count();
    let check = |image: &[u8], durable: &Kept, point: usize| {
        let found = recover(image, folder.path());
        let kept = Kept::read(&sensor, &found);
        let mut lost = durable.losses(&kept);
        lost += goes_on(&sensor, &found, &kept, &attack);
        assert_eq!(
            lost,
            Losses::default(),
            "point {point} of {all}: {kept:?}, {durable:?}"
        );
    };
    let mut random = Random::new();
    let (mut point, mut checked, mut durable) = (0, 0, Kept::default());
    for written in entries.split_inclusive(Entry::keeps) {
        let Some(last) = written.last().filter(|last| last.keeps()) else {
            break;
        };
        point += 1;
        // So many of them, evenly.
        let checks = point * points / all > (point - 1) * points / all;
        if checks {
            checked += 1;
            let mut cut = image.clone();
            for entry in written.iter().filter(|_| random.below(2) == 0) {
                entry.replay(&mut cut);
            }
            check(&cut, &durable, point);
        }
        for entry in written {
            entry.replay(&mut image);
        }
        if let Some(mark) = last.mark() {
            durable = looks[mark - 1].clone();
        }
        if checks {
            check(&image, &durable, point);
        }
    }
    let (alerts, terms) = (durable.alerts.len(), durable.terms.len());
    println!("{checked} of {all} flush points, {alerts} alerts, {terms} terms: nothing lost");
    assert_eq!(terms, TERMS);
}
