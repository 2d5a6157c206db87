//! What the parsers of the query languages share.

use std::ops::Range;

use pest::RuleType;
use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::Pair;

use crate::diagnostic::Located;
use crate::expr::Expr;

/// Deepest nesting of parentheses: the parsers and the compiler descend into them.
pub const MAX_DEPTH: usize = 100;

/// A parser's error in a reader's words. `describe` gives those of a grammar's rule, `None` for one that explains nothing.
pub(crate) fn error<R: RuleType>(
    query: &str,
    error: Error<R>,
    describe: fn(R) -> Option<&'static str>,
) -> Located {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let end = query[at..]
        .char_indices()
        .nth(1)
        .map_or(query.len(), |(len, _)| at + len);
    let expected = match error.variant {
        ErrorVariant::ParsingError { positives, .. } => {
            let mut names: Vec<_> = positives.into_iter().filter_map(describe).collect();
            names.sort_unstable();
            names.dedup();
            names.join(" or ")
        }
        ErrorVariant::CustomError { message } => message,
    };
    let found = match &query[at..end] {
        "" => "the end of the query".to_owned(),
        found => format!("`{}`", found.escape_debug()),
    };
    match expected.as_str() {
        "" => Located::new(at..end, format!("unexpected {found}")),
        expected => Located::new(at..end, format!("unexpected {found}: expected {expected}")),
    }
}

/// Parentheses at this byte are nested too deep.
pub(crate) fn too_deep(at: usize) -> Located {
    Located::new(
        at..at + 1,
        format!("parentheses nested deeper than {MAX_DEPTH}"),
    )
}

/// Where a pair stands, without the space behind it.
pub(crate) fn span<R: RuleType>(pair: &Pair<R>) -> Range<usize> {
    let span = pair.as_span();
    span.start()..span.start() + span.as_str().trim_end_matches(is_space).len()
}

/// What separates words.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{a0}')
}

/// One child alone needs no node of its own.
pub(crate) fn join(mut children: Vec<Expr>, all: bool) -> Expr {
    match (children.len(), all) {
        (1, _) => children.remove(0),
        (_, true) => Expr::And(children),
        (_, false) => Expr::Or(children),
    }
}

/// The negation of a condition, so many times.
pub(crate) fn negate(expr: Expr, times: usize) -> Expr {
    if times.is_multiple_of(2) {
        expr
    } else {
        Expr::Not(Box::new(expr))
    }
}
