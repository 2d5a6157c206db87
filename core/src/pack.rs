//! The rule pack: what the compiler writes and the engine evaluates in place.
//!
//! Little-endian, no alignment. The format is described in `docs/pack-format.md`.
//!
//! [`Pack::parse`] checks everything once: checksum, section bounds, every offset, index,
//! jump and state. What it returns borrows the bytes and copies nothing. The accessors check
//! bounds again and give an empty value outside them, so that no bytes, not even
//! well-checksummed hostile ones, can make the engine panic or loop.

use crate::alert::Severity;
use crate::automaton::{Automaton, WORD};
use crate::field::{Field, Type};
use crate::glob;

/// The number of an atom: a list of patterns over one field of which one must match, the same
/// for all rules that have that list.
pub type AtomId = u16;
/// The number of a rule within its pack.
pub type RuleIndex = u16;

/// First bytes of a pack.
pub const MAGIC: [u8; 4] = *b"PEEW";
/// The version this code reads and writes.
pub const VERSION: u16 = 1;
/// Most 64-bit words of atoms; each field's atoms begin a new word.
pub const MAX_ATOM_WORDS: usize = 96;
/// Most rules in a pack.
pub const MAX_RULES: usize = 1024;
/// Most fields of a `new_terms` rule; Elasticsearch allows three.
pub const MAX_TERM_FIELDS: usize = 4;

/// Bytes before the first section.
pub const HEADER_LEN: usize = 20 + 8 * Section::COUNT;
/// Where the checksum stands: over all other bytes.
pub const CHECKSUM_AT: usize = 12;
/// Length of a record of each section.
pub const FIELD_LEN: usize = 40;
/// See [`FIELD_LEN`].
pub const RULE_LEN: usize = 56;
/// See [`FIELD_LEN`].
pub const INSTRUCTION_LEN: usize = 6;
/// See [`FIELD_LEN`].
pub const GLOB_LEN: usize = 12;
/// See [`FIELD_LEN`].
pub const RANGE_LEN: usize = 20;
/// See [`FIELD_LEN`].
pub const STEP_LEN: usize = 2;
/// Length of a list's element, an index or an atom.
pub const ITEM_LEN: usize = 2;

/// The parts of a pack, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Section {
    /// One record for each field that a rule asks for, ascending.
    Fields,
    /// One record for each rule.
    Rules,
    /// The rules' conditions: conditional jumps.
    Code,
    /// The words of all automata.
    Automata,
    /// What follows the first literal of patterns with several runs.
    Globs,
    /// Ranges of numbers.
    Ranges,
    /// In what order fields are evaluated to find rules to look at.
    Steps,
    /// For each atom, the list of rules to look at if it holds.
    Triggers,
    /// Lists: a count, then so many items.
    Lists,
    /// Text and patterns.
    Strings,
}

impl Section {
    /// How many sections there are.
    pub const COUNT: usize = 10;
}

/// A jump target: the rule matches.
pub const MATCH: u16 = 0xFFFF;
/// A jump target: the rule does not match.
pub const FAIL: u16 = 0xFFFE;
/// Set in an instruction's atom: the condition is that it does not hold.
pub const NOT: u16 = 1 << 15;
/// Set in an output: the rest is the number of a glob, not of an atom.
pub const GLOB: u16 = 1 << 15;
/// In a glob's record: it is tried for each of its outputs, not only the first.
pub const NO_SLOT: u8 = 0xFF;
/// In a trigger or a rule: no list.
pub const NO_LIST: u16 = 0xFFFF;

/// What kinds of events a rule can hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Kinds(pub u8);

impl Kinds {
    /// A program was executed.
    pub const EXEC: Self = Self(1);
    /// A process was forked.
    pub const FORK: Self = Self(2);
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

#[cfg(feature = "defmt")]
impl defmt::Format for Section {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "section {}", *self as usize);
    }
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

