//! Atoms that are tested one by one, when a rule asks for them.

use super::layout::{le_u16, le_u32};
use super::{AtomId, BEGINS_WITH, LENGTH, NO_GUARD, PATTERN, Pack, REGEX};
use crate::dfa::Dfa;
use crate::field::Field;

/// An atom of a single test that no automaton shares with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late<'a> {
    pub field: Field,
    /// An atom of the same field without which this one cannot hold.
    pub guard: Option<AtomId>,
    pub test: LateTest<'a>,
}

/// What a value is tested for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LateTest<'a> {
    /// Its length in UTF-16 units, both ends included.
    Length(u32, u32),
    /// It begins with the value of another field.
    BeginsWith(Field),
    /// A regular expression.
    Regex(Dfa<'a>),
    /// It matches a pattern; whether that ignores case.
    Pattern(&'a [u8], bool),
}

impl<'a> Pack<'a> {
    /// How many there are.
    pub(crate) const fn late_count(&self) -> usize {
        self.late.len()
    }

    /// The first of their words.
    pub(crate) fn first_late_word(&self) -> usize {
        self.fields
            .last()
            .map_or(0, |record| usize::from(record[1]) + usize::from(record[2]))
    }

    /// One of them.
    pub(crate) fn late(&self, index: usize) -> Option<Late<'a>> {
        let record = self.late.get(index)?;
        let (first, second) = (le_u32(record, 4), le_u32(record, 8));
        let test = match record[1] {
            LENGTH => LateTest::Length(first, second),
            BEGINS_WITH => LateTest::BeginsWith(Field::from_number(u8::try_from(first).ok()?)?),
            REGEX => {
                let end = (first as usize).checked_add(second as usize)?;
                LateTest::Regex(Dfa::new(self.dfas.get(first as usize..end)?)?)
            }
            PATTERN => LateTest::Pattern(self.pattern(first)?, second != 0),
            _ => return None,
        };
        let guard = le_u16(record, 2);
        Some(Late {
            field: Field::from_number(record[0])?,
            guard: (guard != NO_GUARD).then_some(guard),
            test,
        })
    }
}
