use super::*;
use crate::host::Host;
use crate::outlet::tests::alert;
use crate::sys::pass;
use peewit_core::alert::Record;
use peewit_core::frame::{Frames, Item, MAX_FRAME, encode};
use std::vec::Vec;

fn directory(name: &str) -> std::path::PathBuf {
    let directory =
        std::env::temp_dir().join(std::format!("peewit-log-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).unwrap();
    directory
}

fn path(path: &std::path::Path, end: &[u8]) -> Path {
    Path::of(&[path.as_os_str().as_encoded_bytes(), end]).unwrap()
}

#[test]
fn a_folder_or_a_file() {
    let directory = directory("folder");
    let expected = path(&directory, b"/alerts.log");
    assert_eq!(
        file(path(&directory, b"").as_c_str()).unwrap().as_bytes(),
        expected.as_bytes()
    );
    assert_eq!(
        file(path(&directory, b"/").as_c_str()).unwrap().as_bytes(),
        expected.as_bytes()
    );
    assert_eq!(
        file(c"/nowhere/x.log").unwrap().as_bytes(),
        b"/nowhere/x.log"
    );
    assert_eq!(
        file(c"/nowhere/").unwrap().as_bytes(),
        b"/nowhere/alerts.log"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

/// How a log is kept in tests.
const SMALL: Settings = Settings {
    segment_size: Settings::LEAST_SIZE,
    segments: 3,
    sync: Sync::Each,
};

fn frame(sequence: u64) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    encode(&Record::Alert(alert(sequence)), &mut buffer)
        .unwrap()
        .to_vec()
}

fn begin(file: &Path, settings: Settings) -> (Log, u64) {
    start(file.clone(), settings, &mut [0; MAX_FRAME])
}

fn last_of(file: &Path) -> u64 {
    begin(file, Settings::DEFAULT).1
}

#[test]
fn numbering_goes_on_behind_a_torn_frame_and_a_long_log() {
    let directory = directory("sequence");
    let file = path(&directory, b"/a/b/alerts.log");
    assert_eq!(last_of(&file), 0);
    let log = append(&file).unwrap();
    let whole = [frame(41), frame(42)].concat();
    log.write_all(&whole).unwrap();
    for kept in 1..frame(43).len() {
        log.write_all(&frame(43)[..kept]).unwrap();
        assert_eq!(last_of(&file), 42);
        // Only its delimiter is left of it.
        assert_eq!(log.seek_to_end().unwrap(), whole.len() as u64 + 1);
        log.truncate(whole.len() as u64).unwrap();
    }
    log.write_all(&frame(44)).unwrap();
    assert_eq!(last_of(&file), 44);
    // Nothing to be found in the tail, which is no frame that was torn.
    log.write_all(&std::vec![7; 300_000]).unwrap();
    assert_eq!(last_of(&file), 44);
    log.write_all(&frame(45)).unwrap();
    assert_eq!(last_of(&file), 45);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn numbering_goes_on_behind_the_newest_segment_with_an_alert() {
    let directory = directory("newest");
    let file = path(&directory, b"/log");
    for (number, content) in [
        (7, frame(70)),
        (9, [frame(90), frame(91)].concat()),
        (10, b"nothing".to_vec()),
    ] {
        append(&segment(&file, number).unwrap())
            .unwrap()
            .write_all(&content)
            .unwrap();
    }
    // Others' files.
    for name in [
        "log.consumed",
        "log.0000001",
        "log.0000000x",
        "log2.00000099",
    ] {
        std::fs::write(directory.join(name), "0").unwrap();
    }
    assert_eq!(last_of(&file), 91);
    let all = survey(&file, 7);
    assert_eq!((all.next, all.last, all.count), (9, 10, 3));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A log of some alerts, and what the writer works with.
struct Scene {
    directory: std::path::PathBuf,
    file: Path,
    log: Log,
    record: [u8; MAX_FRAME],
    buffer: [u8; MAX_FRAME],
}

impl Scene {
    fn new(name: &str, settings: Settings) -> Self {
        let directory = directory(name);
        let file = path(&directory, b"/log");
        let log = begin(&file, settings).0;
        let mut scene = Self {
            directory,
            file,
            log,
            record: [0; MAX_FRAME],
            buffer: [0; MAX_FRAME],
        };
        let header = Host::default();
        let header = encode(&Record::Header(header.header()), &mut scene.record)
            .unwrap()
            .to_vec();
        scene.take(&header);
        scene
    }

    /// A batch of one.
    fn take(&mut self, record: &[u8]) {
        self.log.look(&mut None, &mut self.record, &mut self.buffer);
        self.log.take(record, &mut None, &mut self.buffer);
        self.log.settle(&mut None, &mut self.buffer, false).unwrap();
    }

    fn alerts(&mut self, numbers: core::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.take(&frame(number));
        }
    }

    /// What is in a file: numbers of alerts, 0 for a header.
    fn content(&self, path: &Path) -> Vec<u64> {
        let bytes = std::fs::read(path.as_c_str().to_str().unwrap()).unwrap();
        let mut buffer = [0; MAX_FRAME];
        let mut frames = Frames::new(&mut buffer);
        let mut rest = &bytes[..];
        let mut content = Vec::new();
        while let Some(item) = frames.next(&mut rest) {
            match item {
                Item::Record {
                    record: Record::Alert(alert),
                    ..
                } => content.push(alert.sequence),
                Item::Record {
                    record: Record::Header(_),
                    ..
                } => content.push(0),
                item => panic!("{item:?}"),
            }
        }
        content
    }

    fn segment(&self, number: u64) -> Vec<u64> {
        self.content(&segment(&self.file, number).unwrap())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// For tests that look at what was dropped by all.
static DROPPING: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn full_files_become_segments_and_the_oldest_goes_first() {
    let _turn = DROPPING.lock();
    let mut scene = Scene::new("rotate", SMALL);
    let header = 30;
    // So many go into a file.
    let each = (SMALL.segment_size - header) / frame(1).len() as u64;
    let before = DROPPED.load(core::sync::atomic::Ordering::Relaxed);
    scene.alerts(1..=3 * each);
    let numbers = |from: u64| -> Vec<u64> { [0].into_iter().chain(from..from + each).collect() };
    assert_eq!(scene.segment(1), numbers(1));
    assert_eq!(scene.segment(2), numbers(each + 1));
    assert_eq!(scene.content(&scene.file), numbers(2 * each + 1));
    let dropped = || DROPPED.load(core::sync::atomic::Ordering::Relaxed) - before;
    assert_eq!(dropped(), 0);
    // Of the first some were consumed; the second all.
    set_consumed(&scene.file, 3).unwrap();
    scene.alerts(3 * each + 1..=3 * each + 1);
    assert_eq!(survey(&scene.file, 0).next, 2);
    assert_eq!(dropped(), each - 3);
    set_consumed(&scene.file, 2 * each).unwrap();
    scene.alerts(3 * each + 2..=4 * each + 1);
    let all = survey(&scene.file, 0);
    assert_eq!((all.next, all.last, all.count), (3, 4, 2));
    assert_eq!(dropped(), each - 3);
    assert_eq!(last_of(&scene.file), 4 * each + 1);
    // What is left of the third keeps it.
    set_consumed(&scene.file, 3 * each - 1).unwrap();
    assert_eq!(remove_consumed(&scene.file, &mut [0; MAX_FRAME]), 0);
    set_consumed(&scene.file, 3 * each).unwrap();
    assert_eq!(consumed(&scene.file), 3 * each);
    assert_eq!(remove_consumed(&scene.file, &mut [0; MAX_FRAME]), 1);
    set_consumed(&scene.file, 9 * each).unwrap();
    assert_eq!(remove_consumed(&scene.file, &mut [0; MAX_FRAME]), 1);
    assert_eq!(scene.content(&scene.file), [0, 4 * each + 1]);
    // Numbers of segments do not come again.
    scene.alerts(4 * each + 2..=5 * each + 1);
    assert_eq!(survey(&scene.file, 0).next, 5);
    // Nobody can have consumed what is still to come: those alerts were others.
    assert_eq!(last_of(&scene.file), 5 * each + 1);
    assert_eq!(consumed(&scene.file), 0);
}

#[test]
fn a_log_that_was_taken_away_is_made_anew() {
    let mut scene = Scene::new("gone", SMALL);
    scene.alerts(1..=2);
    let moved = path(&scene.directory, b"/moved");
    std::fs::rename(scene.directory.join("log"), scene.directory.join("moved")).unwrap();
    scene.alerts(3..=4);
    assert_eq!(scene.content(&moved), [0, 1, 2]);
    assert_eq!(scene.content(&scene.file), [0, 3, 4]);
    std::fs::remove_dir_all(&scene.directory).unwrap();
    scene.alerts(5..=5);
    assert_eq!(scene.content(&scene.file), [0, 5]);
    // No file can be made there.
    std::fs::remove_dir_all(&scene.directory).unwrap();
    std::fs::write(&scene.directory, "").unwrap();
    scene.alerts(6..=8);
    std::fs::remove_file(&scene.directory).unwrap();
    // It is tried again in time, not with each alert.
    scene.alerts(9..=9);
    assert!(!scene.directory.exists());
    pass(1000);
    scene.alerts(10..=10);
    assert_eq!(scene.content(&scene.file), [0, 6, 7, 8, 9, 10]);
}

#[test]
fn one_file_and_none_beside_it() {
    let settings = Settings {
        segments: 1,
        sync: Sync::None,
        ..SMALL
    };
    let _turn = DROPPING.lock();
    let mut scene = Scene::new("one", settings);
    scene.alerts(1..=100);
    assert_eq!(survey(&scene.file, 0).count, 0);
    let content = scene.content(&scene.file);
    assert_eq!(content[0], 0);
    assert_eq!(content.last(), Some(&100));
    assert!(content.len() < 60, "{content:?}");
}
