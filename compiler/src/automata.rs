//! Building the automata of `peewit_core::automaton` from the patterns over one field.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peewit_core::automaton::{
    BYTE_WORDS, CHAIN, COUNT_SHIFT, END, HAS_BYTES, HAS_PAIRS, HERE, LABELS_SHIFT, LEAF,
    LENGTH_SHIFT, LINEAR, MAX_FILTER, MAX_WORDS, STATE, TABLE, place_in_filter,
};

/// A state with this many children or more gets a table, if that has no more than so many labels for each: a scan would cost
/// more time than the table's bytes are worth.
const TABLE_FROM: usize = 6;
/// See [`TABLE_FROM`].
const LABELS_FOR_EACH: usize = 6;
/// Words of the smallest filter, as a power of two: with fewer only the third byte of a part would tell.
const LEAST_FILTER: u32 = 5;
/// Most labels of a chain.
const LONGEST_CHAIN: usize = 3;

/// What is found at a state.
pub type Item = u16;

/// A trie of literals with what is found on arriving at each of its nodes and at the end of
/// a value there.
#[derive(Clone, Debug, Default)]
pub struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    children: BTreeMap<u8, usize>,
    here: BTreeSet<Item>,
    end: BTreeSet<Item>,
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

    /// The words of an anchored or reversed automaton. `list` gives the index of a list of items.
    pub fn anchored(&self, list: impl FnMut(&BTreeSet<Item>) -> u32) -> Vec<u32> {
        let (nodes, root) = self.merged();
        layout(&nodes, root, list)
    }

    /// The words of an unanchored automaton.
    pub fn unanchored(&self, list: impl FnMut(&BTreeSet<Item>) -> u32) -> Vec<u32> {
        let mut words = self.anchored(list);
        if !words.is_empty() {
            words.extend(self.filter());
        }
        words
    }

    /// The nodes with equal subtrees merged, children first, and the root.
    fn merged(&self) -> (Vec<Node>, Option<usize>) {
        let mut places: HashMap<Node, usize> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut of = vec![0; self.nodes.len()];
        // A child was added after its parent.
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let children = node.children.iter();
            let node = Node {
                children: children
                    .map(|(&label, &child)| (label, of[child]))
                    .collect(),
                ..node.clone()
            };
            of[at] = *places.entry(node).or_insert_with_key(|node| {
                merged.push(node.clone());
                merged.len() - 1
            });
        }
        (merged, of.first().copied())
    }

    /// What tells where it is worth to enter the trie, as it follows an unanchored automaton.
    fn filter(&self) -> Vec<u32> {
        let empty = BTreeMap::new();
        let children = |at: usize| self.nodes.get(at).map_or(&empty, |node| &node.children);
        let ends = |at: usize| !self.nodes[at].here.is_empty();
        let mut bytes = [0u32; BYTE_WORDS];
        let (mut pairs, mut triples) = (Vec::new(), Vec::new());
        for (&first, &child) in children(0) {
            if ends(child) {
                bytes[usize::from(first / 32)] |= 1 << (first % 32);
            }
            for (&second, &child) in children(child) {
                if ends(child) {
                    pairs.push([first, second, 0]);
                }
                let thirds = children(child).keys();
                triples.extend(thirds.map(|&third| [first, second, third]));
            }
        }
        // Few bits are set in the end: at most about one in 64.
        let bits = triples.len() + 32 * pairs.len();
        let power = (LEAST_FILTER..MAX_FILTER).find(|power| 1 << power >= 2 * bits);
        let power = power.unwrap_or(MAX_FILTER);
        let mut filter = vec![0u32; 1 << power];
        for triple in triples {
            let (word, bit) = place_in_filter(triple, power);
            filter[word] |= 1 << bit;
        }
        let has_pairs = !pairs.is_empty();
        for pair in pairs {
            filter[place_in_filter(pair, power).0] = u32::MAX;
        }
        let has_bytes = bytes != [0; BYTE_WORDS];
        let flag = |holds: bool, flag: u32| if holds { flag } else { 0 };
        let last = power | flag(has_bytes, HAS_BYTES) | flag(has_pairs, HAS_PAIRS);
        let bytes = bytes.into_iter().filter(|_| has_bytes);
        bytes.chain(filter).chain([last]).collect()
    }
}

