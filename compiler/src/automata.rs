//! Building the automata of `peewit_core::automaton` from the patterns over one field.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peewit_core::automaton::{
    CHAIN, DENSE, DENSE_WORDS, END, FAIL_SHIFT, FILTER_WORDS, HERE, LABELS_SHIFT, LEAF,
    LENGTH_SHIFT, LINEAR, MAX_WORDS, PAIR_WORDS, STATE, pair,
};

/// A state with this many children or more gets a table: a scan would cost more time than
/// the table's 512 bytes are worth.
const DENSE_FROM: usize = 32;

/// What is found at a state.
pub type Item = u16;

/// A trie of literals with what is found on arriving at each of its nodes and at the end of
/// a value there.
#[derive(Clone, Debug, Default)]
pub struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    children: BTreeMap<u8, usize>,
    here: BTreeSet<Item>,
    end: BTreeSet<Item>,
    fail: usize,
}

/// When a literal's items are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as the literal was read.
    Here,
    /// If the value ends with the literal's last byte.
    End,
}

impl Trie {
    /// Adds a literal.
    pub fn insert(&mut self, literal: &[u8], when: When, items: impl IntoIterator<Item = Item>) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for &label in literal {
            at = match self.nodes[at].children.get(&label) {
                Some(&child) => child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].children.insert(label, child);
                    child
                }
            };
        }
        let node = &mut self.nodes[at];
        let found = if when == When::Here {
            &mut node.here
        } else {
            &mut node.end
        };
        found.extend(items);
    }

    /// The words of the anchored automaton. `list` gives the index of a list of items.
    pub fn anchored(&self, list: impl FnMut(&BTreeSet<Item>) -> u32) -> Vec<u32> {
        self.layout(false, list)
    }

    /// The words of the unanchored automaton (Aho and Corasick, 1975).
    pub fn unanchored(mut self, list: impl FnMut(&BTreeSet<Item>) -> u32) -> Vec<u32> {
        // Breadth first: a node's suffixes are shorter, so theirs are complete.
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let Some(node) = self.nodes.get(at).cloned() else {
                break;
            };
            for (label, child) in node.children {
                let mut fail = node.fail;
                let suffix = loop {
                    match self.nodes[fail].children.get(&label) {
                        Some(&suffix) if suffix != child => break suffix,
                        _ if fail == 0 => break 0,
                        _ => fail = self.nodes[fail].fail,
                    }
                };
                let Node { here, end, .. } = self.nodes[suffix].clone();
                let child_node = &mut self.nodes[child];
                child_node.fail = suffix;
                child_node.here.extend(here);
                child_node.end.extend(end);
                queue.push_back(child);
            }
        }
        self.layout(true, list)
    }

    fn layout(&self, unanchored: bool, mut list: impl FnMut(&BTreeSet<Item>) -> u32) -> Vec<u32> {
        // First the order and the offsets, depth first: a chain's child follows it.
        let mut states: Vec<(usize, Shape)> = Vec::new();
        let mut offsets = vec![0usize; self.nodes.len()];
        let mut size = 0;
        let mut stack: Vec<usize> = (0..self.nodes.len().min(1)).collect();
        while let Some(at) = stack.pop() {
            let shape = self.shape(at, unanchored);
            offsets[at] = size;
            size += 1 + shape.edge_words();
            if !self.has_list_in_header(at, unanchored) {
                size += self.outputs(at).count();
            }
            match &shape {
                Shape::Chain { child, .. } => stack.push(*child),
                _ => stack.extend(self.nodes[at].children.values().rev()),
            }
            states.push((at, shape));
        }
        if size > MAX_WORDS {
            // Too large for its offsets: the caller refuses any automaton of this length.
            return vec![0; size];
        }
        let mut words: Vec<u32> = Vec::with_capacity(size);
        for (at, shape) in states {
            let node = &self.nodes[at];
            let mut header = STATE | shape.header();
            for (set, flag) in [(&node.here, HERE), (&node.end, END)] {
                if !set.is_empty() {
                    header |= flag;
                }
            }
            if unanchored {
                header |= (offsets[node.fail] as u32) << FAIL_SHIFT;
            }
            let lists = self.outputs(at).map(&mut list);
            if self.has_list_in_header(at, unanchored) {
                words.push(lists.fold(header, |header, list| header | list << LABELS_SHIFT));
            } else {
                words.push(header);
                words.extend(lists);
            }
            match shape {
                Shape::Leaf | Shape::Chain { .. } => {}
                Shape::Linear(_) => {
                    words.extend(
                        node.children.iter().map(|(&label, &child)| {
                            u32::from(label) | (offsets[child] as u32) << 8
                        }),
                    );
                }
                Shape::Dense => {
                    let child = |label: usize| {
                        node.children
                            .get(&(label as u8))
                            .map_or(0, |&child| offsets[child] as u32)
                    };
                    words.extend(
                        (0..DENSE_WORDS).map(|pair| child(pair * 2) | child(pair * 2 + 1) << 16),
                    );
                }
            }
        }
        if unanchored && !self.nodes.is_empty() {
            words.extend(self.filter());
        }
        words
    }

    /// The bits of what literals begin with, and of those of one byte.
    fn filter(&self) -> [u32; FILTER_WORDS] {
        let mut filter = [0; FILTER_WORDS];
        for (&first, &child) in self.nodes.iter().take(1).flat_map(|root| &root.children) {
            let ends = self.outputs(child).next().is_some();
            let alone = ends.then_some(PAIR_WORDS * 32 + usize::from(first));
            let seconds = self.nodes[child].children.keys();
            for bit in seconds.map(|&second| pair(first, second)).chain(alone) {
                filter[bit / 32] |= 1 << (bit % 32);
            }
        }
        filter
    }

    fn outputs(&self, at: usize) -> impl Iterator<Item = &BTreeSet<Item>> {
        let node = &self.nodes[at];
        [&node.here, &node.end]
            .into_iter()
            .filter(|set| !set.is_empty())
    }

    /// Whether a node is a leaf whose outputs need no word of their own.
    fn has_list_in_header(&self, at: usize, unanchored: bool) -> bool {
        !unanchored && self.nodes[at].children.is_empty() && self.outputs(at).count() == 1
    }

    fn shape(&self, at: usize, unanchored: bool) -> Shape {
        let longest_chain = if unanchored { 1 } else { 3 };
        match self.nodes[at].children.len() {
            0 => return Shape::Leaf,
            1 => {}
            // Nearly every byte is looked up in the root, or first in another state and then there.
            3.. if unanchored && at == 0 => return Shape::Dense,
            count if count < DENSE_FROM => return Shape::Linear(count),
            _ => return Shape::Dense,
        }
        let mut labels = Vec::new();
        let mut child = at;
        while let Some((&label, &next)) = self.nodes[child].children.first_key_value() {
            labels.push(label);
            child = next;
            let plain =
                self.outputs(child).next().is_none() && self.nodes[child].children.len() == 1;
            if labels.len() == longest_chain || !plain {
                break;
            }
        }
        Shape::Chain { labels, child }
    }
}

