//! Which rules hold for a process, and what to remember for its children and forks.

use heapless::Vec;
use peewit_core::alert::Action;
use peewit_core::engine::{Engine, Evaluation};
use peewit_core::field::Field;
use peewit_core::lineage::{Image, MAX_FACTS, MAX_FORK_RULES};
use peewit_core::pack::{AtomId, Kinds, MAX_RULES, RuleIndex};

use crate::subject::{Parent, Subject};

/// Fields that speak of the parent.
const PARENT_FIELDS: [Field; 6] = [
    Field::ParentExecutable,
    Field::ParentName,
    Field::ParentArgs,
    Field::ParentArgsCount,
    Field::ParentCommandLine,
    Field::ParentPid,
];

/// Fields in which the fork of a process differs from its exec, apart from the parent's.
const FORK_FIELDS: [Field; 3] = [Field::EventAction, Field::ProcessPid, Field::ParentPid];

/// Room for what is found out about one event; used again for the next.
#[derive(Debug)]
pub struct Judge {
    evaluation: Evaluation,
    /// A bit for each rule that holds.
    matches: [u64; MAX_RULES / 64],
    facts: Vec<AtomId, MAX_FACTS>,
    /// One more than are kept: so that the table sees that there were more.
    fork_rules: Vec<RuleIndex, { MAX_FORK_RULES + 1 }>,
    facts_lost: bool,
    beyond_upstream: bool,
}

impl Judge {
    /// Nothing was found out.
    pub const fn new() -> Self {
        Self {
            evaluation: Evaluation::new(),
            matches: [0; MAX_RULES / 64],
            facts: Vec::new(),
            fork_rules: Vec::new(),
            facts_lost: false,
            beyond_upstream: false,
        }
    }

    /// Finds the rules that hold for an exec. Gives whether there are any.
    pub fn exec(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>) -> bool {
        self.matches.fill(0);
        self.evaluation.clear();
        let matches = &mut self.matches;
        engine.evaluate(&mut self.evaluation, subject, Kinds::EXEC, |rule| {
            insert(matches, rule)
        });
        self.beyond_upstream = self.evaluation.beyond_upstream();
        self.holds()
    }

    /// Whether any rule holds.
    pub fn holds(&self) -> bool {
        self.matches.iter().any(|&word| word != 0)
    }

    /// Finds what holds for the process as a parent, and the rules that would hold for a fork of it: those are
    /// looked up when it forks, without reading anything.
    ///
    /// To be called after [`Judge::exec`] with the same subject, or after [`Judge::begin`].
    pub fn remember(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>) {
        let (parent, action) = (subject.parent, subject.action);
        subject.parent = Parent::Itself;
        self.evaluation.forget(&PARENT_FIELDS);
        self.facts_lost = engine
            .facts(
                &mut self.evaluation,
                subject,
                &PARENT_FIELDS,
                &mut self.facts,
            )
            .is_err();
        self.fork_rules.clear();
        if engine.kinds().meets(Kinds::FORK) {
            subject.action = Action::Fork;
            self.evaluation.forget(&FORK_FIELDS);
            let fork_rules = &mut self.fork_rules;
            engine.evaluate(&mut self.evaluation, subject, Kinds::FORK, |rule| {
                // Full: there is one too many already.
                let _ = fork_rules.push(rule);
            });
        }
        (subject.parent, subject.action) = (parent, action);
    }

    /// Begins with a process that did not exec just now.
    pub fn begin(&mut self) {
        self.matches.fill(0);
        self.evaluation.clear();
        self.beyond_upstream = false;
    }

    /// Finds the rules that hold for a fork, where the table could not keep them.
    pub fn fork(&mut self, engine: &Engine<'_>, subject: &mut Subject<'_>) {
        self.begin();
        let matches = &mut self.matches;
        engine.evaluate(&mut self.evaluation, subject, Kinds::FORK, |rule| {
            insert(matches, rule)
        });
        self.beyond_upstream = self.evaluation.beyond_upstream();
    }

    /// What the lineage table is to keep of the process.
    pub fn image<'a>(&'a self, subject: &Subject<'a>) -> Image<'a> {
        Image {
            path: subject.executable,
            facts: &self.facts,
            fork_rules: &self.fork_rules,
            args: subject.args.unwrap_or(&[]),
            args_len: length(subject.args.unwrap_or(&[])),
            lost: self.facts_lost || subject.executable.is_none() || subject.args.is_none(),
        }
    }

    /// The rules that hold.
    pub fn rules(&self) -> impl Iterator<Item = RuleIndex> {
        self.matches
            .iter()
            .zip(0u16..)
            .filter(|(word, _)| **word != 0)
            .flat_map(|(&word, place)| {
                let next = |rest: &u64| Some(rest & (rest - 1)).filter(|&rest| rest != 0);
                core::iter::successors(Some(word), next)
                    .map(move |rest| place * 64 + rest.trailing_zeros() as u16)
            })
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

fn insert(rules: &mut [u64; MAX_RULES / 64], rule: RuleIndex) {
    if let Some(word) = rules.get_mut(usize::from(rule / 64)) {
        *word |= 1 << (rule % 64);
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
    fn rules_come_out_ascending() {
        let mut judge = Judge::new();
        assert!(!judge.holds());
        assert_eq!(judge.rules().next(), None);
        for rule in [MAX_RULES as u16 - 1, 0, 64, 63, 5] {
            insert(&mut judge.matches, rule);
        }
        assert!(judge.holds());
        assert!(judge.rules().eq([0, 5, 63, 64, MAX_RULES as u16 - 1]));
    }
}
