//! Which rules hold for a process, and what to remember for its children and forks.

use peewit_core::alert::Action;
use peewit_core::engine::{Engine, Evaluation};
use peewit_core::field::{Field, FieldSet};
use peewit_core::lineage::{self, Image, MAX_FACTS};
use peewit_core::pack::{Kinds, MAX_RULES, RuleIndex};
use peewit_core::packed::Packer;

use crate::invoked::Invoked;
use crate::subject::{Parent, Subject};

/// Fields of the parent that are evaluated when it execs itself, and kept with it.
const FACT_FIELDS: FieldSet = FieldSet::of(&[
    Field::ParentExecutable,
    Field::ParentName,
    Field::ParentArgs,
    Field::ParentArgsCount,
    Field::ParentCommandLine,
    Field::ParentInvokedPath,
    Field::ParentInvokedName,
]);

/// All fields that speak of the parent.
const PARENT_FIELDS: [Field; 13] = [
    Field::ParentExecutable,
    Field::ParentName,
    Field::ParentArgs,
    Field::ParentArgsCount,
    Field::ParentCommandLine,
    Field::ParentInvokedPath,
    Field::ParentInvokedName,
    Field::ParentPid,
    Field::ParentEntityId,
    Field::ParentWorkingDirectory,
    Field::ParentInteractive,
    Field::ParentUserId,
    Field::ParentGroupId,
];

/// Fields in which the fork of a process differs from its exec, apart from the parent's.
const FORK_FIELDS: [Field; 4] = [
    Field::EventAction,
    Field::ProcessPid,
    Field::ParentPid,
    Field::ProcessEntityId,
];

/// Fields in which the end of a process differs from its exec.
const END_FIELDS: [Field; 3] = [Field::EventType, Field::EventAction, Field::ProcessExitCode];

/// Fields in which every event is like the last one: they are evaluated once.
const SAME_FIELDS: FieldSet = FieldSet::of(&[
    Field::HostOsType,
    Field::HostId,
    Field::EventKind,
    Field::EventCategory,
    Field::EventType,
]);

/// A set of rules: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules([u64; MAX_RULES / 64]);

impl Rules {
    /// None.
    pub const NONE: Self = Self([0; MAX_RULES / 64]);

    /// Puts one in.
    pub fn insert(&mut self, rule: RuleIndex) {
        if let Some(word) = self.0.get_mut(usize::from(rule / 64)) {
            *word |= 1 << (rule % 64);
        }
    }

