//! Records on the wire: bounded, and without what can be told from the rest (see `docs/alert-format.md`).

mod alert;
pub(crate) mod fields;
mod header;
mod health;
mod held_back;
pub(crate) mod rule;

use super::{ANCESTORS, ARGS_LIMIT, PATH_LIMIT, Record, STAGES, TERMS, TEXT_LIMIT};
use crate::frame::Glance;
use fields::{Fields, Out};
pub use rule::MAX_RULE_ENCODED;

/// Longest form of a `u8`, and longest varint of a `u16`, a `u32` and a `u64`.
const U8: usize = 1;
const U16: usize = 3;
const U32: usize = 5;
const U64: usize = 10;
/// A byte string of at most `limit` bytes, its length in front.
const fn bytes(limit: usize) -> usize {
    assert!(limit < 1 << 14);
    if limit < 1 << 7 { 1 + limit } else { 2 + limit }
}

/// Longest header in postcard, its kind included.
pub const MAX_HEADER_ENCODED: usize = U8 + U16 + 4 * bytes(TEXT_LIMIT) + 2 * U32 + U64;

/// Longest record in postcard, its kind included: a buffer of this size takes any.
pub const MAX_ENCODED: usize = {
    let path = 1 + 2 * bytes(PATH_LIMIT);
    let alert = U64
        + (1 + bytes(TEXT_LIMIT))
        + 2
        + (1 + TERMS * (1 + bytes(PATH_LIMIT)))
        + 1
        + (1 + U32 + 1 + bytes(PATH_LIMIT))
        + 2 * U64
        + (U32 + 1 + U32 + 1 + U32)
        + path
        + (bytes(ARGS_LIMIT) + U32)
        + (1 + bytes(PATH_LIMIT))
        + (U32 + 1 + path)
        + (1 + ANCESTORS * (U32 + bytes(TEXT_LIMIT)))
        + U32
        + (U8 + STAGES * (U32 + U64));
    assert!(alert + U8 > MAX_RULE_ENCODED && MAX_RULE_ENCODED > MAX_HEADER_ENCODED);
    assert!(alert + U8 > held_back::MAX_HELD_BACK_ENCODED);
    U8 + alert
};

/// Numbers of the kinds of records.
const HEADER: u32 = 0;
const ALERT: u32 = 1;
const RULE: u32 = 2;
const HEALTH: u32 = 3;
const HELD_BACK: u32 = 4;

/// Writes a record to the beginning of `out`, as postcard would, what is longer than its limit cut. Gives its length; `None` if
/// there is no room for it.
#[inline(never)]
pub fn encode(record: &Record<'_>, out: &mut [u8]) -> Option<usize> {
    let mut out = Out::new(out);
    let mut begin = |kind: u32| out.number(kind.into());
    match record {
        Record::Header(header) => {
            begin(HEADER);
            header::put(&mut out, header);
        }
        Record::Alert(alert) => {
            begin(ALERT);
            alert::put(&mut out, alert);
        }
        Record::Rule(rule) => {
            begin(RULE);
            rule::put(&mut out, rule);
        }
        Record::Health(health) => {
            begin(HEALTH);
            health::put(&mut out, health);
        }
        Record::HeldBack(held) => {
            begin(HELD_BACK);
            held_back::put(&mut out, held);
        }
    }
    out.end()
}

/// What a record is, told by its first bytes.
pub(crate) fn glance(start: &[u8]) -> Glance {
    let mut fields = Fields::new(start);
    match fields.u32() {
        HEADER => Glance::Header,
        ALERT => Glance::Alert(fields.u64()),
        _ => Glance::Other,
    }
}

/// The number of the kind of a record.
pub(crate) fn kind(payload: &[u8]) -> Option<u32> {
    let mut fields = Fields::new(payload);
    let kind = fields.u32();
    (!fields.failed).then_some(kind)
}

/// The version that a record tells its reader of, if it is a header. One that cannot be read is later than any.
pub(crate) fn version(payload: &[u8]) -> Option<u16> {
    let mut fields = Fields::new(payload);
    if fields.u32() != HEADER {
        return None;
    }
    let version = fields.u16();
    Some(if fields.failed { u16::MAX } else { version })
}

/// The record, if it is of a known kind and whole. Bytes behind it are fields of a later version.
pub fn decode(payload: &[u8]) -> Option<Record<'_>> {
    let mut fields = Fields::new(payload);
    let record = match fields.u32() {
        HEADER => Record::Header(header::take(&mut fields)),
        ALERT => Record::Alert(alert::take(&mut fields)),
        RULE => Record::Rule(rule::take(&mut fields)),
        HEALTH => Record::Health(health::take(&mut fields)),
        HELD_BACK => Record::HeldBack(held_back::take(&mut fields)),
        _ => return None,
    };
    (!fields.failed).then_some(record)
}
