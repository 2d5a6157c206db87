//! The form of header, rule and alert on the wire: bounded, and without what can be told from
//! the rest (see `docs/alert-format.md`). `serde` sees only this form.

mod health;
mod rule;

use core::fmt;

use heapless::Vec;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cut::{Cut, cut_text};
use super::{
    ANCESTORS, ARGS_LIMIT, Action, Alert, Ancestor, Flags, Header, MatchedArg, PATH_LIMIT, Parent,
    Path, ProcessEvent, RuleId, STAGES, Severity, Stage, TERMS, TEXT_LIMIT,
};
use crate::event::Block;
use crate::utf8;
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
        + U32
        + (U8 + STAGES * (U32 + U64));
    assert!(alert > header && alert + U8 > MAX_RULE_ENCODED);
    U8 + alert
};

// The codec is written by hand, field by field, where a derived one would do: it takes 4 KiB of the
// sensor, the derived one took 11. Postcard puts nothing around a tuple, so the number of elements that
// it is asked for is only a bound, and counts, kinds and presences are elements like the others.

/// Takes one field after the other. One that fails gives an empty value, and so does each after
/// it; it is asked once, at the end, whether any did.
struct Fields<'f, A> {
    inner: &'f mut A,
    failed: bool,
}

impl<'f, A> Fields<'f, A> {
    fn new(inner: &'f mut A) -> Self {
        let failed = false;
        Self { inner, failed }
    }

    #[inline(never)]
    fn next<'de, T: Deserialize<'de> + Default>(&mut self) -> T
    where
        A: SeqAccess<'de>,
    {
        match self.inner.next_element() {
            Ok(Some(value)) if !self.failed => value,
            _ => {
                self.failed = true;
                T::default()
            }
        }
    }

    /// A field that earlier versions did not write: the record may end before it. Empty then.
    fn next_if_any<'de, T: Deserialize<'de> + Default>(&mut self) -> T
    where
        A: SeqAccess<'de>,
    {
        let failed = self.failed;
        let value = self.next();
        self.failed = failed;
        value
    }

    fn text<'de>(&mut self) -> &'de str
    where
        A: SeqAccess<'de>,
    {
        let text = utf8(self.next());
        self.required(text)
    }

    /// What there has to be, an empty value if it is not.
    fn required<T: Default>(&mut self, value: Option<T>) -> T {
        self.failed |= value.is_none();
        value.unwrap_or_default()
    }

    /// `value`, unless any field failed.
    fn end<'de, T>(self, value: T) -> Result<T, A::Error>
    where
        A: SeqAccess<'de>,
    {
        if self.failed {
            return Err(A::Error::custom("not a record"));
        }
        Ok(value)
    }
}

/// Puts one field behind the other, up to the first that fails.
struct Out<S: SerializeTuple> {
    inner: S,
    result: Result<(), S::Error>,
}

impl<S: SerializeTuple> Out<S> {
    #[inline(never)]
    fn put<T: Serialize + ?Sized>(&mut self, field: &T) {
        if self.result.is_ok() {
            self.result = self.inner.serialize_element(field);
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.result?;
        self.inner.end()
    }
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Out {
            inner: serializer.serialize_tuple(8)?,
            result: Ok(()),
        };
        out.put(&self.version);
        for text in [
            self.host_id,
            self.host_name,
            self.boot_id,
            self.sensor_version,
        ] {
            out.put(cut_text(text, TEXT_LIMIT).as_bytes());
        }
        out.put(&self.pack_build);
        out.put(&self.pack_crc);
        out.put(&self.time_ms);
        out.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(8, HeaderFields)
    }
}

struct HeaderFields;

impl<'de> Visitor<'de> for HeaderFields {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the header of a stream")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Header<'de>, A::Error> {
        let mut fields = Fields::new(&mut fields);
        let header = Header {
            version: fields.next(),
            host_id: fields.text(),
            host_name: fields.text(),
            boot_id: fields.text(),
            sensor_version: fields.text(),
            pack_build: fields.next(),
            pack_crc: fields.next(),
            time_ms: fields.next(),
        };
        fields.end(header)
    }
}

