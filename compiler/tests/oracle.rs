//! Compiled rules against a naive evaluation of the same conditions: random rules, written out as KQL, over
//! random events.

use std::collections::{BTreeMap, BTreeSet};

use peewit_compiler::expr::{Expr, Pattern, Test, Token};
use peewit_compiler::{assemble, elastic, kql};
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::event::{Event, Values};
use peewit_core::field::{Field, Type};
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

/// The same, as the engine asks for it: the values of `process.args` as a block, those of the parent as facts
/// if there are any.
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
                .any(|value| naive_glob(&pattern.tokens, value))
        }
        Expr::Is(..) => unreachable!("KQL has no other tests"),
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
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

fn event() -> impl Strategy<Value = Recorded> {
    let value = prop::collection::vec(byte(), 0..7);
    let values = prop::collection::vec(value, 0..4);
    (prop::collection::vec(values, 4), prop::option::of(0..5i64)).prop_map(|(values, number)| {
        Recorded {
            strings: FIELDS.into_iter().zip(values).collect(),
            number,
        }
    })
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
        let bytes = assemble(&rules, 7).unwrap();
        let pack = Pack::parse(&bytes).unwrap();
        prop_assert_eq!(pack.build(), 7);
        let engine = Engine::new(pack, Limits::Device);
        for event in &events {
            let expected: BTreeSet<usize> =
                exprs.iter().enumerate().filter(|(_, expr)| naive(expr, event)).map(|(number, _)| number).collect();
            prop_assert_eq!(&matches(&engine, event, None), &expected);
            // The same by what was found of the parent when it was evaluated itself.
            let mut facts = Packer::<256>::new();
            let (mut evaluation, mut asked) = (Evaluation::new(), Asked::new(event, None));
            engine.facts(&mut evaluation, &mut asked, &[Field::ParentExecutable], &mut facts).unwrap();
            prop_assert_eq!(&matches(&engine, event, Some(facts.list())), &expected);
        }
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
