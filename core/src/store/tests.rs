use super::*;
use crate::terms::{Key, Terms, fingerprint};
use heapless::String;
use proptest::prelude::*;

const DAY: u64 = 86_400_000;
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const RULE: &[u8] = b"e9001ee6-2d00-4d2f-849e-b8b1fb05234c";
const GENERATION: u64 = 7;

type Table = Terms<64, 128>;

/// The bytes of a file with these records.
fn file(kind: Kind, generation: u64, records: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = head(kind, generation).to_vec();
    let mut place = Place::first(generation);
    for record in records {
        let record = match record {
            Record::End { terms, .. } => Record::End {
                terms: *terms,
                checksum: crc32(&[&bytes]),
            },
            record => record.clone(),
        };
        let mut framed = [0; MAX_FRAMED];
        let length = encode(&record, &mut framed[LENGTH..]).unwrap();
        let framed = &mut framed[..super::framed(length)];
        place.seal(framed);
        bytes.extend_from_slice(framed);
        assert_eq!(place.offset, bytes.len() as u64);
    }
    bytes
}

#[test]
fn a_snapshot_is_made_piece_by_piece() {
    let names = names("x", 3);
    let expected = snapshot(&names);
    let mut records = Vec::new();
    read(Kind::Snapshot, &expected, 99, &mut |record| {
        let mut bytes = [0; MAX_RECORD];
        let length = encode(record, &mut bytes).unwrap();
        records.push(bytes[..length].to_vec());
    });
    let (mut snapshot, head) = Snapshot::begin(GENERATION);
    let (mut bytes, mut out) = (head.to_vec(), [0; MAX_FRAMED]);
    for record in &records[..records.len() - 1] {
        let record = Record::decode(record).unwrap();
        bytes.extend_from_slice(snapshot.put(&record, &mut out));
    }
    bytes.extend_from_slice(snapshot.end(&mut out));
    assert_eq!(bytes, expected);
    assert_eq!(snapshot.length(), bytes.len() as u64);
}

fn clock(age_ms: u64, wall_ms: u64, boot_ms: u64, boot: u8, trusted: bool) -> Clock {
    Clock {
        age_ms,
        wall_ms,
        boot_ms,
        boot: [boot; 16],
        trusted,
    }
}

fn known<'a>(name: &'a [u8], age_ms: u64, learned: bool) -> Record<'a> {
    let values = [name];
    let fingerprint = fingerprint(&Key(KEY), RULE, &values);
    Record::Term(Term::new(fingerprint, age_ms, learned, RULE, &values))
}

fn print(name: &[u8]) -> u64 {
    fingerprint(&Key(KEY), RULE, &[name])
}

/// A snapshot with some terms, whose names are these.
fn snapshot(names: &[Vec<u8>]) -> Vec<u8> {
    let mut records = vec![
        Record::Identity(Identity {
            key: KEY,
            host_id: "0123456789abcdef0123456789abcdef",
            sequence: 40,
            pack_build: 3,
        }),
        Record::Clock(clock(DAY, 1_790_000_000_000, 5000, 1, true)),
        Record::Clock(clock(DAY + 9000, 9000, 6000, 2, false)),
    ];
    for (number, name) in names.iter().enumerate() {
        records.push(known(name, DAY + number as u64, number % 2 == 1));
    }
    records.push(Record::End {
        terms: names.len() as u32,
        checksum: 0,
    });
    file(Kind::Snapshot, GENERATION, &records)
}

/// What has come since.
fn journal(names: &[Vec<u8>]) -> Vec<Record<'_>> {
    let mut records = vec![
        Record::Reserved { sequence: 104 },
        Record::Seen {
            fingerprint: print(b"sh"),
            age_ms: 2 * DAY,
        },
        Record::Clock(clock(2 * DAY, 1_790_100_000_000, 105_000, 2, true)),
        Record::Pack { build: 4 },
    ];
    for (number, name) in names.iter().enumerate() {
        records.push(known(name, 2 * DAY + number as u64, false));
    }
    records.push(Record::Forgotten {
        fingerprint: print(b"dropper"),
    });
    records
}

fn names(prefix: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("{prefix}{n}").into_bytes())
        .collect()
}

