//! Compiled rules against a naive evaluation of the same conditions: random rules, written out as KQL, over
//! random events; and random conditions with all that the other languages have beside KQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use peewit_compiler::expr::{Expr, Node, Pattern, Test, Token};
use peewit_compiler::rule::{Kind, Query, Rule};
use peewit_compiler::{assemble, elastic, kql};
use peewit_core::alert::Severity;
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::event::{Event, Values};
use peewit_core::field::{Field, FieldSet, Type};
use peewit_core::pack::{Kinds, Pack};
use peewit_core::packed::{Packed, Packer};
use proptest::prelude::*;

const FIELDS: [Field; 5] = [
    Field::ProcessName,
    Field::ProcessArgs,
    Field::ProcessCommandLine,
    Field::ParentExecutable,
    Field::ProcessArgsCount,
];

/// An event as lists of values.
#[derive(Clone, Debug)]
struct Recorded {
    strings: BTreeMap<Field, Vec<Vec<u8>>>,
    number: Option<i64>,
}

/// The same, as the engine asks for it: the values of `process.args` as a block, `process.command_line` joined from
/// it, those of the parent as facts if there are any.
struct Asked<'r> {
    values: BTreeMap<Field, Vec<&'r [u8]>>,
    args: Vec<u8>,
    number: Option<i64>,
    facts: Option<Packed<'r>>,
}

impl<'r> Asked<'r> {
    fn new(event: &'r Recorded, facts: Option<Packed<'r>>) -> Self {
        let values = |(field, values): (&Field, &'r Vec<Vec<u8>>)| {
            (*field, values.iter().map(Vec::as_slice).collect())
        };
        let args = event.strings.get(&Field::ProcessArgs);
        Self {
            values: event.strings.iter().map(values).collect(),
            args: args
                .into_iter()
                .flatten()
                .flat_map(|arg| arg.iter().copied().chain([0]))
                .collect(),
            number: event.number,
            facts,
        }
    }
}

impl Event for Asked<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        match (field, self.facts) {
            (Field::ParentExecutable, Some(facts)) => Values::Facts(facts),
            _ => self.term(field),
        }
    }

    fn term(&self, field: Field) -> Values<'_> {
        match (field, self.number) {
            (Field::ProcessArgs, _) => Values::Block(&self.args),
            (Field::ProcessCommandLine, _) => Values::Joined(&self.args),
            (Field::ProcessArgsCount, Some(number)) => Values::Number(number),
            _ => match self.values.get(&field).map(Vec::as_slice) {
                None | Some([]) => Values::Missing,
                Some([value]) => Values::One(value),
                Some(values) => Values::Many(values),
            },
        }
    }
}

fn naive(expr: &Expr, event: &Recorded) -> bool {
    match expr {
        Expr::And(children) => children.iter().all(|child| naive(child, event)),
        Expr::Or(children) => children.iter().any(|child| naive(child, event)),
        Expr::Not(inner) => !naive(inner, event),
        Expr::Is(_, Test::Range(low, high)) => event
            .number
            .is_some_and(|number| (*low..=*high).contains(&number)),
        Expr::Is(field, Test::Pattern(pattern)) => {
            let values = event.strings.get(field).into_iter().flatten();
            values
                .into_iter()
                .any(|value| naive_glob(&pattern.tokens, &fold(value, pattern.fold)))
        }
        Expr::Is(field, Test::Length(low, high)) => {
            let mut values = event.strings.get(field).into_iter().flatten();
            // No value of the tests has a character of several bytes.
            values.any(|value| (*low..=*high).contains(&i64::try_from(value.len()).unwrap()))
        }
        Expr::Is(field, Test::BeginsWith(other)) => {
            let mut values = event.strings.get(field).into_iter().flatten();
            let starts = event.strings.get(other).into_iter().flatten();
            starts
                .take(1)
                .any(|start| values.any(|value| value.starts_with(start)))
        }
        Expr::Is(field, Test::Regex(regex)) => {
            let mut values = event.strings.get(field).into_iter().flatten();
            let (tree, ignore_case) = TREES.lock().unwrap()[regex].clone();
            values.any(|value| tree.ends(&fold(value, ignore_case)).contains(&value.len()))
        }
    }
}

fn fold(value: &[u8], fold: bool) -> Vec<u8> {
    if fold {
        value.to_ascii_lowercase()
    } else {
        value.to_vec()
    }
}

