//! The numbers of the format: `docs/pack-format.md` in code.

/// First bytes of a pack.
pub const MAGIC: [u8; 4] = *b"PEEW";
/// The version this code reads and writes.
pub const VERSION: u16 = 2;

/// Bytes before the first section.
pub const HEADER_LEN: usize = 20 + 8 * Section::COUNT;
/// Where the checksum stands: over all other bytes.
pub const CHECKSUM_AT: usize = 12;
/// Automata of a field: anchored, reversed and unanchored, each again ignoring case.
pub const AUTOMATA: usize = 6;
/// Length of a record of each section.
pub const FIELD_LEN: usize = 8 + 8 * AUTOMATA;
/// See [`FIELD_LEN`].
pub const RULE_LEN: usize = 68;
/// See [`FIELD_LEN`].
pub const INSTRUCTION_LEN: usize = 6;
/// See [`FIELD_LEN`].
pub const GLOB_LEN: usize = 12;
/// See [`FIELD_LEN`].
pub const RANGE_LEN: usize = 20;
/// See [`FIELD_LEN`].
pub const STEP_LEN: usize = 2;
/// See [`FIELD_LEN`].
pub const TRIGGER_LEN: usize = 4;
/// See [`FIELD_LEN`].
pub const LATE_LEN: usize = 12;
/// Length of a list's element, an index or an atom.
pub const ITEM_LEN: usize = 2;

/// The parts of a pack, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(usize)]
pub enum Section {
    /// One record for each field that a rule asks for, ascending.
    Fields,
    /// One record for each query: for a sequence as many as it has stages, one after the other.
    Rules,
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
    /// For atoms, ascending, the list of rules to look at if one holds.
    Triggers,
    /// Lists: a count, then so many items.
    Lists,
    /// Text and patterns.
    Strings,
}

impl Section {
    /// How many sections there are.
    pub const COUNT: usize = 12;
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
pub const NO_SLOT: u16 = 0xFFFF;
/// Most globs of an automaton with a slot.
pub const MAX_SLOTS: usize = 2048;
/// In a glob's record: the case of ASCII letters is ignored.
pub const GLOB_FOLDS: u8 = 1;
/// In a glob's record: it is tried on the whole value.
pub const GLOB_WHOLE: u8 = 2;
/// In a glob's record: it is a literal that may stand anywhere, and the slot says how many of its bytes were read where a part
/// of it was found.
pub const GLOB_INSIDE: u8 = 4;
/// In an atom's late test: there is no atom without which it cannot hold.
pub const NO_GUARD: u16 = 0xFFFF;
/// What a late test asks: the length in UTF-16 units, lowest and highest.
pub const LENGTH: u8 = 0;
/// See [`LENGTH`]: whether the value begins with that of the field of this number.
pub const BEGINS_WITH: u8 = 1;
/// See [`LENGTH`]: a regular expression, offset and length of its automaton.
pub const REGEX: u8 = 2;
/// In a trigger, instead of an atom: the rules that are looked at whatever holds.
pub const ALWAYS: u16 = 0xFFFF;

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
