//! A rule's condition, whatever language it was written in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use peewit_core::field::{Cost, Field};
pub use peewit_core::glob::Token;

use crate::guard;

/// A glob over a whole value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// Literals and wildcards; no two runs side by side.
    pub tokens: Vec<Token>,
    /// Whether the case of ASCII letters is ignored; literals are in lower case then.
    pub fold: bool,
}

impl Pattern {
    /// A pattern of these elements.
    pub fn new(tokens: impl IntoIterator<Item = Token>, fold: bool) -> Self {
        let tokens: Vec<Token> = tokens.into_iter().collect();
        let is_letter =
            |token: &Token| matches!(token, Token::Byte(byte) if byte.is_ascii_alphabetic());
        // Without a letter there is no case to ignore.
        let fold = fold && tokens.iter().any(is_letter);
        let mut pattern = Self {
            tokens: Vec::new(),
            fold,
        };
        for token in tokens {
            match token {
                Token::Run if pattern.tokens.last() == Some(&Token::Run) => {}
                Token::Byte(byte) if fold => {
                    pattern.tokens.push(Token::Byte(byte.to_ascii_lowercase()))
                }
                token => pattern.tokens.push(token),
            }
        }
        pattern
    }

    /// Exactly this text.
    pub fn exact(text: &str) -> Self {
        Self::new(text.bytes().map(Token::Byte), false)
    }

    /// Any value at all: the field exists.
    pub fn exists() -> Self {
        Self::new([Token::Run], false)
    }

    /// The same as a regular expression over whole values, `one` in place of a [`Token::One`].
    fn regex(&self, one: &str) -> String {
        let mut regex = String::from("(?s-u)");
        for token in &self.tokens {
            let _ = match token {
                Token::Run => write!(regex, r"[\x00-\xFF]*"),
                Token::One => write!(regex, "{one}"),
                Token::Byte(byte) if self.fold && byte.is_ascii_alphabetic() => {
                    write!(
                        regex,
                        "[{0}{1}]",
                        char::from(*byte),
                        char::from(byte.to_ascii_uppercase())
                    )
                }
                Token::Byte(byte) => write!(regex, r"\x{byte:02X}"),
            };
        }
        regex
    }
}

/// A pattern as `peewit_core::glob` reads it.
pub(crate) fn encode(tokens: &[Token]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for token in tokens {
        match token {
            Token::Run => pattern.extend(br"\*"),
            Token::One => pattern.extend(br"\?"),
            Token::Byte(b'\\') => pattern.extend(br"\\"),
            Token::Byte(byte) => pattern.push(*byte),
        }
    }
    pattern
}

/// See [`Atom::is_broad`].
const SHORT: usize = 2;

/// What one value is tested for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// It matches a pattern.
    Pattern(Pattern),
    /// It is a number in this range, both ends included.
    Range(i64, i64),
    /// Its length in UTF-16 units, as Elasticsearch counts, is in this range, both ends included.
    Length(i64, i64),
    /// A regular expression over the whole value: in the syntax of the `regex-syntax` crate, over bytes (`(?-u)`),
    /// with a `.*` on either side where it may stand anywhere. What folds case says so itself (`(?i)`).
    Regex(String),
    /// It begins with the whole value of another field.
    BeginsWith(Field),
}

/// A list of tests over one field: holds if any value of the field passes any of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom {
    /// The field.
    pub field: Field,
    /// The tests.
    pub tests: BTreeSet<Test>,
}

impl Test {
    /// Whether no automaton decides it together with others: it is tested alone, when a rule asks for it.
    pub const fn is_late(&self) -> bool {
        matches!(
            self,
            Self::Length(..) | Self::Regex(_) | Self::BeginsWith(_)
        )
    }

    /// A glob as the rule languages have it: one `?` is one character, of as many bytes as it takes.
    pub fn glob(tokens: impl IntoIterator<Item = Token>, fold: bool) -> Self {
        let pattern = Pattern::new(tokens, fold);
        if pattern.tokens.contains(&Token::One) {
            Self::Regex(pattern.regex(r"[^\x80-\xBF][\x80-\xBF]*"))
        } else {
            Self::Pattern(pattern)
        }
    }

    /// The same test in its cheapest form.
    fn simplest(&self) -> Self {
        match self {
            Self::Regex(regex) => {
                guard::as_pattern(regex).map_or_else(|| self.clone(), Self::Pattern)
            }
            test => test.clone(),
        }
    }
}

impl Atom {
    /// Whether it is a single [late](Test::is_late) test: no such test shares its atom.
    pub fn is_late(&self) -> bool {
        self.tests.iter().any(Test::is_late)
    }

    /// Whether it is a single pattern that may match anywhere in what is at hand anyway, and its literals are so short that they
    /// are found in nearly every value: it is tested alone, unless rules are looked at for it.
    pub fn is_broad(&self) -> bool {
        let cost = self.field.cost();
        let mut tests = self.tests.iter();
        let (Some(Test::Pattern(pattern)), None) = (tests.next(), tests.next()) else {
            return false;
        };
        let ends = [pattern.tokens.first(), pattern.tokens.last()];
        let literals = pattern
            .tokens
            .split(|token| !matches!(token, Token::Byte(_)));
        matches!(cost, Cost::Captured | Cost::CapturedLong)
            && ends == [Some(&Token::Run); 2]
            && (1..=SHORT).contains(&literals.map(<[Token]>::len).max().unwrap_or(0))
    }

    fn stays_alone(&self) -> bool {
        self.is_late() || self.is_broad()
    }

    /// An atom that holds whenever this one, a regular expression, does, if that tells anything.
    pub fn guard(&self) -> Option<Atom> {
        let Some(Test::Regex(regex)) = self.tests.first() else {
            return None;
        };
        Some(Atom {
            field: self.field,
            tests: guard::guard(regex)?
                .into_iter()
                .map(Test::Pattern)
                .collect(),
        })
    }
}

