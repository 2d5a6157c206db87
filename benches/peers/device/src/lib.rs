//! peewit, with events that are in memory.
//!
//! A package of its own: the engine's generic code is compiled where it is used, and so here at the
//! sensor's opt-level.

mod event;

use std::path::{Path, PathBuf};

use peewit_compiler::assemble;
use peewit_compiler::rule::Rule;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::field::{Field, FieldSet};
use peewit_core::pack::{Kinds, Pack, RuleIndex};
use peewit_core::packed::Packer;

pub use event::Captured;

/// Compiles rule files to a pack: what a workstation does. Files that it refuses come with the reason. If the
/// rules are too much for one pack, the largest are left out, and are among the refused.
pub fn compile(files: &[&Path]) -> (Vec<u8>, Vec<(PathBuf, String)>) {
    let sources = Sources::read(files, &Mapping::default());
    let diagnostics = sources
        .refused
        .into_iter()
        .map(|refused| refused.diagnostic);
    let mut refused: Vec<_> = diagnostics
        .map(|diagnostic| (diagnostic.path, diagnostic.error.message))
        .collect();
    let (mut paths, mut rules): (Vec<_>, Vec<_>) = sources.rules.into_iter().unzip();
    loop {
        let error = match assemble(&rules, 0) {
            Ok(pack) => return (pack, refused),
            Err(error) => error,
        };
        // One that is too large by itself is larger than any pack.
        let size = |rule: &Rule| {
            let pack = assemble(std::slice::from_ref(rule), 0);
            pack.map_or(usize::MAX, |pack| pack.len())
        };
        let largest = (0..rules.len()).max_by_key(|&place| size(&rules[place]));
        let largest = largest.expect("no rules always fit");
        rules.remove(largest);
        refused.push((paths.remove(largest), error.to_string()));
    }
}

/// A pack and what is needed to evaluate it: all that a device holds.
pub struct Device {
    engine: Engine<'static>,
    evaluation: Evaluation,
}

impl Device {
    /// Loads a pack. It is kept for the rest of the run.
    pub fn new(pack: Box<[u8]>) -> Box<Self> {
        let pack = Pack::parse(Box::leak(pack)).expect("a pack");
        Box::new(Self {
            engine: Engine::new(pack, Limits::Device),
            evaluation: Evaluation::new(),
        })
    }

    /// How many rules are in the pack.
    pub fn rules(&self) -> usize {
        self.engine.pack().rule_count()
    }

    /// Calls `matched` for each rule that holds for an event. Nothing is kept from one event to the next.
    pub fn evaluate(&mut self, event: &mut Captured, matched: &mut dyn FnMut(RuleIndex)) {
        self.evaluation.clear();
        self.engine
            .evaluate(&mut self.evaluation, event, Kinds::EXEC, matched);
    }

    /// Evaluates once and for all what a sensor knows before the event: when the parent was started itself.
    pub fn know(&mut self, event: &mut Captured) {
        let known = Field::ALL.iter().copied();
        let known: Vec<Field> = known.filter(|&field| event::is_known(field)).collect();
        let mut facts = Packer::new();
        self.evaluation.clear();
        self.engine
            .facts(&mut self.evaluation, event, FieldSet::of(&known), &mut facts)
            .expect("room for the facts");
        event.know(facts);
    }

    /// The id of a rule.
    pub fn id(&self, rule: RuleIndex) -> String {
        let rule = self.engine.pack().rule(rule);
        rule.map_or_else(String::new, |rule| rule.id.to_string())
    }
}
