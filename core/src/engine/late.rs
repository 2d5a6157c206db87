//! Testing one atom that no automaton decides: lengths, regular expressions, comparisons of two fields.

use super::search::{is_beyond_upstream, utf16_len};
use super::{Engine, Evaluation, Limits, bit};
use crate::event::{Block, Event, Reading, Values, unterminated};
use crate::field::Field;
use crate::glob;
use crate::pack::{AtomId, Late, LateTest};

impl Engine<'_> {
    /// Whether a late atom holds, and its field: tested at most once an event.
    #[cold]
    pub(super) fn late<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        atom: AtomId,
    ) -> (bool, Field) {
        let index = usize::from(atom).wrapping_sub(self.first_late_word * 64);
        let Some(late) = self.pack.late(index) else {
            // It is what fills the last word: no field has it.
            return (false, Field::EventOutcome);
        };
        let (word, mask) = (usize::from(atom / 64), 1u64 << (atom % 64));
        let tested = evaluation.tested.get_mut(index / 64);
        if tested.is_none_or(|tested| core::mem::replace(tested, *tested | mask) & mask != 0) {
            let word = evaluation.atoms.get(word).copied().unwrap_or(0);
            return (word & mask != 0, late.field);
        }
        let may_hold = late.guard.is_none_or(|guard| {
            if let Some(index) = self.index_of(late.field) {
                self.require(evaluation, event, index);
            }
            bit(&evaluation.atoms, usize::from(guard)) || evaluation.lost.contains(late.field)
        });
        let holds = may_hold && self.test(evaluation, event, &late, atom);
        if let Some(word) = evaluation.atoms.get_mut(word) {
            *word = *word & !mask | if holds { mask } else { 0 };
        }
        (holds, late.field)
    }

    /// Whether an argument by itself makes a late atom hold.
    pub(super) fn holds_for_arg(&self, atom: AtomId, arg: &[u8]) -> bool {
        let index = usize::from(atom).checked_sub(self.first_late_word * 64);
        let late = index.and_then(|index| self.pack.late(index));
        late.is_some_and(|late| late.field == Field::ProcessArgs && passes(&late.test, arg, false))
    }

    /// Whether any value passes. Values are read first, then looked at: two fields cannot be borrowed at once.
    fn test<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        late: &Late<'_>,
        atom: AtomId,
    ) -> bool {
        if let LateTest::BeginsWith(other) = late.test
            && matches!(event.values(other), Values::Lost)
        {
            evaluation.lost.insert(late.field);
            return false;
        }
        match event.values(late.field) {
            Values::Lost => {
                evaluation.lost.insert(late.field);
                return false;
            }
            Values::Facts(facts) => return facts.contains(atom),
            _ => {}
        }
        let event = &*event;
        let any = |passes: &dyn Fn(&[u8], bool) -> bool| {
            let visible = |value: &[u8]| {
                self.limits == Limits::Device || !is_beyond_upstream(late.field, value)
            };
            let one = |value: &[u8]| visible(value) && passes(value, false);
            match event.term(late.field) {
                Values::One(value) => one(value),
                Values::Many(values) => values.iter().any(|value| one(value)),
                Values::Block(block) => Block::new(block).any(one),
                Values::Joined(block) => passes(unterminated(block), true),
                Values::Missing | Values::Lost | Values::Number(_) | Values::Facts(_) => false,
            }
        };
        match late.test {
            LateTest::BeginsWith(other) => {
                let (start, joined) = match event.term(other) {
                    Values::One(start) => (start, false),
                    // The compiler takes no field of several values for it: that would be quadratic.
                    Values::Many([start, ..]) => (*start, false),
                    Values::Joined(start) => (unterminated(start), true),
                    _ => return false,
                };
                let hidden = self.limits == Limits::Upstream && is_beyond_upstream(other, start);
                !hidden && any(&|value, joined_value| begins(value, joined_value, start, joined))
            }
            _ => any(&|value, joined| passes(&late.test, value, joined)),
        }
    }
}

/// Whether a value passes a test that looks at no other field.
fn passes(test: &LateTest<'_>, value: &[u8], joined: bool) -> bool {
    let reading = |fold| Reading { fold, joined };
    match *test {
        LateTest::Length(low, high) => (low as usize..=high as usize).contains(&utf16_len(value)),
        LateTest::Regex(dfa) => dfa.matches(value, reading(false)),
        LateTest::Pattern(pattern, fold) => glob::matches(pattern, value, reading(fold)),
        LateTest::BeginsWith(_) => false,
    }
}

/// Whether `value` begins with `start`, each read as it is to be.
fn begins(value: &[u8], joined_value: bool, start: &[u8], joined_start: bool) -> bool {
    let reading = |joined| Reading {
        joined,
        ..Reading::default()
    };
    value.len() >= start.len()
        && value.iter().zip(start).all(|(&one, &other)| {
            reading(joined_value).byte(one) == reading(joined_start).byte(other)
        })
}