/// All records that can be trusted, whether the file is whole, and where they end.
fn read(kind: Kind, bytes: &[u8], step: usize, take: &mut dyn FnMut(&Record<'_>)) -> (bool, Place) {
    let mut rest = bytes;
    let mut buffer = [0; MAX_FRAMED];
    let mut reader = Reader::new(kind, &mut buffer);
    let mut input = |out: &mut [u8]| {
        let length = out.len().min(rest.len()).min(step);
        out[..length].copy_from_slice(&rest[..length]);
        rest = &rest[length..];
        length
    };
    while let Some(record) = reader.next(&mut input) {
        take(&record);
    }
    assert_eq!(reader.next(&mut input), None, "and it stays so");
    (reader.is_whole(), reader.place())
}

fn saved() -> Saved {
    Saved::new([0; 16], String::new())
}

/// What a sensor knows that starts with these files.
fn load(snapshot: &[u8], journal: &[u8]) -> (Saved, Table) {
    let (mut saved, mut terms) = (saved(), Table::new());
    let (whole, place) = read(Kind::Snapshot, snapshot, usize::MAX, &mut |_| ());
    if !whole {
        return (saved, terms);
    }
    let mut take = |record: &Record<'_>| {
        saved.apply(record);
        restore(&mut terms, record);
    };
    read(Kind::Snapshot, snapshot, usize::MAX, &mut take);
    if read(Kind::Journal, journal, usize::MAX, &mut |_| ())
        .1
        .generation
        == place.generation
    {
        read(Kind::Journal, journal, usize::MAX, &mut take);
    }
    (saved, terms)
}

const STATE: &[u8] = include_bytes!("golden/state.1");
const JOURNAL: &[u8] = include_bytes!("golden/journal.1");

/// The files of this format: whoever reads it later has to understand these.
#[test]
fn the_first_format_stays_readable() {
    let old = [b"sh".to_vec(), b"dropper".to_vec()];
    assert_eq!(snapshot(&old), STATE);
    let new = [b"name with \xff\0 bytes".to_vec(), vec![b'x'; 300]];
    assert_eq!(file(Kind::Journal, GENERATION, &journal(&new)), JOURNAL);

    let (saved, terms) = load(STATE, JOURNAL);
    assert_eq!(saved.key.0, KEY);
    assert_eq!(saved.host_id, "0123456789abcdef0123456789abcdef");
    assert_eq!((saved.sequence, saved.pack_build), (104, 4));
    assert_eq!(
        saved.clock,
        Some(clock(2 * DAY, 1_790_100_000_000, 105_000, 2, true))
    );
    assert_eq!(saved.trusted, saved.clock);
    assert_eq!(saved.age_ms, 2 * DAY + 1);
    assert_eq!((terms.len(), terms.once()), (3, 2));
    let of = |name: &[u8]| {
        terms
            .get(print(name))
            .map(|known| (known.last_seen_ms, known.learned))
    };
    assert_eq!(of(b"sh"), Some((2 * DAY, true)));
    assert_eq!(of(b"dropper"), None);
    assert_eq!(of(&new[0]), Some((2 * DAY, false)));
    assert_eq!(
        of(&new[1]),
        Some((2 * DAY + 1, false)),
        "by its fingerprint, though its copy is cut"
    );
}

/// The first bytes of the golden file, as docs/state-format.md has them.
#[test]
fn the_documented_bytes() {
    assert_eq!(STATE[..8], *b"peewit\x01\x01");
    assert_eq!(STATE[8..16], GENERATION.to_le_bytes());
    assert_eq!(STATE[16..20], crc32(&[&STATE[..16]]).to_le_bytes());
    // The first record: 52 bytes, an identity; it ends with 40 and 3, then comes its checksum.
    assert_eq!(STATE[20..23], [52, 0, 0]);
    assert_eq!(STATE[23..39], KEY);
    assert_eq!(STATE[39], 32);
    assert_eq!(STATE[72..74], [40, 3]);
    let place = [7, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        STATE[74..78],
        crc32(&[&place, &STATE[20..74]]).to_le_bytes()
    );
}

#[test]
fn pieces_of_any_length_are_read_alike() {
    for step in [1, 2, 3, 7, 100, 5000] {
        let mut count = 0;
        let whole = read(Kind::Snapshot, STATE, step, &mut |_| count += 1);
        assert_eq!(
            (whole.0, whole.1.offset as usize, count),
            (true, STATE.len(), 6)
        );
        let whole = read(Kind::Journal, JOURNAL, step, &mut |_| count += 1);
        assert_eq!(
            (whole.0, whole.1.offset as usize, count),
            (true, JOURNAL.len(), 13)
        );
    }
}

#[test]
fn files_of_another_kind_or_generation_are_none() {
    assert!(!read(Kind::Journal, STATE, 99, &mut |_| panic!()).0);
    assert!(!read(Kind::Snapshot, JOURNAL, 99, &mut |_| panic!()).0);
    assert!(!read(Kind::Snapshot, b"", 99, &mut |_| panic!()).0);
    let foreign = file(Kind::Journal, GENERATION + 1, &journal(&names("new", 3)));
    let (_, terms) = load(STATE, &foreign);
    assert_eq!(terms.len(), 2);
    // Records of another generation behind a head of ours.
    let mut mixed = head(Kind::Journal, GENERATION).to_vec();
    mixed.extend_from_slice(&foreign[HEAD..]);
    assert_eq!(
        read(Kind::Journal, &mixed, 99, &mut |_| panic!()),
        (false, Place::first(GENERATION))
    );
}

