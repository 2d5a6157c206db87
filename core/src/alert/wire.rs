//! The form of header and alert on the wire: bounded, and without what can be told from
//! the rest (see `docs/alert-format.md`). `serde` sees only this form.

use heapless::Vec;
use serde::de::Error;
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

#[derive(Serialize, Deserialize)]
struct WireHeader<'a> {
    version: u16,
    host_id: &'a str,
    host_name: &'a str,
    boot_id: &'a str,
    sensor_version: &'a str,
    pack_build: u32,
    pack_crc: u32,
    time_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct WireAlert<'a> {
    sequence: u64,
    #[serde(borrow)]
    rule: RuleId<'a>,
    severity: Severity,
    risk_score: u8,
    #[serde(borrow)]
    terms: Vec<WireTerm<'a>, TERMS>,
    action: Action,
    #[serde(borrow)]
    matched_arg: Option<WireArg<'a>>,
    time_ms: u64,
    boot_ms: u64,
    pid: u32,
    /// `None`: the same as `pid`.
    tid: Option<u32>,
    uid: Option<u32>,
    #[serde(borrow)]
    executable: Option<WirePath<'a>>,
    args: &'a [u8],
    /// How many bytes of arguments are not in `args`.
    args_missing: u32,
    #[serde(borrow)]
    cwd: Option<&'a [u8]>,
    /// Relative to `pid`, modulo 2^32.
    parent_pid: i32,
    #[serde(borrow)]
    parent_executable: Option<WireParentPath<'a>>,
    #[serde(borrow)]
    ancestors: Vec<WireAncestor<'a>, ANCESTORS>,
    flags: Flags,
}

#[derive(Serialize, Deserialize)]
enum WireTerm<'a> {
    /// The base name of the parent's program: nearly every new term is.
    ParentName,
    Value(#[serde(borrow)] &'a [u8]),
}

#[derive(Serialize, Deserialize)]
struct WireArg<'a> {
    index: u32,
    /// `None`: it is in `args`.
    #[serde(borrow)]
    bytes: Option<&'a [u8]>,
}

#[derive(Serialize, Deserialize)]
struct WirePath<'a> {
    directory: &'a [u8],
    name: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct WireParentPath<'a> {
    /// `None`: the same as that of `executable`.
    #[serde(borrow)]
    directory: Option<&'a [u8]>,
    name: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct WireAncestor<'a> {
    /// Relative to the process before it, the parent first, modulo 2^32.
    pid: i32,
    name: &'a [u8],
}

impl<'a> From<Path<'a>> for WirePath<'a> {
    fn from(path: Path<'a>) -> Self {
        Self {
            directory: path.directory,
            name: path.name,
        }
    }
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireHeader {
            version: self.version,
            host_id: cut_text(self.host_id),
            host_name: cut_text(self.host_name),
            boot_id: cut_text(self.boot_id),
            sensor_version: cut_text(self.sensor_version),
            pack_build: self.pack_build,
            pack_crc: self.pack_crc,
            time_ms: self.time_ms,
        }
        .serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireHeader::deserialize(deserializer)?;
        Ok(Self {
            version: wire.version,
            host_id: wire.host_id,
            host_name: wire.host_name,
            boot_id: wire.boot_id,
            sensor_version: wire.sensor_version,
            pack_build: wire.pack_build,
            pack_crc: wire.pack_crc,
            time_ms: wire.time_ms,
        })
    }
}