/// The words of an automaton of these nodes, depth first: the child of a chain follows it.
fn layout(
    nodes: &[Node],
    root: Option<usize>,
    mut list: impl FnMut(&BTreeSet<Item>) -> u32,
) -> Vec<u32> {
    let mut states: Vec<(&Node, Shape)> = Vec::new();
    let mut offsets: Vec<Option<u32>> = vec![None; nodes.len()];
    let mut parents = vec![0; nodes.len()];
    for &child in nodes.iter().flat_map(|node| node.children.values()) {
        parents[child] += 1;
    }
    let mut size = 0;
    let mut stack: Vec<usize> = root.into_iter().collect();
    while let Some(at) = stack.pop() {
        if offsets[at].is_some() {
            continue;
        }
        let node = &nodes[at];
        let shape = Shape::of(
            nodes,
            at,
            |child| parents[child] > 1,
            |child| offsets[child].is_some(),
        );
        offsets[at] = Some(size as u32);
        size += 1 + shape.edge_words();
        if !node.has_list_in_header() {
            size += node.outputs().count();
        }
        match &shape {
            Shape::Chain { child, .. } => stack.push(*child),
            _ => stack.extend(node.children.values().rev()),
        }
        states.push((node, shape));
    }
    if size > MAX_WORDS {
        // Too large for its offsets: the caller refuses any automaton of this length.
        return vec![0; size];
    }
    let offset = |child: usize| offsets[child].unwrap_or_default();
    let mut words: Vec<u32> = Vec::with_capacity(size);
    for (node, shape) in states {
        let mut header = STATE | shape.header();
        for (set, flag) in [(&node.here, HERE), (&node.end, END)] {
            if !set.is_empty() {
                header |= flag;
            }
        }
        let lists = node.outputs().map(&mut list);
        if node.has_list_in_header() {
            words.push(lists.fold(header, |header, list| header | list << LABELS_SHIFT));
        } else {
            words.push(header);
            words.extend(lists);
        }
        match shape {
            Shape::Leaf | Shape::Chain { .. } => {}
            Shape::Linear(_) => words.extend(
                node.children
                    .iter()
                    .map(|(&label, &child)| u32::from(label) | offset(child) << 8),
            ),
            Shape::Table { first, count } => {
                let child = |place: usize| {
                    let label = u8::try_from(usize::from(first) + place);
                    let child = label.ok().and_then(|label| node.children.get(&label));
                    child.map_or(0, |&child| offset(child))
                };
                words.extend(
                    (0..count)
                        .step_by(2)
                        .map(|place| child(place) | child(place + 1) << 16),
                );
            }
        }
    }
    words
}

impl Node {
    fn outputs(&self) -> impl Iterator<Item = &BTreeSet<Item>> {
        [&self.here, &self.end]
            .into_iter()
            .filter(|set| !set.is_empty())
    }

    /// Whether it is a leaf whose outputs need no word of their own.
    fn has_list_in_header(&self) -> bool {
        self.children.is_empty() && self.outputs().count() == 1
    }
}

/// How a node's edges are stored.
#[derive(Clone, Debug)]
enum Shape {
    Leaf,
    Chain { labels: Vec<u8>, child: usize },
    Linear(usize),
    Table { first: u8, count: usize },
}