#[test]
fn records_stand_where_they_belong() {
    let bad = |records: &[Record<'_>]| {
        assert!(
            !read(
                Kind::Snapshot,
                &file(Kind::Snapshot, 1, records),
                99,
                &mut |_| ()
            )
            .0
        );
    };
    let saved = saved();
    let identity = Record::Identity(saved.identity());
    let end = |terms| Record::End { terms, checksum: 0 };
    assert!(
        read(
            Kind::Snapshot,
            &file(Kind::Snapshot, 1, &[identity.clone(), end(0)]),
            99,
            &mut |_| ()
        )
        .0
    );
    bad(core::slice::from_ref(&identity));
    bad(&[end(0)]);
    bad(&[identity.clone(), identity.clone(), end(0)]);
    bad(&[identity.clone(), end(1)]);
    bad(&[identity.clone(), end(0), end(0)]);
    bad(&[identity.clone(), Record::Reserved { sequence: 1 }, end(0)]);
    bad(&[
        Record::Clock(clock(0, 0, 0, 0, false)),
        identity.clone(),
        end(0),
    ]);
    let journal = file(Kind::Journal, 1, &[Record::Pack { build: 1 }, identity]);
    assert!(!read(Kind::Journal, &journal, 99, &mut |_| ()).0);
}

