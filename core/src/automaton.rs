//! The pattern automata of a pack: all patterns over one field, found in one pass.
//!
//! An automaton is a sequence of states in 32-bit little-endian words; state 0 is the root,
//! and a state is named by the index of its first word.
//!
//! ```text
//! header   bits 0-1   kind: 0 leaf, 1 chain, 2 linear, 3 dense
//!          bit  2     a word "here" follows: outputs on arriving
//!          bit  3     a word "end" follows: outputs if the value ends here
//!          bits 4-5   chain: number of labels (1-3; 1 if unanchored)
//!          bits 6-29  chain: labels, the first lowest; linear: number of edges;
//!                     leaf: its outputs, if they are of one of the two sorts: no word follows
//!          unanchored automata have labels and numbers in bits 6-13 only, and in
//!          bits 14-28 the state of the longest proper suffix; no leaf has outputs here
//!          bit  31    set: a state begins here (clear in every other word)
//! [here]   index of a list of outputs
//! [end]    index of a list of outputs
//! edges    chain:  none, the child follows
//!          linear: label in bits 0-7, child in bits 8-30; ascending by label
//!          dense:  128 words of two 16-bit children (0: none), by label
//! ```
//!
//! After the last state an unanchored automaton has [`FILTER_WORDS`] words, a bit for each [`pair`] of bytes that patterns
//! begin with, then one for each byte that is a whole pattern: between patterns nothing else is read.
//!
//! An *anchored* automaton is a trie of what values begin with: it is left at the first byte
//! that no pattern continues with, usually after a few bytes. A *reversed* one is the same read from a value's last
//! byte: a trie of what values end with. An *unanchored* one
//! is an Aho-Corasick automaton of what values contain; its outputs
//! include those of a state's suffixes.

use crate::event::Reading;

/// Bytes in a word.
pub const WORD: usize = 4;
/// Most words in an automaton: children of dense states have 15 bits.
pub const MAX_WORDS: usize = 1 << 15;

/// Set in the first word of every state.
pub const STATE: u32 = 1 << 31;
/// A list of outputs on arriving.
pub const HERE: u32 = 1 << 2;
/// A list of outputs if the value ends here.
pub const END: u32 = 1 << 3;
/// Mask and values of the kind.
pub const KIND: u32 = 3;
/// No edges.
pub const LEAF: u32 = 0;
/// One edge of one to three labels; the child follows.
pub const CHAIN: u32 = 1;
/// A list of edges.
pub const LINEAR: u32 = 2;
/// A table of 256 edges.
pub const DENSE: u32 = 3;
/// Words of a dense state's table.
pub const DENSE_WORDS: usize = 128;
/// Where a chain's length stands.
pub const LENGTH_SHIFT: u32 = 4;
/// Where a chain's labels, the number of edges, or the outputs of a leaf stand.
pub const LABELS_SHIFT: u32 = 6;
/// Where an unanchored automaton's states have the state of their longest proper suffix.
pub const FAIL_SHIFT: u32 = 14;

/// Words of the bits that say with which two bytes the patterns of an unanchored automaton begin.
pub const PAIR_WORDS: usize = 64;
/// The same, and the bits of patterns of one byte.
pub const FILTER_WORDS: usize = PAIR_WORDS + 8;

/// The bit of two bytes among those of [`PAIR_WORDS`]; others have it too.
#[inline]
pub const fn pair(first: u8, second: u8) -> usize {
    let both = (first as u32) << 8 | second as u32;
    // The upper bits of a product depend on all bits of its factors.
    (both.wrapping_mul(0x9E37_79B1) >> 21) as usize
}

/// Which outputs of a state were reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Index of the list of outputs.
    pub list: u32,
    /// How many bytes of the value were read.
    pub position: usize,
}

/// Where an automaton looks for its patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Place {
    /// At a value's beginning.
    Anchored,
    /// At its end.
    Reversed,
    /// Anywhere in it.
    Unanchored,
}

/// An automaton, in place.
#[derive(Clone, Copy, Debug)]
pub struct Automaton<'a> {
    words: &'a [[u8; WORD]],
    place: Place,
    unanchored: bool,
}

/// Where the parts of a state stand.
#[derive(Clone, Copy)]
struct State {
    header: u32,
    here: Option<u32>,
    end: Option<u32>,
    edges: usize,
}

