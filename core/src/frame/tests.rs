//! Frames written and read back; the modules below damage them.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::alert::samples::{demo, header, health, held_back, last_stage, least, rule};
use crate::alert::{
    ARGS_LIMIT, Alert, Header, NAME_LIMIT, PATH_LIMIT, REFERENCES_LIMIT, STREAM_VERSION, TEXT_LIMIT,
};

fn frame(record: &Record<'_>) -> Vec<u8> {
    let mut out = [0xa5; MAX_FRAME];
    encode(record, &mut out).unwrap().to_vec()
}

/// A frame around any payload.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_FRAME];
    let start = cobs::overhead(MAX_FRAME);
    out[start..start + payload.len()].copy_from_slice(payload);
    seal(&mut out, start, payload.len()).unwrap().to_vec()
}

/// What a stream holds, each item as text so that it outlives the reader's buffer.
fn read(stream: &[u8], piece: usize) -> Vec<String> {
    let mut buffer = [0; MAX_FRAME];
    let mut frames = Frames::new(&mut buffer);
    let mut items = Vec::new();
    for mut rest in stream.chunks(piece) {
        while let Some(item) = frames.next(&mut rest) {
            items.push(format!("{item:?}"));
        }
    }
    items.extend(frames.finish().map(|item| format!("{item:?}")));
    items
}

fn shown(offset: u64, record: Record<'_>) -> String {
    format!("{:?}", Item::Record { offset, record })
}

fn corrupt(offset: u64, len: u64) -> String {
    format!("{:?}", Item::Corrupt { offset, len })
}

fn unknown(offset: u64, kind: u32) -> String {
    format!("{:?}", Item::Unknown { offset, kind })
}

/// Encodes and decodes, and expects `wanted`.
fn check_round_trip(record: &Record<'_>, wanted: &Record<'_>) {
    let stream = frame(record);
    assert!(!stream[1..stream.len() - 1].contains(&DELIMITER));
    let mut buffer = [0; MAX_FRAME];
    let mut frames = Frames::new(&mut buffer);
    assert_eq!(
        frames.next(&mut &stream[..]),
        Some(Item::Record {
            offset: 1,
            record: wanted.clone(),
        })
    );
    assert_eq!(frames.finish(), None);
}

#[test]
fn the_demo_fits_its_budget() {
    let record = Record::Alert(demo());
    assert_eq!(frame(&record).len(), 173);
    check_round_trip(&record, &record);
    check_round_trip(&Record::Header(header()), &Record::Header(header()));
    check_round_trip(&Record::Alert(least()), &Record::Alert(least()));
    check_round_trip(&Record::Alert(last_stage()), &Record::Alert(last_stage()));
    check_round_trip(&Record::Rule(rule()), &Record::Rule(rule()));
    check_round_trip(&Record::Health(health()), &Record::Health(health()));
    check_round_trip(
        &Record::HeldBack(held_back()),
        &Record::HeldBack(held_back()),
    );
}

#[test]
fn a_glance_is_enough() {
    for sequence in [0, 1, 127, 128, 255, 256, 65_536, u64::MAX >> 8, u64::MAX] {
        let alert = Alert { sequence, ..demo() };
        assert_eq!(
            glance(&frame(&Record::Alert(alert))),
            Glance::Alert(sequence)
        );
    }
    assert_eq!(glance(&frame(&Record::Header(header()))), Glance::Header);
    for other in [
        Record::Rule(rule()),
        Record::Health(health()),
        Record::HeldBack(held_back()),
    ] {
        assert_eq!(glance(&frame(&other)), Glance::Other);
    }
    for nothing in [&[][..], &[0], &[0, 0], &[0, 1], &[0, 2, 0xFF], &[0xFF; 20]] {
        assert!(matches!(glance(nothing), Glance::Header | Glance::Other));
    }
}

/// The bytes in the document are what the encoder gives, and are read back. Set `UPDATE_GOLDEN`
/// to print them after a change of the format.
#[test]
fn the_document_is_right() {
    let document = include_str!("../../../docs/alert-format.md");
    let examples: Vec<Vec<u8>> = document
        .split("```hex\n")
        .skip(1)
        .map(|rest| {
            let digits: Vec<u8> = rest[..rest.find("```").unwrap()]
                .bytes()
                .filter(u8::is_ascii_hexdigit)
                .collect();
            digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        })
        .collect();
    let records = [
        Record::Header(header()),
        Record::Alert(demo()),
        Record::Alert(least()),
        Record::Rule(rule()),
        Record::Alert(last_stage()),
        Record::HeldBack(held_back()),
    ];
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for record in &records {
            for line in frame(record).chunks(20) {
                let bytes: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                std::println!("{}", bytes.join(" "));
            }
            std::println!();
        }
    }
    assert_eq!(examples.len(), records.len());
    for (example, record) in examples.iter().zip(records) {
        assert_eq!(*example, frame(&record));
        assert_eq!(read(example, 7), [shown(1, record)]);
    }
    for fact in [
        format!("{MAX_FRAME} bytes"),
        format!("at most {MAX_RULE_FRAME}."),
        format!("{ARGS_LIMIT} bytes"),
        format!("{PATH_LIMIT} bytes"),
        format!("{TEXT_LIMIT} bytes"),
        format!("{NAME_LIMIT} bytes"),
        format!("{REFERENCES_LIMIT} bytes"),
        format!("version {STREAM_VERSION}"),
    ] {
        assert!(document.contains(&fact), "{fact}");
    }
}

#[test]
fn any_pieces_give_the_same_items() {
    let records = [
        Record::Header(header()),
        Record::Alert(demo()),
        Record::Alert(least()),
    ];
    let stream = records.each_ref().map(frame).concat();
    let mut offset = 1;
    let wanted = records.map(|record| {
        let length = frame(&record).len() as u64;
        offset += length;
        shown(offset - length, record)
    });
    for piece in 1..=stream.len() {
        assert_eq!(read(&stream, piece), wanted);
    }
}

/// Three small frames with their items.
fn small_stream() -> ([Vec<u8>; 3], [Record<'static>; 3]) {
    let mut second = least();
    second.sequence = 2;
    second.cwd = Some(b"/tmp");
    let records = [
        Record::Alert(least()),
        Record::Alert(second),
        Record::Header(Header {
            host_id: "",
            boot_id: "",
            ..header()
        }),
    ];
    (records.each_ref().map(frame), records)
}

mod damage;
mod limits;
mod random;
mod versions;
