//! Reading the records of a pack.

use core::ops::Range;

use super::layout::{le_u16, le_u32};
use super::{
    AUTOMATA, AtomId, FIELD_LEN, GLOB_FOLDS, GLOB_INSIDE, GLOB_LEN_BITS, GLOB_WHOLE,
    INSTRUCTION_LEN, ITEM_LEN, Kinds, MAX_BYTE, MAX_GLOB_LEN, NO_SLOT, NOT, OR, Pack, RuleIndex,
    SINGLE, SINGLE_SHORT,
};
use crate::automaton::{Automaton, CLASSES, Place, class};
use crate::field::Field;

/// A field's part of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldIndex<'a> {
    pub field: Field,
    pub first_word: usize,
    pub words: usize,
    /// Anchored, anchored ignoring case, reversed, the same ignoring case, unanchored, the same ignoring case.
    pub automata: [Automaton<'a>; AUTOMATA],
    pub ranges: u16,
    pub range_count: u16,
    /// For each class of bytes the automata, a bit each, that may report anything on a value that begins with it.
    by_first: [u8; CLASSES],
    /// The same of its last byte.
    by_last: [u8; CLASSES],
}

impl FieldIndex<'_> {
    /// The automata that may report anything on a value, a bit each, as far as its first byte and its last tell.
    #[inline]
    pub fn automata_for(&self, value: &[u8]) -> u8 {
        match value {
            [] => u8::MAX,
            [first, ..] => {
                let last = value.last().unwrap_or(first);
                self.by_first[class(*first)] & self.by_last[class(*last)]
            }
        }
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

/// A list of numbers, by its place among the lists, or a single number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListRef(pub u32);

impl ListRef {
    /// As records have it that keep 2 bytes for it.
    #[inline]
    pub const fn short(list: u16) -> Self {
        Self(match list & SINGLE_SHORT {
            0 => list as u32,
            _ => SINGLE | (list & !SINGLE_SHORT) as u32,
        })
    }
}

/// The items of a list. The next one is at hand: so a single one needs no loop of its own.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    next: Option<u16>,
    rest: core::slice::Iter<'a, [u8; ITEM_LEN]>,
}

impl<'a> List<'a> {
    #[inline]
    fn of(items: &'a [[u8; ITEM_LEN]]) -> Self {
        let mut rest = items.iter();
        let next = rest.next().copied().map(u16::from_le_bytes);
        Self { next, rest }
    }

    #[inline]
    fn single(list: ListRef) -> Self {
        let rest = [].iter();
        let next = Some(list.0 as u16);
        Self { next, rest }
    }
}

impl Iterator for List<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        let next = self.rest.next().copied().map(u16::from_le_bytes);
        core::mem::replace(&mut self.next, next)
    }
}

/// A pattern's rest, to be matched where its first literal was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glob<'a> {
    pub pattern: &'a [u8],
    pub list: ListRef,
    pub fold: bool,
    /// If it is neither `whole` nor `inside`, a byte without which no value matches.
    pub slot: u16,
    /// Whether it is the whole pattern, tried on the whole value.
    pub whole: bool,
    /// Whether it is a literal that may stand anywhere: it is compared where a part of it was found, of which the last
    /// byte is that before `slot`.
    pub inside: bool,
}

/// The triggers among a word of atoms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Triggers {
    pub atoms: u64,
    /// Where the indices of their lists of rules stand, one for each.
    pub lists: u16,
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberRange {
    pub low: i64,
    pub high: i64,
    pub list: ListRef,
}

/// A conditional jump: to the target if it `is_or` and the condition holds, or neither, else to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub atom: AtomId,
    pub negated: bool,
    pub is_or: bool,
    pub target: u16,
}

/// A rule's condition: jumps that all go forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition<'a> {
    pub kinds: Kinds,
    /// Its first jump: conditions that have the same are the same.
    pub first: u16,
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
            atom: atom & !(NOT | OR),
            negated: atom & NOT != 0,
            is_or: atom & OR != 0,
            target: le_u16(record, 2),
        }
    }
}

/// One field to evaluate in search of rules to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// `None`: the rules that must always be looked at.
    pub field: Option<Field>,
    pub kinds: Kinds,
    /// The list of them.
    pub rules: ListRef,
}