/// A validated pack.
#[derive(Clone, Copy, Debug)]
pub struct Pack<'a> {
    sections: [&'a [u8]; Section::COUNT],
    build: u32,
    checksum: u32,
}

/// One rule of a pack.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// The rule's id, a UUID in most collections.
    pub id: &'a str,
    /// Its title.
    pub name: &'a str,
    /// Its authors, separated by `, `.
    pub author: &'a str,
    /// ATT&CK tactics, techniques and subtechniques, separated by a space.
    pub attack: &'a str,
    /// How severe a match is.
    pub severity: Severity,
    /// 0 to 100.
    pub risk_score: u8,
    /// The events it can hold for.
    pub kinds: Kinds,
    /// Not empty: an alert is for new values of these only.
    pub terms: TermFields,
    /// How long a term stays known, ms.
    pub window_ms: u64,
    /// How far a scheduled run looks back, ms (replay's streaming form).
    pub lookback_ms: u64,
    /// Time between two scheduled runs, ms (replay's streaming form).
    pub interval_ms: u64,
    pub(crate) code: u16,
    pub(crate) code_len: u16,
}

/// The fields of a `new_terms` rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermFields {
    fields: [Option<Field>; MAX_TERM_FIELDS],
}

impl TermFields {
    /// The fields, in the rule's order.
    pub fn iter(&self) -> impl Iterator<Item = Field> {
        self.fields.into_iter().flatten()
    }

    /// Whether the rule is not a `new_terms` rule.
    pub const fn is_empty(&self) -> bool {
        self.fields[0].is_none()
    }
}

/// A field's part of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldIndex<'a> {
    pub field: Field,
    pub first_word: usize,
    pub words: usize,
    /// Anchored, anchored ignoring case, unanchored, unanchored ignoring case.
    pub automata: [Automaton<'a>; 4],
    pub ranges: u16,
    pub range_count: u16,
}

/// A pattern's rest, to be matched where its first literal was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glob<'a> {
    pub pattern: &'a [u8],
    pub list: u16,
    pub fold: bool,
    pub slot: u8,
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub low: i64,
    pub high: i64,
    pub list: u16,
}

/// A conditional jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub atom: AtomId,
    pub negated: bool,
    pub then: u16,
    pub otherwise: u16,
}

/// One field to evaluate in search of rules to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// `None`: the rules that must always be looked at.
    pub field: Option<Field>,
    pub kinds: Kinds,
}

/// Fixed-length little-endian values out of a record, zero outside it.
#[derive(Clone, Copy)]
struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// Record `index` of a table, empty if there is none.
    fn of(table: &'a [u8], index: usize, len: usize) -> Self {
        Self(table.get(index * len..index * len + len).unwrap_or(&[]))
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        if let Some(bytes) = self.0.get(at..at + N) {
            array.copy_from_slice(bytes);
        }
        array
    }

    fn u8(self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn i64(self, at: usize) -> i64 {
        i64::from_le_bytes(self.array(at))
    }

    /// Bytes of `area` at the offset and length that stand here.
    fn slice(self, at: usize, area: &[u8], unit: usize) -> Option<&[u8]> {
        let start = (self.u32(at) as usize).checked_mul(unit)?;
        let len = (self.u32(at + 4) as usize).checked_mul(unit)?;
        area.get(start..start.checked_add(len)?)
    }
}

/// The checksum of a pack: CRC-32 (ISO-HDLC) over all bytes but its own.
pub fn checksum(bytes: &[u8]) -> u32 {
    // No table: packs are checked once, and 1 KiB is 1 % of the binary.
    const CRC: crc::Crc<u32, crc::NoTable> =
        crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    digest.update(bytes.get(..CHECKSUM_AT).unwrap_or(bytes));
    digest.update(bytes.get(CHECKSUM_AT + 4..).unwrap_or(&[]));
    digest.finalize()
}