/// How a node's edges are stored.
#[derive(Clone, Debug)]
enum Shape {
    Leaf,
    Chain { labels: Vec<u8>, child: usize },
    Linear(usize),
    Dense,
}

impl Shape {
    fn edge_words(&self) -> usize {
        match self {
            Self::Leaf | Self::Chain { .. } => 0,
            Self::Linear(count) => *count,
            Self::Dense => DENSE_WORDS,
        }
    }

    fn header(&self) -> u32 {
        match self {
            Self::Leaf => LEAF,
            Self::Chain { labels, .. } => {
                let packed = labels
                    .iter()
                    .rev()
                    .fold(0u32, |packed, &label| packed << 8 | u32::from(label));
                CHAIN | (labels.len() as u32) << LENGTH_SHIFT | packed << LABELS_SHIFT
            }
            Self::Linear(count) => LINEAR | (*count as u32) << LABELS_SHIFT,
            Self::Dense => DENSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peewit_core::automaton::{Automaton, Place};
    use peewit_core::event::Reading;
    use proptest::prelude::*;

    /// All (item, position) that an automaton reports; items are stored one a list, by number.
    fn read(trie: &Trie, unanchored: bool, value: &[u8]) -> BTreeSet<(Item, usize)> {
        let mut lists: Vec<BTreeSet<Item>> = Vec::new();
        let mut list = |items: &BTreeSet<Item>| {
            lists.push(items.clone());
            lists.len() as u32 - 1
        };
        let words = if unanchored {
            trie.clone().unanchored(&mut list)
        } else {
            trie.anchored(&mut list)
        };
        let bytes: Vec<[u8; 4]> = words.iter().map(|word| word.to_le_bytes()).collect();
        let place = if unanchored {
            Place::Unanchored
        } else {
            Place::Anchored
        };
        let automaton = Automaton::new(&bytes, place);
        assert!(automaton.validate(|list| (list as usize) < lists.len()));
        let mut found = BTreeSet::new();
        let mut report = |output: peewit_core::automaton::Output| {
            found.extend(
                lists[output.list as usize]
                    .iter()
                    .map(|&item| (item, output.position)),
            );
        };
        automaton.read(value, Reading::default(), &mut report);
        found
    }

    #[test]
    fn finds_prefixes_and_whole_values() {
        let mut trie = Trie::default();
        trie.insert(b"/tmp/", When::Here, [1]);
        trie.insert(b"/tmp/x", When::End, [2]);
        trie.insert(b"", When::Here, [3]);
        assert_eq!(
            read(&trie, false, b"/tmp/x"),
            BTreeSet::from([(3, 0), (1, 5), (2, 6)])
        );
        assert_eq!(
            read(&trie, false, b"/tmp/xy"),
            BTreeSet::from([(3, 0), (1, 5)])
        );
        assert_eq!(read(&trie, false, b"/tm"), BTreeSet::from([(3, 0)]));
    }

    #[test]
    fn a_dense_state_finds_every_label() {
        let mut trie = Trie::default();
        (0..=255u8).for_each(|label| trie.insert(&[label, b'x'], When::End, [u16::from(label)]));
        for label in 0..=255u8 {
            assert_eq!(
                read(&trie, false, &[label, b'x']),
                BTreeSet::from([(u16::from(label), 2)])
            );
            assert_eq!(
                read(&trie, true, &[b'y', label, b'x']),
                BTreeSet::from([(u16::from(label), 3)])
            );
        }
    }

    fn literal() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'c')], 1..6)
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_for_each_literal(
            literals in prop::collection::vec((literal(), any::<bool>()), 0..40),
            value in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'c')], 0..20),
        ) {
            let mut trie = Trie::default();
            trie.insert(b"", When::Here, []);
            let (mut anchored, mut unanchored) = (BTreeSet::new(), BTreeSet::new());
            for (item, (literal, here)) in literals.iter().enumerate() {
                let item = item as Item;
                trie.insert(literal, if *here { When::Here } else { When::End }, [item]);
                if if *here { value.starts_with(literal) } else { value == *literal } {
                    anchored.insert((item, literal.len()));
                }
                for end in literal.len()..=value.len() {
                    if value[..end].ends_with(literal) && (*here || end == value.len()) {
                        unanchored.insert((item, end));
                    }
                }
            }
            prop_assert_eq!(read(&trie, false, &value), anchored);
            prop_assert_eq!(read(&trie, true, &value), unanchored);
        }
    }
}