impl<'a> Pack<'a> {
    /// A rule's condition.
    #[inline]
    pub(crate) fn condition(&self, rule: RuleIndex) -> Option<Condition<'a>> {
        let record = self.rules.get(usize::from(rule))?;
        let first = le_u16(record, 4);
        let code = self.code.get(usize::from(first)..)?;
        Some(Condition {
            kinds: Kinds(record[3]),
            first,
            code: code.get(..usize::from(le_u16(record, 6)))?,
        })
    }

    /// The parts of the index, ascending by field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Option<FieldIndex<'a>>> + use<'_, 'a> {
        self.fields.iter().map(|record| self.field_of(record))
    }

    /// Whether a rule asks for this field.
    pub(super) fn has_field(&self, field: Field) -> bool {
        self.fields.iter().any(|record| record[0] == field.number())
    }

    /// Whether an atom is one of this field, and no late one.
    pub(super) fn has_atom(&self, field: Field, atom: AtomId) -> bool {
        self.fields.iter().any(|record| {
            let words = usize::from(record[1])..usize::from(record[1]) + usize::from(record[2]);
            record[0] == field.number() && words.contains(&usize::from(atom / 64))
        })
    }

    #[inline(never)]
    fn field_of(&self, record: &[u8; FIELD_LEN]) -> Option<FieldIndex<'a>> {
        let mut automata = [Automaton::new(&[], Place::Anchored); AUTOMATA];
        let (mut by_first, mut by_last) = ([0; CLASSES], [0; CLASSES]);
        let (ranges, _) = record[8..].as_chunks();
        for (slot, range) in ranges.iter().enumerate().take(AUTOMATA) {
            let (start, count) = (le_u32::<8>(range, 0) as usize, le_u32(range, 4) as usize);
            let words = self.words.get(start..start.checked_add(count)?)?;
            automata[slot] = Automaton::new(words, place(slot));
            let bytes = automata[slot].first_bytes();
            let (told, other) = match place(slot) {
                Place::Reversed => (&mut by_last, &mut by_first),
                Place::Anchored | Place::Unanchored => (&mut by_first, &mut by_last),
            };
            for (class, (told, other)) in told.iter_mut().zip(other).enumerate() {
                *told |= ((bytes >> class & 1) as u8) << slot;
                *other |= 1 << slot;
            }
        }
        Some(FieldIndex {
            by_first,
            by_last,
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
        let slot = le_u16(record, 6);
        Some(Glob {
            pattern: self.pattern(le_u32(record, 0))?,
            list: ListRef::short(le_u16(record, 4)),
            fold: slot & GLOB_FOLDS != 0,
            slot: slot & NO_SLOT,
            whole: slot & GLOB_WHOLE != 0,
            inside: slot & GLOB_INSIDE != 0,
        })
    }

    /// A pattern, by its length in the lower bits and its offset above them.
    pub(super) fn pattern(&self, place: u32) -> Option<&'a [u8]> {
        let len = place as u16 & MAX_GLOB_LEN as u16;
        self.string(place >> GLOB_LEN_BITS, len)
    }

    /// Of a glob that is tried on what follows, the byte without which no value matches.
    #[inline]
    pub(crate) fn glob_byte(&self, index: u16) -> Option<u8> {
        let slot = le_u16(self.globs.get(usize::from(index))?, 6) & !GLOB_FOLDS;
        (slot <= MAX_BYTE).then_some(slot as u8)
    }

    pub(crate) fn range(&self, index: u16) -> Option<NumberRange> {
        let record = self.ranges.get(usize::from(index))?;
        let number =
            |at: usize| i64::from(le_u32(record, at)) | i64::from(le_u32(record, at + 4)) << 32;
        Some(NumberRange {
            low: number(0),
            high: number(8),
            list: ListRef::short(le_u16(record, 16)),
        })
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + use<'a> {
        self.steps.iter().map(|record| Step {
            field: Field::from_number(record[0]),
            kinds: Kinds(record[1]),
            rules: ListRef::short(le_u16(record, 2)),
        })
    }

    /// How many rules are looked at for every event, because nothing rare has to hold for them.
    pub fn always_looked_at(&self) -> usize {
        let always = self.steps().filter(|step| step.field.is_none());
        always.map(|step| self.list(step.rules).count()).sum()
    }

    /// Those atoms of a word that are triggers.
    #[inline]
    pub(crate) fn triggers(&self, word: usize) -> Triggers {
        self.triggers
            .get(word)
            .map_or(Triggers { atoms: 0, lists: 0 }, |record| Triggers {
                atoms: u64::from(le_u32(record, 0)) | u64::from(le_u32(record, 4)) << 32,
                lists: le_u16(record, 8),
            })
    }

    /// The rules to look at if the trigger of this bit holds.
    #[inline]
    pub(crate) fn triggered(&self, triggers: &Triggers, bit: u32) -> List<'a> {
        let before = triggers.atoms & ((1 << bit) - 1);
        let place = usize::from(triggers.lists) + before.count_ones() as usize;
        let list = self
            .lists
            .get(place)
            .map_or(0, |&list| u16::from_le_bytes(list));
        self.list(ListRef::short(list))
    }

    /// The number of atoms, those that only fill a last word included.
    pub(crate) fn atom_count(&self) -> usize {
        (self.first_late_word() + self.late_count().div_ceil(64)) * 64
    }

    /// The items of a list; none if there is no such list.
    #[inline]
    pub(crate) fn list(&self, list: ListRef) -> List<'a> {
        let items = match list.0 & SINGLE {
            0 => self.items(list).unwrap_or(&[]),
            _ => return List::single(list),
        };
        List::of(items)
    }

    /// The items of a list, if it is there, whole.
    pub(super) fn whole_list(&self, list: ListRef) -> Option<List<'a>> {
        match list.0 & SINGLE {
            0 => self.items(list).map(List::of),
            _ => Some(List::single(list)),
        }
    }

    #[inline]
    fn items(&self, list: ListRef) -> Option<&'a [[u8; ITEM_LEN]]> {
        let (&count, items) = self.lists.get(list.0 as usize..)?.split_first()?;
        items.get(..usize::from(u16::from_le_bytes(count)))
    }

    pub(super) fn string(&self, start: u32, len: u16) -> Option<&'a [u8]> {
        let start = start as usize;
        self.strings
            .get(start..start.checked_add(usize::from(len))?)
    }
}

/// Where the automaton of a field's record in this place looks for its patterns.
const fn place(slot: usize) -> Place {
    match slot {
        0 | 1 => Place::Anchored,
        2 | 3 => Place::Reversed,
        _ => Place::Unanchored,
    }
}

/// Whether the automaton of a field's record in this place ignores case.
pub(crate) const fn folds(slot: usize) -> bool {
    slot % 2 == 1
}
