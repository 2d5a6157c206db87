//! The engine: an event in, the rules that hold for it out.
//!
//! All rules share one index. An *atom* is a list of patterns over one field; the same list in two
//! rules is one atom. Evaluating a field walks its automata over each of its values once and
//! sets a bit for each atom that holds. A rule's condition is a short run of conditional jumps
//! over those bits. Nothing is evaluated before it is needed:
//!
//! - each rule has atoms without one of which it cannot hold (its *triggers*), chosen by the compiler
//!   to be cheap and rare; a rule is looked at only if one of them holds;
//! - a field is evaluated when the first rule that is looked at asks for it.

mod late;
mod search;
mod tuples;

use crate::event::{Event, Values};
use crate::field::{Cost, Field, FieldSet};
use crate::pack::{
    AtomId, Condition, FAIL, FieldIndex, Kinds, MATCH, MAX_ATOM_WORDS, MAX_LATE_WORDS, MAX_RULES,
    MAX_SLOTS, Pack, Rule, RuleIndex,
};
use crate::packed::{Full, Packed, Packer};

/// Which length limits hold for keyword values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Limits {
    /// None: padding is no way past the rules. [`Evaluation::beyond_upstream`] tells.
    Device,
    /// Values of more than [`crate::field::KEYWORD_LIMIT`] UTF-16 units are invisible, as in Elasticsearch.
    Upstream,
}

/// What is known about one event so far. About 1 KiB; one for each thread, used again for
/// each event.
#[derive(Clone, Debug)]
pub struct Evaluation {
    atoms: [u64; MAX_ATOM_WORDS],
    looked_at: [u64; MAX_RULES / 64],
    known: FieldSet,
    /// The fields of which an atom is set. Of all others no bit is.
    touched: FieldSet,
    /// The checksum of the pack that all this was found with.
    pack: u32,
    /// Late atoms that have been tested.
    tested: [u64; MAX_LATE_WORDS],
    lost: FieldSet,
    /// The globs with slots that the value at hand has been tried against, and whether there are any.
    tried: [u64; MAX_SLOTS / 64],
    has_tried: bool,
    beyond_upstream: bool,
}

impl Evaluation {
    /// Nothing is known.
    pub const fn new() -> Self {
        Self {
            atoms: [0; MAX_ATOM_WORDS],
            looked_at: [0; MAX_RULES / 64],
            known: FieldSet::EMPTY,
            touched: FieldSet::EMPTY,
            pack: 0,
            tested: [0; MAX_LATE_WORDS],
            lost: FieldSet::EMPTY,
            tried: [0; MAX_SLOTS / 64],
            has_tried: false,
            beyond_upstream: false,
        }
    }

    /// Forgets everything: the next event is another one.
    pub fn clear(&mut self) {
        self.clear_but(FieldSet::EMPTY);
    }

    /// Forgets everything but these fields: the next event is the same in them.
    pub fn clear_but(&mut self, same: FieldSet) {
        self.known = self.known.and(same);
        self.lost = self.lost.and(same);
        self.tested.iter_mut().for_each(clear);
        self.beyond_upstream = false;
    }

    /// Forgets these fields: the next event differs in them from this one.
    pub fn forget(&mut self, fields: &[Field]) {
        self.tested.iter_mut().for_each(clear);
        for &field in fields {
            self.known.remove(field);
            self.lost.remove(field);
        }
    }

    /// The first event of another pack.
    #[cold]
    #[inline(never)]
    fn reset(&mut self, pack: u32) {
        *self = Self::new();
        self.pack = pack;
    }

    /// Clears a field's atoms.
    #[inline]
    fn untouch(&mut self, index: &FieldIndex<'_>) {
        if self.touched.contains(index.field) {
            self.touched.remove(index.field);
            let words = self.atoms.get_mut(index.atom_words());
            words.into_iter().flatten().for_each(clear);
        }
    }

    /// Whether a value was consulted that upstream does not index.
    pub const fn beyond_upstream(&self) -> bool {
        self.beyond_upstream
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self::new()
    }
}

/// A pack, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Engine<'a> {
    pack: Pack<'a>,
    limits: Limits,
    /// The parts of the index, ascending by field.
    index: heapless::Vec<FieldIndex<'a>, { Field::COUNT }>,
    /// For each field its place in `index`, one more than that; 0: no rule asks for it.
    places: [u8; Field::COUNT],
    /// For each word of atoms the number of the field that it belongs to; none for late atoms.
    fields: [u8; MAX_ATOM_WORDS],
    first_late_word: usize,
    kinds: Kinds,
}

