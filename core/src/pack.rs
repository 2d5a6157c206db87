//! The rule pack: what the compiler writes and the engine evaluates in place.
//!
//! Little-endian, no alignment. The format is described in `docs/pack-format.md`.
//!
//! [`Pack::parse`] checks everything once: checksum, section bounds, every offset, index,
//! jump and state. What it returns borrows the bytes and copies nothing. The accessors check
//! bounds again and give an empty value outside them, so that no bytes, not even
//! well-checksummed hostile ones, can make the engine panic or loop.

mod late;
mod layout;
mod records;
mod rule;
mod texts;
mod validate;

pub(crate) use late::{Late, LateTest};
use layout::le_u32;
pub use layout::{
    ABOUT_BITS, ALWAYS, AUTOMATA, BEGINS_WITH, CHECKSUM_AT, FAIL, FIELD_LEN, GLOB, GLOB_FOLDS,
    GLOB_INSIDE, GLOB_LEN, GLOB_LEN_BITS, GLOB_SLOT_BITS, GLOB_WHOLE, HEADER_LEN, INSTRUCTION_LEN,
    ITEM_LEN, LATE_LEN, LENGTH, MAGIC, MATCH, MAX_BYTE, MAX_GLOB_LEN, MAX_SLOTS, MAX_TEXTS,
    NESTING, NO_GUARD, NO_SLOT, NOT, OR, PAIR_LEN, PATTERN, PURPOSE_LEN, RANGE_LEN, REGEX,
    RULE_LEN, SINGLE, SINGLE_SHORT, STEP_LEN, Section, TRIGGER_LEN, VERSION,
};
pub(crate) use records::{Condition, FieldIndex, ListRef, folds};
pub use rule::{NEW_TERMS, Purpose, QUERY, Rule, STAGE, THRESHOLD, TermFields};

use crate::automaton::WORD;
use crate::crc::crc32;

/// The number of an atom: a list of patterns over one field of which one must match, the same
/// for all rules that have that list.
pub type AtomId = u16;
/// The number of a rule within its pack.
pub type RuleIndex = u16;

/// Most 64-bit words of atoms, those that are tested one by one included; each field's atoms begin a new word.
pub const MAX_ATOM_WORDS: usize = 96;
/// Most 64-bit words of atoms that are tested one by one; they follow all others.
pub const MAX_LATE_WORDS: usize = 4;
/// Most queries in a pack.
pub const MAX_RULES: usize = 1024;
/// Most fields that tell a rule's matches apart; Elasticsearch allows three for `new_terms`.
pub const MAX_TERM_FIELDS: usize = 4;
/// Most stages of a sequence.
pub const MAX_STAGES: usize = 32;

/// What kinds of events a rule can hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Kinds(pub u8);

impl Kinds {
    /// A program was executed.
    pub const EXEC: Self = Self(1);
    /// A process was forked.
    pub const FORK: Self = Self(2);
    /// A process ended.
    pub const EXIT: Self = Self(4);
    /// A recorded event: its fields say what it is. Every rule has this bit.
    pub const ANY: Self = Self(0x80);

    /// Whether they have one in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Why bytes are not a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// They do not begin as a pack does.
    Magic,
    /// A version this code does not read.
    Version(u16),
    /// Not the length the header says.
    Length,
    /// The checksum is wrong.
    Checksum,
    /// Something in this section is out of bounds or malformed.
    Malformed(Section),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Magic => f.write_str("not a rule pack"),
            Self::Version(version) => {
                write!(
                    f,
                    "a rule pack of format {version}; this program reads format {VERSION}"
                )
            }
            Self::Length => f.write_str("a rule pack that is cut short or has bytes after its end"),
            Self::Checksum => f.write_str("a damaged rule pack: its checksum is wrong"),
            Self::Malformed(section) => {
                write!(f, "a malformed rule pack (section {})", *section as usize)
            }
        }
    }
}

