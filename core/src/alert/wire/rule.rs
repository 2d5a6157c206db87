//! A rule and its id on the wire.

use super::fields::{Fields, Out};
use super::{U8, bytes};
use crate::alert::cut::cut_items;
use crate::alert::rule_info::{
    ATTACK_LIMIT, AUTHOR_LIMIT, NAME_LIMIT, REFERENCES_LIMIT, RuleInfo, TAGS_LIMIT,
};
use crate::alert::{RuleId, Severity, TEXT_LIMIT};

/// Longest record of a rule in postcard, its kind included.
pub const MAX_RULE_ENCODED: usize = U8
    + U8
    + bytes(TEXT_LIMIT)
    + U8
    + bytes(NAME_LIMIT)
    + bytes(AUTHOR_LIMIT)
    + bytes(ATTACK_LIMIT)
    + bytes(TAGS_LIMIT)
    + bytes(REFERENCES_LIMIT);

/// Puts a rule's id.
pub(super) fn put_id(out: &mut Out<'_>, id: &RuleId<'_>) {
    match id {
        RuleId::Uuid(uuid) => {
            out.byte(0);
            out.raw(uuid);
        }
        RuleId::Text(text) => {
            out.byte(1);
            out.text(text, TEXT_LIMIT);
        }
    }
}

/// Takes a rule's id.
pub(crate) fn take_id<'a>(fields: &mut Fields<'a>) -> RuleId<'a> {
    match fields.byte() {
        0 => RuleId::Uuid(fields.array()),
        kind => {
            fields.failed |= kind != 1;
            RuleId::Text(fields.text())
        }
    }
}

pub(super) fn put(out: &mut Out<'_>, rule: &RuleInfo<'_>) {
    put_id(out, &rule.id);
    out.byte(rule.severity as u8);
    out.text(rule.name, NAME_LIMIT);
    out.text(rule.author, AUTHOR_LIMIT);
    put_items(out, rule.attack, b' ', ATTACK_LIMIT);
    put_items(out, rule.tags, b',', TAGS_LIMIT);
    put_items(out, rule.references, b' ', REFERENCES_LIMIT);
}

#[inline(never)]
fn put_items(out: &mut Out<'_>, items: &str, separator: u8, limit: usize) {
    out.bytes(cut_items(items, separator, limit).as_bytes());
}

pub(super) fn take<'a>(fields: &mut Fields<'a>) -> RuleInfo<'a> {
    let (id, severity) = (take_id(fields), fields.variant(&Severity::ALL));
    take_texts(fields, id, severity)
}

/// Takes what follows a rule's id and severity. A pack has it in the same form.
#[inline(never)]
pub(crate) fn take_texts<'a>(
    fields: &mut Fields<'a>,
    id: RuleId<'a>,
    severity: Severity,
) -> RuleInfo<'a> {
    RuleInfo {
        id,
        severity,
        name: fields.text(),
        author: fields.text(),
        attack: fields.text(),
        tags: fields.text(),
        references: fields.text(),
    }
}
