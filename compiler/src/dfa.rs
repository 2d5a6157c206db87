//! From a regular expression to the automaton of `peewit_core::dfa`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use peewit_core::dfa::{ALL, DEAD, FIRST, NARROW};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

/// Longest automaton: what takes more is refused.
pub const MAX_BYTES: usize = 16 << 10;
/// Memory for making one, of which the least equivalent automaton is left over.
const MAX_WORK: usize = 2 << 20;

/// The bytes of the automaton that matches whole values.
///
/// # Errors
/// Why there is none, in words.
pub fn build(pattern: &str) -> Result<Vec<u8>, String> {
    let dense = dense::Builder::new()
        .configure(
            dense::Config::new()
                .minimize(true)
                .accelerate(false)
                .match_kind(MatchKind::All)
                .start_kind(StartKind::Anchored)
                .dfa_size_limit(Some(MAX_WORK))
                .determinize_size_limit(Some(MAX_WORK)),
        )
        .syntax(syntax::Config::new().utf8(false))
        .thompson(thompson::Config::new().utf8(false))
        .build(&format!(r"\A(?:{pattern})\z"))
        .map_err(|error| innermost(&error))?;
    let table = Table::of(&dense).map_err(|error| innermost(error.as_ref()))?;
    let bytes = table.encode();
    if bytes.len() > MAX_BYTES {
        return Err(format!(
            "its automaton takes {} bytes, and {MAX_BYTES} is the limit",
            bytes.len()
        ));
    }
    Ok(bytes)
}

/// What an error comes from.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// An automaton as a table: for each state where each byte leads, and whether it accepts.
struct Table {
    rows: Vec<([usize; 256], bool)>,
}

impl Table {
    /// The states that can be reached, from the first one on.
    fn of(dense: &dense::DFA<Vec<u32>>) -> Result<Self, Box<dyn std::error::Error>> {
        let first = dense.start_state(&start::Config::new().anchored(Anchored::Yes))?;
        let mut places: HashMap<StateID, usize> = HashMap::from([(first, 0)]);
        let mut queue = VecDeque::from([first]);
        let mut rows = Vec::new();
        while let Some(state) = queue.pop_front() {
            let mut row = [0; 256];
            for byte in 0..=255u8 {
                let next = dense.next_state(state, byte);
                let fresh = places.len();
                row[usize::from(byte)] = *places.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    fresh
                });
            }
            let accepts = dense.is_match_state(dense.next_eoi_state(state));
            rows.push((row, accepts));
        }
        Ok(Self { rows })
    }

    /// As the device reads it.
    fn encode(&self) -> Vec<u8> {
        // A state that is never left is one of the two that end the search.
        let fixed = |place: usize| {
            let (row, accepts) = &self.rows[place];
            row.iter()
                .all(|&next| next == place)
                .then_some(if *accepts { ALL } else { DEAD })
        };
        let mut order: Vec<usize> = (0..self.rows.len())
            .filter(|&place| fixed(place).is_none())
            .collect();
        order.sort_by_key(|&place| self.rows[place].1);
        let mut numbers: BTreeMap<usize, u16> = (0..self.rows.len())
            .filter_map(|place| Some((place, fixed(place)?)))
            .collect();
        numbers.extend(
            order
                .iter()
                .zip(FIRST..)
                .map(|(&place, number)| (place, number)),
        );
        let refused = order.iter().filter(|&&place| !self.rows[place].1).count() as u16;
        let states = FIRST + order.len() as u16;

        // Bytes that lead to the same states from everywhere are one class.
        let mut classes: BTreeMap<Vec<u16>, u8> = BTreeMap::new();
        let mut columns: Vec<Vec<u16>> = Vec::new();
        let mut class_of = [0u8; 256];
        for (byte, class) in class_of.iter_mut().enumerate() {
            let column: Vec<u16> = order
                .iter()
                .map(|&place| numbers[&self.rows[place].0[byte]])
                .collect();
            *class = *classes.entry(column).or_insert_with_key(|column| {
                columns.push(column.clone());
                (columns.len() - 1) as u8
            });
        }
        let mut bytes = Vec::new();
        for number in [states, numbers[&0], FIRST + refused, columns.len() as u16] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(class_of);
        for row in 0..order.len() {
            for column in &columns {
                if states > NARROW {
                    bytes.extend(column[row].to_le_bytes());
                } else {
                    bytes.push(column[row] as u8);
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peewit_core::dfa::Dfa;
    use peewit_core::event::Reading;

    fn matches(pattern: &str, value: &[u8]) -> bool {
        let bytes = build(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let dfa = Dfa::new(&bytes).expect("a whole automaton");
        assert!(dfa.validate(), "{pattern}");
        dfa.matches(value, Reading::default())
    }

    #[test]
    fn whole_values_and_bytes() {
        for (pattern, value, expected) in [
            ("a|bc", &b"bc"[..], true),
            ("a|bc", b"abc", false),
            ("a|bc", b"", false),
            ("(?s-u).*[0-9]{1,3}\\.[0-9].*", b"x\xFF10.1\n", true),
            ("(?s-u).*[0-9]{1,3}\\.[0-9].*", b"x10.", false),
            ("(?s-u)(?:.){200,}", &[0xFF; 200], true),
            ("(?s-u)(?:.){200,}", &[0xFF; 199], false),
            ("(?i)PhP?", b"pHp", true),
            ("(?s-u).*", b"", true),
            ("[^\\s\\S]", b"", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value:?}");
        }
    }

    /// What follows cannot change the answer: the walk ends there.
    #[test]
    fn a_decided_value_is_not_read_to_its_end() {
        let bytes = build("(?s-u).*ab.*").expect("a small expression");
        assert_eq!(bytes.len(), 264 + 2 * 3);
        let bytes = build("(?s-u)ab.*").expect("a small expression");
        assert_eq!(bytes.len(), 264 + 2 * 3);
    }

    #[test]
    fn what_takes_too_much_is_refused_with_the_reason() {
        let error = build("(?s-u).*a.{10}b").expect_err("2^11 states");
        assert_eq!(
            error,
            "its automaton takes 18696 bytes, and 16384 is the limit"
        );
        let error = build("(?s-u).*a.{90}b").expect_err("2^91 states");
        assert_eq!(error, "determinization exceeded size limit of 2097152");
        let error = build("a(").expect_err("no expression");
        assert!(error.contains("unclosed group"), "{error}");
    }
}
