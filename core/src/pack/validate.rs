//! Checking a pack once, so that nothing in it can lead anywhere but where it should.

use super::{
    Error, FAIL, GLOB, LateTest, ListRef, MAX_ATOM_WORDS, MAX_LATE_WORDS, MAX_RULES, MAX_SLOTS,
    NO_SLOT, Pack, Purpose, Section,
};
use crate::alert::RuleId;
use crate::automaton::MAX_WORDS;
use crate::field::{Field, Type};
use crate::glob;

fn check(section: Section, holds: bool) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Malformed(section))
    }
}

impl Pack<'_> {
    #[inline(never)]
    pub(super) fn validate(&self) -> Result<(), Error> {
        check(Section::Rules, self.rules.len() <= MAX_RULES)?;
        check(Section::Globs, self.globs.len() < usize::from(GLOB))?;
        check(Section::Lists, self.lists.len() <= usize::from(u16::MAX))?;
        self.validate_fields()?;
        self.validate_globs()?;
        self.validate_late()?;
        self.validate_code()?;
        self.validate_triggers()?;
        let steps = self.steps().all(|step| match step.field {
            Some(field) => self.has_field(field),
            None => self.is_rule_list(step.rules),
        });
        check(Section::Steps, steps)
    }

    /// Fields ascend, their atoms follow one another without a gap, their automata are sound.
    #[inline(never)]
    fn validate_fields(&self) -> Result<(), Error> {
        let mut next_word = 0;
        let mut previous: Option<Field> = None;
        for field in self.fields() {
            let field = field.ok_or(Error::Malformed(Section::Fields))?;
            let follows = field.first_word == next_word && previous < Some(field.field);
            check(Section::Fields, follows && field.words > 0)?;
            previous = Some(field.field);
            next_word += field.words;
            for automaton in field.automata {
                let sound = automaton.is_empty()
                    || (field.field.ty() != Type::Number
                        && automaton.len() <= MAX_WORDS
                        && automaton.validate(|list| self.is_output_list(ListRef(list))));
                check(Section::Automata, sound)?;
            }
            let ranges = usize::from(field.ranges) + usize::from(field.range_count);
            check(Section::Ranges, ranges <= self.ranges.len())?;
        }
        check(
            Section::Fields,
            next_word == self.first_late_word() && self.atom_count() <= MAX_ATOM_WORDS * 64,
        )
    }

    #[inline(never)]
    fn validate_globs(&self) -> Result<(), Error> {
        for index in 0..self.globs.len() {
            let sound = self.glob(index as u16).is_some_and(|glob| {
                let sound = match glob.inside {
                    true => {
                        glob.pattern.len() <= glob::MAX_LONG
                            && usize::from(glob.slot) <= glob.pattern.len()
                    }
                    false => {
                        glob::validate(glob.pattern).is_ok()
                            && (!glob.whole
                                || usize::from(glob.slot) < MAX_SLOTS
                                || glob.slot == NO_SLOT)
                    }
                };
                sound && self.is_atom_list(glob.list)
            });
            check(Section::Globs, sound)?;
        }
        for index in 0..self.ranges.len() {
            let sound = self
                .range(index as u16)
                .is_some_and(|range| self.is_atom_list(range.list));
            check(Section::Ranges, sound)?;
        }
        Ok(())
    }

    /// A guard is an atom of the same field, and no late one.
    #[inline(never)]
    fn validate_late(&self) -> Result<(), Error> {
        check(Section::Late, self.late_count() <= MAX_LATE_WORDS * 64)?;
        for index in 0..self.late_count() {
            let late = self.late(index).ok_or(Error::Malformed(Section::Late))?;
            let guarded = late
                .guard
                .is_none_or(|guard| self.has_atom(late.field, guard));
            check(Section::Late, guarded)?;
            match late.test {
                LateTest::Regex(dfa) => check(Section::Dfas, dfa.validate())?,
                LateTest::Pattern(pattern, _) => {
                    check(Section::Late, glob::validate(pattern).is_ok())?;
                }
                LateTest::Length(..) | LateTest::BeginsWith(_) => {}
            }
        }
        Ok(())
    }

    /// Jumps go forward only: a condition is decided after as many as it has at most.
    #[inline(never)]
    fn validate_code(&self) -> Result<(), Error> {
        for index in 0..self.rules.len() as u16 {
            check(Section::Rules, self.is_rule(index))?;
            let condition = self
                .condition(index)
                .ok_or(Error::Malformed(Section::Code))?;
            let end = condition.instructions().count();
            check(Section::Code, end > 0)?;
            for (at, instruction) in condition.instructions().enumerate() {
                let target = instruction.target;
                let lands = target >= FAIL || (at + 1..end).contains(&condition.place(target));
                let sound = lands && usize::from(instruction.atom) < self.atom_count();
                check(Section::Code, sound)?;
            }
        }
        Ok(())
    }

    /// Whether it is a whole record, and one of a whole sequence if it is a stage.
    #[inline(never)]
    fn is_rule(&self, index: u16) -> bool {
        let Some(rule) = self.rule(index) else {
            return false;
        };
        let Purpose::Stage { number, of, .. } = rule.purpose else {
            return true;
        };
        (number == 0 || self.is_stage(index.wrapping_sub(1), rule.id, number - 1, of))
            && (number + 1 == of || self.is_stage(index.wrapping_add(1), rule.id, number + 1, of))
    }

    /// Whether the rule of this index is this stage of the sequence of this id.
    #[inline(never)]
    fn is_stage(&self, index: u16, id: RuleId<'_>, wanted: u8, stages: u8) -> bool {
        self.rule(index).is_some_and(|rule| {
            matches!(rule.purpose, Purpose::Stage { number, of, .. }
                if number == wanted && of == stages)
                && rule.id == id
        })
    }

    /// For each trigger there is a list of rules.
    #[inline(never)]
    fn validate_triggers(&self) -> Result<(), Error> {
        for word in 0..self.triggers.len() {
            let triggers = self.triggers(word);
            let start = usize::from(triggers.lists);
            let end = start + triggers.atoms.count_ones() as usize;
            let lists = self.lists.get(start..end);
            for &list in lists.ok_or(Error::Malformed(Section::Triggers))? {
                let list = ListRef::short(u16::from_le_bytes(list));
                check(Section::Triggers, self.is_rule_list(list))?;
            }
        }
        Ok(())
    }

    fn is_rule_list(&self, list: ListRef) -> bool {
        self.has_list(list, self.rules.len(), 0)
    }

    // Lists of outputs and lists of rules are told apart by who refers to them.

    fn is_output_list(&self, list: ListRef) -> bool {
        self.has_list(list, self.atom_count(), self.globs.len())
    }

    fn is_atom_list(&self, list: ListRef) -> bool {
        self.has_list(list, self.atom_count(), 0)
    }

    /// Whether a list is there, whole, and each item below its limit: that of globs, if it is one.
    #[inline(never)]
    fn has_list(&self, list: ListRef, limit: usize, globs: usize) -> bool {
        let Some(mut list) = self.whole_list(list) else {
            return false;
        };
        list.all(|item| {
            let limit = if item & GLOB == 0 { limit } else { globs };
            usize::from(item & !GLOB) < limit
        })
    }
}
