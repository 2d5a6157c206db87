//! The Event Query Language (`language = "eql"`): single events and sequences.
//!
//! What it means is taken from Elasticsearch's documentation and its translation to queries: `docs/rules.md` has
//! it in full. A `==` and a `not` on a missing field are as in KQL, but what a function gives for a missing
//! field is neither true nor false.

use peewit_core::field::{Field, Type};
use peewit_core::pack::MAX_TERM_FIELDS;
use pest::Parser as _;
use pest::iterators::Pair;

use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern, Test, Token};
use crate::lucene;
use crate::syntax::{self, MAX_DEPTH, join, negate, span, too_deep};

use grammar::{Grammar, Rule};

mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "eql.pest"]
    pub(super) struct Grammar;
}

/// Most stages of a sequence.
pub const MAX_STAGES: usize = 64;

/// What a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Events that each match by themselves.
    Event(Expr),
    /// Events that follow one another.
    Sequence {
        /// The stages; one `with runs=N` stands here N times.
        stages: Vec<Stage>,
        /// `maxspan` in milliseconds.
        span_ms: Option<u64>,
    },
}

/// A stage of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it matches.
    pub expr: Expr,
    /// The fields in which all stages agree, place by place.
    pub keys: Vec<Field>,
}

/// Parses a query. Spans of errors are byte offsets within it.
///
/// # Errors
/// Bad syntax, pipes, an unknown function, an unknown field (but one with a `?` in front is simply missing), a test
/// that does not fit its field, parentheses nested too deep, a sequence whose stages do not fit together.
pub fn parse(query: &str) -> Result<Query, Located> {
    check_depth(query)?;
    let mut pairs = Grammar::parse(Rule::query, query)
        .map_err(|error| syntax::error(query, error, describe))?;
    let first = pairs.next();
    if let Some(pipe) = pairs.find(|pair| pair.as_rule() == Rule::pipe) {
        return Err(Located::new(span(&pipe), "pipes are not supported"));
    }
    match first {
        Some(pair) if pair.as_rule() == Rule::event => event(pair).map(Query::Event),
        Some(pair) => sequence(pair),
        None => Err(Located::new(0..query.len(), "an empty query")),
    }
}

/// Before the parser descends. In strings and comments a parenthesis is a character like others.
fn check_depth(query: &str) -> Result<(), Located> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(rest) = query.get(at..).filter(|rest| !rest.is_empty()) {
        let skip = |end: Option<usize>, len: usize| end.map_or(rest.len(), |end| end + len);
        at += if let Some(raw) = rest.strip_prefix("\"\"\"") {
            skip(raw.find("\"\"\""), 3) + if raw.contains("\"\"\"") { 3 } else { 0 }
        } else if let Some(string) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = string.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("//") {
            skip(rest.find('\n'), 1)
        } else if rest.starts_with("/*") {
            skip(rest.find("*/"), 2)
        } else {
            match rest.as_bytes()[0] {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err(too_deep(at));
            }
            rest.chars().next().map_or(1, char::len_utf8)
        };
    }
    Ok(())
}

/// A rule of the grammar in a reader's words; `None` for what explains nothing.
fn describe(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::category => "`any where`, `process where`",
        Rule::sequence => "`sequence`",
        Rule::compare_op | Rule::match_op | Rule::in_list => "an operator",
        Rule::string | Rule::raw | Rule::number | Rule::constant => "a value",
        Rule::field | Rule::path => "a field",
        Rule::any_of | Rule::all_of | Rule::operand | Rule::test => "a condition",
        Rule::stage => "a stage in brackets",
        Rule::duration => "a time, like 5m",
        Rule::EOI => "`and`, `or` or the end of the query",
        _ => return None,
    })
}

/// What a rule of the grammar consists of, but for its keywords.
fn parts(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(|part| {
        !matches!(
            part.as_rule(),
            Rule::kw_and
                | Rule::kw_or
                | Rule::kw_where
                | Rule::kw_by
                | Rule::kw_with
                | Rule::kw_until
                | Rule::kw_sequence
        )
    })
}

fn event(pair: Pair<Rule>) -> Result<Expr, Located> {
    let mut inner = parts(pair);
    let (Some(category), Some(condition)) = (inner.next(), inner.next()) else {
        unreachable!("the grammar gives both")
    };
    let condition = any_of(condition, false)?;
    match category.as_str() {
        "any" => Ok(condition),
        "process" => Ok(Expr::And(vec![
            is(Field::EventCategory, Pattern::exact("process")),
            condition,
        ])),
        other => Err(Located::new(
            span(&category),
            format!("no events of the category `{other}`: `process` and `any` are there"),
        )),
    }
}

