//! Changed bytes, torn and unfinished frames.

use super::*;

#[test]
fn a_changed_byte_spoils_its_frame_only() {
    let (frames, records) = small_stream();
    let stream = frames.concat();
    for place in 0..stream.len() {
        let hit = match place {
            p if p < frames[0].len() => 0,
            p if p < frames[0].len() + frames[1].len() => 1,
            _ => 2,
        };
        let start: usize = frames[..hit].iter().map(Vec::len).sum();
        for change in 1..=255 {
            let mut changed = stream.clone();
            changed[place] ^= change;
            let items = read(&changed, stream.len());
            let mut offset = 1;
            for (number, record) in records.iter().enumerate() {
                let intact = items.contains(&shown(offset, record.clone()));
                assert_eq!(intact, number != hit, "byte {place} ^ {change}");
                offset += frames[number].len() as u64;
            }
            let losses: Vec<_> = items
                .iter()
                .filter(|item| item.starts_with("Corrupt"))
                .collect();
            // A byte that becomes a delimiter leaves two pieces, unless at an edge.
            assert_eq!(items.len(), 2 + losses.len());
            assert!((1..=2).contains(&losses.len()));
            let first = items[hit].clone();
            let place_in_frame = (place - start) as u64;
            let length = frames[hit].len() as u64;
            let at = start as u64;
            let expected = match place_in_frame {
                0 => corrupt(at, length - 1),
                1 if changed[place] == 0 => corrupt(at + 2, length - 3),
                p if p == length - 1 => corrupt(at + 1, length - 1),
                p if changed[place] == 0 => corrupt(at + 1, p - 1),
                _ => corrupt(at + 1, length - 2),
            };
            assert_eq!(first, expected, "byte {place} ^ {change}");
        }
    }
}

#[test]
fn a_torn_frame_spoils_itself_only() {
    let (frames, records) = small_stream();
    for kept in 0..frames[1].len() {
        // Torn by a crash; then the sensor starts again and appends.
        let stream = [&frames[0], &frames[1][..kept], &frames[2]].concat();
        let mut wanted = std::vec![shown(1, records[0].clone())];
        let at = frames[0].len() as u64 + 1;
        match kept {
            0 | 1 => {}
            k if k == frames[1].len() - 1 => wanted.push(shown(at, records[1].clone())),
            k => wanted.push(corrupt(at, k as u64 - 1)),
        }
        wanted.push(shown(at + kept as u64, records[2].clone()));
        assert_eq!(read(&stream, 11), wanted);
        // The same as the end of the stream.
        let stream = &stream[..frames[0].len() + kept];
        wanted.pop();
        assert_eq!(read(stream, 11), wanted);
    }
}

/// A log of some KiB as a device writes it: every flip of a bit and every length of it.
#[test]
fn any_damage_to_a_log_spoils_what_it_hits() {
    let mut records = std::vec![Record::Header(header()), Record::Rule(rule())];
    for sequence in 1..=20 {
        records.push(Record::Alert(Alert { sequence, ..demo() }));
    }
    records.push(Record::Health(health()));
    records.push(Record::HeldBack(held_back()));
    let frames: Vec<_> = records.iter().map(frame).collect();
    let mut log = frames.concat();
    assert!(log.len() > 2500);
    // What is in a log: the places of whole records, and how much is none.
    let read = |log: &[u8]| {
        let mut buffer = [0; MAX_FRAME];
        let mut reader = Frames::new(&mut buffer);
        let (mut found, mut other) = (Vec::new(), 0);
        let mut note = |item: &Item<'_>| match item {
            Item::Record { record, .. } => {
                found.push(records.iter().position(|one| one == record).unwrap());
            }
            _ => other += 1,
        };
        let mut rest = log;
        while let Some(item) = reader.next(&mut rest) {
            note(&item);
        }
        if let Some(item) = reader.finish() {
            note(&item);
        }
        (found, other)
    };
    let all: Vec<usize> = (0..records.len()).collect();
    assert_eq!(read(&log), (all.clone(), 0));
    let mut start = 0;
    for (hit, frame) in frames.iter().enumerate() {
        let others: Vec<usize> = all.iter().copied().filter(|&one| one != hit).collect();
        for place in start..start + frame.len() {
            for bit in 0..8 {
                log[place] ^= 1 << bit;
                let (found, other) = read(&log);
                assert_eq!(found, others, "byte {place}, bit {bit}");
                assert!((1..=2).contains(&other), "byte {place}, bit {bit}");
                log[place] ^= 1 << bit;
            }
            let (found, other) = read(&log[..place]);
            // The last delimiter is not needed.
            let kept = hit + usize::from(place + 1 == start + frame.len());
            assert_eq!(found, all[..kept], "cut at {place}");
            let torn = kept == hit && place > start + 1;
            assert_eq!(other, usize::from(torn), "cut at {place}");
        }
        start += frame.len();
    }
}

#[test]
fn an_unfinished_frame_waits() {
    let (frames, records) = small_stream();
    let mut buffer = [0; MAX_FRAME];
    let mut reader = Frames::new(&mut buffer);
    let (head, tail) = frames[0].split_at(9);
    assert_eq!(reader.next(&mut &head[..]), None);
    assert_eq!(
        reader.next(&mut &tail[..]),
        Some(Item::Record {
            offset: 1,
            record: records[0].clone(),
        })
    );
    assert_eq!(reader.next(&mut &frames[1][..4]), None);
    assert_eq!(
        reader.finish(),
        Some(Item::Corrupt {
            offset: frames[0].len() as u64 + 1,
            len: 3,
        })
    );
    assert_eq!(reader.finish(), None);
}