impl<'a> Automaton<'a> {
    /// The automaton in `words`. Nothing is checked here: see [`Automaton::validate`].
    pub const fn new(words: &'a [[u8; WORD]], place: Place) -> Self {
        Self {
            words,
            place,
            unanchored: matches!(place, Place::Unanchored),
        }
    }

    /// Whether it has no states at all.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many words it has.
    pub const fn len(&self) -> usize {
        self.words.len()
    }

    /// Words outside the automaton are leaves without outputs.
    #[inline]
    fn word(&self, index: usize) -> u32 {
        self.words
            .get(index)
            .map_or(0, |&word| u32::from_le_bytes(word))
    }

    #[inline]
    fn state(&self, index: usize) -> State {
        let header = self.word(index);
        if header & KIND == LEAF && !self.unanchored && has_one_sort(header) {
            let list = (header & !STATE) >> LABELS_SHIFT;
            return State {
                header,
                here: (header & HERE != 0).then_some(list),
                end: (header & END != 0).then_some(list),
                edges: index + 1,
            };
        }
        let mut next = index + 1;
        let mut optional = |present: bool| {
            present.then(|| {
                next += 1;
                self.word(next - 1)
            })
        };
        let here = optional(header & HERE != 0);
        let end = optional(header & END != 0);
        State {
            header,
            here,
            end,
            edges: next,
        }
    }

    /// The child of a linear or dense state.
    #[inline]
    fn child(&self, state: &State, label: u8) -> Option<usize> {
        if state.header & KIND == DENSE {
            let pair = self.word(state.edges + usize::from(label / 2));
            let child = pair >> (u32::from(label % 2) * 16) & 0xFFFF;
            return (child != 0).then_some(child as usize);
        }
        let edges = self
            .words
            .get(state.edges..state.edges + self.edge_count(state.header))?;
        for &edge in edges {
            let edge = u32::from_le_bytes(edge);
            if edge & 0xFF >= u32::from(label) {
                return (edge & 0xFF == u32::from(label)).then_some((edge >> 8) as usize);
            }
        }
        None
    }

    /// The first bytes of values that an anchored automaton does anything with: a bit each.
    /// `None` if it reports on every value.
    pub fn first_bytes(&self) -> Option<[u64; 4]> {
        let root = self.state(0);
        if root.here.is_some() || root.end.is_some() {
            return None;
        }
        let mut bytes = [0; 4];
        for byte in 0..=255 {
            let continues = match root.header & KIND {
                LEAF => false,
                CHAIN => root.header >> LABELS_SHIFT & 0xFF == u32::from(byte),
                _ => self.child(&root, byte).is_some(),
            };
            bytes[usize::from(byte / 64)] |= u64::from(continues) << (byte % 64);
        }
        Some(bytes)
    }

    /// Reads a value and reports the outputs that it reaches.
    #[inline]
    pub fn read(&self, value: &[u8], reading: Reading, report: &mut dyn FnMut(Output)) {
        if self.unanchored {
            self.read_unanchored(value, reading, report);
        } else {
            self.read_anchored(value, reading, report);
        }
    }

    /// Reads a value from its beginning, or its end, and reports the outputs of what it begins with, or ends with, and
    /// what it is.
    fn read_anchored(&self, value: &[u8], reading: Reading, report: &mut dyn FnMut(Output)) {
        let reversed = self.place == Place::Reversed;
        let get = |position: usize| {
            let index = match reversed {
                true => value.len().wrapping_sub(position + 1),
                false => position,
            };
            value.get(index).copied()
        };
        let mut at = 0;
        let mut position = 0;
        loop {
            let state = self.state(at);
            if let Some(list) = state.here {
                report(Output { list, position });
            }
            let Some(byte) = get(position) else {
                if let Some(list) = state.end {
                    report(Output { list, position });
                }
                return;
            };
            at = match state.header & KIND {
                LEAF => return,
                CHAIN => {
                    let mut labels = state.header >> LABELS_SHIFT;
                    for _ in 0..state.header >> LENGTH_SHIFT & 3 {
                        match get(position) {
                            Some(byte) if u32::from(reading.byte(byte)) == labels & 0xFF => {
                                position += 1
                            }
                            _ => return,
                        }
                        labels >>= 8;
                    }
                    state.edges
                }
                _ => match self.child(&state, reading.byte(byte)) {
                    Some(child) => {
                        position += 1;
                        child
                    }
                    None => return,
                },
            };
        }
    }

