//! Conditions of any language: `and`, `or`, `not` over leaves.

/// A condition over leaves of one language.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree<L> {
    /// All hold.
    And(Vec<Tree<L>>),
    /// At least one holds.
    Or(Vec<Tree<L>>),
    /// It does not hold.
    Not(Box<Tree<L>>),
    /// A test.
    Leaf(L),
}

impl<L> Tree<L> {
    /// Whether it holds, where `leaf` says so of each test.
    pub fn holds(&self, leaf: &mut dyn FnMut(&L) -> bool) -> bool {
        match self {
            Tree::And(parts) => parts.iter().all(|part| part.holds(leaf)),
            Tree::Or(parts) => parts.iter().any(|part| part.holds(leaf)),
            Tree::Not(part) => !part.holds(leaf),
            Tree::Leaf(test) => leaf(test),
        }
    }

    /// Its leaves, from left to right, and whether each is under an odd number of `not`.
    pub fn leaves(&self) -> Vec<(&L, bool)> {
        fn walk<'a, L>(tree: &'a Tree<L>, negated: bool, found: &mut Vec<(&'a L, bool)>) {
            match tree {
                Tree::And(parts) | Tree::Or(parts) => {
                    parts.iter().for_each(|part| walk(part, negated, found));
                }
                Tree::Not(part) => walk(part, !negated, found),
                Tree::Leaf(leaf) => found.push((leaf, negated)),
            }
        }
        let mut found = Vec::new();
        walk(self, false, &mut found);
        found
    }

    /// All its nodes, itself first.
    pub fn size(&self) -> usize {
        1 + match self {
            Tree::And(parts) | Tree::Or(parts) => parts.iter().map(Tree::size).sum(),
            Tree::Not(part) => part.size(),
            Tree::Leaf(_) => 0,
        }
    }

    /// The node with this number, counted from the root as `size` counts.
    pub fn node(&mut self, number: usize) -> Option<&mut Tree<L>> {
        if number == 0 {
            return Some(self);
        }
        let mut left = number - 1;
        match self {
            Tree::And(parts) | Tree::Or(parts) => {
                for part in parts {
                    let size = part.size();
                    if left < size {
                        return part.node(left);
                    }
                    left -= size;
                }
                None
            }
            Tree::Not(part) => part.node(left),
            Tree::Leaf(_) => None,
        }
    }

    /// Text with as few parentheses as `or` < `and` < `not` allow.
    pub fn print(&self, leaf: &dyn Fn(&L) -> String) -> String {
        self.print_within(0, leaf)
    }

    fn print_within(&self, outer: u8, leaf: &dyn Fn(&L) -> String) -> String {
        let (own, text) = match self {
            Tree::Or(parts) => (1, join(parts, " or ", 1, leaf)),
            Tree::And(parts) => (2, join(parts, " and ", 2, leaf)),
            Tree::Not(part) => (3, format!("not {}", part.print_within(3, leaf))),
            Tree::Leaf(test) => (4, leaf(test)),
        };
        // One part alone needs no word between, and binds as that part does: parentheses are safe.
        if own < outer || (own == outer && own < 3) {
            format!("({text})")
        } else {
            text
        }
    }
}

fn join<L>(parts: &[Tree<L>], word: &str, own: u8, leaf: &dyn Fn(&L) -> String) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| part.print_within(own, leaf))
        .collect();
    parts.join(word)
}