    /// Whether it is in.
    pub fn contains(&self, rule: RuleIndex) -> bool {
        let word = self.0.get(usize::from(rule / 64));
        word.is_some_and(|word| word >> (rule % 64) & 1 == 1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// Takes the last out: of a sequence, the last stage comes first.
    pub fn pop_last(&mut self) -> Option<RuleIndex> {
        let words = (0u16..).zip(&mut self.0);
        let (place, word) = words.filter(|(_, word)| **word != 0).last()?;
        let bit = word.ilog2() as u16;
        *word ^= 1 << bit;
        Some(place * 64 + bit)
    }

    /// Takes the first out.
    pub fn pop(&mut self) -> Option<RuleIndex> {
        let (place, word) = (0u16..).zip(&mut self.0).find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as u16;
        *word &= *word - 1;
        Some(place * 64 + bit)
    }
}

/// Room for what is found out about one event; used again for the next.
#[derive(Debug)]
pub struct Judge {
    evaluation: Evaluation,
    // A number more than is kept: so that the table sees that there were more.
    facts: Packer<{ MAX_FACTS + 3 }>,
    fork_rules: Packer<{ lineage::MAX_RULES + 3 }>,
    exit_rules: Packer<{ lineage::MAX_RULES + 3 }>,
    beyond_upstream: bool,
}

impl Judge {
    /// Nothing was found out.
    pub const fn new() -> Self {
        Self {
            evaluation: Evaluation::new(),
            facts: Packer::new(),
            fork_rules: Packer::new(),
            exit_rules: Packer::new(),
            beyond_upstream: false,
        }
    }

    /// Finds the rules that hold for an event of these kinds, from the beginning.
    pub fn find(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>, kinds: Kinds) -> Rules {
        self.evaluation.clear_but(SAME_FIELDS);
        let rules = match subject.action {
            Action::End => self.evaluate_end(engine, subject),
            _ => self.evaluate(engine, subject, kinds),
        };
        self.beyond_upstream = self.evaluation.beyond_upstream();
        rules
    }

    // Not inlined: the engine's evaluation would be there several times.
    #[inline(never)]
    fn evaluate(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>, kinds: Kinds) -> Rules {
        let mut rules = Rules::NONE;
        engine.evaluate(&mut self.evaluation, subject, kinds, |rule| {
            rules.insert(rule)
        });
        rules
    }

    /// An end differs from other events also in what they have in common.
    fn evaluate_end(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>) -> Rules {
        self.evaluation.forget(&END_FIELDS);
        let rules = self.evaluate(engine, subject, Kinds::EXIT);
        self.evaluation.forget(&END_FIELDS);
        rules
    }

    /// Finds what holds for the process as a parent, the rules that would hold for a fork of it, and those that may hold for its
    /// end: they are looked up when it forks and ends, without reading anything.
    ///
    /// To be called after [`Judge::find`] with the same subject, or after [`Judge::begin`]. `invoked`: by which path it was
    /// invoked is to be kept too.
    pub fn remember(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>, invoked: bool) {
        if invoked {
            subject.read_invoked();
        }
        let (parent, action) = (subject.parent, subject.action);
        subject.parent = Parent::Itself;
        self.evaluation.forget(&PARENT_FIELDS);
        // Full: there is one too many already.
        let _ = engine.facts(&mut self.evaluation, subject, FACT_FIELDS, &mut self.facts);
        self.fork_rules.clear();
        if engine.kinds().meets(Kinds::FORK) {
            subject.action = Action::Fork;
            self.evaluation.forget(&FORK_FIELDS);
            let mut rules = self.evaluate(engine, subject, Kinds::FORK);
            while let Some(rule) = rules.pop() {
                // Full: there is one too many already.
                let _ = self.fork_rules.push(rule);
            }
        }
        (subject.parent, subject.action) = (parent, action);
        self.exit_rules.clear();
        if engine.kinds().meets(Kinds::EXIT) {
            subject.action = Action::End;
            self.evaluation.forget(&PARENT_FIELDS);
            let mut rules = self.evaluate_end(engine, subject);
            while let Some(rule) = rules.pop() {
                let _ = self.exit_rules.push(rule);
            }
            subject.action = action;
        }
    }

    /// Begins with a process that did not exec just now.
    pub fn begin(&mut self) {
        self.evaluation.clear();
        self.facts.clear();
        self.fork_rules.clear();
        self.exit_rules.clear();
        self.beyond_upstream = false;
    }

    /// What the lineage table is to keep of the process, by which path it was invoked included or not.
    pub fn image<'a>(&'a self, subject: &Subject<'a>, invoked: bool) -> Image<'a> {
        let invoked_lost = matches!(subject.invoked, Invoked::Lost);
        Image {
            path: subject.executable,
            invoked: subject.invoked.path().filter(|_| invoked),
            facts: self.facts.list(),
            fork_rules: self.fork_rules.list(),
            exit_rules: self.exit_rules.list(),
            args: subject.args.unwrap_or(&[]),
            args_len: length(subject.args.unwrap_or(&[])),
            lost: subject.executable.is_none() || subject.args.is_none() || invoked_lost,
        }
    }

    /// Whether a value took part that upstream would not have seen.
    pub const fn beyond_upstream(&self) -> bool {
        self.beyond_upstream
    }

    /// For looking at single arguments; forgets what was evaluated.
    pub fn evaluation(&mut self) -> &mut Evaluation {
        &mut self.evaluation
    }
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

/// A length as alerts carry it.
pub fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_out_in_order() {
        let mut rules = Rules::NONE;
        assert!(rules.is_empty());
        assert_eq!(rules.pop(), None);
        for rule in [MAX_RULES as u16 - 1, 0, 64, 63, 5, MAX_RULES as u16] {
            rules.insert(rule);
        }
        assert!(!rules.is_empty());
        let mut descending = rules;
        for rule in [0, 5, 63, 64, MAX_RULES as u16 - 1] {
            assert!(rules.contains(rule));
            assert_eq!(rules.pop(), Some(rule));
            assert!(!rules.contains(rule));
        }
        assert_eq!(rules, Rules::NONE);
        for rule in [MAX_RULES as u16 - 1, 64, 63, 5, 0] {
            assert_eq!(descending.pop_last(), Some(rule));
        }
        assert_eq!(descending.pop_last(), None);
        assert!(!descending.contains(MAX_RULES as u16));
    }
}
