//! The values of the fields that tell a rule's matches apart.

use super::search::is_beyond_upstream;
use super::{Engine, Limits};
use crate::event::{Block, Event, Values, unterminated};
use crate::field::Field;
use crate::pack::{MAX_TERM_FIELDS, Rule};

impl Engine<'_> {
    /// Calls `found` with each tuple of values of the rule's keys. A field that is missing
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
        fields.extend(rule.keys.iter());
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

    /// Calls `found` with each value of one field, at most `limit`, as [`Engine::terms`] takes them.
    pub fn values<E: Event>(
        &self,
        field: Field,
        event: &E,
        limit: usize,
        mut found: impl FnMut(&[u8]),
    ) {
        for n in 0..limit {
            match self.nth(event.term(field), field, n) {
                Some(value) => found(value),
                None => return,
            }
        }
    }

    /// Value `n` of a field, as a term.
    fn nth<'v>(&self, values: Values<'v>, field: Field, n: usize) -> Option<&'v [u8]> {
        let mut next = 0;
        // Whatever the values come from, they are counted by the same code.
        let mut nth = |take: &mut dyn FnMut() -> Option<&'v [u8]>| loop {
            let value = take()?;
            if self.limits == Limits::Device || !is_beyond_upstream(field, value) {
                next += 1;
                if next > n {
                    return Some(value);
                }
            }
        };
        let mut one = |value| {
            let mut value = Some(value);
            nth(&mut || value.take())
        };
        match values {
            Values::Missing | Values::Number(_) | Values::Facts(_) => None,
            Values::Lost => one(b"unknown"),
            Values::One(value) => one(value),
            Values::Joined(block) => one(unterminated(block)),
            Values::Many(values) => {
                let mut values = values.iter();
                nth(&mut || values.next().copied())
            }
            Values::Block(block) => {
                let mut values = Block::new(block);
                nth(&mut || values.next())
            }
        }
    }
}
