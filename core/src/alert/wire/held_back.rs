//! What was held back, on the wire.

use heapless::Vec;

use super::fields::{Fields, Out};
use super::rule::{put_id, take_id};
use super::{U8, U64, bytes};
use crate::alert::{HELD_BACK_RULES, HeldBack, HeldBackRule, TEXT_LIMIT};

/// Longest record of what was held back in postcard, its kind included.
pub(super) const MAX_HELD_BACK_ENCODED: usize =
    U8 + 4 * U64 + U8 + HELD_BACK_RULES * (U8 + bytes(TEXT_LIMIT) + U64 + bytes(TEXT_LIMIT));

pub(super) fn put(out: &mut Out<'_>, held: &HeldBack<'_>) {
    out.number(held.time_ms);
    out.number(held.boot_ms);
    out.number(held.lasted_ms);
    out.number(held.count);
    out.number(held.rules.len() as u64);
    for rule in &held.rules {
        put_id(out, &rule.rule);
        out.number(rule.count);
        let example = out.cut(rule.example, TEXT_LIMIT);
        out.bytes(example);
    }
}

#[inline(never)]
pub(super) fn take<'a>(fields: &mut Fields<'a>) -> HeldBack<'a> {
    let mut held = HeldBack {
        time_ms: fields.u64(),
        boot_ms: fields.u64(),
        lasted_ms: fields.u64(),
        count: fields.u64(),
        rules: Vec::new(),
    };
    for _ in 0..fields.u32() {
        let rule = HeldBackRule {
            rule: take_id(fields),
            count: fields.u64(),
            example: fields.bytes(),
        };
        fields.failed |= held.rules.push(rule).is_err();
        if fields.failed {
            break;
        }
    }
    held
}
