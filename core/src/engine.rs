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

use crate::automaton::Output;
use crate::event::{Block, Event, Values};
use crate::field::{Field, FieldSet, KEYWORD_LIMIT, Type};
use crate::glob;
use crate::pack::{
    AtomId, FAIL, GLOB, Kinds, MATCH, MAX_ATOM_WORDS, MAX_RULES, MAX_TERM_FIELDS, NO_SLOT, Pack,
    Rule, RuleIndex,
};

/// Which length limits hold for keyword values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Limits {
    /// None: padding is no way past the rules. [`Evaluation::beyond_upstream`] tells.
    Device,
    /// Values of more than [`KEYWORD_LIMIT`] UTF-16 units are invisible, as in Elasticsearch.
    Upstream,
}

/// A list with room for fewer facts than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooManyFacts;

impl core::fmt::Display for TooManyFacts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("more facts than the list has room for")
    }
}

impl core::error::Error for TooManyFacts {}

/// What is known about one event so far. About 1 KiB; one for each thread, used again for
/// each event.
#[derive(Clone, Debug)]
pub struct Evaluation {
    atoms: [u64; MAX_ATOM_WORDS],
    looked_at: [u64; MAX_RULES / 64],
    known: FieldSet,
    lost: FieldSet,
    beyond_upstream: bool,
}

impl Evaluation {
    /// Nothing is known.
    pub const fn new() -> Self {
        Self {
            atoms: [0; MAX_ATOM_WORDS],
            looked_at: [0; MAX_RULES / 64],
            known: FieldSet::EMPTY,
            lost: FieldSet::EMPTY,
            beyond_upstream: false,
        }
    }

    /// Forgets everything: the next event is another one.
    pub fn clear(&mut self) {
        self.known = FieldSet::EMPTY;
        self.lost = FieldSet::EMPTY;
        self.beyond_upstream = false;
    }