/// The trees of all regular expressions that were made up, and whether they ignore case.
static TREES: Mutex<BTreeMap<String, (Regex, bool)>> = Mutex::new(BTreeMap::new());

/// A regular expression.
#[derive(Clone, Debug)]
enum Regex {
    Byte(u8),
    Any,
    Class(u8, u8),
    Many(Box<Regex>),
    Times(Box<Regex>, u8),
    Maybe(Box<Regex>),
    Both(Box<Regex>, Box<Regex>),
    Either(Box<Regex>, Box<Regex>),
}

impl Regex {
    /// In the syntax that the compiler takes.
    fn text(&self) -> String {
        match self {
            Self::Byte(byte) => format!("\\x{byte:02x}"),
            Self::Any => ".".into(),
            Self::Class(low, high) => format!("[\\x{low:02x}-\\x{high:02x}]"),
            Self::Many(inner) => format!("(?:{})*", inner.text()),
            Self::Times(inner, count) => format!("(?:{}){{{count}}}", inner.text()),
            Self::Maybe(inner) => format!("(?:{})?", inner.text()),
            Self::Both(one, other) => format!("{}{}", one.text(), other.text()),
            Self::Either(one, other) => format!("(?:{}|{})", one.text(), other.text()),
        }
    }

    /// The places where a match that begins at the beginning of `text` can end.
    fn ends(&self, text: &[u8]) -> BTreeSet<usize> {
        let then = |ends: BTreeSet<usize>, next: &Regex| -> BTreeSet<usize> {
            ends.into_iter()
                .flat_map(|end| {
                    let more = next.ends(&text[end..]);
                    more.into_iter().map(move |more| end + more)
                })
                .collect()
        };
        let one = |holds: bool| -> BTreeSet<usize> { holds.then_some(1).into_iter().collect() };
        match self {
            Self::Byte(byte) => one(text.first() == Some(byte)),
            Self::Any => one(!text.is_empty()),
            Self::Class(low, high) => one(text
                .first()
                .is_some_and(|byte| (low..=high).contains(&byte))),
            Self::Many(inner) => {
                let mut ends = BTreeSet::from([0]);
                loop {
                    let mut more = then(ends.clone(), inner);
                    more.extend(&ends);
                    if more.len() == ends.len() {
                        return ends;
                    }
                    ends = more;
                }
            }
            Self::Times(inner, count) => {
                (0..*count).fold(BTreeSet::from([0]), |ends, _| then(ends, inner))
            }
            Self::Maybe(inner) => inner.ends(text).into_iter().chain([0]).collect(),
            Self::Both(one, other) => then(one.ends(text), other),
            Self::Either(one, other) => &one.ends(text) | &other.ends(text),
        }
    }
}

fn naive_glob(tokens: &[Token], text: &[u8]) -> bool {
    match tokens.split_first() {
        None => text.is_empty(),
        Some((Token::Run, rest)) => (0..=text.len()).any(|skip| naive_glob(rest, &text[skip..])),
        Some((Token::One, rest)) => !text.is_empty() && naive_glob(rest, &text[1..]),
        Some((Token::Byte(byte), rest)) => {
            text.first() == Some(byte) && naive_glob(rest, &text[1..])
        }
    }
}

/// A condition as KQL: fully parenthesised, values quoted where they hold no wildcard.
fn to_kql(expr: &Expr) -> String {
    let join = |children: &[Expr], word: &str| {
        format!(
            "({})",
            children.iter().map(to_kql).collect::<Vec<_>>().join(word)
        )
    };
    match expr {
        Expr::And(children) => join(children, " and "),
        Expr::Or(children) => join(children, " OR "),
        Expr::Not(inner) => format!("not {}", to_kql(inner)),
        Expr::Is(field, Test::Range(low, high)) if low == high => format!("{}:{low}", field.name()),
        Expr::Is(field, Test::Range(low, i64::MAX)) => format!("{} >= {low}", field.name()),
        Expr::Is(field, Test::Range(_, high)) => format!("{} <= {high}", field.name()),
        Expr::Is(field, Test::Pattern(pattern)) => {
            let wild = pattern.tokens.contains(&Token::Run);
            let text: String = pattern
                .tokens
                .iter()
                .map(|token| match token {
                    Token::Byte(byte @ (b'\\' | b'"')) => format!("\\{}", char::from(*byte)),
                    Token::Byte(byte) => char::from(*byte).to_string(),
                    Token::Run | Token::One => "*".to_owned(),
                })
                .collect();
            if wild {
                format!("{} : {text}", field.name())
            } else {
                format!("{}:\"{text}\"", field.name())
            }
        }
        Expr::Is(..) => unreachable!("KQL has no other tests"),
    }
}

