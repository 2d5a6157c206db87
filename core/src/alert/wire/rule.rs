//! A rule and its id on the wire.

use core::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Fields, Out, U8, bytes, variant};
use crate::alert::cut::{cut_items, cut_text};
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

/// Puts a rule's id, a text that was cut already.
pub(super) fn put_id<S: SerializeTuple>(out: &mut Out<S>, id: RuleId<'_>) {
    match id {
        RuleId::Uuid(uuid) => {
            out.put(&0u8);
            uuid.iter().for_each(|byte| out.put(byte));
        }
        RuleId::Text(text) => {
            out.put(&1u8);
            out.put(text.as_bytes());
        }
    }
}

/// Takes a rule's id.
pub(super) fn id<'de, A: SeqAccess<'de>>(fields: &mut Fields<'_, A>) -> RuleId<'de> {
    match fields.next() {
        0u8 => {
            let mut uuid = [0; 16];
            uuid.iter_mut().for_each(|byte| *byte = fields.next());
            RuleId::Uuid(uuid)
        }
        kind => {
            fields.failed |= kind != 1;
            RuleId::Text(fields.text())
        }
    }
}

impl Serialize for RuleInfo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Out {
            inner: serializer.serialize_tuple(usize::MAX)?,
            result: Ok(()),
        };
        put_id(
            &mut out,
            match self.id {
                RuleId::Text(text) => RuleId::Text(cut_text(text, TEXT_LIMIT)),
                uuid => uuid,
            },
        );
        out.put(&(self.severity as u8));
        out.put(cut_text(self.name, NAME_LIMIT).as_bytes());
        out.put(cut_text(self.author, AUTHOR_LIMIT).as_bytes());
        for (items, separator, limit) in [
            (self.attack, b' ', ATTACK_LIMIT),
            (self.tags, b',', TAGS_LIMIT),
            (self.references, b' ', REFERENCES_LIMIT),
        ] {
            out.put(cut_items(items, separator, limit).as_bytes());
        }
        out.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RuleInfo<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(usize::MAX, RuleFields)
    }
}

struct RuleFields;

impl<'de> Visitor<'de> for RuleFields {
    type Value = RuleInfo<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::new(&mut fields);
        let rule = RuleInfo {
            id: id(&mut fields),
            severity: variant(&mut fields, &Severity::ALL),
            name: fields.text(),
            author: fields.text(),
            attack: fields.text(),
            tags: fields.text(),
            references: fields.text(),
        };
        fields.end(rule)
    }
}
