//! Regular expressions, as the deterministic automata that the compiler made of them.
//!
//! ```text
//! 0    number of states (2); 0 and 1 are fixed: nothing that follows can match, whatever follows matches
//! 2    first state (2)
//! 4    the accepting states are this one and all after it (2)
//! 6    number of classes of bytes (2)
//! 8    the class of each byte (256)
//! 264  for each state from 2 on, for each class, the next state: 1 byte, 2 if there are more than 256 states
//! ```
//!
//! One look-up for each byte of a value. What ignores case has that in its table.

use crate::event::Reading;

/// Bytes before the table.
pub const TABLE_AT: usize = 264;
/// The state that no value leaves.
pub const DEAD: u16 = 0;
/// The state from which every value matches.
pub const ALL: u16 = 1;
/// The first state with a row in the table.
pub const FIRST: u16 = 2;
/// Most states with rows of single bytes.
pub const NARROW: u16 = 256;

/// A regular expression over whole values, in place.
#[derive(Clone, Copy, Debug)]
pub struct Dfa<'a> {
    states: u16,
    start: u16,
    accepting: u16,
    class_count: usize,
    classes: &'a [u8; 256],
    table: &'a [u8],
}

impl<'a> Dfa<'a> {
    /// The automaton in `bytes`, if they are as many as they should be. Its states are not checked: see
    /// [`Dfa::validate`].
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<8>()?;
        let (classes, table) = rest.split_first_chunk::<256>()?;
        let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let dfa = Self {
            states: number(0),
            start: number(2),
            accepting: number(4),
            class_count: usize::from(number(6)),
            classes,
            table,
        };
        let entries = usize::from(dfa.states.checked_sub(FIRST)?) * dfa.class_count;
        (table.len() == entries * if dfa.is_wide() { 2 } else { 1 }).then_some(dfa)
    }

    const fn is_wide(&self) -> bool {
        self.states > NARROW
    }

    /// Where a class of bytes leads from a state that has a row.
    #[inline]
    fn next(&self, state: u16, class: u8) -> u16 {
        let row = usize::from(state.wrapping_sub(FIRST)) * self.class_count;
        let entry = row + usize::from(class);
        if self.is_wide() {
            let (pairs, _) = self.table.as_chunks();
            pairs
                .get(entry)
                .map_or(DEAD, |&pair| u16::from_le_bytes(pair))
        } else {
            self.table
                .get(entry)
                .map_or(DEAD, |&state| u16::from(state))
        }
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &[u8], reading: Reading) -> bool {
        let mut state = self.start;
        for &byte in value {
            if state < FIRST {
                break;
            }
            let byte = reading.byte(byte);
            state = self.next(state, self.classes[usize::from(byte)]);
        }
        state == ALL || state >= self.accepting
    }

    /// Checks that every class and every state is there.
    pub fn validate(&self) -> bool {
        let states = FIRST..self.states;
        let mut classes = 0..self.class_count;
        self.start < self.states
            && self.accepting >= FIRST
            && self
                .classes
                .iter()
                .all(|&class| usize::from(class) < self.class_count)
            && classes.all(|class| {
                states
                    .clone()
                    .all(|state| self.next(state, class as u8) < self.states)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// `a*b`, then anything that has no space.
    fn example(wide: bool) -> Vec<u8> {
        let states: u16 = if wide { 300 } else { 5 };
        let mut bytes = Vec::new();
        for number in [states, 2, if wide { 299 } else { 3 }, 4] {
            bytes.extend(u16::to_le_bytes(number));
        }
        let class = |byte: u8| match byte {
            b'a' => 1,
            b'b' => 2,
            b' ' => 3,
            _ => 0,
        };
        bytes.extend((0..=255).map(class));
        let accepting: u16 = if wide { 299 } else { 3 };
        let mut rows = std::vec![[0u16; 4]; usize::from(states) - 2];
        rows[0] = [0, 2, accepting, 0];
        rows[usize::from(accepting) - 2] = [accepting, accepting, accepting, 0];
        for state in rows.concat() {
            if wide {
                bytes.extend(state.to_le_bytes());
            } else {
                bytes.push(state as u8);
            }
        }
        bytes
    }

    #[test]
    fn whole_values_match() {
        for wide in [false, true] {
            let bytes = example(wide);
            let dfa = Dfa::new(&bytes).unwrap();
            assert!(dfa.validate());
            let plain = Reading::default();
            for (value, expected) in [
                (&b"b"[..], true),
                (b"aaabxyz", true),
                (b"aaa", false),
                (b"", false),
                (b"ab c", false),
            ] {
                assert_eq!(dfa.matches(value, plain), expected, "{value:?}");
            }
            let joined = Reading {
                joined: true,
                ..plain
            };
            assert!(dfa.matches(b"ab\0c", plain));
            assert!(!dfa.matches(b"ab\0c", joined));
        }
    }

    #[test]
    fn automata_that_lead_out_of_themselves_are_refused() {
        let bytes = example(false);
        for len in 0..bytes.len() {
            assert!(Dfa::new(&bytes[..len]).is_none(), "{len} bytes");
        }
        for (at, value) in [(2, 5), (8, 4), (TABLE_AT, 5)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            assert!(!Dfa::new(&changed).unwrap().validate(), "byte {at}");
        }
    }
}