fn rule(number: usize, query: &str) -> peewit_compiler::rule::Rule {
    let text = format!(
        "[rule]\nrule_id = \"r{number}\"\nname = \"n\"\ntype = \"query\"\nlanguage = \"kuery\"\nrisk_score = 1\nseverity = \"low\"\nquery = '''\n{query}\n'''\n"
    );
    elastic::parse(&text).unwrap_or_else(|error| panic!("{query}: {error:?}"))
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(b'a'), 4 => Just(b'b'), 2 => Just(b'/'), 1 => Just(b'\\'), 1 => Just(b'?'), 1 => Just(b'"')]
}

fn test(field: Field) -> BoxedStrategy<Test> {
    if field.ty() == Type::Number {
        return (0..5i64, 0..3u8)
            .prop_map(|(number, form)| match form {
                0 => Test::Range(number, number),
                1 => Test::Range(number, i64::MAX),
                _ => Test::Range(i64::MIN, number),
            })
            .boxed();
    }
    let token = prop_oneof![3 => byte().prop_map(Token::Byte), 1 => Just(Token::Run)];
    prop::collection::vec(token, 1..7)
        .prop_map(|tokens| Test::Pattern(Pattern::new(tokens, false)))
        .boxed()
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop::sample::select(&FIELDS[..])
        .prop_flat_map(|field| test(field).prop_map(move |test| Expr::Is(field, test)));
    tree(leaf)
}

fn tree(leaf: impl Strategy<Value = Expr> + 'static) -> impl Strategy<Value = Expr> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

fn regex() -> impl Strategy<Value = Test> {
    let letter = || prop::sample::select(&b"ab/ "[..]);
    let leaf = prop_oneof![
        4 => letter().prop_map(Regex::Byte),
        1 => Just(Regex::Any),
        1 => Just(Regex::Many(Box::new(Regex::Any))),
        // No range with letters of one case among others: it would match the other case too.
        1 => prop::sample::select(vec![(b'a', b'b'), (b' ', b'/')]).prop_map(|(low, high)| Regex::Class(low, high)),
    ];
    let tree = leaf.prop_recursive(4, 12, 2, |inner| {
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            1 => one().prop_map(Regex::Many),
            1 => (one(), 1..4u8).prop_map(|(inner, count)| Regex::Times(inner, count)),
            1 => one().prop_map(Regex::Maybe),
            4 => (one(), one()).prop_map(|(one, other)| Regex::Both(one, other)),
            2 => (one(), one()).prop_map(|(one, other)| Regex::Either(one, other)),
        ]
    });
    (tree, any::<bool>()).prop_map(|(tree, ignore_case)| {
        let flags = if ignore_case { "(?is-u)" } else { "(?s-u)" };
        let text = format!("{flags}{}", tree.text());
        TREES
            .lock()
            .unwrap()
            .insert(text.clone(), (tree, ignore_case));
        Test::Regex(text)
    })
}

/// All that any language has over a field of text.
fn any_test(field: Field) -> BoxedStrategy<Test> {
    if field.ty() == Type::Number {
        return test(field);
    }
    let token = prop_oneof![
        6 => byte().prop_map(Token::Byte),
        2 => Just(Token::Run),
        1 => Just(Token::One),
    ];
    let pattern = (prop::collection::vec(token, 1..9), any::<bool>());
    let pattern = pattern.prop_map(|(tokens, fold)| Test::Pattern(Pattern::new(tokens, fold)));
    let length = (0..6i64, 0..6i64).prop_map(|(low, more)| Test::Length(low, low + more));
    let others = prop_oneof![2 => regex(), 1 => length];
    if field == Field::ParentExecutable {
        return prop_oneof![4 => pattern, 1 => others].boxed();
    }
    let begins = prop::sample::select(vec![Field::ProcessName, Field::ProcessCommandLine]);
    prop_oneof![8 => pattern, 2 => others, 1 => begins.prop_map(Test::BeginsWith)].boxed()
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop::sample::select(&FIELDS[..])
        .prop_flat_map(|field| any_test(field).prop_map(move |test| Expr::Is(field, test)));
    tree(leaf)
}

