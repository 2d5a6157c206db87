//! From a condition to jumps, in the order that decides most at least cost.

use peewit_core::field::{Cost, Field};
use peewit_core::pack::{FAIL, Kinds, MATCH};

use crate::expr::{Atom, Node, Pattern, Test, Token};
use crate::typical;

/// A conditional jump within one rule, to the target if it `is_or` and the condition holds, or neither, else to the next. Targets
/// count from the rule's first, or are [`MATCH`] or [`FAIL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump<'n> {
    /// What is asked.
    pub atom: &'n Atom,
    /// Whether the answer has to be no.
    pub negated: bool,
    /// When to jump: as soon as one holds, or as soon as one does not.
    pub is_or: bool,
    /// Where to.
    pub target: u16,
}

/// What all of a device's events say in these fields.
const DEVICE: [(Field, &str); 3] = [
    (Field::HostOsType, "linux"),
    (Field::EventKind, "event"),
    (Field::EventCategory, "process"),
];

/// What those of one kind say: `event.type` and `event.action`.
const KINDS: [(Kinds, [&str; 2]); 3] = [
    (Kinds::EXEC, ["start", "exec"]),
    (Kinds::FORK, ["start", "fork"]),
    (Kinds::EXIT, ["end", "end"]),
];

/// The kinds of events that a condition can hold for.
pub fn kinds(node: &Node) -> Kinds {
    let mut kinds = Kinds::ANY.0;
    for (kind, says) in KINDS {
        if possible(node, says) {
            kinds |= kind.0;
        }
    }
    Kinds(kinds)
}

/// Whether a condition may hold for a device's event with this `event.type` and `event.action`.
fn possible(node: &Node, says: [&str; 2]) -> bool {
    match node {
        Node::And(children) => children.iter().all(|child| possible(child, says)),
        Node::Or(children) => children.iter().any(|child| possible(child, says)),
        Node::Atom { atom, negated } => {
            let constant = DEVICE
                .into_iter()
                .chain([Field::EventType, Field::EventAction].into_iter().zip(says));
            constant
                .filter(|(field, _)| *field == atom.field)
                .all(|(_, value)| holds(atom, value) != *negated)
        }
    }
}

/// Whether a constant passes one of the tests. Constants hold no wildcards' worth of text:
/// exact patterns, runs and prefixes are all that rules ask of them, and any other is taken to match.
fn holds(atom: &Atom, value: &str) -> bool {
    atom.tests.iter().any(|test| match test {
        Test::Range(..) => false,
        Test::Length(..) | Test::Regex(_) | Test::BeginsWith(_) => true,
        Test::Pattern(Pattern { tokens, fold }) => {
            let literals = tokens
                .iter()
                .take_while(|token| matches!(token, Token::Byte(_)))
                .count();
            let prefix_matches =
                tokens[..literals]
                    .iter()
                    .zip(value.bytes())
                    .all(|(token, byte)| {
                        *token
                            == Token::Byte(if *fold {
                                byte.to_ascii_lowercase()
                            } else {
                                byte
                            })
                    });
            prefix_matches
                && if literals == tokens.len() {
                    literals == value.len()
                } else {
                    literals <= value.len()
                }
        }
    })
}

/// The atoms without one of which a condition cannot hold, as cheap and rare as can be
/// found. `None`: it can hold without any.
pub fn triggers(node: &Node) -> Option<Vec<Atom>> {
    match node {
        Node::Atom { negated: true, .. } => None,
        Node::Atom { atom, .. } if atom.is_late() => Some(vec![atom.guard()?]),
        Node::Atom { atom, .. } => Some(vec![atom.clone()]),
        Node::And(children) => {
            let weight = |atoms: &Vec<Atom>| atoms.iter().map(weight).sum::<f64>();
            children
                .iter()
                .filter_map(triggers)
                .min_by(|one, other| weight(one).total_cmp(&weight(other)))
        }
        Node::Or(children) => {
            let mut all = Vec::new();
            for child in children {
                all.extend(triggers(child)?);
            }
            all.sort_unstable();
            all.dedup();
            Some(all)
        }
    }
}

/// What it weighs that a field has to be read for every event, were it a trigger: more than any trigger does that is there
/// anyway, however often that one holds. Only what nearly always holds weighs more: with that the field would be read for
/// every event too, and the rule looked at.
fn weight(atom: &Atom) -> f64 {
    let breadth = breadth(atom);
    let least = match atom.field.cost() {
        _ if breadth > 0.9 => 1e4,
        // Beside any other it need not be looked for in every value.
        _ if atom.is_broad() => 1e2,
        Cost::Read => 1e3,
        _ => 0.0,
    };
    least + breadth * f64::from(rank(atom.field))
}

