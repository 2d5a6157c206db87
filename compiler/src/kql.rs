//! The Kibana Query Language (`language = "kuery"`).
//!
//! What it means is taken from Kibana's parser (`kbn-es-query`) and Elasticsearch's query
//! shards: `docs/rules.md` has it in full.

use peewit_core::field::{Field, Type};
use pest::Parser as _;
use pest::iterators::Pair;

use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern, Test, Token};
use crate::syntax::{self, MAX_DEPTH, is_space, join, negate, span, too_deep};

use grammar::{Grammar, Rule};

mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "kql.pest"]
    pub(super) struct Grammar;
}

/// Parses a query. Spans of errors are byte offsets within it.
///
/// # Errors
/// Bad syntax, an unknown field, a test that does not fit its field, parentheses nested
/// too deep.
pub fn parse(query: &str) -> Result<Expr, Located> {
    check_depth(query)?;
    let mut pairs = Grammar::parse(Rule::query, query)
        .map_err(|error| syntax::error(query, error, describe))?;
    match pairs.next() {
        Some(pair) if pair.as_rule() == Rule::any_of => any_of(pair),
        _ => Err(Located::new(0..query.len(), "an empty query")),
    }
}

fn check_depth(query: &str) -> Result<(), Located> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in query.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
    }
    Ok(())
}

/// A rule of the grammar in a reader's words; `None` for what explains nothing.
fn describe(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::comparison => "`:`, `<` or `>`",
        Rule::quoted | Rule::bare => "a field or a value",
        Rule::any_of
        | Rule::all_of
        | Rule::operand
        | Rule::range
        | Rule::clause
        | Rule::fieldless => "a clause",
        Rule::values_any | Rule::values_all | Rule::value => "a value",
        Rule::EOI => "`and`, `or` or the end of the query",
        _ => return None,
    })
}

/// Splits the `not`s from what they stand in front of.
fn negations(pair: Pair<'_, Rule>) -> (usize, impl Iterator<Item = Pair<'_, Rule>>) {
    let count = pair
        .clone()
        .into_inner()
        .take_while(|inner| inner.as_rule() == Rule::not)
        .count();
    (count, pair.into_inner().skip(count))
}

fn any_of(pair: Pair<Rule>) -> Result<Expr, Located> {
    let all_of = |pair: Pair<Rule>| {
        Ok(join(
            pair.into_inner().map(operand).collect::<Result<_, _>>()?,
            true,
        ))
    };
    Ok(join(
        pair.into_inner().map(all_of).collect::<Result<_, _>>()?,
        false,
    ))
}

fn operand(pair: Pair<Rule>) -> Result<Expr, Located> {
    let whole = span(&pair);
    let (negated, mut inner) = negations(pair);
    let Some(inner) = inner.next() else {
        return Err(Located::new(whole, "nothing after `not`"));
    };
    let expr = match inner.as_rule() {
        Rule::any_of => any_of(inner)?,
        Rule::clause => clause(inner)?,
        Rule::range => range(inner)?,
        Rule::nested => {
            return Err(Located::new(
                span(&inner),
                "nested fields: process events have none",
            ));
        }
        _ => {
            return Err(Located::new(
                span(&inner),
                "a value without a field: write `field:value`",
            ));
        }
    };
    Ok(negate(expr, negated))
}

fn clause(pair: Pair<Rule>) -> Result<Expr, Located> {
    let mut inner = pair.into_inner();
    let (Some(name), Some(value)) = (inner.next(), inner.next()) else {
        unreachable!("the grammar gives both")
    };
    values(value, field(&name)?)
}