impl Serialize for Alert<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cut = Cut::default();
        let args = cut.bytes(self.args, ARGS_LIMIT);
        let args_missing = self.args_len.saturating_sub(length(args));
        let executable = self.executable.map(|path| cut.path(path));
        let parent_name = self.parent.executable.map(|path| path.name);

        let mut out = Out {
            inner: serializer.serialize_tuple(usize::MAX)?,
            result: Ok(()),
        };
        out.put(&self.sequence);
        let id = match self.rule {
            RuleId::Text(text) => RuleId::Text(cut.text(text)),
            uuid => uuid,
        };
        rule::put_id(&mut out, id);
        out.put(&(self.severity as u8));
        out.put(&self.risk_score);
        out.put(&(self.terms.len() as u8));
        for &term in &self.terms {
            // Nearly every new term is the base name of the parent's program.
            let value = (parent_name != Some(term)).then(|| cut.bytes(term, PATH_LIMIT));
            out.put(&value);
        }
        out.put(&(self.action as u8));
        out.put(&u8::from(self.matched_arg.is_some()));
        if let Some(arg) = self.matched_arg {
            out.put(&arg.index);
            // Not repeated if it is in `args`.
            let elsewhere = argument(args, arg.index) != Some(arg.bytes);
            out.put(&elsewhere.then(|| cut.bytes(arg.bytes, PATH_LIMIT)));
        }
        out.put(&self.time_ms);
        out.put(&self.boot_ms);
        out.put(&self.pid);
        out.put(&(self.tid != self.pid).then_some(self.tid));
        out.put(&self.uid);
        out.put(&u8::from(executable.is_some()));
        if let Some(path) = executable {
            out.put(path.directory);
            out.put(path.name);
        }
        out.put(args);
        out.put(&args_missing);
        out.put(&self.cwd.map(|cwd| cut.bytes(cwd, PATH_LIMIT)));
        let mut before = self.pid;
        out.put(&relative(self.parent.pid, &mut before));
        out.put(&u8::from(self.parent.executable.is_some()));
        if let Some(path) = self.parent.executable {
            let path = cut.path(path);
            // Not repeated if it is that of `executable`.
            let own = executable.is_some_and(|own| own.directory == path.directory);
            out.put(&(!own).then_some(path.directory));
            out.put(path.name);
        }
        out.put(&(self.ancestors.len() as u8));
        for ancestor in &self.ancestors {
            out.put(&relative(ancestor.pid, &mut before));
            out.put(cut.bytes(ancestor.name, TEXT_LIMIT));
        }
        let mut flags = self.flags;
        if cut.happened || args_missing > 0 {
            flags |= Flags::TRUNCATED;
        }
        out.put(&flags.bits());
        // Nothing stands behind them yet, so where there are none the record ends here.
        if !self.stages.is_empty() {
            out.put(&(self.stages.len() as u8));
            let mut before = self.pid;
            for stage in &self.stages {
                out.put(&relative(stage.pid, &mut before));
                out.put(&self.boot_ms.wrapping_sub(stage.boot_ms));
            }
        }
        out.end()
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
        let mut fields = Fields::new(&mut fields);
        let sequence = fields.next();
        let rule = rule::id(&mut fields);
        let severity = variant(&mut fields, &Severity::ALL);
        let risk_score = fields.next();
        // Those that are the parent's name are filled in when that is known.
        let mut named: Vec<Option<&[u8]>, TERMS> = Vec::new();
        for _ in 0..fields.next::<u8>() {
            fields.failed |= named.push(fields.next()).is_err();
        }
        let action = variant(&mut fields, &ACTIONS);
        let matched: Option<(u32, Option<&[u8]>)> = fields
            .next::<bool>()
            .then(|| (fields.next(), fields.next()));
        let time_ms = fields.next();
        let boot_ms: u64 = fields.next();
        let pid: u32 = fields.next();
        let tid: Option<u32> = fields.next();
        let uid = fields.next();
        let executable = fields.next::<bool>().then(|| Path {
            directory: fields.next(),
            name: fields.next(),
        });
        let args: &[u8] = fields.next();
        let args_missing = fields.next();
        let cwd = fields.next();
        let parent_pid = pid.wrapping_add_signed(fields.next());
        let parent_executable = fields.next::<bool>().then(|| {
            let directory: Option<&[u8]> = fields.next();
            Path {
                directory: fields.required(directory.or(executable.map(|own| own.directory))),
                name: fields.next(),
            }
        });
        let mut ancestors = Vec::new();
        let mut before = parent_pid;
        for _ in 0..fields.next::<u8>() {
            before = before.wrapping_add_signed(fields.next());
            let ancestor = Ancestor {
                pid: before,
                name: fields.next(),
            };
            fields.failed |= ancestors.push(ancestor).is_err();
        }
        let flags = Flags::from_bits(fields.next());
        let mut stages = Vec::new();
        let mut before = pid;
        for _ in 0..fields.next_if_any::<u8>() {
            before = before.wrapping_add_signed(fields.next());
            let stage = Stage {
                pid: before,
                boot_ms: boot_ms.wrapping_sub(fields.next()),
            };
            fields.failed |= stages.push(stage).is_err();
        }
        let parent_name = parent_executable.map(|path| path.name);
        let terms = named
            .iter()
            .map(|term| fields.required(term.or(parent_name)));
        let terms = terms.collect();
        let matched_arg = matched.map(|(index, bytes)| MatchedArg {
            index,
            bytes: fields.required(bytes.or_else(|| argument(args, index))),
        });
        fields.end(Alert {
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
            parent: Parent {
                pid: parent_pid,
                executable: parent_executable,
            },
            ancestors,
            flags,
            stages,
        })
    }
}

