use core::sync::atomic::AtomicU8;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;
use std::{format, fs};

use peewit_core::alert::{Health, Limits, Reason, Record as Told, Source};
use peewit_core::frame::{MAX_FRAME, encode};

use super::*;
use crate::outlet::{NOTE, Outlet, tests::alert};
use crate::ring::{Consumer, Ring};
use crate::sys::{OpenMode, SYNCS, open, pass};
use crate::text::PathBuffer;

const RULE: &[u8] = b"e9001ee6-2d00-4d2f-849e-b8b1fb05234c";
const DAY: u64 = 86_400_000;
const MINUTE: u64 = 60_000;
const WINDOW: u64 = 5 * DAY;

/// A device: its folder, and a sensor that may be started anew.
struct Device {
    folder: PathBuf,
    store: Option<Store>,
    notes: Consumer,
    sequence: u64,
    _turn: MutexGuard<'static, ()>,
}

fn c_path(path: &Path) -> &'static CStr {
    let path = PathBuffer::<512>::of(&[path.as_os_str().as_encoded_bytes()]).unwrap();
    std::boxed::Box::leak(std::boxed::Box::new(path)).as_c_str()
}

impl Device {
    /// One that knows nothing. The table of terms is one for all tests.
    fn new(name: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = std::env::temp_dir().join(format!("peewit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (store, notes) = start(&folder.join("state"));
        Self {
            folder,
            store: Some(store),
            notes,
            sequence: 0,
            _turn: turn,
        }
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    /// Ends the sensor as a power cut does, and starts another.
    fn restart(&mut self) {
        self.store = None;
        let (store, notes) = start(&self.folder.join("state"));
        (self.store, self.notes) = (Some(store), notes);
    }

    /// A term is seen. Gives whether it is new; then its alert is on its way.
    fn see(&self, name: &str) -> bool {
        let outlet = &mut STATE.lock(thread_id()).outlet;
        let values = [name.as_bytes()];
        let key = outlet.fingerprint(RULE, &values);
        let new = outlet.is_new(key, WINDOW);
        if new {
            outlet.keep(key, RULE, &values, true);
        }
        new
    }

    /// What the writer does once the alerts are kept.
    fn settle(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(note) = self.notes.pop(&mut buffer) {
            let note = note.strip_prefix(&[NOTE]).unwrap();
            let store = self.store.as_mut().unwrap();
            if !store.note(note) {
                store.commit(true);
                assert!(store.note(note));
            }
        }
        self.store().commit(true);
        self.store().tick(false);
    }

    /// What is on the disk: names, and whether they are learned.
    fn written(&mut self) -> Vec<(std::string::String, bool)> {
        self.restart();
        let mut all = Vec::new();
        let folder = Folder::open(self.store().path).unwrap();
        names(&folder, NEWEST_FIRST, &mut [0; BUFFER], &mut |term| {
            let name = term.values.first().map_or(&b"?"[..], |value| value);
            all.push((
                std::string::String::from_utf8(name.to_vec()).unwrap(),
                term.learned,
            ));
        });
        all.sort();
        all
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join("state").join(name)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.store = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts a sensor: the state in this folder, and the notes for it.
fn start(folder: &Path) -> (Store, Consumer) {
    let bytes: Vec<AtomicU8> = (0..1 << 16).map(|_| AtomicU8::new(0)).collect();
    let ring = std::boxed::Box::leak(std::boxed::Box::new(Ring::new(bytes.leak())));
    let (producer, consumer) = ring.ends();
    let me = thread_id();
    STATE.lock(me).outlet = Outlet::new();
    let store = Store::open(c_path(folder), me).unwrap().unwrap();
    let outlet = &mut STATE.lock(me).outlet;
    outlet.set_key(store.key());
    outlet.open(store.reserved(), producer, None);
    (store, consumer)
}

fn owned(names: &[(&str, bool)]) -> Vec<(std::string::String, bool)> {
    names
        .iter()
        .map(|(name, learned)| ((*name).into(), *learned))
        .collect()
}

#[test]
fn a_term_is_known_on_the_disk_once_it_was_committed() {
    let mut device = Device::new("commit");
    assert!(device.see("a") && !device.see("a"));
    assert_eq!(device.written(), []);
    assert!(device.see("a"));
    device.settle();
    assert!(device.see("b"), "its alert is still on its way");
    assert_eq!(device.written(), owned(&[("a", false)]));
    assert!(!device.see("a") && device.see("b"));
    device.settle();
    // Seen again at another time, and later once more, in another part of the window.
    pass(2 * MINUTE);
    assert!(!device.see("a"));
    device.settle();
    let learned = owned(&[("a", true), ("b", false)]);
    assert_eq!(device.written(), learned);
    pass(WINDOW - 3 * MINUTE);
    assert!(!device.see("a"));
    device.settle();
    device.restart();
    pass(WINDOW - MINUTE);
    assert!(!device.see("a") && device.see("b"));
}

#[test]
fn a_snapshot_leaves_out_what_may_still_be_lost() {
    let mut device = Device::new("snapshot");
    for name in ["a", "b"] {
        assert!(device.see(name));
    }
    device.settle();
    pass(WINDOW + 2 * MINUTE);
    // New, and seen again after its window: both alerts are on their way.
    assert!(device.see("a") && device.see("c"));
    device.store().rewrite(false);
    device.restart();
    assert!(device.see("c"), "else its alert would be lost");
    assert!(device.see("a"), "it keeps its age");
    device.settle();
    device.store().tick(true);
    device.restart();
    assert!(!device.see("a") && !device.see("c") && device.see("b"));
}

/// `peewit terms` reads while the sensor writes all anew.
#[test]
fn no_name_is_missed_between_two_snapshots() {
    let mut device = Device::new("between");
    device.see("a");
    device.settle();
    device.store().rewrite(false);
    for name in ["b", "c"] {
        device.see(name);
        device.settle();
    }
    let files = ["state.1", "journal.1"].map(|name| device.file(name));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    device.store().rewrite(false);
    let after = files.each_ref().map(|file| fs::read(file).unwrap());
    // As the sensor does it: the one is replaced, the other cut short.
    let replace = |[snapshot, journal]: &[Vec<u8>; 2]| {
        fs::remove_file(&files[0]).unwrap();
        fs::write(&files[0], snapshot).unwrap();
        fs::write(&files[1], journal).unwrap();
    };
    replace(&before);
    device.restart();
    let folder = Folder::open(device.store().path).unwrap();
    let mut all = Vec::new();
    names(&folder, NEWEST_FIRST, &mut [0; BUFFER], &mut |term| {
        if all.is_empty() {
            replace(&after);
        }
        all.push(term.values.first().map(|value| value.to_vec()));
    });
    all.sort();
    assert_eq!(all, ["a", "b", "c"].map(|name| Some(name.into())));
}

#[test]
fn a_journal_of_another_snapshot_does_not_count() {
    let mut device = Device::new("generation");
    assert!(device.see("a"));
    device.settle();
    let journal = fs::read(device.file("journal.1")).unwrap();
    let forgotten = STATE.lock(thread_id()).outlet.forget(RULE, &[b"a"]);
    assert_eq!(forgotten, Some(true));
    device.settle();
    // As if the power had been cut before it was emptied.
    fs::write(device.file("journal.1"), &journal).unwrap();
    assert_eq!(device.written(), []);
    assert!(device.see("a"));
    device.settle();
    // A foreign file in its place.
    fs::write(device.file("journal.1"), "a text that somebody put there").unwrap();
    device.restart();
    assert!(device.file("journal.1.bad").exists());
    assert!(device.see("a"), "it was in the journal");
}

#[test]
fn numbers_are_reserved_and_exact_after_a_clean_end() {
    let mut device = Device::new("numbers");
    assert_eq!(device.store().reserved(), 0);
    device.store().reserve(1);
    crate::rules::note_build(7);
    device.store().note_pack();
    assert_eq!(device.store().reserved(), 65);
    device.restart();
    assert_eq!(
        (device.store().reserved(), device.store().pack_build()),
        (65, 7)
    );
    STATE.lock(thread_id()).outlet.open(70, unused(), None);
    device.store().reserve(66);
    device.store().tick(true);
    device.restart();
    assert_eq!(device.store().reserved(), 70);
    device.store().rewrite(false);
    device.restart();
    assert_eq!(
        (device.store().reserved(), device.store().pack_build()),
        (70, 7)
    );
}

fn unused() -> crate::ring::Producer {
    let bytes: Vec<AtomicU8> = (0..64).map(|_| AtomicU8::new(0)).collect();
    std::boxed::Box::leak(std::boxed::Box::new(Ring::new(bytes.leak())))
        .ends()
        .0
}

#[test]
fn what_the_disk_does_not_take_is_written_later() {
    let mut device = Device::new("failure");
    assert!(device.see("a"));
    device.settle();
    // The journal cannot be written any more, nor a snapshot: a folder has its name.
    device.store().journal = None;
    fs::create_dir(device.file("state.1.new")).unwrap();
    let before = UNWRITTEN.load(Ordering::Relaxed);
    for number in 0..200 {
        assert!(device.see(&format!("new-{number}")));
        device.settle();
        pass(1000);
    }
    assert_eq!(UNWRITTEN.load(Ordering::Relaxed) - before, 200);
    assert_eq!(device.written(), owned(&[("a", false)]));
    // Again, and then the disk allows it.
    device.store().journal = None;
    for number in 0..200 {
        assert!(device.see(&format!("new-{number}")));
        device.settle();
    }
    fs::remove_dir(device.file("state.1.new")).unwrap();
    pass(LONGEST_RETRY_MS);
    device.settle();
    let written = device.written();
    // All are known, though some lost their names.
    assert_eq!(written.len(), 201);
    assert!((0..200).all(|number| !device.see(&format!("new-{number}"))));
    assert!(written.iter().any(|(name, _)| name == "?"));
    assert!(written.contains(&("new-199".into(), false)));
}

/// What is written in a week by a device as most are: some new terms at first, some alerts, and the same things every day.
#[test]
fn a_week_wears_out_no_flash() {
    let mut device = Device::new("week");
    let log = open(c_path(&device.folder.join("log")), OpenMode::Append).unwrap();
    let written = || {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let mut buffer = [0; MAX_FRAME];
    let mut names: Vec<std::string::String> = Vec::new();
    for day in 0..7 {
        let (bytes, syncs) = (written(), SYNCS.get());
        let new = 30 >> day;
        let alerts = new + 2;
        let mut sent = 0;
        for minute in 0..24 * 60 {
            pass(MINUTE);
            // Each of them every 37 minutes.
            for (number, name) in names.iter().enumerate() {
                if (minute + number * 13) % 37 == 0 {
                    assert!(!device.see(name));
                }
            }
            if minute % 60 == 0 {
                let health = Health {
                    time_ms: 1_790_000_000_000,
                    boot_ms: boot_ms(),
                    reason: Reason::Interval,
                    source: Source::Connector,
                    limits: Limits::default(),
                    counts: [100_000; peewit_core::alert::COUNTS],
                };
                log.write_all(encode(&Told::Health(health), &mut buffer).unwrap())
                    .unwrap();
                log.sync().unwrap();
            }
            if sent < alerts && minute * alerts >= sent * 24 * 60 {
                if sent < new {
                    let name = format!("program-{day}-{sent}");
                    assert!(device.see(&name));
                    names.push(name);
                }
                sent += 1;
                device.sequence += 1;
                if device.sequence > device.store().reserved() {
                    let sequence = device.sequence;
                    device.store().reserve(sequence);
                }
                let alert = Told::Alert(alert(device.sequence));
                log.write_all(encode(&alert, &mut buffer).unwrap()).unwrap();
                log.sync().unwrap();
            }
            device.settle();
        }
        let (bytes, syncs) = (written() - bytes, SYNCS.get() - syncs);
        std::println!(
            "day {day}: {alerts} alerts, {bytes} bytes, {syncs} times brought to the disk"
        );
        assert!(bytes <= 1 << 20, "{bytes}");
        assert!(syncs <= 200, "{syncs}");
    }
    assert_eq!(device.written().len(), names.len());
}
