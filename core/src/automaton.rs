//! The pattern automata of a pack: all patterns over one field, found in one pass.
//!
//! An automaton is a sequence of states in 32-bit little-endian words; state 0 is the root,
//! and a state is named by the index of its first word.
//!
//! ```text
//! header   bits 0-1   kind: 0 leaf, 1 chain, 2 linear, 3 table
//!          bit  2     a word "here" follows: outputs on arriving
//!          bit  3     a word "end" follows: outputs if the value ends here
//!          bits 4-5   chain: number of labels, 1-3
//!          bits 6-29  chain: labels, the first lowest; linear: number of edges;
//!                     table: its first label in the lower 8 bits, then how many labels it has;
//!                     leaf: its outputs, if they are of one of the two sorts: no word follows
//!          bit  31    set: a state begins here (clear in every other word)
//! [here]   index of a list of outputs
//! [end]    index of a list of outputs
//! edges    chain:  none, the child follows
//!          linear: label in bits 0-7, child in bits 8-30; ascending by label
//!          table:  words of two 16-bit children (0: none), by label
//! ```
//!
//! An *anchored* automaton is a trie of what values begin with: it is left at the first byte
//! that no pattern continues with, usually after a few bytes. A *reversed* one is the same read from a value's last
//! byte: a trie of what values end with. Equal subtrees are there once. An *unanchored* one is a trie of what values contain, or of
//! a part of it of [`PART`] bytes at most, which is entered at every place of a value where it is worth it. What tells those
//! places follows its last state:
//!
//! ```text
//! [bytes]  BYTE_WORDS words, a bit for each byte that is a whole part
//! filter   words of 32 bits, a power of two of them: which of them is told by the first two bytes of a part, which bit by
//!          its third; of a part of two bytes all bits are set
//! last     bits 0-3 the power of two, bit 4: there are bytes, bit 5: there are parts of two bytes
//! ```

use crate::event::Reading;

/// Bytes in a word.
pub const WORD: usize = 4;
/// Most words in an automaton: children in a table have 16 bits.
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
/// A table of edges for the labels of a range.
pub const TABLE: u32 = 3;
/// Where a chain's length stands.
pub const LENGTH_SHIFT: u32 = 4;
/// Where a chain's labels, the number of edges, a table's first label, or the outputs of a leaf stand.
pub const LABELS_SHIFT: u32 = 6;
/// Where the number of a table's labels stands.
pub const COUNT_SHIFT: u32 = 14;

/// So many bytes are read from each place of a value by an unanchored automaton: its work for each byte is bounded.
pub const PART: usize = 5;
/// Most words of an unanchored automaton's filter, as a power of two.
pub const MAX_FILTER: u32 = 10;
/// Words of the bits of parts of one byte.
pub const BYTE_WORDS: usize = 8;
/// See [`class`].
pub const CLASSES: usize = 32;
/// In the last word of an unanchored automaton: there are parts of one byte.
pub const HAS_BYTES: u32 = 1 << 4;
/// The same: there are parts of two bytes, which may end a value.
pub const HAS_PAIRS: u32 = 1 << 5;

/// For the first three bytes of a part, the word of a filter of so many words, as a power of two, that two of them tell, and the
/// bit in it that the third tells; others have them too. They are the same for both cases of a letter, and for NUL and
/// space, however the value is to be read.
#[inline(always)]
pub const fn place_in_filter([first, second, third]: [u8; 3], power: u32) -> (usize, u32) {
    let both = (u16::from_le_bytes([first, second]) & 0xDFDF) as u32;
    // The upper bits of a product depend on all bits of its factors.
    let word = both.wrapping_mul(0x9E37_79B1).wrapping_shr(32 - power);
    (word as usize, third as u32 & 31)
}

/// Of [`CLASSES`] classes the one of a byte: that of both cases of a letter is the same, and that of NUL and space.
#[inline(always)]
pub const fn class(byte: u8) -> usize {
    byte as usize % CLASSES
}

/// Which outputs of a state were reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Index of the list of outputs.
    pub list: u32,
    /// The place in the value behind what was read; of no use where a value is read from its end.
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
}

/// What follows the states of an unanchored automaton.
struct Trailer<'a> {
    /// How many words the states take.
    states: usize,
    bytes: Option<&'a [[u8; WORD]; BYTE_WORDS]>,
    filter: &'a [[u8; WORD]],
    power: u32,
    has_pairs: bool,
}

