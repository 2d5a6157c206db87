//! What an event is to be: conditions, the tests in them, functions.

use peewit_core::field::{Field, Type};
use pest::iterators::Pair;

use super::grammar::Rule;
use super::literal::{
    equal, exists, field, is, known, nothing, range, text_field, text_of, whole_number, wildcard,
};
use super::parts;
use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern, Test, Token};
use crate::lucene;
use crate::syntax::{join, negate, span};

/// A condition or, if it is `negated`, its negation: which is that of its tests, as what a test over a function gives
/// for a missing field does not turn round.
pub(super) fn any_of(pair: Pair<Rule>, negated: bool) -> Result<Expr, Located> {
    let all_of = |pair: Pair<Rule>| {
        let operands = parts(pair).map(|pair| operand(pair, negated));
        Ok(join(operands.collect::<Result<_, _>>()?, !negated))
    };
    let alternatives = parts(pair).map(all_of);
    Ok(join(alternatives.collect::<Result<_, _>>()?, negated))
}

fn operand(pair: Pair<Rule>, mut negated: bool) -> Result<Expr, Located> {
    for inner in pair.into_inner() {
        match inner.as_rule() {
            Rule::kw_not => negated = !negated,
            Rule::any_of => return any_of(inner, negated),
            _ => return test(inner, negated),
        }
    }
    unreachable!("the grammar gives one of both")
}

/// A test, or its negation.
fn test(pair: Pair<Rule>, mut negated: bool) -> Result<Expr, Located> {
    let whole = span(&pair);
    let mut inner = pair.into_inner();
    let Some(left) = inner.next() else {
        unreachable!("the grammar gives a value")
    };
    let right = inner.next();
    let expr = match (left.as_rule(), right) {
        (Rule::function, right) => {
            // Of a field that is missing a function says nothing, and its negation neither.
            return Ok(match (function(left, right)?, negated) {
                (Some((of, expr)), true) => Expr::And(vec![exists(of), Expr::Not(Box::new(expr))]),
                (Some((_, expr)), false) => expr,
                (None, _) => nothing(),
            });
        }
        (Rule::field, right) if field(&left)?.is_none() => {
            if let Some(right) = right {
                negated ^= holds_if_missing(right);
            }
            nothing()
        }
        (Rule::field, None) => {
            let field = known(&left)?;
            if field.ty() != Type::Number {
                return Err(Located::new(whole, "a condition needs an operator"));
            }
            Expr::Is(field, Test::Range(1, 1))
        }
        (Rule::field, Some(right)) => match right.as_rule() {
            Rule::listed => {
                let (expr, not) = listed(known(&left)?, right)?;
                negated ^= not;
                expr
            }
            Rule::matched => matched(known(&left)?, right)?,
            _ => {
                let (expr, not) = compared(known(&left)?, right)?;
                negated ^= not;
                expr
            }
        },
        _ => {
            return Err(Located::new(
                span(&left),
                "a field or a function stands on the left, a value on the right",
            ));
        }
    };
    Ok(negate(expr, usize::from(negated)))
}

/// Whether a test holds of a field that is missing: `not in`, `!=`, `== null`.
fn holds_if_missing(right: Pair<Rule>) -> bool {
    match right.as_rule() {
        Rule::listed => right
            .into_inner()
            .any(|inner| inner.as_rule() == Rule::negated),
        Rule::compared => {
            let (operator, value) = operator_and_value(right);
            (operator.as_str() == "!=") != (value.as_str() == "null")
                && matches!(operator.as_str(), "==" | "!=")
        }
        _ => false,
    }
}

/// `FIELD in (...)`, and whether it is negated.
fn listed(field: Field, pair: Pair<Rule>) -> Result<(Expr, bool), Located> {
    let (mut tests, mut fold, mut negated) = (Vec::new(), false, false);
    for inner in pair.into_inner() {
        match inner.as_rule() {
            Rule::negated => negated = true,
            Rule::in_list => fold = inner.as_str() == "in~",
            _ => tests.push(Expr::Is(field, equal(field, &inner, fold)?)),
        }
    }
    Ok((join(tests, false), negated))
}