/// Every bit flip and every truncation of some KiB: a damaged snapshot is no snapshot, a journal counts up to the damage, and
/// nothing else is ever known.
#[test]
fn no_damage_makes_a_term_known() {
    let old = names("/usr/bin/old-", 30);
    let (state, new) = (snapshot(&old), names("/tmp/new-", 30));
    let records = journal(&new);
    let whole = file(Kind::Journal, GENERATION, &records);
    assert!(state.len() > 2000 && whole.len() > 2000);
    // Where each record of the journal ends.
    let ends: Vec<usize> = (0..=records.len())
        .map(|count| file(Kind::Journal, GENERATION, &records[..count]).len())
        .collect();
    // What is known after each of them.
    let after: Vec<Vec<bool>> = (0..=records.len())
        .map(|count| {
            let journal = file(Kind::Journal, GENERATION, &records[..count]);
            let (_, terms) = load(&state, &journal);
            let all = old.iter().chain(&new);
            all.map(|name| terms.get(print(name)).is_some()).collect()
        })
        .collect();
    let all = |state: &[u8], journal: &[u8]| {
        let (_, terms) = load(state, journal);
        let all = old.iter().chain(&new);
        let known: Vec<bool> = all.map(|name| terms.get(print(name)).is_some()).collect();
        (known, terms.len())
    };
    let nothing = (vec![false; 60], 0);
    for length in 0..state.len() {
        assert_eq!(all(&state[..length], &whole), nothing, "cut at {length}");
    }
    let mut damaged = state.clone();
    for bit in 0..state.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(all(&damaged, &whole), nothing, "bit {bit}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    // The records before this byte.
    let before = |byte: usize| ends.iter().rposition(|end| *end <= byte).unwrap_or(0);
    // `sh` is known by the journal alone, from its second record on.
    let expected = |count: usize| {
        let known = after[count].clone();
        let length = known.iter().filter(|known| **known).count() + usize::from(count > 1);
        (known, length)
    };
    for length in 0..whole.len() {
        assert_eq!(
            all(&state, &whole[..length]),
            expected(before(length)),
            "cut at {length}"
        );
    }
    let mut damaged = whole.clone();
    for bit in 0..whole.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            all(&state, &damaged),
            expected(before(bit / 8)),
            "bit {bit}"
        );
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn age_goes_on_over_restarts() {
    let hour = 3_600_000;
    let now = |wall_ms, boot_ms, boot, trusted| clock(0, wall_ms, boot_ms, boot, trusted);
    let mut saved = saved();
    assert_eq!(saved.age(&now(5, 700, 1, true)), (0, Off::None));
    saved.apply(&Record::Clock(clock(1000, 50 * hour, 10_000, 1, true)));
    // The same start of the kernel: exact, whatever the wall clock says.
    assert_eq!(saved.age(&now(0, 10_500, 1, false)), (1500, Off::None));
    assert_eq!(
        saved.age(&now(99 * hour, 10_500, 1, true)),
        (1500, Off::None)
    );
    // Another one, with a trusted clock: six days.
    let later = now(194 * hour, 30_000, 2, true);
    assert_eq!(
        saved.age(&later),
        (1000 + 144 * hour, Off::Counted(144 * hour - 30_000))
    );
    // Without: only what has run since.
    let later = now(194 * hour, 30_000, 2, false);
    assert_eq!(saved.age(&later), (31_000, Off::Unknown));
    // A wall clock that runs backwards counts nothing.
    assert_eq!(
        saved.age(&now(49 * hour, 30_000, 2, true)),
        (31_000, Off::Unknown)
    );
    // The same id, but less time since the start: not the same.
    assert_eq!(saved.age(&now(50 * hour, 9000, 1, false)).1, Off::Unknown);
    // What happened later than the clocks were written down.
    saved.apply(&Record::Seen {
        fingerprint: 1,
        age_ms: 5000,
    });
    assert_eq!(saved.age(&now(0, 10_500, 1, false)), (5000, Off::None));
    assert_eq!(saved.age(&now(0, 600, 2, false)), (5600, Off::Unknown));
    // A whole start without a trusted clock, then one with it: real time since.
    saved.apply(&Record::Clock(clock(5600, 0, 600, 2, false)));
    assert_eq!(saved.age(&now(60 * hour, 700, 2, true)).0, 1000 + 10 * hour);
    assert_eq!(saved.age(&now(60 * hour, 100, 3, true)).0, 1000 + 10 * hour);
    assert_eq!(saved.age(&now(1, 700, 2, false)), (5700, Off::Unknown));
    // A clock that was never right.
    let mut saved = super::tests::saved();
    saved.apply(&Record::Clock(clock(1000, 0, 10_000, 1, false)));
    assert_eq!(saved.age(&now(0, 11_000, 1, false)), (2000, Off::None));
    assert_eq!(saved.age(&now(0, 500, 2, true)), (1500, Off::Unknown));
}

#[test]
fn no_time_is_too_late() {
    let mut saved = saved();
    saved.apply(&Record::Clock(clock(u64::MAX, 0, u64::MAX, 1, true)));
    let now = clock(0, u64::MAX, u64::MAX, 2, true);
    assert_eq!(saved.age(&now), (u64::MAX, Off::Counted(0)));
}

#[test]
fn the_longest_record_fits() {
    let long = [0xFF; 5000];
    let term = Term::new(1, u64::MAX, true, &long, &[&long[..]; 9]);
    assert!(!term.whole);
    let mut out = [0; MAX_RECORD];
    assert_eq!(
        encode(&Record::Term(term.clone()), &mut out),
        Some(MAX_RECORD)
    );
    assert_eq!(Record::decode(&out), Some(Record::Term(term)));
    assert_eq!(
        encode(&Record::Reserved { sequence: 200 }, &mut [0; 2]),
        None
    );
    assert!(
        !Term::new(1, 0, true, b"", &[]).whole,
        "only the fingerprint"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in any::<bool>()) {
        let _ = Record::decode(&bytes);
        let kind = if kind { Kind::Snapshot } else { Kind::Journal };
        read(kind, &bytes, 7, &mut |_| ());
        // Behind a good head and with good checksums.
        let mut file = head(kind, 1).to_vec();
        let mut framed = vec![0; framed(bytes.len())];
        framed[LENGTH..][..bytes.len()].copy_from_slice(&bytes);
        Place::first(1).seal(&mut framed);
        file.extend(framed);
        let (_, place) = read(kind, &file, 99, &mut |_| ());
        prop_assert!(place.offset <= file.len() as u64);
    }

    #[test]
    fn records_come_back(
        (print, age, learned) in any::<(u64, u64, bool)>(),
        rule in prop::collection::vec(any::<u8>(), 0..80),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        (wall_ms, boot_ms, boot, trusted) in any::<(u64, u64, [u8; 16], bool)>(),
        (sequence, build) in any::<(u64, u32)>(),
    ) {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        for record in [
            Record::Identity(Identity { key: boot, host_id: "h", sequence, pack_build: build }),
            Record::Clock(Clock { age_ms: age, wall_ms, boot_ms, boot, trusted }),
            Record::Term(Term::new(print, age, learned, &rule, &values)),
            Record::Seen { fingerprint: print, age_ms: age },
            Record::Forgotten { fingerprint: print },
            Record::Reserved { sequence },
            Record::Pack { build },
            Record::End { terms: build, checksum: build },
        ] {
            let mut out = [0; MAX_RECORD];
            let length = encode(&record, &mut out).unwrap();
            prop_assert_eq!(Record::decode(&out[..length]), Some(record));
            prop_assert_eq!(Record::decode(&out[..length - 1]), None);
        }
    }
}