/// In which order fields are evaluated. Fields that no device has come first: that they are
/// missing decides a rule at once. Constants come late: the kind of event has been
/// checked against them when the rule was compiled.
pub fn rank(field: Field) -> u8 {
    match field.cost() {
        Cost::Absent => 1,
        Cost::Lineage => 2,
        Cost::Captured => 3,
        Cost::CapturedLong => 4,
        Cost::Constant => 5,
        Cost::Read => 6,
    }
}

/// About how often an atom holds, between 0 and 1.
pub fn breadth(atom: &Atom) -> f64 {
    if atom.field.cost() == Cost::Constant {
        return 1.0;
    }
    let sum: f64 = atom
        .tests
        .iter()
        .map(|test| test_breadth(atom.field, test))
        .sum();
    sum.min(1.0)
}

fn test_breadth(field: Field, test: &Test) -> f64 {
    match test {
        Test::Range(low, high) if low == high => match (field, low) {
            // Most commands have few arguments.
            (Field::ProcessArgsCount | Field::ParentArgsCount, 1..=4) => 0.25,
            _ => 0.01,
        },
        Test::Range(..) | Test::Length(..) => 0.5,
        Test::Regex(_) | Test::BeginsWith(_) => 0.1,
        Test::Pattern(pattern) => typical::breadth(Some(field), pattern),
    }
}

/// The jumps of a condition. All go forward.
pub fn jumps(node: &Node) -> Vec<Jump<'_>> {
    let mut jumps = Vec::new();
    emit(node, MATCH, FAIL, &mut jumps);
    jumps
}

/// Appends the jumps of `node`, which lead to `then` if it holds and to `otherwise` if not.
fn emit<'n>(node: &'n Node, then: u16, otherwise: u16, jumps: &mut Vec<Jump<'n>>) {
    let (children, all) = match node {
        Node::Atom { atom, negated } => {
            // Whatever follows a condition is where to go if it holds, or if it does not.
            let is_or = usize::from(otherwise) == jumps.len() + 1;
            jumps.push(Jump {
                atom,
                negated: *negated,
                is_or,
                target: if is_or { then } else { otherwise },
            });
            return;
        }
        Node::And(children) => (children, true),
        Node::Or(children) => (children, false),
    };
    let mut ordered: Vec<&Node> = children.iter().collect();
    ordered.sort_by(|one, other| {
        order(one, all)
            .partial_cmp(&order(other, all))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    for (place, child) in ordered.iter().enumerate() {
        let next = (jumps.len() + size(child)) as u16;
        match (place + 1 == ordered.len(), all) {
            (true, _) => emit(child, then, otherwise, jumps),
            (false, true) => emit(child, next, otherwise, jumps),
            (false, false) => emit(child, then, next, jumps),
        }
    }
}

/// How many jumps a condition takes.
fn size(node: &Node) -> usize {
    match node {
        Node::Atom { .. } => 1,
        Node::And(children) | Node::Or(children) => children.iter().map(size).sum(),
    }
}

/// Sorts children: what has to be read last, before it what hardly ever decides, then by the dearest field that they need,
/// then by how likely they are to decide: to fail where all have to hold, to hold where one is enough.
fn order(node: &Node, all: bool) -> (bool, bool, u8, f64) {
    let mut dearest = 0;
    node.atoms(&mut |atom| dearest = dearest.max(rank(atom.field)));
    let likely = likelihood(node);
    let undecided = if all { likely } else { 1.0 - likely };
    let is_read = dearest >= rank(Field::UserId);
    (is_read, undecided > 0.95, dearest, undecided)
}

/// About how often a condition holds.
fn likelihood(node: &Node) -> f64 {
    match node {
        Node::Atom {
            atom,
            negated: false,
        } => breadth(atom),
        Node::Atom {
            atom,
            negated: true,
        } => 1.0 - breadth(atom),
        Node::And(children) => children.iter().map(likelihood).product(),
        Node::Or(children) => children.iter().map(likelihood).sum::<f64>().min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expr;

    /// With the constant as its trigger a rule would be looked at for every event, and then read the user's id all the same.
    #[test]
    fn what_always_holds_is_no_trigger() {
        let is = |field, value| Expr::Is(field, Test::Pattern(Pattern::exact(value)));
        let any = |field| Expr::Is(field, Test::Pattern(Pattern::exists()));
        let node = Node::new(&Expr::And(vec![
            is(Field::EventKind, "event"),
            is(Field::UserId, "0"),
            any(Field::ProcessName),
        ]));
        let found = triggers(&node).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, Field::UserId);
    }

    /// A user's id is rare as a value, but asking for it costs a read of every process.
    #[test]
    fn what_has_to_be_read_is_no_trigger_beside_something_else() {
        let is = |field, pattern| Expr::Is(field, Test::Pattern(pattern));
        let prefix = "/run/".bytes().map(Token::Byte).chain([Token::Run]);
        let node = Node::new(&Expr::And(vec![
            is(Field::UserId, Pattern::exact("0")),
            is(Field::ProcessExecutable, Pattern::new(prefix, false)),
        ]));
        let found = triggers(&node).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, Field::ProcessExecutable);
    }
}
