//! Evaluating one field: which of its atoms hold for the values of an event.

use super::{Engine, Evaluation, Limits, clear};
use crate::automaton::Output;
use crate::event::{Block, Reading, Values, unterminated};
use crate::field::{Field, KEYWORD_LIMIT, Type};
use crate::glob;
use crate::pack::{AtomId, FieldIndex, GLOB, ListRef, NO_SLOT, Pack, folds};

impl Engine<'_> {
    /// Sets the bits of a field's atoms.
    pub(super) fn search(&self, evaluation: &mut Evaluation, index: &FieldIndex, values: Values) {
        evaluation.untouch(index);
        let mut search = Search {
            pack: &self.pack,
            limits: self.limits,
            index,
            evaluation,
            bytes: None,
        };
        match values {
            Values::Missing => {}
            Values::Lost => search.evaluation.lost.insert(index.field),
            Values::One(value) => search.value(value, false),
            Values::Many(values) => values.iter().for_each(|value| search.value(value, false)),
            Values::Block(block) => Block::new(block).for_each(|value| search.value(value, false)),
            Values::Joined(block) => search.value(unterminated(block), true),
            Values::Number(number) => search.number(number),
            // Whoever asks takes these over.
            Values::Facts(_) => {}
        }
    }
}

struct Search<'e, 'a> {
    pack: &'e Pack<'a>,
    limits: Limits,
    index: &'e FieldIndex<'a>,
    evaluation: &'e mut Evaluation,
    /// Which bytes the value at hand has, once somebody has asked: see [`byte_bit`].
    bytes: Option<u64>,
}

impl Search<'_, '_> {
    #[inline(never)]
    fn value(&mut self, value: &[u8], joined: bool) {
        if value.len() > KEYWORD_LIMIT && is_beyond_upstream(self.index.field, value) {
            if self.limits == Limits::Upstream {
                return;
            }
            self.evaluation.beyond_upstream = true;
        }
        let automata = self.index.automata_for(value);
        if automata != 0 {
            self.read(automata, value, joined);
        }
    }

    #[inline(never)]
    fn read(&mut self, mut automata: u8, value: &[u8], joined: bool) {
        self.bytes = None;
        if core::mem::take(&mut self.evaluation.has_tried) {
            self.evaluation.tried.iter_mut().for_each(clear);
        }
        while automata != 0 {
            let slot = automata.trailing_zeros() as usize;
            automata &= automata - 1;
            let Some(automaton) = self.index.automata.get(slot) else {
                return;
            };
            let fold = folds(slot);
            let reading = Reading { fold, joined };
            let mut report = |output| self.output(output, value, reading);
            automaton.read(value, reading, &mut report);
        }
    }

    #[inline]
    fn output(&mut self, output: Output, value: &[u8], reading: Reading) {
        for item in self.pack.list(ListRef(output.list)) {
            if item & GLOB == 0 {
                self.set(item);
            } else {
                self.glob(item & !GLOB, value, output.position, reading);
            }
        }
    }

    /// Tries the rest of a pattern on the rest of a value.
    #[inline(never)]
    fn glob(&mut self, number: u16, value: &[u8], position: usize, reading: Reading) {
        // Most are told apart by a byte before all of the record is read.
        if let Some(byte) = self.pack.glob_byte(number) {
            let bits = |value: &[u8]| value.iter().fold(0, |bits, &byte| bits | byte_bit(byte));
            if *self.bytes.get_or_insert_with(|| bits(value)) & byte_bit(byte) == 0 {
                return;
            }
        }
        let Some(glob) = self.pack.glob(number) else {
            return;
        };
        if glob.inside {
            let start = position.checked_sub(usize::from(glob.slot));
            let text = start.and_then(|start| value.get(start..));
            let reading = Reading {
                fold: glob.fold,
                ..reading
            };
            if text.is_some_and(|text| reading.begins(text, glob.pattern)) {
                self.set_all(glob.list);
            }
            return;
        }
        if glob.whole && glob.slot != NO_SLOT {
            // It begins with a run or is tried on the whole value: what the first occurrence does not match, no later
            // one does.
            let (word, mask) = (usize::from(glob.slot / 64), 1u64 << (glob.slot % 64));
            match self.evaluation.tried.get_mut(word) {
                Some(tried) if *tried & mask == 0 => *tried |= mask,
                _ => return,
            }
            self.evaluation.has_tried = true;
        }
        let reading = Reading {
            fold: glob.fold,
            ..reading
        };
        let text = match glob.whole {
            true => value,
            false => value.get(position..).unwrap_or(&[]),
        };
        if glob::matches(glob.pattern, text, reading) {
            self.set_all(glob.list);
        }
    }

    fn number(&mut self, number: i64) {
        let ranges = self.index.ranges..self.index.ranges.saturating_add(self.index.range_count);
        for range in ranges {
            match self.pack.range(range) {
                Some(range) if (range.low..=range.high).contains(&number) => {
                    self.set_all(range.list);
                }
                _ => {}
            }
        }
    }

    #[inline(never)]
    fn set_all(&mut self, list: ListRef) {
        for atom in self.pack.list(list) {
            self.set(atom);
        }
    }

    #[inline]
    fn set(&mut self, atom: AtomId) {
        if let Some(word) = self.evaluation.atoms.get_mut(usize::from(atom / 64)) {
            *word |= 1 << (atom % 64);
            self.evaluation.touched.insert(self.index.field);
        }
    }
}

/// A bit for a byte, the same for both cases of a letter and for NUL and space, however the value is to be read; others have it too.
const fn byte_bit(byte: u8) -> u64 {
    1 << ((byte & 0xDF) % 64)
}

/// Whether Elasticsearch does not index this value: a keyword of more than [`KEYWORD_LIMIT`]
/// UTF-16 units.
#[cold]
pub(super) fn is_beyond_upstream(field: Field, value: &[u8]) -> bool {
    value.len() > KEYWORD_LIMIT && field.ty() == Type::Keyword && utf16_len(value) > KEYWORD_LIMIT
}

/// UTF-16 units of a UTF-8 string: one for each character, two where it takes four bytes.
/// Other bytes count one for each that is no continuation.
pub(super) fn utf16_len(value: &[u8]) -> usize {
    value
        .iter()
        .map(|&byte| usize::from(byte & 0xC0 != 0x80) + usize::from(byte >= 0xF0))
        .sum()
}
