//! The Event Query Language (`language = "eql"`): single events and sequences.
//!
//! What it means is taken from Elasticsearch's documentation and its translation to queries: `docs/rules.md` has
//! it in full. A `==` and a `not` on a missing field are as in KQL, but what a function gives for a missing
//! field is neither true nor false.

use peewit_core::field::Field;
use peewit_core::pack::MAX_TERM_FIELDS;
use pest::Parser as _;
use pest::iterators::Pair;

use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern};
use crate::syntax::{self, MAX_DEPTH, span, too_deep};

use condition::any_of;
use grammar::{Grammar, Rule};
use literal::{is, known};

mod condition;
mod literal;
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
