//! Reading the records of a pack.

use core::ops::Range;

use super::layout::{le_u16, le_u32};
use super::{AtomId, FIELD_LEN, INSTRUCTION_LEN, Kinds, MAX_TERM_FIELDS, NOT, Pack, RuleIndex};
use crate::alert::Severity;
use crate::automaton::Automaton;
use crate::field::Field;
use crate::utf8;

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
    /// Its number within the pack.
    pub index: RuleIndex,
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
    /// Whether the first automaton is the only one.
    pub only_anchored: bool,
    /// First bytes of values that may satisfy an atom, a bit each: others are not looked at.
    first_bytes: [u64; 4],
}

impl FieldIndex<'_> {
    /// Whether a value can satisfy any atom, as far as its first byte tells.
    #[inline]
    pub fn may_hold(&self, value: &[u8]) -> bool {
        // The empty value begins with nothing that could rule it out.
        value
            .first()
            .is_none_or(|&byte| self.first_bytes[usize::from(byte / 64)] >> (byte % 64) & 1 == 1)
    }

    /// Its atoms' words.
    #[inline]
    pub fn atom_words(&self) -> Range<usize> {
        self.first_word..self.first_word + self.words
    }

    /// Its atoms.
    #[inline]
    pub fn atoms(&self) -> Range<usize> {
        self.first_word * 64..(self.first_word + self.words) * 64
    }
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
pub(crate) struct NumberRange {
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

/// A rule's condition: jumps that all go forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition<'a> {
    pub kinds: Kinds,
    first: u16,
    code: &'a [[u8; INSTRUCTION_LEN]],
}

impl<'a> Condition<'a> {
    /// The jump at a place of the condition.
    #[inline]
    pub fn instruction(&self, place: usize) -> Option<Instruction> {
        self.code.get(place).map(Instruction::new)
    }

    /// All jumps, in order.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction> + use<'a> {
        self.code.iter().map(Instruction::new)
    }

    /// The place that a target stands for.
    #[inline]
    pub fn place(&self, target: u16) -> usize {
        usize::from(target.wrapping_sub(self.first))
    }
}

impl Instruction {
    #[inline]
    fn new(record: &[u8; INSTRUCTION_LEN]) -> Self {
        let atom = le_u16(record, 0);
        Self {
            atom: atom & !NOT,
            negated: atom & NOT != 0,
            then: le_u16(record, 2),
            otherwise: le_u16(record, 4),
        }
    }
}

/// One field to evaluate in search of rules to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// `None`: the rules that must always be looked at.
    pub field: Option<Field>,
    pub kinds: Kinds,
}

impl<'a> Pack<'a> {
    /// How many rules there are.
    pub const fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = Rule<'a>> + use<'a> {
        let pack = *self;
        (0..pack.rules.len() as RuleIndex).filter_map(move |index| pack.rule(index))
    }

