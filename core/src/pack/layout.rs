//! The numbers of the format: `docs/pack-format.md` in code.

use crate::automaton::WORD;

/// First bytes of a pack.
pub const MAGIC: [u8; 4] = *b"PEEW";
/// The version this code reads and writes.
pub const VERSION: u16 = 4;

/// Bytes before the first section.
pub const HEADER_LEN: usize = 20 + 8 * Section::COUNT;
/// Where the checksum stands: over all other bytes.
pub const CHECKSUM_AT: usize = 12;
/// Automata of a field: anchored, reversed and unanchored, each again ignoring case.
pub const AUTOMATA: usize = 6;
/// Length of a record of each section.
pub const FIELD_LEN: usize = 8 + 8 * AUTOMATA;
/// See [`FIELD_LEN`].
pub const RULE_LEN: usize = 10;
/// See [`FIELD_LEN`].
pub const PURPOSE_LEN: usize = 28;
/// See [`FIELD_LEN`].
pub const INSTRUCTION_LEN: usize = 4;
/// See [`FIELD_LEN`].
pub const GLOB_LEN: usize = 8;
/// See [`FIELD_LEN`].
pub const RANGE_LEN: usize = 20;
/// See [`FIELD_LEN`].
pub const STEP_LEN: usize = 4;
/// See [`FIELD_LEN`].
pub const TRIGGER_LEN: usize = 10;
/// See [`FIELD_LEN`].
pub const LATE_LEN: usize = 12;
/// See [`FIELD_LEN`].
pub const PAIR_LEN: usize = 4;
/// Length of a list's element, an index or an atom.
pub const ITEM_LEN: usize = 2;

/// The parts of a pack, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Section {
    /// One record for each field that a rule asks for, ascending.
    Fields,
    /// One record for each query: for a sequence as many as it has stages, one after the other.
    Rules,
    /// What is to be done with matches, each way once.
    Purposes,
    /// The rules' conditions: conditional jumps.
    Code,
    /// The words of all automata.
    Automata,
    /// What follows the first literal of patterns with several runs.
    Globs,
    /// Ranges of numbers.
    Ranges,
    /// Atoms that are tested one by one, when a rule asks for them.
    Late,
    /// The automata of regular expressions.
    Dfas,
    /// In what order fields are evaluated to find rules to look at.
    Steps,
    /// For each word of atoms those of them that are triggers, and their lists of rules.
    Triggers,
    /// Lists: a count, then so many items.
    Lists,
    /// What texts have in common.
    Pairs,
    /// Patterns, and what is to be said of rules.
    Strings,
}

impl Section {
    /// How many sections there are.
    pub const COUNT: usize = 14;

    /// All of them, and how long their records are.
    pub(super) const ALL: [(Self, u8); Self::COUNT] = [
        (Self::Fields, FIELD_LEN as u8),
        (Self::Rules, RULE_LEN as u8),
        (Self::Purposes, PURPOSE_LEN as u8),
        (Self::Code, INSTRUCTION_LEN as u8),
        (Self::Automata, WORD as u8),
        (Self::Globs, GLOB_LEN as u8),
        (Self::Ranges, RANGE_LEN as u8),
        (Self::Late, LATE_LEN as u8),
        (Self::Dfas, 1),
        (Self::Steps, STEP_LEN as u8),
        (Self::Triggers, TRIGGER_LEN as u8),
        (Self::Lists, ITEM_LEN as u8),
        (Self::Pairs, PAIR_LEN as u8),
        (Self::Strings, 1),
    ];
}

/// A jump target: the rule matches. The end of a rule's jumps stands for the same.
pub const MATCH: u16 = 0xFFFF;
/// A jump target: the rule does not match.
pub const FAIL: u16 = 0xFFFE;
/// Set in an instruction's atom: the condition is that it does not hold.
pub const NOT: u16 = 1 << 15;
/// Set in an instruction's atom: the target is where to go if the condition holds, and the next instruction if not; otherwise it is
/// the other way round.
pub const OR: u16 = 1 << 14;
/// Set in an output: the rest is the number of a glob, not of an atom.
pub const GLOB: u16 = 1 << 15;
/// Set in a state's list of outputs: it is one output, in the lower 16 bits, and stands nowhere else.
pub const SINGLE: u32 = 1 << 24;
/// The same in any other list of 2 bytes, with the one item in its lower 15 bits.
pub const SINGLE_SHORT: u16 = 1 << 15;
/// Most bytes of a glob's pattern: what its length has room for.
pub const MAX_GLOB_LEN: usize = (1 << GLOB_LEN_BITS) - 1;
/// In a glob's record, the bits of the pattern's length; the offset stands above them.
pub const GLOB_LEN_BITS: u32 = 11;
/// In a glob's record, for one that is tried on what follows: a byte that must be there stands in the place of the slot.
pub const MAX_BYTE: u16 = 0xFF;
/// In a glob's record: it is tried for each of its outputs, not only the first.
pub const NO_SLOT: u16 = (1 << GLOB_SLOT_BITS) - 1;
/// In a glob's record, the bits of the slot; flags stand above them.
pub const GLOB_SLOT_BITS: u32 = 13;
/// Most globs of a field with a slot.
pub const MAX_SLOTS: usize = 1024;
/// In a glob's record: the case of ASCII letters is ignored.
pub const GLOB_FOLDS: u16 = 1 << GLOB_SLOT_BITS;
/// In a glob's record: it is tried on the whole value.
pub const GLOB_WHOLE: u16 = 2 << GLOB_SLOT_BITS;
/// In a glob's record: it is a literal that may stand anywhere, and the slot says how many of its bytes were read where a part
/// of it was found.
pub const GLOB_INSIDE: u16 = 4 << GLOB_SLOT_BITS;
/// In an atom's late test: there is no atom without which it cannot hold.
pub const NO_GUARD: u16 = 0xFFFF;
/// What a late test asks: the length in UTF-16 units, lowest and highest.
pub const LENGTH: u8 = 0;
/// See [`LENGTH`]: whether the value begins with that of the field of this number.
pub const BEGINS_WITH: u8 = 1;
/// See [`LENGTH`]: a regular expression, offset and length of its automaton.
pub const REGEX: u8 = 2;
/// See [`LENGTH`]: a pattern, as a glob's record has it, and whether the case of ASCII letters is ignored.
pub const PATTERN: u8 = 3;
/// In a rule's record, the bits of the offset of what is to be said of it; the kinds of events stand above them.
pub const ABOUT_BITS: u32 = 24;
/// Most bytes of a rule's texts, with their lengths.
pub const MAX_TEXTS: usize = 2048;
/// Most symbols of a text that wait until one before them is written out.
pub const NESTING: usize = 24;
/// In a step, instead of a field: its rules are looked at whatever holds.
pub const ALWAYS: u8 = 0xFF;

/// The number at `at`, which the caller knows to be in the record.
#[inline(always)]
pub(super) fn le_u16<const N: usize>(record: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// The same of four bytes.
#[inline(always)]
pub(super) fn le_u32<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}