/// `FIELD : ...`, `like`, `regex`.
fn matched(field: Field, pair: Pair<Rule>) -> Result<Expr, Located> {
    let mut inner = pair.into_inner();
    let Some(operator) = inner.next() else {
        unreachable!("the grammar gives an operator")
    };
    let fold = operator.as_str() == ":" || operator.as_str().ends_with('~');
    let regex = operator.as_str().starts_with("regex");
    let tests = inner.map(|literal| {
        let at = span(&literal);
        if field.ty() == Type::Number {
            return if operator.as_str() == ":" {
                equal(field, &literal, false)
            } else {
                let name = field.name();
                Err(Located::new(
                    at,
                    format!("{name} is a number: it is like nothing"),
                ))
            };
        }
        let Some(text) = text_of(&literal)? else {
            return Err(Located::new(at, "a string is needed here"));
        };
        if regex {
            lucene::parse(&text, fold)
                .map(Test::Regex)
                .map_err(|message| Located::new(at, message))
        } else {
            Ok(Test::glob(text.bytes().map(wildcard), fold))
        }
    });
    let tests = tests.map(|test| test.map(|test| Expr::Is(field, test)));
    Ok(join(tests.collect::<Result<_, _>>()?, false))
}

/// `FIELD == ...` and the other comparisons, and whether it is negated.
fn compared(field: Field, pair: Pair<Rule>) -> Result<(Expr, bool), Located> {
    let (operator, value) = operator_and_value(pair);
    let at = span(&value);
    if value.as_str() == "null" {
        return match operator.as_str() {
            "==" => Ok((exists(field), true)),
            "!=" => Ok((exists(field), false)),
            _ => Err(Located::new(at, "`null` is neither less nor greater")),
        };
    }
    match operator.as_str() {
        "==" => Ok((Expr::Is(field, equal(field, &value, false)?), false)),
        "!=" => Ok((Expr::Is(field, equal(field, &value, false)?), true)),
        _ if field.ty() != Type::Number => Err(Located::new(
            span(&operator),
            format!("{} is text: it has no range", field.name()),
        )),
        operator => {
            let (low, high) = range(operator, whole_number(&value)?);
            Ok((Expr::Is(field, Test::Range(low, high)), false))
        }
    }
}

fn operator_and_value(pair: Pair<Rule>) -> (Pair<Rule>, Pair<Rule>) {
    let mut inner = pair.into_inner();
    match (inner.next(), inner.next()) {
        (Some(operator), Some(value)) => (operator, value),
        _ => unreachable!("the grammar gives both"),
    }
}

/// The field that a function is about, and the condition; `None` if a field is always missing.
fn function(pair: Pair<Rule>, right: Option<Pair<Rule>>) -> Result<Option<(Field, Expr)>, Located> {
    let whole = span(&pair);
    let (mut name, mut fold, mut arguments) = (String::new(), false, Vec::new());
    for inner in pair.into_inner() {
        match inner.as_rule() {
            Rule::name => name = inner.as_str().to_owned(),
            Rule::fold => fold = true,
            _ => arguments.push(inner),
        }
    }
    for argument in &arguments {
        if argument.as_rule() == Rule::field && field(argument)?.is_none() {
            return Ok(None);
        }
    }
    let found = match (name.as_str(), arguments.as_slice(), right) {
        ("length", [argument], Some(right)) if right.as_rule() == Rule::compared => {
            let field = text_field(argument)?;
            let (operator, value) = operator_and_value(right);
            let number = whole_number(&value)?;
            let length = |low, high| Expr::Is(field, Test::Length(low, high));
            (
                field,
                match operator.as_str() {
                    "==" => length(number, number),
                    "!=" => Expr::And(vec![
                        exists(field),
                        Expr::Not(Box::new(length(number, number))),
                    ]),
                    operator => {
                        let (low, high) = range(operator, number);
                        length(low, high)
                    }
                },
            )
        }
        ("startsWith" | "endsWith" | "stringContains", [argument, part], None) => {
            let field = text_field(argument)?;
            if part.as_rule() == Rule::field && name == "startsWith" && !fold {
                let test = Test::BeginsWith(text_field(part)?);
                return Ok(Some((field, Expr::Is(field, test))));
            }
            let Some(text) = text_of(part)? else {
                return Err(Located::new(span(part), "a string is needed here"));
            };
            let run = |there| [Token::Run].into_iter().filter(move |_| there);
            let tokens = run(name != "startsWith")
                .chain(text.bytes().map(Token::Byte))
                .chain(run(name != "endsWith"));
            (field, is(field, Pattern::new(tokens, fold)))
        }
        ("length" | "startsWith" | "endsWith" | "stringContains", ..) => {
            return Err(Located::new(
                whole,
                "write length(field) > 9, startsWith(field, \"text\"), endsWith or stringContains",
            ));
        }
        _ => {
            let message = format!("the function `{name}` is not supported");
            return Err(Located::new(whole, message));
        }
    };
    Ok(Some(found))
}
