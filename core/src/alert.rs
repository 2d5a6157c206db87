//! What peewit says: the records of an alert stream, and a captured event.
//!
//! Everything borrows from the caller and is bounded: [`crate::frame::encode`] cuts what is
//! longer than the limits below and marks the alert [`Flags::TRUNCATED`]. The bytes on the
//! wire are described, with examples, in `docs/alert-format.md`; they are more compact than
//! these types (see `alert/wire.rs`).

mod cut;
mod flags;
mod health;
mod held_back;
mod path;
mod rule_id;
mod rule_info;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod wire;

use heapless::Vec;

pub use flags::Flags;
pub use health::{COUNT_NAMES, COUNTS, Count, Health, Limits, Reason, Source};
pub use held_back::{HELD_BACK_RULES, HeldBack, HeldBackRule};
pub use path::Path;
pub use rule_id::{RuleId, UuidText};
pub use rule_info::{
    ATTACK_LIMIT, AUTHOR_LIMIT, NAME_LIMIT, REFERENCES_LIMIT, RuleInfo, TAGS_LIMIT,
};
pub use wire::{MAX_ENCODED, MAX_HEADER_ENCODED, MAX_RULE_ENCODED, decode, encode};
pub(crate) use wire::{glance, kind, version};

/// The version that a stream's header carries. It is raised only when an older reader
/// would misread the records; new kinds of records, and fields added at the end of a record,
/// do not raise it: a reader skips both.
pub const STREAM_VERSION: u16 = 1;

/// Most values of one new term: one for each field of the rule's `new_terms`.
pub const TERMS: usize = 4;
/// Most ancestors that an alert names.
pub const ANCESTORS: usize = 6;

/// Most earlier events of a sequence that an alert names.
pub const STAGES: usize = 6;

/// Longest copy, in bytes, of an alert's arguments, NULs included.
pub const ARGS_LIMIT: usize = 512;
/// Longest copy, in bytes, of a directory, of a base name (`NAME_MAX` is 255), of a
/// working directory, of a term's value, and of a matched argument outside of the copy.
pub const PATH_LIMIT: usize = 255;
/// Longest copy, in bytes, of an ancestor's name, a rule id that is not a UUID, and each
/// text of the header.
pub const TEXT_LIMIT: usize = 64;

/// A record of an alert stream. Its number on the wire is that of the variant: later kinds
/// are appended, and a reader that does not know one skips it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Record<'a> {
    /// Who speaks. The first record of a stream, and again after each start.
    Header(Header<'a>),
    /// A rule matched, and its term was new if it has one.
    Alert(Alert<'a>),
    /// A rule whose first alert since the start follows.
    Rule(RuleInfo<'a>),
    /// How the sensor is.
    Health(Health),
    /// What the rate limit held back.
    HeldBack(HeldBack<'a>),
}

/// Who speaks: host, boot, sensor and rules. Texts are cut to [`TEXT_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header<'a> {
    /// [`STREAM_VERSION`] of the writer. Always the first field.
    pub version: u16,
    /// ECS `host.id`: the machine id, or a random one kept in the sensor's state.
    pub host_id: &'a str,
    /// ECS `host.name`.
    pub host_name: &'a str,
    /// The kernel's `random/boot_id`: [`Alert::boot_ms`] counts within it.
    pub boot_id: &'a str,
    /// Version of the sensor, as `peewit --version` says.
    pub sensor_version: &'a str,
    /// Build number of the rule pack.
    pub pack_build: u32,
    /// Checksum of the rule pack: says exactly which rules were looked for.
    pub pack_crc: u32,
    /// When the sensor started, in milliseconds since 1970 UTC.
    pub time_ms: u64,
}

/// How grave a rule's author finds a match (Elastic's four degrees).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Severity {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `critical`
    Critical,
}

impl Severity {
    /// All four, ascending. The place is the number in a pack.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name, as rules and `kibana.alert.severity` write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The number for ECS `event.severity`: the risk scores that Elastic's own rules go
    /// by, 21, 47, 73 and 99.
    pub const fn score(self) -> u8 {
        match self {
            Self::Low => 21,
            Self::Medium => 47,
            Self::High => 73,
            Self::Critical => 99,
        }
    }
}

/// What the process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// It started another program.
    Exec,
    /// It was started as the copy of its parent.
    Fork,
    /// It ended.
    End,
}

