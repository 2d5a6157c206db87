//! The form of header and alert on the wire: bounded, and without what can be told from
//! the rest (see `docs/alert-format.md`). `serde` sees only this form.

use core::fmt;

use heapless::Vec;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cut::{Cut, cut_text};
use super::{
    ANCESTORS, ARGS_LIMIT, Action, Alert, Ancestor, Flags, Header, MatchedArg, PATH_LIMIT, Parent,
    Path, RuleId, Severity, TERMS, TEXT_LIMIT,
};
use crate::event::Block;

/// Longest varint of a `u16`, a `u32` and a `u64`.
const U16: usize = 3;
const U32: usize = 5;
const U64: usize = 10;
/// A byte string of at most `limit` bytes, its length in front.
const fn bytes(limit: usize) -> usize {
    assert!(limit < 1 << 14);
    if limit < 1 << 7 { 1 + limit } else { 2 + limit }
}

/// Longest record in postcard, its kind included: a buffer of this size takes any.
pub const MAX_ENCODED: usize = {
    let header = U16 + 4 * bytes(TEXT_LIMIT) + 2 * U32 + U64;
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
        + U32;
    1 + if header > alert { header } else { alert }
};

// The codec is written by hand, field by field, where a derived one would do: it takes 3 KiB of the
// sensor, the derived one took 11. Postcard puts nothing around a tuple, so the number of elements that
// it is asked for is only a bound, and counts, kinds and presences are elements like the others.

/// Takes the next field.
#[inline(never)]
fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields
        .next_element()?
        .ok_or_else(|| A::Error::custom("too few fields"))
}

/// Takes a variant's number.
fn one_of<'de, T: Copy, A: SeqAccess<'de>>(fields: &mut A, variants: &[T]) -> Result<T, A::Error> {
    let number: u8 = next(fields)?;
    let variant = variants.get(usize::from(number)).copied();
    variant.ok_or_else(|| A::Error::custom("no such variant"))
}

/// Takes a field that may be absent, with what `take` makes of it.
fn optional<'de, T, A: SeqAccess<'de>>(
    fields: &mut A,
    take: impl FnOnce(&mut A) -> Result<T, A::Error>,
) -> Result<Option<T>, A::Error> {
    match next(fields)? {
        true => take(fields).map(Some),
        false => Ok(None),
    }
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple(8)?;
        fields.serialize_element(&self.version)?;
        for text in [
            self.host_id,
            self.host_name,
            self.boot_id,
            self.sensor_version,
        ] {
            fields.serialize_element(cut_text(text))?;
        }
        fields.serialize_element(&self.pack_build)?;
        fields.serialize_element(&self.pack_crc)?;
        fields.serialize_element(&self.time_ms)?;
        fields.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Header<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the header of a stream")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Header<'de>, A::Error> {
                let fields = &mut fields;
                Ok(Header {
                    version: next(fields)?,
                    host_id: next(fields)?,
                    host_name: next(fields)?,
                    boot_id: next(fields)?,
                    sensor_version: next(fields)?,
                    pack_build: next(fields)?,
                    pack_crc: next(fields)?,
                    time_ms: next(fields)?,
                })
            }
        }
        deserializer.deserialize_tuple(8, Fields)
    }
}

impl Serialize for Alert<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cut = Cut::default();
        let args = cut.bytes(self.args, ARGS_LIMIT);
        let args_missing = self.args_len.saturating_sub(length(args));
        let executable = self.executable.map(|path| cut.path(path));
        let parent_name = self.parent.executable.map(|path| path.name);

        let mut fields = serializer.serialize_tuple(usize::MAX)?;
        fields.serialize_element(&self.sequence)?;
        fields.serialize_element(&match self.rule {
            RuleId::Text(text) => RuleId::Text(cut.text(text)),
            uuid => uuid,
        })?;
        fields.serialize_element(&(self.severity as u8))?;
        fields.serialize_element(&self.risk_score)?;
        fields.serialize_element(&(self.terms.len() as u8))?;
        for &term in &self.terms {
            // Nearly every new term is the base name of the parent's program.
            let is_value = parent_name != Some(term);
            fields.serialize_element(&is_value)?;
            if is_value {
                fields.serialize_element(cut.bytes(term, PATH_LIMIT))?;
            }
        }
        fields.serialize_element(&(self.action as u8))?;
        fields.serialize_element(&self.matched_arg.is_some())?;
        if let Some(arg) = self.matched_arg {
            fields.serialize_element(&arg.index)?;
            // Not repeated if it is in `args`.
            let bytes = (argument(args, arg.index) != Some(arg.bytes))
                .then(|| cut.bytes(arg.bytes, PATH_LIMIT));
            fields.serialize_element(&bytes)?;
        }
        fields.serialize_element(&self.time_ms)?;
        fields.serialize_element(&self.boot_ms)?;
        fields.serialize_element(&self.pid)?;
        fields.serialize_element(&(self.tid != self.pid).then_some(self.tid))?;
        fields.serialize_element(&self.uid)?;
        fields.serialize_element(&executable.is_some())?;
        if let Some(path) = executable {
            fields.serialize_element(path.directory)?;
            fields.serialize_element(path.name)?;
        }
        fields.serialize_element(args)?;
        fields.serialize_element(&args_missing)?;
        fields.serialize_element(&self.cwd.map(|cwd| cut.bytes(cwd, PATH_LIMIT)))?;
        let mut before = self.pid;
        fields.serialize_element(&relative(self.parent.pid, &mut before))?;
        fields.serialize_element(&self.parent.executable.is_some())?;
        if let Some(path) = self.parent.executable {
            let path = cut.path(path);
            // Not repeated if it is that of `executable`.
            let own = executable.is_some_and(|own| own.directory == path.directory);
            fields.serialize_element(&(!own).then_some(path.directory))?;
            fields.serialize_element(path.name)?;
        }
        fields.serialize_element(&(self.ancestors.len() as u8))?;
        for ancestor in &self.ancestors {
            fields.serialize_element(&relative(ancestor.pid, &mut before))?;
            fields.serialize_element(cut.bytes(ancestor.name, TEXT_LIMIT))?;
        }
        let mut flags = self.flags;
        if cut.happened || args_missing > 0 {
            flags |= Flags::TRUNCATED;
        }
        fields.serialize_element(&flags)?;
        fields.end()
    }
}