fn values(pair: Pair<Rule>, field: Field) -> Result<Expr, Located> {
    match pair.as_rule() {
        Rule::values_any => Ok(join(
            pair.into_inner()
                .map(|pair| values(pair, field))
                .collect::<Result<_, _>>()?,
            false,
        )),
        Rule::values_all => Ok(join(
            pair.into_inner()
                .map(|pair| values(pair, field))
                .collect::<Result<_, _>>()?,
            true,
        )),
        Rule::value => {
            let whole = span(&pair);
            let (negated, mut inner) = negations(pair);
            match inner.next() {
                Some(inner) => Ok(negate(values(inner, field)?, negated)),
                None => Err(Located::new(whole, "nothing after `not`")),
            }
        }
        _ => Ok(Expr::Is(field, test(&pair, field)?)),
    }
}

fn field(pair: &Pair<Rule>) -> Result<Field, Located> {
    let name = literal(pair);
    Field::from_name(&name)
        .ok_or_else(|| Located::new(span(pair), format!("no such process field: {name}")))
}

fn test(pair: &Pair<Rule>, field: Field) -> Result<Test, Located> {
    let pattern = Pattern::new(tokens(pair), false);
    if field.ty() != Type::Number {
        return Ok(Test::Pattern(pattern));
    }
    if pattern == Pattern::exists() {
        return Ok(Test::Range(i64::MIN, i64::MAX));
    }
    let number = number(pair, field)?;
    Ok(Test::Range(number, number))
}

fn range(pair: Pair<Rule>) -> Result<Expr, Located> {
    let whole = span(&pair);
    let mut inner = pair.into_inner();
    let (Some(name), Some(operator), Some(value)) = (inner.next(), inner.next(), inner.next())
    else {
        unreachable!("the grammar gives all three")
    };
    let field = field(&name)?;
    if field.ty() != Type::Number {
        return Err(Located::new(
            whole,
            format!("{} is text: it has no range", field.name()),
        ));
    }
    let number = number(&value, field)?;
    let nothing = Test::Range(1, 0);
    let test = match operator.as_str() {
        "<=" => Test::Range(i64::MIN, number),
        ">=" => Test::Range(number, i64::MAX),
        "<" => number
            .checked_sub(1)
            .map_or(nothing, |number| Test::Range(i64::MIN, number)),
        _ => number
            .checked_add(1)
            .map_or(nothing, |number| Test::Range(number, i64::MAX)),
    };
    Ok(Expr::Is(field, test))
}

fn number(pair: &Pair<Rule>, field: Field) -> Result<i64, Located> {
    match literal(pair).as_str() {
        "true" => Ok(1),
        "false" => Ok(0),
        text => text.parse().map_err(|_| {
            Located::new(
                span(pair),
                format!("{} takes whole numbers, not `{text}`", field.name()),
            )
        }),
    }
}

/// The text of a quoted or bare value, wildcards as they are written.
fn literal(pair: &Pair<Rule>) -> String {
    let bytes = tokens(pair).into_iter().map(|token| match token {
        Token::Byte(byte) => byte,
        Token::Run | Token::One => b'*',
    });
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

fn tokens(pair: &Pair<Rule>) -> Vec<Token> {
    let quoted = pair.as_rule() == Rule::quoted;
    let text = match pair.as_rule() {
        Rule::quoted => pair.clone().into_inner().as_str(),
        _ => pair.as_str().trim_matches(is_space),
    };
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let literal = match c {
            '*' if !quoted => {
                tokens.push(Token::Run);
                continue;
            }
            '\\' => {
                let after = rest.as_str();
                match rest.next() {
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('n') => '\n',
                    Some('u') if let Some(c) = unicode_escape(after) => {
                        rest = after[5..].chars();
                        c
                    }
                    // In quotes only a quote and a backslash are escaped.
                    Some(c) if !quoted || matches!(c, '"' | '\\') => c,
                    _ => {
                        rest = after.chars();
                        '\\'
                    }
                }
            }
            c => c,
        };
        tokens.extend(literal.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte));
    }
    tokens
}

/// The character of an escape `uXXXX`, if the text begins with one.
fn unicode_escape(text: &str) -> Option<char> {
    let digits = text.get(1..5)?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then_some(())?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}