impl Trailer<'_> {
    #[inline(always)]
    fn is_worth(&self, part: [u8; 3]) -> bool {
        let (word, bit) = place_in_filter(part, self.power);
        match self.filter.get(word) {
            Some(&word) => u32::from_le_bytes(word) >> bit & 1 == 1,
            None => false,
        }
    }

    /// The next place of a value at which a part of three bytes or more can begin.
    #[inline(never)]
    fn next(&self, value: &[u8], from: usize) -> Option<usize> {
        let mut parts = value.get(from..)?.array_windows();
        Some(from + parts.position(|&part| self.is_worth(part))?)
    }
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
        Self { words, place }
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

    fn state(&self, index: usize) -> State {
        let header = self.word(index);
        let mut state = State {
            header,
            here: None,
            end: None,
            edges: index + 1,
        };
        if header & (HERE | END) != 0 {
            let mut list = || match header & KIND == LEAF && has_one_sort(header) {
                true => (header & !STATE) >> LABELS_SHIFT,
                false => {
                    state.edges += 1;
                    self.word(state.edges - 1)
                }
            };
            state.here = (header & HERE != 0).then(&mut list);
            state.end = (header & END != 0).then(list);
        }
        state
    }

    /// The child of a linear state or a table.
    #[inline]
    fn child(&self, header: u32, edges: usize, label: u8) -> Option<usize> {
        if header & KIND == TABLE {
            let place = label.wrapping_sub((header >> LABELS_SHIFT) as u8);
            if u32::from(place) >= label_count(header) {
                return None;
            }
            let pair = self.word(edges + usize::from(place / 2));
            let child = pair >> (u32::from(place % 2) * 16) & 0xFFFF;
            return (child != 0).then_some(child as usize);
        }
        let edges = self.words.get(edges..edges + edge_count(header))?;
        for &edge in edges {
            let edge = u32::from_le_bytes(edge);
            if edge & 0xFF >= u32::from(label) {
                return (edge & 0xFF == u32::from(label)).then_some((edge >> 8) as usize);
            }
        }
        None
    }

    /// With which bytes values begin (or end, where they are read from their end) that the automaton does anything with: the bit
    /// of a byte is that of its [`class`], which is the same for both cases of a letter.
    pub fn first_bytes(&self) -> u32 {
        let root = self.state(0);
        if root.here.is_some() || root.end.is_some() || self.place == Place::Unanchored {
            return if self.is_empty() { 0 } else { u32::MAX };
        }
        let mut bits = 0;
        for label in 0..=u8::MAX {
            let leads_on = match root.header & KIND {
                LEAF => false,
                CHAIN => root.header >> LABELS_SHIFT & 0xFF == u32::from(label),
                _ => self.child(root.header, root.edges, label).is_some(),
            };
            if leads_on {
                bits |= 1 << class(label);
            }
        }
        bits
    }

    /// Reads a value and reports the outputs that it reaches.
    #[inline]
    pub fn read(&self, value: &[u8], reading: Reading, report: &mut dyn FnMut(Output)) {
        let read = reading.bytes();
        match self.place {
            Place::Anchored => self.walk(value, 0, 1, read, report),
            Place::Reversed => {
                let last = value.len().wrapping_sub(1);
                self.walk(value, last, usize::MAX, read, report);
            }
            Place::Unanchored => self.scan(value, read, report),
        }
    }

    /// Reads a value from a place on, each byte a `step` from the last, and reports the outputs of what it begins with there
    /// and what it is.
    fn walk(
        &self,
        value: &[u8],
        mut position: usize,
        step: usize,
        read: &[u8; 256],
        report: &mut dyn FnMut(Output),
    ) {
        let mut at = 0;
        loop {
            let header = self.word(at);
            at = match header & (HERE | END) {
                0 => at + 1,
                _ => self.report(header, at, position, position >= value.len(), report),
            };
            if header & KIND == CHAIN {
                let mut labels = header >> LABELS_SHIFT;
                for _ in 0..header >> LENGTH_SHIFT & 3 {
                    match value.get(position) {
                        Some(&byte) if read[usize::from(byte)] == labels as u8 => {}
                        _ => return,
                    }
                    position = position.wrapping_add(step);
                    labels >>= 8;
                }
                continue;
            }
            let byte = match value.get(position) {
                Some(&byte) if header & KIND != LEAF => byte,
                _ => return,
            };
            position = position.wrapping_add(step);
            match self.child(header, at, read[usize::from(byte)]) {
                Some(child) => at = child,
                None => return,
            }
        }
    }

    /// Reports the outputs of a state, and says where its edges are.
    #[inline]
    fn report(
        &self,
        header: u32,
        at: usize,
        position: usize,
        is_end: bool,
        report: &mut dyn FnMut(Output),
    ) -> usize {
        let in_header = header & KIND == LEAF && has_one_sort(header);
        let mut edges = at + 1;
        for (flag, reached) in [(HERE, true), (END, is_end)] {
            if header & flag == 0 {
                continue;
            }
            let list = match in_header {
                true => (header & !STATE) >> LABELS_SHIFT,
                false => {
                    edges += 1;
                    self.word(edges - 1)
                }
            };
            if reached {
                report(Output { list, position });
            }
        }
        edges
    }

    /// Its states alone, and what follows them: bits of bytes, filter, and the filter's size as a power of two.
    #[inline]
    fn trailer(&self) -> Option<Trailer<'a>> {
        let (&last, rest) = self.words.split_last()?;
        let last = u32::from_le_bytes(last);
        let power = last & 0xF;
        let (rest, filter) = rest.split_at_checked(rest.len().checked_sub(1 << power)?)?;
        let (states, bytes) = match last & HAS_BYTES {
            0 => (rest, None),
            _ => {
                let (states, bytes) = rest.split_last_chunk()?;
                (states, Some(bytes))
            }
        };
        Some(Trailer {
            states: states.len(),
            bytes,
            filter,
            power,
            has_pairs: last & HAS_PAIRS != 0,
        })
    }

    /// Walks from every place of a value at which a part can begin.
    fn scan(&self, value: &[u8], read: &[u8; 256], report: &mut dyn FnMut(Output)) {
        let Some(trailer) = self.trailer() else {
            return;
        };
        let mut walk = |place: usize| {
            let end = value.len().min(place + PART);
            let part = value.get(..end).unwrap_or(value);
            self.walk(part, place, 1, read, report);
        };
        if let Some(bytes) = trailer.bytes {
            // A part of one byte is not looked for again: what it tells is told.
            let mut bytes = bytes.map(u32::from_le_bytes);
            for (place, &byte) in value.iter().enumerate() {
                let byte = read[usize::from(byte)];
                let word = &mut bytes[usize::from(byte / 32)];
                if *word >> (byte % 32) & 1 == 1 {
                    *word &= !(1 << (byte % 32));
                    walk(place);
                }
            }
        }
        let mut from = 0;
        while let Some(place) = trailer.next(value, from) {
            walk(place);
            from = place + 1;
        }
        if trailer.has_pairs
            && let Some(&[first, second]) = value.last_chunk()
            && trailer.is_worth([first, second, 0])
        {
            walk(value.len() - 2);
        }
    }

    /// Checks that the words are a sequence of states, that every child is the
    /// beginning of one, and, by `list_exists`, every index of a list.
    pub fn validate(&self, list_exists: impl Fn(u32) -> bool) -> bool {
        let unanchored = self.place == Place::Unanchored;
        let count = match self.trailer() {
            _ if !unanchored => self.words.len(),
            Some(trailer) if trailer.power <= MAX_FILTER => trailer.states,
            _ => return false,
        };
        let is_state = |index: usize| index < count && self.word(index) & STATE != 0;
        let mut at = 0;
        while at < count {
            let state = self.state(at);
            let lists = [state.here, state.end];
            if !is_state(at)
                || !lists.into_iter().flatten().all(&list_exists)
                // A part that was read to its end need not be the end of the value.
                || (unanchored && state.end.is_some())
            {
                return false;
            }
            let length = state.header >> LENGTH_SHIFT & 3;
            let is_linear = state.header & KIND == LINEAR;
            let words = match state.header & KIND {
                CHAIN if length == 0 || !is_state(state.edges) => return false,
                LEAF | CHAIN => 0,
                LINEAR => edge_count(state.header),
                _ => label_count(state.header).div_ceil(2) as usize,
            };
            at = state.edges + words;
            let mut least = 0;
            for index in state.edges..at {
                let word = self.word(index);
                let (label, child, other) = match is_linear {
                    true => (word & 0xFF, word >> 8, word >> 8),
                    false => (0, word & 0xFFFF, word >> 16),
                };
                if word & STATE != 0
                    || label < least
                    || !is_state(child as usize)
                    || !is_state(other as usize)
                {
                    return false;
                }
                least = label;
            }
        }
        at == count && count > 0
    }
}

/// How many edges a linear state has: at most 256, whatever its header says.
#[inline]
fn edge_count(header: u32) -> usize {
    ((header & !STATE) >> LABELS_SHIFT).min(256) as usize
}

/// How many labels a table has: at most 256, whatever its header says.
#[inline]
fn label_count(header: u32) -> u32 {
    ((header & !STATE) >> COUNT_SHIFT).min(256)
}

/// Whether a state has outputs on arriving or at the end, but not both.
#[inline]
const fn has_one_sort(header: u32) -> bool {
    (header & HERE != 0) != (header & END != 0)
}