    /// Forgets these fields: the next event differs in them from this one.
    pub fn forget(&mut self, fields: &[Field]) {
        for &field in fields {
            self.known.remove(field);
            self.lost.remove(field);
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
    /// For each field its place in the pack, one more than that; 0: no rule asks for it.
    places: [u8; Field::COUNT],
    /// For each word of atoms the field that it belongs to.
    fields: [u8; MAX_ATOM_WORDS],
    kinds: Kinds,
}

impl<'a> Engine<'a> {
    /// An engine for `pack`.
    pub fn new(pack: Pack<'a>, limits: Limits) -> Self {
        let mut engine = Self {
            pack,
            limits,
            places: [0; Field::COUNT],
            fields: [0; MAX_ATOM_WORDS],
            kinds: Kinds(pack.rules().fold(0, |kinds, rule| kinds | rule.kinds.0)),
        };
        for (place, field) in pack.fields().enumerate() {
            if let (Some(slot), Some(index)) = (
                engine.places.get_mut(usize::from(field.number())),
                pack.field(place),
            ) {
                *slot = place as u8 + 1;
                if let Some(words) = engine
                    .fields
                    .get_mut(index.first_word..index.first_word + index.words)
                {
                    words.fill(field.number());
                }
            }
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

    /// Whether some rule asks for `field`.
    pub fn asks_for(&self, field: Field) -> bool {
        self.places
            .get(usize::from(field.number()))
            .is_some_and(|&place| place != 0)
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
        let rule_words = self.pack.rule_count().div_ceil(64);
        evaluation.looked_at[..rule_words.min(MAX_RULES / 64)].fill(0);
        for step in self.pack.steps() {
            if !step.kinds.meets(kinds) {
                continue;
            }
            let Some(field) = step.field else {
                self.look_at(
                    evaluation,
                    event,
                    kinds,
                    self.pack.atom_count(),
                    &mut matched,
                );
                continue;
            };
            self.require(evaluation, event, field);
            let Some(index) = self.place(field).and_then(|place| self.pack.field(place)) else {
                continue;
            };
            for word in index.first_word..index.first_word + index.words {
                let mut bits = if evaluation.lost.contains(field) {
                    u64::MAX
                } else {
                    evaluation.atoms.get(word).copied().unwrap_or(0)
                };
                while bits != 0 {
                    let atom = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    self.look_at(evaluation, event, kinds, atom, &mut matched);
                }
            }
        }
    }

    /// Finds what holds of the values that `event` gives for those of `fields` that rules ask for, and
    /// puts it into `facts`, ascending: for [`Values::Facts`] of later events.
    ///
    /// # Errors
    /// `facts` is too small; it then holds the first ones.
    pub fn facts<E: Event, const N: usize>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        fields: &[Field],
        facts: &mut heapless::Vec<AtomId, N>,
    ) -> Result<(), TooManyFacts> {
        facts.clear();
        // Ascending, whatever the order of `fields`: the pack's fields are.
        for index in self.pack.fields().enumerate().filter_map(|(place, field)| {
            fields
                .contains(&field)
                .then(|| self.pack.field(place))
                .flatten()
        }) {
            self.require(evaluation, event, index.field);
            for word in index.first_word..index.first_word + index.words {
                let mut bits = evaluation.atoms.get(word).copied().unwrap_or(0);
                while bits != 0 {
                    let atom = (word * 64) as u32 + bits.trailing_zeros();
                    bits &= bits - 1;
                    facts.push(atom as AtomId).map_err(|_| TooManyFacts)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `found` with each tuple of values of the rule's `new_terms` fields. A field that is missing
    /// gives none; one with several values gives a tuple for each. At most `limit` tuples.
    ///
    /// [`Values::Lost`] stands for the value `unknown`. [`Values::Joined`] are passed on with NUL for the
    /// space.
    pub fn terms<E: Event>(
        &self,
        rule: &Rule<'_>,
        event: &E,
        limit: usize,
        mut found: impl FnMut(&[&[u8]]),
    ) {
        let mut fields: heapless::Vec<Field, MAX_TERM_FIELDS> = heapless::Vec::new();
        fields.extend(rule.terms.iter());
        if fields.is_empty() {
            return;
        }
        // An odometer: which value of each field comes next.
        let mut turn = [0usize; MAX_TERM_FIELDS];
        for _ in 0..limit {
            let mut tuple: heapless::Vec<&[u8], MAX_TERM_FIELDS> = heapless::Vec::new();
            let mut exhausted = None;
            for (place, &field) in fields.iter().enumerate() {
                match self.nth(
                    event.term(field),
                    field,
                    turn.get(place).copied().unwrap_or(0),
                ) {
                    Some(value) => {
                        let _ = tuple.push(value);
                    }
                    None => {
                        exhausted = Some(place);
                        break;
                    }
                }
            }
            match exhausted {
                None => {
                    found(&tuple);
                    turn[fields.len() - 1] += 1;
                }
                // The first field has run out, or one that has no value at all.
                Some(place) if place == 0 || turn[place] == 0 => return,
                Some(place) => {
                    turn[place..].fill(0);
                    turn[place - 1] += 1;
                }
            }
        }
    }

    /// The first of `args` that makes one of the rule's clauses on `process.args` hold, and its index.
    pub fn matched_arg<'v>(
        &self,
        evaluation: &mut Evaluation,
        rule: &Rule<'_>,
        args: impl Iterator<Item = &'v [u8]>,
    ) -> Option<(usize, &'v [u8])> {
        let index = self
            .place(Field::ProcessArgs)
            .and_then(|place| self.pack.field(place))?;
        let atoms = index.first_word * 64..(index.first_word + index.words) * 64;
        evaluation.clear();
        args.enumerate().find(|(_, arg)| {
            self.evaluate_values(evaluation, Field::ProcessArgs, &Values::One(arg));
            (rule.code..rule.code.saturating_add(rule.code_len)).any(|at| {
                let instruction = self.pack.instruction(at);
                let atom = usize::from(instruction.atom);
                !instruction.negated && atoms.contains(&atom) && bit(&evaluation.atoms, atom)
            })
        })
    }

    fn place(&self, field: Field) -> Option<usize> {
        self.places
            .get(usize::from(field.number()))?
            .checked_sub(1)
            .map(usize::from)
    }

    /// Looks at the rules that `atom` triggers.
    fn look_at<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        kinds: Kinds,
        atom: usize,
        matched: &mut impl FnMut(RuleIndex),
    ) {
        for rule in self.pack.list(self.pack.trigger(atom)) {
            let (word, mask) = (usize::from(rule / 64), 1u64 << (rule % 64));
            match evaluation.looked_at.get_mut(word) {
                Some(word) if *word & mask == 0 => *word |= mask,
                _ => continue,
            }
            if self.holds(evaluation, event, kinds, rule) {
                matched(rule);
            }
        }
    }

    /// Whether a rule's condition holds.
    fn holds<E: Event>(
        &self,
        evaluation: &mut Evaluation,
        event: &mut E,
        kinds: Kinds,
        rule: RuleIndex,
    ) -> bool {
        let (rule_kinds, mut at, steps) = self.pack.condition(rule);
        if !rule_kinds.meets(kinds) {
            return false;
        }
        for _ in 0..steps {
            let instruction = self.pack.instruction(at);
            let atom = usize::from(instruction.atom);
            let Some(field) = self
                .fields
                .get(atom / 64)
                .and_then(|&number| Field::from_number(number))
            else {
                return false;
            };
            self.require(evaluation, event, field);
            let holds = evaluation.lost.contains(field)
                || bit(&evaluation.atoms, atom) != instruction.negated;
            at = if holds {
                instruction.then
            } else {
                instruction.otherwise
            };
            if at >= FAIL {
                return at == MATCH;
            }
        }
        false
    }

    /// Evaluates a field unless that has been done.
    #[inline]
    fn require<E: Event>(&self, evaluation: &mut Evaluation, event: &mut E, field: Field) {
        if evaluation.known.contains(field) {
            return;
        }
        evaluation.known.insert(field);
        let values = event.values(field);
        self.evaluate_values(evaluation, field, &values);
    }

    fn evaluate_values(&self, evaluation: &mut Evaluation, field: Field, values: &Values<'_>) {
        let Some(place) = self.place(field) else {
            return;
        };
        let Some(index) = self.pack.field(place) else {
            return;
        };
        let words = index.first_word..index.first_word + index.words;
        if let Some(words) = evaluation.atoms.get_mut(words.clone()) {
            words.fill(0);
        }
        let mut search = Search {
            engine: self,
            place,
            evaluation,
            tried: [0; 4],
        };
        match *values {
            Values::Missing => {}
            Values::Lost => search.evaluation.lost.insert(field),
            Values::One(value) => search.value(field, value),
            Values::Many(values) => values.iter().for_each(|value| search.value(field, value)),
            Values::Block(block) => Block::new(block).for_each(|value| search.value(field, value)),
            Values::Joined(block) => search.read(block, |byte| if byte == 0 { b' ' } else { byte }),
            Values::Number(number) => search.number(number),
            Values::Facts(facts) => {
                let atoms = words.start * 64..words.end * 64;
                facts
                    .iter()
                    .filter(|&&atom| atoms.contains(&usize::from(atom)))
                    .for_each(|&atom| search.set(atom));
            }
        }
    }

    /// Value `n` of a field, as a term.
    fn nth<'v>(&self, values: Values<'v>, field: Field, n: usize) -> Option<&'v [u8]> {
        let visible =
            |value: &&[u8]| self.limits == Limits::Device || !is_beyond_upstream(field, value);
        let one = |value: &'v [u8]| Some(value).filter(|value| n == 0 && visible(value));
        match values {
            Values::Missing | Values::Number(_) | Values::Facts(_) => None,
            Values::Lost => one(b"unknown"),
            Values::One(value) | Values::Joined(value) => one(value),
            Values::Many(values) => values.iter().copied().filter(visible).nth(n),
            Values::Block(block) => Block::new(block).filter(visible).nth(n),
        }
    }
}

/// Evaluating one field.
struct Search<'e, 'a> {
    engine: &'e Engine<'a>,
    place: usize,
    evaluation: &'e mut Evaluation,
    /// Globs that this value has been tried against.
    tried: [u64; 4],
}

impl Search<'_, '_> {
    fn value(&mut self, field: Field, value: &[u8]) {
        if is_beyond_upstream(field, value) {
            if self.engine.limits == Limits::Upstream {
                return;
            }
            self.evaluation.beyond_upstream = true;
        }
        self.read(value, |byte| byte);
    }

    fn read(&mut self, value: &[u8], map: impl Fn(u8) -> u8 + Copy) {
        let Some(index) = self.engine.pack.field(self.place) else {
            return;
        };
        let [anchored, anchored_fold, unanchored, unanchored_fold] = index.automata;
        let fold = move |byte| map(byte).to_ascii_lowercase();
        if !anchored.is_empty() {
            anchored.read_anchored(value, map, |output| self.output(output, value, map));
        }
        if !anchored_fold.is_empty() {
            anchored_fold.read_anchored(value, fold, |output| self.output(output, value, map));
        }
        if !unanchored.is_empty() {
            self.tried = [0; 4];
            unanchored.read_unanchored(value, map, |output| self.output(output, value, map));
        }
        if !unanchored_fold.is_empty() {
            self.tried = [0; 4];
            unanchored_fold.read_unanchored(value, fold, |output| self.output(output, value, map));
        }
    }

    fn output(&mut self, output: Output, value: &[u8], map: impl Fn(u8) -> u8) {
        for item in self.engine.pack.list(output.list as u16) {
            if item & GLOB == 0 {
                self.set(item);
                continue;
            }
            let Some(glob) = self.engine.pack.glob(item & !GLOB) else {
                continue;
            };
            if glob.slot != NO_SLOT {
                // Its rest begins with a run: what the first occurrence does not match, no later one does.
                let (word, mask) = (usize::from(glob.slot / 64), 1u64 << (glob.slot % 64));
                if self.tried[word] & mask != 0 {
                    continue;
                }
                self.tried[word] |= mask;
            }
            let rest = value
                .get(output.position..)
                .unwrap_or(&[])
                .iter()
                .map(|&byte| map(byte));
            if glob::matches(glob.pattern, glob.fold, rest) {
                self.engine
                    .pack
                    .list(glob.list)
                    .for_each(|atom| self.set(atom));
            }
        }
    }

    fn number(&mut self, number: i64) {
        let Some(index) = self.engine.pack.field(self.place) else {
            return;
        };
        for range in index.ranges..index.ranges.saturating_add(index.range_count) {
            let range = self.engine.pack.range(range);
            if (range.low..=range.high).contains(&number) {
                self.engine
                    .pack
                    .list(range.list)
                    .for_each(|atom| self.set(atom));
            }
        }
    }

    #[inline]
    fn set(&mut self, atom: AtomId) {
        if let Some(word) = self.evaluation.atoms.get_mut(usize::from(atom / 64)) {
            *word |= 1 << (atom % 64);
        }
    }
}

#[inline]
fn bit(words: &[u64], index: usize) -> bool {
    words
        .get(index / 64)
        .is_some_and(|word| word >> (index % 64) & 1 == 1)
}

/// Whether Elasticsearch does not index this value: a keyword of more than [`KEYWORD_LIMIT`]
/// UTF-16 units.
#[inline]
fn is_beyond_upstream(field: Field, value: &[u8]) -> bool {
    value.len() > KEYWORD_LIMIT && field.ty() == Type::Keyword && utf16_len(value) > KEYWORD_LIMIT
}

/// UTF-16 units of a UTF-8 string: one for each character, two where it takes four bytes.
/// Other bytes count one for each that is no continuation.
fn utf16_len(value: &[u8]) -> usize {
    value
        .iter()
        .map(|&byte| usize::from(byte & 0xC0 != 0x80) + usize::from(byte >= 0xF0))
        .sum()
}