impl core::error::Error for Error {}

/// A validated pack: its records in place.
#[derive(Clone, Copy, Debug)]
pub struct Pack<'a> {
    fields: &'a [[u8; FIELD_LEN]],
    rules: &'a [[u8; RULE_LEN]],
    purposes: &'a [[u8; PURPOSE_LEN]],
    code: &'a [[u8; INSTRUCTION_LEN]],
    words: &'a [[u8; WORD]],
    globs: &'a [[u8; GLOB_LEN]],
    ranges: &'a [[u8; RANGE_LEN]],
    late: &'a [[u8; LATE_LEN]],
    dfas: &'a [u8],
    steps: &'a [[u8; STEP_LEN]],
    triggers: &'a [[u8; TRIGGER_LEN]],
    lists: &'a [[u8; ITEM_LEN]],
    pairs: &'a [[u8; PAIR_LEN]],
    strings: &'a [u8],
    build: u32,
    checksum: u32,
}

/// The checksum of a pack: CRC-32 (ISO-HDLC) over all bytes but its own.
pub fn checksum(bytes: &[u8]) -> u32 {
    let head = bytes.get(..CHECKSUM_AT).unwrap_or(bytes);
    crc32(&[head, bytes.get(CHECKSUM_AT + 4..).unwrap_or(&[])])
}

impl<'a> Pack<'a> {
    /// Reads and checks a pack.
    ///
    /// # Errors
    /// Whatever is not exactly what the compiler writes.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Error::Magic);
        }
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Error::Length)?;
        let version = le_u32(header, 4);
        if version != u32::from(VERSION) {
            return Err(Error::Version(version as u16));
        }
        if le_u32(header, 8) as usize != bytes.len() {
            return Err(Error::Length);
        }
        let checksum_found = le_u32(header, CHECKSUM_AT);
        if checksum_found != checksum(bytes) {
            return Err(Error::Checksum);
        }
        let mut sections: [&[u8]; Section::COUNT] = [&[]; Section::COUNT];
        let mut rest = &bytes[HEADER_LEN..];
        let places = header[20..].as_chunks::<8>().0;
        for ((section, place), (name, record_len)) in
            sections.iter_mut().zip(places).zip(Section::ALL)
        {
            let (start, len) = (le_u32(place, 0) as usize, le_u32(place, 4) as usize);
            match rest.split_at_checked(len) {
                Some(split) if start == bytes.len() - rest.len() => (*section, rest) = split,
                _ => return Err(Error::Length),
            }
            if len % usize::from(record_len) != 0 {
                return Err(Error::Malformed(name));
            }
        }
        if !rest.is_empty() {
            return Err(Error::Length);
        }
        let pack = Self {
            fields: sections[Section::Fields as usize].as_chunks().0,
            rules: sections[Section::Rules as usize].as_chunks().0,
            purposes: sections[Section::Purposes as usize].as_chunks().0,
            code: sections[Section::Code as usize].as_chunks().0,
            words: sections[Section::Automata as usize].as_chunks().0,
            globs: sections[Section::Globs as usize].as_chunks().0,
            ranges: sections[Section::Ranges as usize].as_chunks().0,
            late: sections[Section::Late as usize].as_chunks().0,
            dfas: sections[Section::Dfas as usize],
            steps: sections[Section::Steps as usize].as_chunks().0,
            triggers: sections[Section::Triggers as usize].as_chunks().0,
            lists: sections[Section::Lists as usize].as_chunks().0,
            pairs: sections[Section::Pairs as usize].as_chunks().0,
            strings: sections[Section::Strings as usize],
            build: le_u32(header, 16),
            checksum: checksum_found,
        };
        pack.validate()?;
        Ok(pack)
    }

    /// The build number given to the compiler.
    pub const fn build(&self) -> u32 {
        self.build
    }

    /// The checksum: tells two packs of one build number apart.
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }
}