fn sequence(pair: Pair<Rule>) -> Result<Query, Located> {
    let whole = span(&pair);
    let (mut common, mut span_ms, mut stages) = (Vec::new(), None, Vec::<Stage>::new());
    for inner in parts(pair) {
        let at = span(&inner);
        match inner.as_rule() {
            Rule::by => common = keys(inner)?,
            Rule::maxspan => span_ms = Some(maxspan(inner)?),
            Rule::stage => {
                let (stage, runs) = stage(inner, &common)?;
                if let Some(first) = stages.first()
                    && first.keys.len() != stage.keys.len()
                {
                    let message = format!(
                        "the first stage has {} keys, this one {}",
                        first.keys.len(),
                        stage.keys.len()
                    );
                    return Err(Located::new(at, message));
                }
                if stage.keys.len() > MAX_TERM_FIELDS {
                    let message = format!("a stage has at most {MAX_TERM_FIELDS} keys");
                    return Err(Located::new(at, message));
                }
                if stages.len() + runs > MAX_STAGES {
                    let message = format!("a sequence has at most {MAX_STAGES} stages");
                    return Err(Located::new(at, message));
                }
                stages.extend(std::iter::repeat_n(stage, runs));
            }
            _ => return Err(Located::new(at, "`until` is not supported")),
        }
    }
    if stages.len() < 2 {
        return Err(Located::new(whole, "a sequence has two stages or more"));
    }
    Ok(Query::Sequence { stages, span_ms })
}

fn stage(pair: Pair<Rule>, common: &[Field]) -> Result<(Stage, usize), Located> {
    let (mut expr, mut own, mut times) = (None, Vec::new(), 1);
    for inner in parts(pair) {
        match inner.as_rule() {
            Rule::event => expr = Some(event(inner)?),
            Rule::by => own = keys(inner)?,
            _ => times = runs(inner)?,
        }
    }
    let Some(expr) = expr else {
        unreachable!("the grammar gives an event")
    };
    let keys = common.iter().copied().chain(own).collect();
    Ok((Stage { expr, keys }, times))
}

fn keys(pair: Pair<Rule>) -> Result<Vec<Field>, Located> {
    parts(pair).map(|pair| known(&pair)).collect()
}

fn runs(pair: Pair<Rule>) -> Result<usize, Located> {
    let at = span(&pair);
    parts(pair)
        .next()
        .and_then(|number| number.as_str().parse().ok())
        .filter(|runs| (1..=MAX_STAGES).contains(runs))
        .ok_or_else(|| Located::new(at, format!("runs is a number from 1 to {MAX_STAGES}")))
}

fn maxspan(pair: Pair<Rule>) -> Result<u64, Located> {
    let at = span(&pair);
    let time = parts(pair).next().and_then(|duration| {
        let text = duration.as_str();
        let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
        let scale = match &text[unit..] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        text[..unit].parse::<u64>().ok()?.checked_mul(scale)
    });
    time.ok_or_else(|| Located::new(at, "maxspan is a number and a unit (ms, s, m, h, d)"))
}

/// A condition or, if it is `negated`, its negation: which is that of its tests, as what a test over a function gives
/// for a missing field does not turn round.
fn any_of(pair: Pair<Rule>, negated: bool) -> Result<Expr, Located> {
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

/// The numbers that compare so with one.
fn range(operator: &str, number: i64) -> (i64, i64) {
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
fn equal(field: Field, literal: &Pair<Rule>, fold: bool) -> Result<Test, Located> {
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

fn whole_number(literal: &Pair<Rule>) -> Result<i64, Located> {
    let text = text_of(literal)?;
    text.as_deref()
        .unwrap_or(literal.as_str())
        .parse()
        .map_err(|_| Located::new(span(literal), "a whole number is needed here"))
}

fn wildcard(byte: u8) -> Token {
    match byte {
        b'*' => Token::Run,
        b'?' => Token::One,
        byte => Token::Byte(byte),
    }
}

fn is(field: Field, pattern: Pattern) -> Expr {
    Expr::Is(field, Test::Pattern(pattern))
}

fn exists(field: Field) -> Expr {
    match field.ty() {
        Type::Number => Expr::Is(field, Test::Range(i64::MIN, i64::MAX)),
        _ => is(field, Pattern::exists()),
    }
}

/// What never holds.
fn nothing() -> Expr {
    Expr::Is(Field::ProcessPid, Test::Range(1, 0))
}

/// A field; `None` for an unknown one that may be missing.
fn field(pair: &Pair<Rule>) -> Result<Option<Field>, Located> {
    match pair.as_str().strip_prefix('?') {
        Some(name) => Ok(Field::from_name(name.trim_start())),
        None => known(pair).map(Some),
    }
}

/// A field that has to exist.
fn known(pair: &Pair<Rule>) -> Result<Field, Located> {
    let name = pair.as_str().trim_start_matches('?');
    Field::from_name(name)
        .ok_or_else(|| Located::new(span(pair), format!("no such process field: {name}")))
}

fn text_field(pair: &Pair<Rule>) -> Result<Field, Located> {
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
fn text_of(pair: &Pair<Rule>) -> Result<Option<String>, Located> {
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