fn value_byte() -> impl Strategy<Value = u8> {
    prop_oneof![6 => byte(), 2 => Just(b'A'), 1 => Just(b'B'), 1 => Just(b' ')]
}

fn event() -> impl Strategy<Value = Recorded> {
    let value = || prop::collection::vec(value_byte(), 0..9);
    let values = prop::collection::vec(value(), 0..4);
    let one = || prop::option::of(value()).prop_map(Vec::from_iter);
    (one(), values, one(), prop::option::of(0..5i64)).prop_map(|(name, args, parent, number)| {
        let command_line = args.join(&b' ');
        let strings = [
            (Field::ProcessName, name),
            (Field::ProcessArgs, args),
            (Field::ProcessCommandLine, vec![command_line]),
            (Field::ParentExecutable, parent),
        ];
        Recorded {
            strings: BTreeMap::from(strings),
            number,
        }
    })
}

/// A rule of any language.
fn any_rule(number: usize, expr: &Expr) -> Rule {
    Rule {
        id: format!("r{number}"),
        name: String::new(),
        author: String::new(),
        attack: String::new(),
        tags: Vec::new(),
        references: Vec::new(),
        severity: Severity::Low,
        risk_score: 1,
        kinds: Kinds(u8::MAX),
        kind: Kind::Query,
        queries: vec![Query {
            condition: Node::new(expr),
            keys: Vec::new(),
        }],
        lookback_s: 0,
        interval_s: 0,
    }
}

/// Fails unless the rules hold for the events exactly when the conditions do.
fn agree(rules: &[Rule], exprs: &[Expr], events: &[Recorded]) -> Result<(), TestCaseError> {
    let bytes = assemble(rules, 7).unwrap();
    let pack = Pack::parse(&bytes).unwrap();
    prop_assert_eq!(pack.build(), 7);
    let engine = Engine::new(pack, Limits::Device);
    for event in events {
        let holds = |(_, expr): &(usize, &Expr)| naive(expr, event);
        let expected: BTreeSet<usize> = exprs
            .iter()
            .enumerate()
            .filter(holds)
            .map(|(number, _)| number)
            .collect();
        prop_assert_eq!(&matches(&engine, event, None), &expected);
        // The same by what was found of the parent when it was evaluated itself.
        let mut facts = Packer::<256>::new();
        let (mut evaluation, mut asked) = (Evaluation::new(), Asked::new(event, None));
        engine
            .facts(
                &mut evaluation,
                &mut asked,
                FieldSet::of(&[Field::ParentExecutable]),
                &mut facts,
            )
            .unwrap();
        prop_assert_eq!(&matches(&engine, event, Some(facts.list())), &expected);
    }
    Ok(())
}

fn matches(engine: &Engine, event: &Recorded, facts: Option<Packed<'_>>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut evaluation = Evaluation::new();
    engine.evaluate(
        &mut evaluation,
        &mut Asked::new(event, facts),
        Kinds::ANY,
        |rule| {
            assert!(
                found.insert(usize::from(rule)),
                "rule {rule} was reported twice"
            );
        },
    );
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn compiled_rules_hold_exactly_when_their_conditions_do(
        exprs in prop::collection::vec(expr(), 1..12),
        events in prop::collection::vec(event(), 1..16),
    ) {
        let rules: Vec<_> = exprs.iter().enumerate().map(|(number, expr)| rule(number, &to_kql(expr))).collect();
        agree(&rules, &exprs, &events)?;
    }

    #[test]
    fn conditions_of_any_language_hold_exactly_when_they_should(
        exprs in prop::collection::vec(any_expr(), 1..12),
        events in prop::collection::vec(event(), 1..16),
    ) {
        let rules: Vec<_> = exprs.iter().enumerate().map(|(number, expr)| any_rule(number, expr)).collect();
        agree(&rules, &exprs, &events)?;
    }

    #[test]
    fn the_parser_never_panics(query in "\\PC{0,60}") {
        let _ = kql::parse(&query);
    }

    #[test]
    fn the_parser_never_panics_on_likely_text(
        words in prop::collection::vec(prop::sample::select(vec![
            "process.name", ":", "(", ")", " or ", " and ", "not ", "\"", "\\", "*", "<=", ">", "a", " ", "{", "}", "\\u00e9",
        ]), 0..30),
    ) {
        let _ = kql::parse(&words.concat());
    }
}
