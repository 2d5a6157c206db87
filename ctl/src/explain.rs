//! Why a rule holds for an event, or does not: its condition as a tree, each predicate with the answer and with the
//! event's value.

use std::collections::BTreeSet;
use std::fmt::Write;

use peewit_compiler::assemble;
use peewit_compiler::expr::{Atom, Node, Pattern, Test, Token};
use peewit_compiler::rule::{Kind, Query, Rule};
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::field::{Field, Type};
use peewit_core::pack::{Kinds, Pack};

use crate::error::Error;
use crate::record::Record;

/// Most alternatives of a predicate that are printed.
const SHOWN: usize = 4;
/// Longest value that is printed whole.
const LONGEST: usize = 120;

/// The explanation, in lines.
pub fn explain(rule: &Rule, record: &Record) -> Result<String, Error> {
    let mut lines = String::new();
    for (number, query) in rule.queries.iter().enumerate() {
        if rule.queries.len() > 1 {
            let _ = writeln!(lines, "  stage {} of {}", number + 1, rule.queries.len());
        }
        let holding = holding(rule, query, record)?;
        let _ = write(&mut lines, &query.condition, &holding, record, 1);
    }
    Ok(lines)
}

/// The predicates that hold, asked of the engine itself: each is a rule of its own.
fn holding<'r>(
    rule: &Rule,
    query: &'r Query,
    record: &Record,
) -> Result<BTreeSet<&'r Atom>, Error> {
    let mut atoms = BTreeSet::new();
    query.condition.atoms(&mut |atom| {
        atoms.insert(atom);
    });
    let atoms: Vec<&Atom> = atoms.into_iter().collect();
    let alone = |atom: &&Atom| Rule {
        kind: Kind::Query,
        queries: vec![Query {
            condition: Node::Atom {
                atom: (*atom).clone(),
                negated: false,
            },
            keys: Vec::new(),
        }],
        ..rule.clone()
    };
    let rules: Vec<Rule> = atoms.iter().map(alone).collect();
    let bytes = assemble(&rules, 0).map_err(Error::new)?;
    let pack = Pack::parse(&bytes).map_err(Error::new)?;
    let engine = Engine::new(pack, Limits::Upstream);
    let mut holding = BTreeSet::new();
    engine.evaluate(
        &mut Evaluation::new(),
        &mut record.view(),
        Kinds::ANY,
        |number| {
            holding.extend(atoms.get(usize::from(number)).copied());
        },
    );
    Ok(holding)
}

/// Writes a part of a condition, and gives whether it holds.
fn write(
    lines: &mut String,
    node: &Node,
    holding: &BTreeSet<&Atom>,
    record: &Record,
    depth: usize,
) -> bool {
    let indent = "  ".repeat(depth + 1);
    match node {
        Node::And(children) | Node::Or(children) => {
            let all = matches!(node, Node::And(_));
            let mut inner = String::new();
            let answers: Vec<bool> = children
                .iter()
                .map(|child| write(&mut inner, child, holding, record, depth + 1))
                .collect();
            let holds = match all {
                true => answers.iter().all(|&holds| holds),
                false => answers.iter().any(|&holds| holds),
            };
            let what = if all { "all of" } else { "one of" };
            let _ = write!(lines, "{indent}{:3} {what}\n{inner}", yes(holds));
            holds
        }
        Node::Atom { atom, negated } => {
            let holds = holding.contains(atom) != *negated;
            let not = if *negated { "not " } else { "" };
            let _ = writeln!(
                lines,
                "{indent}{:3} {not}{} {}; it is {}",
                yes(holds),
                atom.field.name(),
                describe(atom),
                value(record, atom.field),
            );
            holds
        }
    }
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}

fn value(record: &Record, field: Field) -> String {
    let texts: Vec<String> = match (field.ty(), record.number(field)) {
        (Type::Number, Some(number)) => vec![number.to_string()],
        _ => record
            .strings(field)
            .into_iter()
            .map(|text| quoted(&String::from_utf8_lossy(text)))
            .collect(),
    };
    match texts.as_slice() {
        [] => "missing".to_owned(),
        texts => shortened(&texts.join(", ")),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

fn describe(atom: &Atom) -> String {
    let mut texts: Vec<String> = atom.tests.iter().take(SHOWN).map(test).collect();
    match atom.tests.len().saturating_sub(SHOWN) {
        0 => {}
        more => texts.push(format!("{more} more")),
    }
    shortened(&texts.join(" or "))
}

/// A test in words.
pub fn test(test: &Test) -> String {
    match test {
        Test::Pattern(pattern) if *pattern == Pattern::exists() => "exists".to_owned(),
        Test::Pattern(pattern) => {
            let literal = pattern
                .tokens
                .iter()
                .all(|token| matches!(token, Token::Byte(_)));
            let text: Vec<u8> = pattern
                .tokens
                .iter()
                .map(|token| match token {
                    Token::Run => b'*',
                    Token::One => b'?',
                    Token::Byte(byte) => *byte,
                })
                .collect();
            format!(
                "{} {}{}",
                if literal { "is" } else { "is like" },
                quoted(&String::from_utf8_lossy(&text)),
                if pattern.fold { " in any case" } else { "" }
            )
        }
        Test::Range(low, high) if low == high => format!("is {low}"),
        Test::Range(i64::MIN, i64::MAX) => "exists".to_owned(),
        Test::Range(i64::MIN, high) => format!("is at most {high}"),
        Test::Range(low, i64::MAX) => format!("is at least {low}"),
        Test::Range(low, high) => format!("is from {low} to {high}"),
        Test::Length(low, high) => format!("has {}", lengths(*low, *high)),
        Test::Regex(regex) => format!("matches {regex}"),
        Test::BeginsWith(field) => format!("begins with {}", field.name()),
    }
}

fn lengths(low: i64, high: i64) -> String {
    match (low, high) {
        (i64::MIN, high) => format!("at most {high} characters"),
        (low, i64::MAX) => format!("at least {low} characters"),
        (low, high) => format!("from {low} to {high} characters"),
    }
}