impl Action {
    /// The name for ECS `event.type`.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Exec | Self::Fork => "start",
            Self::End => "end",
        }
    }

    /// The name for ECS `event.action`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::End => "end",
        }
    }
}

/// The argument by which a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MatchedArg<'a> {
    /// Its place in argv; `argv[0]` counts as 0.
    pub index: u32,
    /// The argument itself. On the wire only if [`Alert::args`] does not hold it.
    pub bytes: &'a [u8],
}

/// The parent at the time of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parent<'a> {
    /// Its process id; 0 if it has none or is not known.
    pub pid: u32,
    /// Its program; `None` for a kernel thread or if it was lost.
    pub executable: Option<Path<'a>>,
}

/// A process further up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ancestor<'a> {
    /// Its process id.
    pub pid: u32,
    /// Base name of its program; empty if not known.
    pub name: &'a [u8],
}

/// An earlier event of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stage {
    /// The process id.
    pub pid: u32,
    /// When, on `CLOCK_BOOTTIME`.
    pub boot_ms: u64,
}

/// A rule matched. Names and arguments are bytes, not necessarily UTF-8.
///
/// What a recorded event does not say is 0 in `sequence`, `boot_ms`, `pid` and `tid`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Alert<'a> {
    /// Number of the alert in its stream, from 1. A gap is a lost alert.
    pub sequence: u64,
    /// The rule.
    pub rule: RuleId<'a>,
    /// The rule's severity.
    pub severity: Severity,
    /// The rule's risk score, 0 to 100.
    pub risk_score: u8,
    /// Values of the new term, in the order of the rule's fields; empty for a rule without
    /// one. `unknown` with [`Flags::LOST_PARENT`] where the value was lost.
    pub terms: Vec<&'a [u8], TERMS>,
    /// What the process did.
    pub action: Action,
    /// The argument by which the rule matched, if it was by one.
    pub matched_arg: Option<MatchedArg<'a>>,
    /// When, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The same on `CLOCK_BOOTTIME`: does not jump when the clock is set.
    pub boot_ms: u64,
    /// The process (thread group) id.
    pub pid: u32,
    /// The thread that made the call, nearly always `pid`.
    pub tid: u32,
    /// Its effective user id, if it could be read.
    pub uid: Option<u32>,
    /// Its program, without ` (deleted)`: see [`Flags::DELETED`].
    pub executable: Option<Path<'a>>,
    /// Its arguments, each ended by NUL, at most the first [`ARGS_LIMIT`] bytes.
    pub args: &'a [u8],
    /// Length of all arguments in bytes, at least that of `args`.
    pub args_len: u32,
    /// Its working directory, if it was read.
    pub cwd: Option<&'a [u8]>,
    /// Its parent.
    pub parent: Parent<'a>,
    /// Further ancestors, the grandparent first.
    pub ancestors: Vec<Ancestor<'a>, ANCESTORS>,
    /// What else is to be said.
    pub flags: Flags,
    /// For a sequence: its last events before this one, the oldest first.
    pub stages: Vec<Stage, STAGES>,
}

/// A captured event, whether or not a rule matches it. Not part of the alert stream: it
/// goes from the capture to the writer of `peewit run --events`, and is bounded only by
/// what lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProcessEvent<'a> {
    /// What the process did.
    pub action: Action,
    /// When, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The process (thread group) id.
    pub pid: u32,
    /// The thread that made the call.
    pub tid: u32,
    /// The parent's process id; 0 if not known.
    pub ppid: u32,
    /// Its program.
    pub executable: Option<&'a [u8]>,
    /// Its arguments, each ended by NUL.
    pub args: &'a [u8],
    /// Length of all arguments in bytes: more than that of `args` if the copy was cut.
    pub args_len: u32,
    /// Its working directory, if it was read.
    pub cwd: Option<&'a [u8]>,
    /// Its effective user id, if it was read.
    pub uid: Option<u32>,
    /// The parent's program.
    pub parent_executable: Option<&'a [u8]>,
    /// Whether program, arguments and parent are all known.
    pub complete: bool,
}