impl<'a> Pack<'a> {
    /// Reads and checks a pack.
    ///
    /// # Errors
    /// Whatever is not exactly what the compiler writes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Record(bytes);
        if !bytes.starts_with(&MAGIC) {
            return Err(Error::Magic);
        }
        if bytes.len() < HEADER_LEN {
            return Err(Error::Length);
        }
        if header.u16(4) != VERSION {
            return Err(Error::Version(header.u16(4)));
        }
        if header.u32(8) as usize != bytes.len() {
            return Err(Error::Length);
        }
        if header.u32(CHECKSUM_AT) != checksum(bytes) {
            return Err(Error::Checksum);
        }
        let mut sections: [&[u8]; Section::COUNT] = [&[]; Section::COUNT];
        let mut expected = HEADER_LEN;
        for (index, section) in sections.iter_mut().enumerate() {
            let at = 20 + 8 * index;
            if header.u32(at) as usize != expected {
                return Err(Error::Length);
            }
            *section = header.slice(at, bytes, 1).ok_or(Error::Length)?;
            expected += section.len();
        }
        if expected != bytes.len() {
            return Err(Error::Length);
        }
        let pack = Self {
            sections,
            build: header.u32(16),
            checksum: header.u32(CHECKSUM_AT),
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

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        self.section(Section::Rules).len() / RULE_LEN
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = Rule<'a>> + use<'a> {
        let pack = *self;
        (0..self.rule_count()).filter_map(move |index| pack.rule(index as RuleIndex))
    }

    /// A rule by its number.
    pub fn rule(&self, index: RuleIndex) -> Option<Rule<'a>> {
        if usize::from(index) >= self.rule_count() {
            return None;
        }
        let record = Record::of(self.section(Section::Rules), usize::from(index), RULE_LEN);
        let text = |at: usize| {
            let strings = self.section(Section::Strings);
            let start = record.u32(at) as usize;
            let len = usize::from(record.u16(at + 4));
            core::str::from_utf8(strings.get(start..start.checked_add(len)?)?).ok()
        };
        let terms = record.array::<MAX_TERM_FIELDS>(40);
        let mut fields = [None; MAX_TERM_FIELDS];
        for (field, number) in fields
            .iter_mut()
            .zip(terms.into_iter().take_while(|&number| number != 0xFF))
        {
            *field = Some(Field::from_number(number)?);
        }
        Some(Rule {
            id: text(0)?,
            name: text(6)?,
            author: text(12)?,
            attack: text(18)?,
            code: record.u16(24),
            code_len: record.u16(26),
            window_ms: u64::from(record.u32(28)) * 1000,
            lookback_ms: u64::from(record.u32(32)) * 1000,
            interval_ms: u64::from(record.u32(36)) * 1000,
            terms: TermFields { fields },
            severity: *Severity::ALL.get(usize::from(record.u8(44)))?,
            risk_score: record.u8(45),
            kinds: Kinds(record.u8(46)),
        })
    }

    /// What is needed to decide a rule: its kinds, its first instruction and how many it has.
    #[inline]
    pub(crate) fn condition(&self, index: RuleIndex) -> (Kinds, u16, u16) {
        let record = Record::of(self.section(Section::Rules), usize::from(index), RULE_LEN);
        (Kinds(record.u8(46)), record.u16(24), record.u16(26))
    }

