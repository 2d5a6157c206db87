//! Frames of later versions, and intact ones that make no sense.

use super::*;
use crate::alert;

#[test]
fn later_versions_are_skipped() {
    let (frames, records) = small_stream();
    // A kind that we do not know.
    assert_eq!(read(&framed(&[120, 1, 2, 3]), 5), [unknown(1, 120)]);
    assert_eq!(read(&framed(&[0xac, 0x02]), 5), [unknown(1, 300)]);
    // One that we know, in a form that we do not.
    assert_eq!(read(&framed(&[1, 0]), 5), [unknown(1, 1)]);
    assert_eq!(read(&framed(&[0]), 5), [unknown(1, 0)]);
    // No kind at all.
    assert_eq!(read(&framed(&[]), 5), [corrupt(1, 5)]);
    // Fields that we do not know, behind those that we do, the last of them (stages) empty.
    let mut payload = [0; MAX_FRAME];
    let length = alert::encode(&records[1], &mut payload).unwrap();
    payload[length + 1] = 9;
    assert_eq!(
        read(&framed(&payload[..length + 2]), 5),
        [shown(1, records[1].clone())]
    );
    // A header of a later version: nothing behind it is read, until one of ours.
    let later = frame(&Record::Header(Header {
        version: STREAM_VERSION + 1,
        ..header()
    }));
    let stream = [&later[..], &frames[0], &frames[2], &frames[0]].concat();
    let at = later.len() as u64;
    assert_eq!(
        read(&stream, 5),
        [
            unknown(1, 0),
            unknown(at + 1, 1),
            shown(at + frames[0].len() as u64 + 1, records[2].clone()),
            shown(
                at + (frames[0].len() + frames[2].len()) as u64 + 1,
                records[0].clone()
            ),
        ]
    );
}

#[test]
fn references_to_nothing_are_not_read() {
    let mut payload = [0; MAX_FRAME];
    let length = alert::encode(&Record::Alert(least()), &mut payload).unwrap();
    let payload = &payload[..length];
    // kind, sequence, rule (2), severity, risk score: then the number of terms.
    assert_eq!(payload[6], 0);
    // One term, "the parent's name", but there is no parent.
    let nameless = [&payload[..6], &[1, 0], &payload[7..]].concat();
    assert_eq!(read(&framed(&nameless), 64), [unknown(1, 1)]);
    // An argument that is not there: behind the action.
    assert_eq!(payload[8], 0);
    let absent = [&payload[..8], &[1, 5, 0], &payload[9..]].concat();
    assert_eq!(read(&framed(&absent), 64), [unknown(1, 1)]);
    // A parent in the program's directory, but there is no program: before ancestors, flags.
    let (head, tail) = payload.split_at(length - 3);
    assert_eq!(tail, [0, 0, 0]);
    let homeless = [head, &[1, 0, 0], &tail[1..]].concat();
    assert_eq!(read(&framed(&homeless), 64), [unknown(1, 1)]);
}
