//! The records.

use heapless::Vec;

use super::Clock;
use crate::alert::wire::fields::{Fields, Out};
use crate::alert::{PATH_LIMIT, TEXT_LIMIT};
use crate::pack::MAX_TERM_FIELDS;

/// Longest copy of a term's value. Of a longer one only its fingerprint is whole.
pub const TERM_LIMIT: usize = PATH_LIMIT;

/// Longest record.
pub const MAX_RECORD: usize =
    1 + 8 + 10 + 1 + (1 + TEXT_LIMIT) + 1 + MAX_TERM_FIELDS * (2 + TERM_LIMIT);

/// The values of a term, in the order of its rule's fields.
pub type Values<'a> = Vec<&'a [u8], MAX_TERM_FIELDS>;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Whose state it is. The first of a snapshot, and nowhere else.
    Identity(Identity<'a>),
    /// What the clocks said at a time.
    Clock(Clock),
    /// A term. In a journal: it is new, and its alert has been kept.
    Term(Term<'a>),
    /// A known term was seen again.
    Seen {
        /// Of the term.
        fingerprint: u64,
        /// When.
        age_ms: u64,
    },
    /// A term is to be unknown again.
    Forgotten {
        /// Of the term.
        fingerprint: u64,
    },
    /// Alerts up to this number may have been sent.
    Reserved {
        /// The number.
        sequence: u64,
    },
    /// Rules with this build number were in use.
    Pack {
        /// The number.
        build: u32,
    },
    /// The last of a snapshot, and nowhere else.
    End {
        /// How many terms there are in it.
        terms: u32,
        /// CRC-32 of all bytes before.
        checksum: u32,
    },
}

/// Whose state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The device's secret, for fingerprints.
    pub key: [u8; 16],
    /// ECS `host.id`, if the device has none of its own.
    pub host_id: &'a str,
    /// Alerts up to this number may have been sent; after a clean end: were.
    pub sequence: u64,
    /// The newest rules that were in use.
    pub pack_build: u32,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term<'a> {
    /// Of the whole term, under the device's secret.
    pub fingerprint: u64,
    /// When it was last seen, as age of the state.
    pub age_ms: u64,
    /// Whether it was seen more than once.
    pub learned: bool,
    /// Whether rule and values are all here and not cut.
    pub whole: bool,
    /// The rule's id. Empty if only the fingerprint is known.
    pub rule: &'a [u8],
    /// Its values.
    pub values: Values<'a>,
}

impl<'a> Term<'a> {
    /// A term with as much of its values as is kept.
    pub fn new(
        fingerprint: u64,
        age_ms: u64,
        learned: bool,
        rule: &'a [u8],
        values: &[&'a [u8]],
    ) -> Self {
        let kept = |value: &'a [u8], limit| value.get(..limit).unwrap_or(value);
        let short: Values<'a> = values
            .iter()
            .take(MAX_TERM_FIELDS)
            .map(|value| kept(value, TERM_LIMIT))
            .collect();
        let whole = short == values && rule.len() <= TEXT_LIMIT && !rule.is_empty();
        Self {
            fingerprint,
            age_ms,
            learned,
            whole,
            rule: kept(rule, TEXT_LIMIT),
            values: short,
        }
    }
}

/// Numbers of the kinds of records.
const IDENTITY: u8 = 0;
const CLOCK: u8 = 1;
const TERM: u8 = 2;
const SEEN: u8 = 3;
const FORGOTTEN: u8 = 4;
const RESERVED: u8 = 5;
const PACK: u8 = 6;
const END: u8 = 7;

/// Writes a record to the beginning of `out`. Gives its length; `None` if there is no room for it, which cannot be with
/// [`MAX_RECORD`] bytes.
#[inline(never)]
pub fn encode(record: &Record<'_>, out: &mut [u8]) -> Option<usize> {
    let mut out = Out::new(out);
    match record {
        Record::Identity(identity) => {
            out.byte(IDENTITY);
            out.raw(&identity.key);
            out.text(identity.host_id, TEXT_LIMIT);
            out.number(identity.sequence);
            out.number(identity.pack_build.into());
        }
        Record::Clock(clock) => {
            out.byte(CLOCK);
            out.number(clock.age_ms);
            out.number(clock.wall_ms);
            out.number(clock.boot_ms);
            out.raw(&clock.boot);
            out.byte(clock.trusted.into());
        }
        Record::Term(term) => {
            out.byte(TERM);
            out.fixed(term.fingerprint);
            out.number(term.age_ms);
            out.byte(u8::from(term.learned) | u8::from(term.whole) << 1);
            out.bytes(term.rule);
            out.byte(term.values.len() as u8);
            for value in &term.values {
                out.bytes(value);
            }
        }
        Record::Seen {
            fingerprint,
            age_ms,
        } => {
            out.byte(SEEN);
            out.fixed(*fingerprint);
            out.number(*age_ms);
        }
        Record::Forgotten { fingerprint } => {
            out.byte(FORGOTTEN);
            out.fixed(*fingerprint);
        }
        Record::Reserved { sequence } => {
            out.byte(RESERVED);
            out.number(*sequence);
        }
        Record::Pack { build } => {
            out.byte(PACK);
            out.number((*build).into());
        }
        Record::End { terms, checksum } => {
            out.byte(END);
            out.number((*terms).into());
            out.raw(&checksum.to_le_bytes());
        }
    }
    out.end()
}

impl<'a> Record<'a> {
    /// The record that these bytes are, all of them.
    #[inline(never)]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let record = match fields.byte() {
            IDENTITY => Self::Identity(Identity {
                key: fields.array(),
                host_id: fields.text(),
                sequence: fields.u64(),
                pack_build: fields.u32(),
            }),
            CLOCK => Self::Clock(Clock {
                age_ms: fields.u64(),
                wall_ms: fields.u64(),
                boot_ms: fields.u64(),
                boot: fields.array(),
                trusted: fields.some(),
            }),
            TERM => Self::Term(term(&mut fields)?),
            SEEN => Self::Seen {
                fingerprint: fields.fixed(),
                age_ms: fields.u64(),
            },
            FORGOTTEN => Self::Forgotten {
                fingerprint: fields.fixed(),
            },
            RESERVED => Self::Reserved {
                sequence: fields.u64(),
            },
            PACK => Self::Pack {
                build: fields.u32(),
            },
            END => Self::End {
                terms: fields.u32(),
                checksum: u32::from_le_bytes(fields.array()),
            },
            _ => return None,
        };
        (!fields.failed && fields.is_empty()).then_some(record)
    }
}

fn term<'a>(fields: &mut Fields<'a>) -> Option<Term<'a>> {
    let fingerprint = fields.fixed();
    let age_ms = fields.u64();
    let marks = fields.byte();
    let rule = fields.bytes();
    let count = fields.byte();
    let mut values = Values::new();
    for _ in 0..count {
        values.push(fields.bytes()).ok()?;
    }
    (marks < 4).then_some(Term {
        fingerprint,
        age_ms,
        learned: marks & 1 != 0,
        whole: marks & 2 != 0,
        rule,
        values,
    })
}