impl Serialize for ProcessEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Out {
            inner: serializer.serialize_tuple(12)?,
            result: Ok(()),
        };
        out.put(&(self.action as u8));
        out.put(&self.time_ms);
        for number in [self.pid, self.tid, self.ppid, self.args_len] {
            out.put(&number);
        }
        out.put(self.args);
        for bytes in [self.executable, self.cwd, self.parent_executable] {
            out.put(&bytes);
        }
        out.put(&self.uid);
        out.put(&self.complete);
        out.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ProcessEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(12, EventFields)
    }
}

struct EventFields;

impl<'de> Visitor<'de> for EventFields {
    type Value = ProcessEvent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::new(&mut fields);
        let event = ProcessEvent {
            action: variant(&mut fields, &ACTIONS),
            time_ms: fields.next(),
            pid: fields.next(),
            tid: fields.next(),
            ppid: fields.next(),
            args_len: fields.next(),
            args: fields.next(),
            executable: fields.next(),
            cwd: fields.next(),
            parent_executable: fields.next(),
            uid: fields.next(),
            complete: fields.next(),
        };
        fields.end(event)
    }
}

const ACTIONS: [Action; 3] = [Action::Exec, Action::Fork, Action::End];

/// Takes a variant by its number.
fn variant<'de, T: Copy, const N: usize, A: SeqAccess<'de>>(
    fields: &mut Fields<'_, A>,
    all: &[T; N],
) -> T {
    const { assert!(N > 0) };
    let found = all.get(usize::from(fields.next::<u8>()));
    fields.failed |= found.is_none();
    *found.unwrap_or(&all[0])
}

/// An argument by its place in argv.
fn argument(args: &[u8], index: u32) -> Option<&[u8]> {
    Block::new(args).nth(usize::try_from(index).ok()?)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