impl<'a> Engine<'a> {
    /// An engine for `pack`.
    #[inline(never)]
    pub fn new(pack: Pack<'a>, limits: Limits) -> Self {
        let mut engine = Self {
            pack,
            limits,
            index: heapless::Vec::new(),
            places: [0; Field::COUNT],
            fields: [LATE; MAX_ATOM_WORDS],
            first_late_word: pack.first_late_word(),
            kinds: Kinds(
                (0..pack.rule_count() as RuleIndex)
                    .filter_map(|rule| pack.condition(rule))
                    .fold(0, |kinds, condition| kinds | condition.kinds.0),
            ),
        };
        for (place, field) in pack.fields().flatten().enumerate() {
            if let Some(slot) = engine.places.get_mut(usize::from(field.field.number())) {
                *slot = place as u8 + 1;
            }
            if let Some(words) = engine.fields.get_mut(field.atom_words()) {
                words.fill(field.field.number());
            }
            // A pack has each field once at most: there is room.
            let _ = engine.index.push(field);
        }
        engine
    }

    /// The pack it evaluates.
    pub const fn pack(&self) -> Pack<'a> {
        self.pack
    }

    /// The kinds of events that some rule can hold for.
    pub const fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Calls `matched` once for each rule that can hold for an event of these `kinds` and whose
    /// condition holds for `event`.
    ///
    /// `evaluation` has been [cleared](Evaluation::clear), or has [forgotten](Evaluation::forget)
    /// every field in which the event differs from the last one.
    pub fn evaluate<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        kinds: Kinds,
        mut matched: impl FnMut(RuleIndex),
    ) {
        self.take_over(evaluation);
        let rule_words = self.pack.rule_count().div_ceil(64);
        let looked_at = evaluation.looked_at.iter_mut().take(rule_words);
        looked_at.for_each(clear);
        for step in self.pack.steps() {
            if !step.kinds.meets(kinds) {
                continue;
            }
            let Some(field) = step.field else {
                let rules = self.pack.list(step.rules);
                self.look_at(evaluation, event, kinds, rules, &mut matched);
                continue;
            };
            let Some(index) = self.index_of(field) else {
                continue;
            };
            self.require(evaluation, event, index);
            let lost = match evaluation.lost.contains(field) {
                true => u64::MAX,
                false if evaluation.touched.contains(field) => 0,
                false => continue,
            };
            for word in index.atom_words() {
                let mut bits = lost | evaluation.atoms.get(word).copied().unwrap_or(0);
                // Most words have none.
                if bits == 0 {
                    continue;
                }
                let triggers = self.pack.triggers(word);
                bits &= triggers.atoms;
                while bits != 0 {
                    let rules = self.pack.triggered(&triggers, bits.trailing_zeros());
                    bits &= bits - 1;
                    self.look_at(evaluation, event, kinds, rules, &mut matched);
                }
            }
        }
    }

    /// Finds what holds of the values that `event` gives for those of `fields` that rules ask for, and
    /// puts it into `facts`, ascending: for [`Values::Facts`] of later events.
    ///
    /// # Errors
    /// [`Full`]: there is room for the first ones only.
    pub fn facts<E: Event, const N: usize>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        fields: FieldSet,
        facts: &mut Packer<N>,
    ) -> Result<(), Full> {
        self.take_over(evaluation);
        facts.clear();
        // Ascending, as the index is.
        for index in self
            .index
            .iter()
            .filter(|index| fields.contains(index.field))
        {
            self.require(evaluation, event, index);
            for word in index.atom_words() {
                let mut bits = evaluation.atoms.get(word).copied().unwrap_or(0);
                while bits != 0 {
                    let atom = (word * 64) as u32 + bits.trailing_zeros();
                    bits &= bits - 1;
                    facts.push(atom as AtomId)?;
                }
            }
        }
        for late in 0..self.pack.late_count() {
            let asked = self
                .pack
                .late(late)
                .is_some_and(|late| fields.contains(late.field));
            let atom = (self.first_late_word * 64 + late) as AtomId;
            if asked && self.late(evaluation, event, atom).0 {
                facts.push(atom)?;
            }
        }
        Ok(())
    }

    /// The first of `args` that makes one of the rule's clauses on `process.args` hold, and its index.
    pub fn matched_arg<'v>(
        &self,
        evaluation: &mut Evaluation,
        rule: &Rule<'_>,
        args: impl Iterator<Item = &'v [u8]>,
    ) -> Option<(usize, &'v [u8])> {
        let index = self.index_of(Field::ProcessArgs);
        let atoms = index.map_or(0..0, FieldIndex::atoms);
        let condition = self.pack.condition(rule.index)?;
        self.take_over(evaluation);
        evaluation.clear();
        args.enumerate().find(|(_, arg)| {
            if let Some(index) = index {
                self.search(evaluation, index, Values::One(arg));
            }
            condition.instructions().any(|instruction| {
                let atom = usize::from(instruction.atom);
                let holds = match atoms.contains(&atom) {
                    true => bit(&evaluation.atoms, atom),
                    false => self.holds_for_arg(instruction.atom, arg),
                };
                holds && !instruction.negated
            })
        })
    }

    /// Forgets what was found with another pack: its atoms were others.
    #[inline]
    fn take_over(&self, evaluation: &mut Evaluation) {
        if evaluation.pack != self.pack.checksum() {
            evaluation.reset(self.pack.checksum());
        }
    }

    fn index_of(&self, field: Field) -> Option<&FieldIndex<'a>> {
        self.index_at(*self.places.get(usize::from(field.number()))?)
    }

    #[inline]
    fn index_at(&self, place: u8) -> Option<&FieldIndex<'a>> {
        self.index.get(usize::from(place.checked_sub(1)?))
    }

    /// Looks at rules, each once an event.
    fn look_at<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        kinds: Kinds,
        rules: impl Iterator<Item = RuleIndex>,
        matched: &mut impl FnMut(RuleIndex),
    ) {
        // The stages of a sequence are often alike, and follow one another.
        let mut last = None;
        for rule in rules {
            let (word, mask) = (usize::from(rule / 64), 1u64 << (rule % 64));
            match evaluation.looked_at.get_mut(word) {
                Some(word) if *word & mask == 0 => *word |= mask,
                _ => continue,
            }
            let Some(condition) = self.pack.condition(rule) else {
                continue;
            };
            if !condition.kinds.meets(kinds) {
                continue;
            }
            let holds = match last {
                Some((first, holds)) if first == condition.first => holds,
                _ => self.holds(evaluation, event, &condition),
            };
            last = Some((condition.first, holds));
            if holds {
                matched(rule);
            }
        }
    }

    /// Whether a rule's condition holds.
    fn holds<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        condition: &Condition<'_>,
    ) -> bool {
        let mut at = 0;
        while let Some(instruction) = condition.instruction(at) {
            let holds = match self.known(evaluation, instruction.atom) {
                Some(set) => set != instruction.negated,
                None => self.find_out(evaluation, event, instruction.atom, instruction.negated),
            };
            at = match holds == instruction.is_or {
                false => at + 1,
                true if instruction.target >= FAIL => return instruction.target == MATCH,
                true => condition.place(instruction.target),
            };
        }
        true
    }

    /// Whether an atom holds, if its field has been evaluated and was not lost.
    #[inline]
    fn known(&self, evaluation: &Evaluation, atom: AtomId) -> Option<bool> {
        let word = usize::from(atom / 64);
        let field = *self.fields.get(word)?;
        let known = evaluation.known.bits() & !evaluation.lost.bits();
        let is_known = field < LATE && known >> field & 1 == 1;
        is_known.then(|| evaluation.atoms.get(word).copied().unwrap_or(0) >> (atom % 64) & 1 == 1)
    }

    /// Whether an atom holds or, `negated`, does not: where the value was lost, both.
    #[cold]
    fn find_out<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        atom: AtomId,
        negated: bool,
    ) -> bool {
        let number = self.fields.get(usize::from(atom / 64)).copied();
        let (set, field) = match number.and_then(Field::from_number) {
            Some(field) => {
                if let Some(index) = self.index_of(field) {
                    self.require(evaluation, event, index);
                }
                (bit(&evaluation.atoms, usize::from(atom)), field)
            }
            None => self.late(evaluation, event, atom),
        };
        set != negated || evaluation.lost.contains(field)
    }

    /// Evaluates a field unless that has been done.
    #[inline]
    fn require<E: Event>(&self, evaluation: &mut Evaluation, event: &mut E, index: &FieldIndex) {
        if evaluation.known.contains(index.field) {
            return;
        }
        evaluation.known.insert(index.field);
        match event.values(index.field) {
            Values::Facts(facts) => self.set_facts(evaluation, index.field.cost(), facts),
            values => self.search(evaluation, index, values),
        }
    }

    /// Takes over what holds of all fields of one cost.
    fn set_facts(&self, evaluation: &mut Evaluation, cost: Cost, facts: Packed<'_>) {
        let fields = FieldSet::of_cost(cost);
        evaluation.known = evaluation.known.or(fields);
        let mut stale = evaluation.touched.and(fields).bits();
        while stale != 0 {
            let place = self.places.get(stale.trailing_zeros() as usize);
            stale &= stale - 1;
            if let Some(index) = place.and_then(|place| self.index_at(*place)) {
                evaluation.untouch(index);
            }
        }
        let mut touched = 0;
        for atom in facts.iter() {
            let word = usize::from(atom / 64);
            let field = self.fields.get(word).copied().unwrap_or(LATE);
            match evaluation.atoms.get_mut(word) {
                Some(word) if field < LATE && fields.bits() >> field & 1 == 1 => {
                    *word |= 1 << (atom % 64);
                    touched |= 1 << field;
                }
                _ => {}
            }
        }
        evaluation.touched = evaluation.touched.or(FieldSet::new(touched));
    }
}

/// In the place of a field's number: the atoms are tested one by one.
const LATE: u8 = 64;

#[inline]
fn bit(words: &[u64], index: usize) -> bool {
    words
        .get(index / 64)
        .is_some_and(|word| word >> (index % 64) & 1 == 1)
}

/// Clears a word, mostly clear already: a call of `memset` would cost more.
#[inline]
fn clear(word: &mut u64) {
    if *word != 0 {
        *word = 0;
    }
}