    /// A rule by its number.
    pub fn rule(&self, index: RuleIndex) -> Option<Rule<'a>> {
        let record = self.rules.get(usize::from(index))?;
        let text = |at: usize| {
            let bytes = self.string(le_u32(record, at), le_u16(record, at + 4))?;
            utf8(bytes)
        };
        let mut fields = [None; MAX_TERM_FIELDS];
        let numbers = record[40..40 + MAX_TERM_FIELDS].iter();
        for (field, &number) in fields
            .iter_mut()
            .zip(numbers.take_while(|&&number| number != 0xFF))
        {
            *field = Some(Field::from_number(number)?);
        }
        Some(Rule {
            id: text(0)?,
            name: text(6)?,
            author: text(12)?,
            attack: text(18)?,
            index,
            window_ms: u64::from(le_u32(record, 28)) * 1000,
            lookback_ms: u64::from(le_u32(record, 32)) * 1000,
            interval_ms: u64::from(le_u32(record, 36)) * 1000,
            terms: TermFields { fields },
            severity: *Severity::ALL.get(usize::from(record[44]))?,
            risk_score: record[45],
            kinds: Kinds(record[46]),
        })
    }

    /// A rule's condition.
    #[inline]
    pub(crate) fn condition(&self, rule: RuleIndex) -> Option<Condition<'a>> {
        let record = self.rules.get(usize::from(rule))?;
        let first = le_u16(record, 24);
        let code = self.code.get(usize::from(first)..)?;
        Some(Condition {
            kinds: Kinds(record[46]),
            first,
            code: code.get(..usize::from(le_u16(record, 26)))?,
        })
    }

    /// The parts of the index, ascending by field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Option<FieldIndex<'a>>> + use<'a> {
        let pack = *self;
        pack.fields.iter().map(move |record| pack.field_of(record))
    }

    fn field_of(&self, record: &[u8; FIELD_LEN]) -> Option<FieldIndex<'a>> {
        let automaton = |slot: usize| {
            let start = le_u32(record, 8 + slot * 8) as usize;
            let count = le_u32(record, 12 + slot * 8) as usize;
            let words = self.words.get(start..start.checked_add(count)?)?;
            Some(Automaton::new(words, slot >= 2))
        };
        let automata = [automaton(0)?, automaton(1)?, automaton(2)?, automaton(3)?];
        Some(FieldIndex {
            only_anchored: automata[1..].iter().all(Automaton::is_empty),
            first_bytes: first_bytes(&automata).unwrap_or([u64::MAX; 4]),
            automata,
            field: Field::from_number(record[0])?,
            first_word: usize::from(record[1]),
            words: usize::from(record[2]),
            ranges: le_u16(record, 4),
            range_count: le_u16(record, 6),
        })
    }

    pub(crate) fn glob(&self, index: u16) -> Option<Glob<'a>> {
        let record = self.globs.get(usize::from(index))?;
        Some(Glob {
            pattern: self.string(le_u32(record, 0), le_u16(record, 4))?,
            list: le_u16(record, 6),
            fold: record[8] != 0,
            slot: record[9],
        })
    }

    pub(crate) fn range(&self, index: u16) -> Option<NumberRange> {
        let record = self.ranges.get(usize::from(index))?;
        let number =
            |at: usize| i64::from(le_u32(record, at)) | i64::from(le_u32(record, at + 4)) << 32;
        Some(NumberRange {
            low: number(0),
            high: number(8),
            list: le_u16(record, 16),
        })
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + use<'a> {
        self.steps.iter().map(|&[field, kinds]| Step {
            field: Field::from_number(field),
            kinds: Kinds(kinds),
        })
    }

    /// The rules to look at if `atom` holds; for [`ALWAYS`], those to look at in any case.
    pub(crate) fn triggered(&self, atom: u16) -> impl Iterator<Item = u16> + use<'a> {
        let place = self
            .triggers
            .binary_search_by_key(&atom, |record| le_u16(record, 0));
        let list = place.ok().and_then(|place| self.triggers.get(place));
        self.items(list.and_then(|record| self.whole_list(le_u16(record, 2))))
    }

    /// The number of atoms, those that only fill a field's last word included.
    pub(crate) fn atom_count(&self) -> usize {
        let words = self
            .fields
            .last()
            .map_or(0, |record| usize::from(record[1]) + usize::from(record[2]));
        words * 64
    }

    /// The items of a list; none if there is no such list.
    #[inline]
    pub(crate) fn list(&self, index: u16) -> impl Iterator<Item = u16> + use<'a> {
        self.items(self.whole_list(index))
    }

    #[inline]
    fn items(&self, list: Option<&'a [[u8; 2]]>) -> impl Iterator<Item = u16> + use<'a> {
        list.unwrap_or(&[])
            .iter()
            .map(|&item| u16::from_le_bytes(item))
    }

    /// The items of a list, if all of them are there.
    pub(super) fn whole_list(&self, index: u16) -> Option<&'a [[u8; 2]]> {
        let (&count, items) = self.lists.get(usize::from(index)..)?.split_first()?;
        items.get(..usize::from(u16::from_le_bytes(count)))
    }

    fn string(&self, start: u32, len: u16) -> Option<&'a [u8]> {
        let start = start as usize;
        self.strings
            .get(start..start.checked_add(usize::from(len))?)
    }
}

/// The first bytes of values that any of a field's automata does anything with; `None` if all.
fn first_bytes([anchored, fold, unanchored, unanchored_fold]: &[Automaton; 4]) -> Option<[u64; 4]> {
    if !(fold.is_empty() && unanchored.is_empty() && unanchored_fold.is_empty()) {
        return None;
    }
    if anchored.is_empty() {
        return Some([0; 4]);
    }
    anchored.first_bytes()
}