/// A pid relative to that of the process before, modulo 2^32.
fn relative(pid: u32, before: &mut u32) -> i32 {
    pid.wrapping_sub(core::mem::replace(before, pid))
        .cast_signed()
}

impl<'de: 'a, 'a> Deserialize<'de> for Alert<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(usize::MAX, AlertFields)
    }
}

struct AlertFields;

impl<'de> Visitor<'de> for AlertFields {
    type Value = Alert<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Alert<'de>, A::Error> {
        let fields = &mut fields;
        let sequence = next(fields)?;
        let rule = next(fields)?;
        let severity = one_of(fields, &Severity::ALL)?;
        let risk_score = next(fields)?;
        // Those that are the parent's name are filled in when that is known.
        let mut named: Vec<Option<&[u8]>, TERMS> = Vec::new();
        for _ in 0..next::<u8, A>(fields)? {
            let value = optional(fields, next)?;
            named
                .push(value)
                .map_err(|_| A::Error::custom("too many terms"))?;
        }
        let action = one_of(fields, &[Action::Exec, Action::Fork])?;
        let matched: Option<(u32, Option<&[u8]>)> =
            optional(fields, |fields| Ok((next(fields)?, next(fields)?)))?;
        let time_ms = next(fields)?;
        let boot_ms = next(fields)?;
        let pid: u32 = next(fields)?;
        let tid: Option<u32> = next(fields)?;
        let uid = next(fields)?;
        let path = |fields: &mut A| {
            Ok(Path {
                directory: next(fields)?,
                name: next(fields)?,
            })
        };
        let executable = optional(fields, path)?;
        let args: &[u8] = next(fields)?;
        let args_missing = next(fields)?;
        let cwd = next(fields)?;
        let mut before = pid.wrapping_add_signed(next(fields)?);
        let parent = Parent {
            pid: before,
            executable: optional(fields, |fields| {
                let directory: Option<&[u8]> = next(fields)?;
                let own = executable.map(|own: Path<'_>| own.directory);
                Ok(Path {
                    directory: directory
                        .or(own)
                        .ok_or_else(|| A::Error::custom("a directory shared with nothing"))?,
                    name: next(fields)?,
                })
            })?,
        };
        let mut ancestors = Vec::new();
        for _ in 0..next::<u8, A>(fields)? {
            before = before.wrapping_add_signed(next(fields)?);
            let ancestor = Ancestor {
                pid: before,
                name: next(fields)?,
            };
            ancestors
                .push(ancestor)
                .map_err(|_| A::Error::custom("too many ancestors"))?;
        }
        let mut terms = Vec::new();
        for term in named {
            let value = term.or(parent.executable.map(|path| path.name));
            // As many as in `named`, so there is room.
            let _ = terms.push(value.ok_or_else(|| A::Error::custom("a nameless parent"))?);
        }
        let matched_arg = match matched {
            Some((index, bytes)) => Some(MatchedArg {
                index,
                bytes: bytes
                    .or_else(|| argument(args, index))
                    .ok_or_else(|| A::Error::custom("no such argument"))?,
            }),
            None => None,
        };
        Ok(Alert {
            sequence,
            rule,
            severity,
            risk_score,
            terms,
            action,
            matched_arg,
            time_ms,
            boot_ms,
            pid,
            tid: tid.unwrap_or(pid),
            uid,
            executable,
            args,
            args_len: length(args).saturating_add(args_missing),
            cwd,
            parent,
            ancestors,
            flags: next(fields)?,
        })
    }
}

/// An argument by its place in argv.
fn argument(args: &[u8], index: u32) -> Option<&[u8]> {
    Block::new(args).nth(usize::try_from(index).ok()?)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
