//! Fields and literals, and the tests that compare one with the other.

use peewit_core::field::{Field, Type};
use pest::iterators::Pair;

use super::grammar::Rule;
use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern, Test, Token};
use crate::syntax::span;

/// The numbers that compare so with one.
pub(super) fn range(operator: &str, number: i64) -> (i64, i64) {
    const NOTHING: (i64, i64) = (1, 0);
    match operator {
        "<=" => (i64::MIN, number),
        ">=" => (number, i64::MAX),
        "<" => number
            .checked_sub(1)
            .map_or(NOTHING, |high| (i64::MIN, high)),
        _ => number.checked_add(1).map_or(NOTHING, |low| (low, i64::MAX)),
    }
}

/// A value equal to a literal. What is not text in the rule and text in the event is compared as written.
pub(super) fn equal(field: Field, literal: &Pair<Rule>, fold: bool) -> Result<Test, Located> {
    if field.ty() == Type::Number {
        let number = match literal.as_str() {
            "true" => 1,
            "false" => 0,
            _ => whole_number(literal)?,
        };
        return Ok(Test::Range(number, number));
    }
    let text = match text_of(literal)? {
        Some(text) => text,
        None if literal.as_rule() == Rule::field => {
            return Err(Located::new(
                span(literal),
                "two fields can only be compared by startsWith(one, other)",
            ));
        }
        None => literal.as_str().to_owned(),
    };
    Ok(Test::Pattern(Pattern::new(
        text.bytes().map(Token::Byte),
        fold,
    )))
}

pub(super) fn whole_number(literal: &Pair<Rule>) -> Result<i64, Located> {
    let text = text_of(literal)?;
    text.as_deref()
        .unwrap_or(literal.as_str())
        .parse()
        .map_err(|_| Located::new(span(literal), "a whole number is needed here"))
}

pub(super) fn wildcard(byte: u8) -> Token {
    match byte {
        b'*' => Token::Run,
        b'?' => Token::One,
        byte => Token::Byte(byte),
    }
}

pub(super) fn is(field: Field, pattern: Pattern) -> Expr {
    Expr::Is(field, Test::Pattern(pattern))
}

pub(super) fn exists(field: Field) -> Expr {
    match field.ty() {
        Type::Number => Expr::Is(field, Test::Range(i64::MIN, i64::MAX)),
        _ => is(field, Pattern::exists()),
    }
}

/// What never holds.
pub(super) fn nothing() -> Expr {
    Expr::Is(Field::ProcessPid, Test::Range(1, 0))
}

/// A field; `None` for an unknown one that may be missing.
pub(super) fn field(pair: &Pair<Rule>) -> Result<Option<Field>, Located> {
    match pair.as_str().strip_prefix('?') {
        Some(name) => Ok(Field::from_name(name.trim_start())),
        None => known(pair).map(Some),
    }
}

/// A field that has to exist.
pub(super) fn known(pair: &Pair<Rule>) -> Result<Field, Located> {
    let name = pair.as_str().trim_start_matches('?');
    Field::from_name(name)
        .ok_or_else(|| Located::new(span(pair), format!("no such process field: {name}")))
}

pub(super) fn text_field(pair: &Pair<Rule>) -> Result<Field, Located> {
    if pair.as_rule() != Rule::field {
        return Err(Located::new(span(pair), "a field is needed here"));
    }
    let field = known(pair)?;
    if field.ty() == Type::Number {
        let message = format!("{} is a number, not text", field.name());
        return Err(Located::new(span(pair), message));
    }
    Ok(field)
}

/// The text of a string, `None` of anything else.
pub(super) fn text_of(pair: &Pair<Rule>) -> Result<Option<String>, Located> {
    let text = match pair.as_rule() {
        Rule::raw => return Ok(Some(pair.clone().into_inner().as_str().to_owned())),
        Rule::string => pair.clone().into_inner(),
        _ => return Ok(None),
    };
    let mut unescaped = String::new();
    let mut rest = text.as_str().chars();
    while let Some(c) = rest.next() {
        unescaped.push(match (c, c == '\\') {
            (c, false) => c,
            _ => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(c @ ('"' | '\\' | '\'')) => c,
                other => {
                    let escape = other.map_or(String::new(), |c| c.to_string());
                    let message = format!("no such escape in a string: \\{escape}");
                    return Err(Located::new(span(pair), message));
                }
            },
        });
    }
    Ok(Some(unescaped))
}