impl Serialize for Alert<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cut = Cut::default();
        let args = cut.bytes(self.args, ARGS_LIMIT);
        let args_missing = self.args_len.saturating_sub(length(args));
        let executable = self.executable.map(|path| WirePath::from(cut.path(path)));
        let parent_name = self.parent.executable.map(|path| path.name);
        let parent_path = self
            .parent
            .executable
            .map(|path| WirePath::from(cut.path(path)));
        let mut before = self.parent.pid;
        let mut wire = WireAlert {
            sequence: self.sequence,
            rule: match self.rule {
                RuleId::Text(text) => RuleId::Text(cut.text(text)),
                uuid => uuid,
            },
            severity: self.severity,
            risk_score: self.risk_score,
            terms: self
                .terms
                .iter()
                .map(|&term| match parent_name {
                    Some(name) if name == term => WireTerm::ParentName,
                    _ => WireTerm::Value(cut.bytes(term, PATH_LIMIT)),
                })
                .collect(),
            action: self.action,
            matched_arg: self.matched_arg.map(|arg| WireArg {
                index: arg.index,
                bytes: match argument(args, arg.index) {
                    Some(bytes) if bytes == arg.bytes => None,
                    _ => Some(cut.bytes(arg.bytes, PATH_LIMIT)),
                },
            }),
            time_ms: self.time_ms,
            boot_ms: self.boot_ms,
            pid: self.pid,
            tid: (self.tid != self.pid).then_some(self.tid),
            uid: self.uid,
            parent_executable: parent_path.map(|path| WireParentPath {
                directory: match &executable {
                    Some(own) if own.directory == path.directory => None,
                    _ => Some(path.directory),
                },
                name: path.name,
            }),
            executable,
            args,
            args_missing,
            cwd: self.cwd.map(|cwd| cut.bytes(cwd, PATH_LIMIT)),
            parent_pid: self.parent.pid.wrapping_sub(self.pid).cast_signed(),
            ancestors: self
                .ancestors
                .iter()
                .map(|ancestor| WireAncestor {
                    pid: ancestor
                        .pid
                        .wrapping_sub(core::mem::replace(&mut before, ancestor.pid))
                        .cast_signed(),
                    name: cut.bytes(ancestor.name, TEXT_LIMIT),
                })
                .collect(),
            flags: self.flags,
        };
        if cut.happened || args_missing > 0 {
            wire.flags |= Flags::TRUNCATED;
        }
        wire.serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Alert<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireAlert::deserialize(deserializer)?;
        let executable = wire.executable.map(|path| Path {
            directory: path.directory,
            name: path.name,
        });
        let parent_executable = match wire.parent_executable {
            Some(path) => Some(Path {
                directory: path
                    .directory
                    .or(executable.map(|own| own.directory))
                    .ok_or_else(|| D::Error::custom("a directory shared with nothing"))?,
                name: path.name,
            }),
            None => None,
        };
        let mut terms = Vec::new();
        for term in wire.terms {
            let value = match term {
                WireTerm::ParentName => parent_executable.map(|path| path.name),
                WireTerm::Value(value) => Some(value),
            };
            // As many as in `wire.terms`, so there is room.
            let _ = terms.push(value.ok_or_else(|| D::Error::custom("a nameless parent"))?);
        }
        let matched_arg = match wire.matched_arg {
            Some(arg) => Some(MatchedArg {
                index: arg.index,
                bytes: arg
                    .bytes
                    .or_else(|| argument(wire.args, arg.index))
                    .ok_or_else(|| D::Error::custom("no such argument"))?,
            }),
            None => None,
        };
        let parent_pid = wire.pid.wrapping_add_signed(wire.parent_pid);
        let mut before = parent_pid;
        let ancestors = wire.ancestors.iter().map(|ancestor| {
            before = before.wrapping_add_signed(ancestor.pid);
            Ancestor {
                pid: before,
                name: ancestor.name,
            }
        });
        Ok(Self {
            sequence: wire.sequence,
            rule: wire.rule,
            severity: wire.severity,
            risk_score: wire.risk_score,
            terms,
            action: wire.action,
            matched_arg,
            time_ms: wire.time_ms,
            boot_ms: wire.boot_ms,
            pid: wire.pid,
            tid: wire.tid.unwrap_or(wire.pid),
            uid: wire.uid,
            executable,
            args: wire.args,
            args_len: length(wire.args).saturating_add(wire.args_missing),
            cwd: wire.cwd,
            parent: Parent {
                pid: parent_pid,
                executable: parent_executable,
            },
            ancestors: ancestors.collect(),
            flags: wire.flags,
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