/// A condition as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// All of them hold.
    And(Vec<Expr>),
    /// One of them holds.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// Some value of the field passes the test.
    Is(Field, Test),
}

/// A condition in negation normal form: `not` only in front of atoms, no `and` directly
/// within `and`, no `or` within `or`, and as few and as wide atoms as possible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// All of them hold.
    And(Vec<Node>),
    /// One of them holds.
    Or(Vec<Node>),
    /// The atom holds, or with `negated` does not.
    Atom {
        /// What is asked.
        atom: Atom,
        /// Whether the answer has to be no.
        negated: bool,
    },
}

impl Node {
    /// The normal form of a condition.
    pub fn new(expr: &Expr) -> Self {
        Self::normal(expr, false)
    }

    fn normal(expr: &Expr, negated: bool) -> Self {
        match expr {
            Expr::Not(inner) => Self::normal(inner, !negated),
            Expr::Is(field, test) => Self::Atom {
                atom: Atom {
                    field: *field,
                    tests: BTreeSet::from([test.simplest()]),
                },
                negated,
            },
            Expr::And(children) => Self::join(children, negated, !negated),
            Expr::Or(children) => Self::join(children, negated, negated),
        }
    }

    /// `all`: whether all of the children have to hold, once they are negated.
    fn join(children: &[Expr], negated: bool, all: bool) -> Self {
        let mut flat: Vec<Node> = Vec::new();
        for child in children {
            match (Self::normal(child, negated), all) {
                (Self::And(inner), true) | (Self::Or(inner), false) => flat.extend(inner),
                (node, _) => flat.push(node),
            }
        }
        // One of `f:a`, `f:b` holds if `f:(a or b)` does; both `not f:a` and `not f:b` hold if
        // `f:(a or b)` does not. Other pairs do not merge: different values may satisfy them.
        let mut merged: Vec<Node> = Vec::new();
        for node in flat {
            let Self::Atom { atom, negated } = &node else {
                if !merged.contains(&node) {
                    merged.push(node);
                }
                continue;
            };
            let (field, alone) = (&atom.field, atom.stays_alone());
            let twin = merged.iter_mut().find_map(|other| match other {
                Self::Atom {
                    atom,
                    negated: other_negated,
                } => (atom.field == *field
                    && other_negated == negated
                    && *negated == all
                    && !atom.stays_alone()
                    && !alone)
                    .then_some(&mut atom.tests),
                _ => None,
            });
            match (twin, node) {
                (Some(tests), Self::Atom { atom, .. }) => tests.extend(atom.tests),
                (_, node) => merged.push(node),
            }
        }
        match (merged.len(), all) {
            (1, _) => merged.remove(0),
            (_, true) => Self::And(merged),
            (_, false) => Self::Or(merged),
        }
    }

    /// Calls `visit` with every atom.
    pub fn atoms<'n>(&'n self, visit: &mut impl FnMut(&'n Atom)) {
        match self {
            Self::And(children) | Self::Or(children) => {
                children.iter().for_each(|child| child.atoms(visit))
            }
            Self::Atom { atom, .. } => visit(atom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(field: Field, value: &str) -> Expr {
        Expr::Is(field, Test::Pattern(Pattern::exact(value)))
    }

    fn atom(field: Field, values: &[&str]) -> Atom {
        Atom {
            field,
            tests: values
                .iter()
                .map(|value| Test::Pattern(Pattern::exact(value)))
                .collect(),
        }
    }

    #[test]
    fn alternatives_over_one_field_become_one_atom() {
        let (name, args) = (Field::ProcessName, Field::ProcessArgs);
        let expr = Expr::Or(vec![
            is(name, "a"),
            Expr::Or(vec![is(args, "x"), is(name, "b")]),
        ]);
        assert_eq!(
            Node::new(&expr),
            Node::Or(vec![
                Node::Atom {
                    atom: atom(name, &["a", "b"]),
                    negated: false
                },
                Node::Atom {
                    atom: atom(args, &["x"]),
                    negated: false
                },
            ])
        );
        let neither = Node::Atom {
            atom: atom(name, &["a", "b"]),
            negated: true,
        };
        let expr = Expr::Not(Box::new(Expr::Or(vec![is(name, "a"), is(name, "b")])));
        assert_eq!(Node::new(&expr), neither);
        let expr = Expr::And(vec![
            Expr::Not(Box::new(is(name, "a"))),
            Expr::Not(Box::new(is(name, "b"))),
        ]);
        assert_eq!(Node::new(&expr), neither);
    }

    #[test]
    fn a_single_character_takes_as_many_bytes_as_it_has() {
        let tokens = [Token::Byte(b'a'), Token::One, Token::Run];
        assert_eq!(
            Test::glob(tokens, true),
            Test::Regex(r"(?s-u)[aA][^\x80-\xBF][\x80-\xBF]*[\x00-\xFF]*".into())
        );
        let tokens = [Token::Byte(b'a'), Token::Run];
        assert_eq!(
            Test::glob(tokens, true),
            Test::Pattern(Pattern::new(tokens, true))
        );
    }

    /// Two clauses may be satisfied by different values: they must stay two.
    #[test]
    fn conjunctions_over_one_field_stay_apart() {
        let args = Field::ProcessArgs;
        let both = Node::And(vec![
            Node::Atom {
                atom: atom(args, &["a"]),
                negated: false,
            },
            Node::Atom {
                atom: atom(args, &["b"]),
                negated: false,
            },
        ]);
        assert_eq!(
            Node::new(&Expr::And(vec![is(args, "a"), is(args, "b")])),
            both
        );
    }
}