    /// The fields that the rules ask for, ascending by number.
    pub fn fields(&self) -> impl Iterator<Item = Field> + use<'a> {
        let pack = *self;
        (0..self.count(Section::Fields, FIELD_LEN))
            .filter_map(move |index| Some(pack.field(index)?.field))
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.sections[section as usize]
    }

    fn count(&self, section: Section, len: usize) -> usize {
        self.section(section).len() / len
    }

    pub(crate) fn field(&self, index: usize) -> Option<FieldIndex<'a>> {
        let record = Record::of(self.section(Section::Fields), index, FIELD_LEN);
        let words = self.section(Section::Automata);
        let automaton = |slot: usize| {
            let bytes = record.slice(8 + slot * 8, words, WORD)?;
            Some(Automaton::new(bytes, slot >= 2))
        };
        Some(FieldIndex {
            field: Field::from_number(record.0.first().copied()?)?,
            first_word: usize::from(record.u8(1)),
            words: usize::from(record.u8(2)),
            ranges: record.u16(4),
            range_count: record.u16(6),
            automata: [automaton(0)?, automaton(1)?, automaton(2)?, automaton(3)?],
        })
    }

    pub(crate) fn instruction(&self, index: u16) -> Instruction {
        let record = Record::of(
            self.section(Section::Code),
            usize::from(index),
            INSTRUCTION_LEN,
        );
        let atom = record.u16(0);
        Instruction {
            atom: atom & !NOT,
            negated: atom & NOT != 0,
            then: record.u16(2),
            otherwise: record.u16(4),
        }
    }

    pub(crate) fn glob(&self, index: u16) -> Option<Glob<'a>> {
        let record = Record::of(self.section(Section::Globs), usize::from(index), GLOB_LEN);
        let start = record.u32(0) as usize;
        let end = start.checked_add(usize::from(record.u16(4)))?;
        Some(Glob {
            pattern: self.section(Section::Strings).get(start..end)?,
            list: record.u16(6),
            fold: record.u8(8) != 0,
            slot: record.u8(9),
        })
    }

    pub(crate) fn range(&self, index: u16) -> Range {
        let record = Record::of(self.section(Section::Ranges), usize::from(index), RANGE_LEN);
        Range {
            low: record.i64(0),
            high: record.i64(8),
            list: record.u16(16),
        }
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + use<'a> {
        self.section(Section::Steps)
            .chunks_exact(STEP_LEN)
            .map(|step| Step {
                field: Field::from_number(step[0]),
                kinds: Kinds(step[1]),
            })
    }

    /// The list of rules to look at if `atom` holds. The list after the last atom's is of the
    /// rules that must always be looked at.
    pub(crate) fn trigger(&self, atom: usize) -> u16 {
        match self
            .section(Section::Triggers)
            .get(atom * ITEM_LEN..atom * ITEM_LEN + ITEM_LEN)
        {
            Some(&[low, high]) => u16::from_le_bytes([low, high]),
            _ => NO_LIST,
        }
    }

    /// The number of atoms, those that only fill a field's last word included.
    pub(crate) fn atom_count(&self) -> usize {
        self.count(Section::Triggers, ITEM_LEN).saturating_sub(1)
    }

    /// The items of a list; none if there is no such list.
    #[inline]
    pub(crate) fn list(&self, index: u16) -> impl Iterator<Item = u16> + use<'a> {
        let lists = self.section(Section::Lists);
        let start = usize::from(index) * ITEM_LEN;
        let count = match lists.get(start..start + ITEM_LEN) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        };
        let items = lists
            .get(start + ITEM_LEN..start + ITEM_LEN * (1 + count))
            .unwrap_or(&[]);
        items
            .chunks_exact(ITEM_LEN)
            .map(|item| u16::from_le_bytes([item[0], item[1]]))
    }

    fn validate(&self) -> Result<(), Error> {
        let check = |section, holds: bool| {
            if holds {
                Ok(())
            } else {
                Err(Error::Malformed(section))
            }
        };
        for (section, len) in [
            (Section::Fields, FIELD_LEN),
            (Section::Rules, RULE_LEN),
            (Section::Code, INSTRUCTION_LEN),
            (Section::Automata, WORD),
            (Section::Globs, GLOB_LEN),
            (Section::Ranges, RANGE_LEN),
            (Section::Steps, STEP_LEN),
            (Section::Triggers, ITEM_LEN),
            (Section::Lists, ITEM_LEN),
        ] {
            check(section, self.section(section).len().is_multiple_of(len))?;
        }
        let globs = self.count(Section::Globs, GLOB_LEN);
        let items = self.count(Section::Lists, ITEM_LEN);
        let atoms = self.atom_count();
        let rules = self.rule_count();
        check(Section::Rules, rules <= MAX_RULES)?;
        check(Section::Globs, globs < usize::from(GLOB))?;
        check(Section::Lists, items <= usize::from(NO_LIST))?;

        // Lists of outputs and lists of rules are told apart by who refers to them.
        let outputs = |list: u32| {
            u16::try_from(list).is_ok_and(|list| {
                self.list_is_whole(list)
                    && self.list(list).all(|item| {
                        let number = usize::from(item & !GLOB);
                        number < if item & GLOB == 0 { atoms } else { globs }
                    })
            })
        };
        let rule_list = |list: u16| {
            list == NO_LIST
                || (self.list_is_whole(list)
                    && self.list(list).all(|rule| usize::from(rule) < rules))
        };

        let mut next_word = 0;
        let mut previous = None;
        for index in 0..self.count(Section::Fields, FIELD_LEN) {
            let Some(field) = self.field(index) else {
                return Err(Error::Malformed(Section::Fields));
            };
            check(
                Section::Fields,
                field.first_word == next_word && field.words > 0 && previous < Some(field.field),
            )?;
            previous = Some(field.field);
            next_word += field.words;
            for automaton in field.automata {
                check(
                    Section::Automata,
                    automaton.is_empty() || automaton.validate(outputs),
                )?;
                check(
                    Section::Automata,
                    automaton.is_empty() || field.field.ty() != Type::Number,
                )?;
            }
            let ranges = usize::from(field.ranges) + usize::from(field.range_count);
            check(
                Section::Ranges,
                ranges <= self.count(Section::Ranges, RANGE_LEN),
            )?;
        }
        check(
            Section::Fields,
            next_word <= MAX_ATOM_WORDS && next_word * 64 == atoms,
        )?;

        for index in 0..globs {
            let glob = self.glob(index as u16);
            let whole = glob.is_some_and(|glob| {
                glob::validate(glob.pattern).is_ok()
                    && outputs(u32::from(glob.list))
                    && self.list(glob.list).all(|item| item & GLOB == 0)
            });
            check(Section::Globs, whole)?;
        }
        for index in 0..self.count(Section::Ranges, RANGE_LEN) {
            let list = self.range(index as u16).list;
            check(
                Section::Ranges,
                outputs(u32::from(list)) && self.list(list).all(|item| item & GLOB == 0),
            )?;
        }
        for index in 0..rules {
            let Some(rule) = self.rule(index as RuleIndex) else {
                return Err(Error::Malformed(Section::Rules));
            };
            let end = usize::from(rule.code) + usize::from(rule.code_len);
            check(
                Section::Code,
                rule.code_len > 0 && end <= self.count(Section::Code, INSTRUCTION_LEN),
            )?;
            for at in rule.code..rule.code + rule.code_len {
                let instruction = self.instruction(at);
                // Jumps go forward only: a condition is decided after code_len steps at most.
                let lands =
                    |target: u16| target >= FAIL || (target > at && usize::from(target) < end);
                let sound = usize::from(instruction.atom) < atoms
                    && lands(instruction.then)
                    && lands(instruction.otherwise);
                check(Section::Code, sound)?;
            }
        }
        check(
            Section::Triggers,
            (0..=atoms).all(|atom| rule_list(self.trigger(atom))),
        )?;
        for step in self.steps() {
            let indexed = step
                .field
                .is_none_or(|field| self.fields().any(|other| other == field));
            check(Section::Steps, indexed)?;
        }
        Ok(())
    }

    fn list_is_whole(&self, list: u16) -> bool {
        let lists = self.section(Section::Lists);
        let start = usize::from(list) * ITEM_LEN;
        match lists.get(start..start + ITEM_LEN) {
            Some(&[low, high]) => {
                let count = usize::from(u16::from_le_bytes([low, high]));
                lists.len() >= start + ITEM_LEN * (1 + count)
            }
            _ => false,
        }
    }
}