impl Shape {
    /// The shape of a node. What is shared stands for itself, and what `is_placed` already cannot follow a chain.
    fn of(
        nodes: &[Node],
        at: usize,
        is_shared: impl Fn(usize) -> bool,
        is_placed: impl Fn(usize) -> bool,
    ) -> Self {
        match nodes[at].children.len() {
            0 => return Self::Leaf,
            1 => {}
            children => {
                let mut labels = nodes[at].children.keys();
                let first = labels.next().copied().unwrap_or(0);
                let last = labels.next_back().copied().unwrap_or(first);
                let count = usize::from(last - first) + 1;
                return if children >= TABLE_FROM && count <= children * LABELS_FOR_EACH {
                    Self::Table { first, count }
                } else {
                    Self::Linear(children)
                };
            }
        }
        let mut labels = Vec::new();
        let mut child = at;
        while let Some((&label, &next)) = nodes[child].children.first_key_value() {
            if is_placed(next) {
                break;
            }
            labels.push(label);
            child = next;
            let node = &nodes[child];
            let is_plain = node.outputs().next().is_none() && node.children.len() == 1;
            if labels.len() == LONGEST_CHAIN || !is_plain || is_shared(child) {
                break;
            }
        }
        if labels.is_empty() {
            Self::Linear(1)
        } else {
            Self::Chain { labels, child }
        }
    }

    fn edge_words(&self) -> usize {
        match self {
            Self::Leaf | Self::Chain { .. } => 0,
            Self::Linear(count) => *count,
            Self::Table { count, .. } => count.div_ceil(2),
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
            Self::Table { first, count } => {
                TABLE | u32::from(*first) << LABELS_SHIFT | (*count as u32) << COUNT_SHIFT
            }
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
            trie.unanchored(&mut list)
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

    /// Of the names of programs in two folders a state is there once.
    #[test]
    fn equal_ends_are_stored_once() {
        let words = |literals: &[&str]| {
            let mut trie = Trie::default();
            for literal in literals {
                trie.insert(literal.as_bytes(), When::End, [1]);
            }
            assert!(literals.iter().all(|literal| {
                read(&trie, false, literal.as_bytes()) == BTreeSet::from([(1, literal.len())])
            }));
            trie.anchored(|_| 0).len()
        };
        let one = words(&["/bin/bash", "/bin/curl"]);
        let both = words(&["/bin/bash", "/bin/curl", "/usr/bin/bash", "/usr/bin/curl"]);
        assert_eq!((one, both), (10, 16));
    }

    #[test]
    fn a_table_finds_every_label() {
        let mut trie = Trie::default();
        (0..=255u8).for_each(|label| trie.insert(&[label, b'x'], When::Here, [u16::from(label)]));
        for label in 0..=255u8 {
            assert_eq!(
                read(&trie, false, &[label, b'x']),
                BTreeSet::from([(u16::from(label), 2)])
            );
            assert_eq!(
                read(&trie, true, &[label, b'x', b'.']),
                BTreeSet::from([(u16::from(label), 2)])
            );
        }
    }

    fn literal() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'c')], 1..6)
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_for_each_literal(
            literals in prop::collection::vec((literal(), any::<bool>()), 1..40),
            value in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'c')], 0..20),
        ) {
            let mut trie = Trie::default();
            trie.insert(b"", When::Here, []);
            let mut parts = Trie::default();
            let (mut anchored, mut unanchored) = (BTreeSet::new(), BTreeSet::new());
            for (item, (literal, here)) in literals.iter().enumerate() {
                let item = item as Item;
                trie.insert(literal, if *here { When::Here } else { When::End }, [item]);
                if if *here { value.starts_with(literal) } else { value == *literal } {
                    anchored.insert((item, literal.len()));
                }
                parts.insert(literal, When::Here, [item]);
                for end in literal.len()..=value.len() {
                    if value[..end].ends_with(literal) {
                        unanchored.insert((item, end));
                    }
                }
            }
            prop_assert_eq!(read(&trie, false, &value), anchored);
            // A part of one byte is to be found once.
            let first = |mut found: BTreeSet<(Item, usize)>| {
                let all = found.clone();
                found.retain(|(item, place)| {
                    literals[usize::from(*item)].0.len() > 1
                        || all.range((*item, 0)..(*item, *place)).next().is_none()
                });
                found
            };
            prop_assert_eq!(first(read(&parts, true, &value)), first(unanchored));
        }
    }
}