    /// Reads a whole value and reports the outputs of what it contains and what it ends with.
    fn read_unanchored(&self, value: &[u8], reading: Reading, report: &mut dyn FnMut(Output)) {
        let Some((_, filter)) = self.words.split_last_chunk::<FILTER_WORDS>() else {
            return;
        };
        let root = self.state(0);
        let mut state = root;
        // In a well-made automaton a state has at least as many bytes behind it as fail links
        // in front of it. Holding it to that bounds the work also in any other.
        let mut credit = 0usize;
        let mut at_root = true;
        let mut index = 0;
        while let Some(&byte) = value.get(index) {
            let mut label = reading.byte(byte);
            if at_root {
                while let Some(&byte) = value.get(index + 1) {
                    let next = reading.byte(byte);
                    let is_set =
                        |bit: usize| filter[bit / 32][bit / 8 % WORD] >> (bit % 8) & 1 == 1;
                    if is_set(pair(label, next)) || is_set(PAIR_WORDS * 32 + usize::from(label)) {
                        break;
                    }
                    (index, label) = (index + 1, next);
                }
            }
            index += 1;
            let child = loop {
                let child = match state.header & KIND {
                    LEAF => None,
                    CHAIN => (state.header >> LABELS_SHIFT & 0xFF == u32::from(label))
                        .then_some(state.edges),
                    _ => self.child(&state, label),
                };
                if child.is_some() || at_root {
                    break child;
                }
                let fail = if credit == 0 { 0 } else { fail(state.header) };
                credit = credit.saturating_sub(1);
                at_root = fail == 0;
                // Most fail at once: the root is not read again.
                state = if at_root { root } else { self.state(fail) };
            };
            if let Some(child) = child {
                credit += 1;
                at_root = false;
                state = self.state(child);
                if let Some(list) = state.here {
                    report(Output {
                        list,
                        position: index,
                    });
                }
            }
        }
        if let Some(list) = state.end {
            report(Output {
                list,
                position: value.len(),
            });
        }
    }

    /// How many edges a linear state has: at most 256, whatever its header says.
    #[inline]
    fn edge_count(&self, header: u32) -> usize {
        let number = (header & !STATE) >> LABELS_SHIFT;
        match self.unanchored {
            true => number as usize & 0xFF,
            false => number.min(256) as usize,
        }
    }

    /// Checks that the words are a sequence of states, that every child and fail link is the
    /// beginning of one, and, by `list_exists`, every index of a list.
    pub fn validate(&self, list_exists: impl Fn(u32) -> bool) -> bool {
        let filter = if self.unanchored { FILTER_WORDS } else { 0 };
        let Some(count) = self.words.len().checked_sub(filter) else {
            return false;
        };
        let is_state = |index: usize| index < count && self.word(index) & STATE != 0;
        let mut at = 0;
        while at < count {
            let state = self.state(at);
            let lists = [state.here, state.end];
            if !is_state(at)
                || !lists.into_iter().flatten().all(&list_exists)
                || (self.unanchored && !is_state(fail(state.header)))
            {
                return false;
            }
            let length = state.header >> LENGTH_SHIFT & 3;
            at = match state.header & KIND {
                LEAF => state.edges,
                CHAIN
                    if length == 0
                        || (self.unanchored && length != 1)
                        || !is_state(state.edges) =>
                {
                    return false;
                }
                CHAIN => state.edges,
                LINEAR => {
                    let end = state.edges + self.edge_count(state.header);
                    let edges = || (state.edges..end).map(|index| self.word(index));
                    if !edges().all(|edge| edge & STATE == 0 && is_state((edge >> 8) as usize))
                        || !edges().map(|edge| edge & 0xFF).is_sorted()
                    {
                        return false;
                    }
                    end
                }
                _ => {
                    let end = state.edges + DENSE_WORDS;
                    let pairs = || (state.edges..end).map(|index| self.word(index));
                    if !pairs().all(|pair| {
                        pair & STATE == 0
                            && is_state((pair & 0xFFFF) as usize)
                            && is_state((pair >> 16) as usize)
                    }) {
                        return false;
                    }
                    end
                }
            };
        }
        at == count && count > 0
    }
}

/// The state of an unanchored automaton that its longest proper suffix leads to.
#[inline]
const fn fail(header: u32) -> usize {
    (header >> FAIL_SHIFT) as usize & (MAX_WORDS - 1)
}

/// Whether a state has outputs on arriving or at the end, but not both.
#[inline]
const fn has_one_sort(header: u32) -> bool {
    (header & HERE != 0) != (header & END != 0)
}
