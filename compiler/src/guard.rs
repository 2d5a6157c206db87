//! What a value must hold for a regular expression to match it: literals, which the automata of a field find in passing.
//! The expression itself is then walked only where they were found.

use peewit_core::glob::Token;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::expr::Pattern;

/// The patterns one of which every value matches that the expression matches; `None` if there are none, or none that
/// rules out much.
pub fn guard(pattern: &str) -> Option<Vec<Pattern>> {
    Some(required(&parse(pattern)?, true)?.1)
}

/// The expression as one pattern, if it is nothing more than that.
pub fn as_pattern(pattern: &str) -> Option<Pattern> {
    let mut units = Vec::new();
    flatten(&parse(pattern)?, &mut units);
    let fold = units.iter().any(|unit| matches!(unit, Unit::Letter(_)));
    let tokens = units.iter().map(|unit| match *unit {
        Unit::Byte(byte) if fold && byte.is_ascii_alphabetic() => None,
        Unit::Byte(byte) | Unit::Letter(byte) => Some(Token::Byte(byte)),
        Unit::One => Some(Token::One),
        Unit::Run => Some(Token::Run),
        Unit::Other => None,
    });
    Some(Pattern::new(tokens.collect::<Option<Vec<_>>>()?, fold))
}

fn parse(pattern: &str) -> Option<Hir> {
    let mut parser = ParserBuilder::new().utf8(false).build();
    parser.parse(pattern).ok()
}

/// One element of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// This byte.
    Byte(u8),
    /// This letter, in either case.
    Letter(u8),
    /// Any byte.
    One,
    /// Any bytes.
    Run,
    /// Something else, of any length.
    Other,
}

/// Appends the elements of an expression.
fn flatten(hir: &Hir, units: &mut Vec<Unit>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => units.extend(literal.0.iter().map(|&byte| Unit::Byte(byte))),
        HirKind::Class(class) => units.push(one_of(class)),
        HirKind::Capture(capture) => flatten(&capture.sub, units),
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, units)),
        HirKind::Repetition(repetition) => {
            let mut inner = Vec::new();
            flatten(&repetition.sub, &mut inner);
            let any = inner == [Unit::One];
            match (repetition.min, repetition.max) {
                (min, None) if any && min <= 16 => {
                    units.extend((0..min).map(|_| Unit::One));
                    units.push(Unit::Run);
                }
                (min, Some(max)) if min == max && min <= 16 => {
                    (0..min).for_each(|_| units.extend(&inner));
                }
                (0, _) => units.push(Unit::Other),
                _ => {
                    units.push(Unit::Other);
                    units.extend(inner);
                    units.push(Unit::Other);
                }
            }
        }
        HirKind::Look(_) | HirKind::Alternation(_) => units.push(Unit::Other),
    }
}

fn one_of(class: &Class) -> Unit {
    if let Class::Bytes(bytes) = class
        && let [all] = bytes.ranges()
        && (all.start(), all.end()) == (0, 0xFF)
    {
        return Unit::One;
    }
    let ranges: Vec<(u32, u32)> = match class {
        Class::Bytes(bytes) => bytes
            .iter()
            .map(|range| (range.start().into(), range.end().into()))
            .collect(),
        Class::Unicode(chars) => chars
            .iter()
            .map(|range| (range.start().into(), range.end().into()))
            .collect(),
    };
    let letter = |(start, end): (u32, u32)| {
        let byte = u8::try_from(start).ok()?;
        (start == end && byte.is_ascii()).then_some(byte)
    };
    match ranges.as_slice() {
        [one] => letter(*one).map_or(Unit::Other, Unit::Byte),
        [upper, lower] => match (letter(*upper), letter(*lower)) {
            (Some(upper), Some(lower))
                if upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == lower =>
            {
                Unit::Letter(lower)
            }
            _ => Unit::Other,
        },
        _ => Unit::Other,
    }
}

/// The best patterns, and how long the shortest of their literals is.
fn required(hir: &Hir, whole: bool) -> Option<(usize, Vec<Pattern>)> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub, whole),
        HirKind::Alternation(parts) => {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| required(part, whole))
                .collect::<Option<_>>()?;
            let shortest = parts.iter().map(|(length, _)| *length).min()?;
            Some((
                shortest,
                parts
                    .into_iter()
                    .flat_map(|(_, patterns)| patterns)
                    .collect(),
            ))
        }
        kind => {
            let mut units = Vec::new();
            flatten(hir, &mut units);
            let alternatives = match kind {
                HirKind::Concat(parts) => parts.as_slice(),
                _ => &[],
            };
            alternatives
                .iter()
                .filter(|part| matches!(part.kind(), HirKind::Alternation(_) | HirKind::Capture(_)))
                .filter_map(|part| required(part, false))
                .chain(longest_literal(&units, whole))
                .max_by_key(|(length, _)| *length)
        }
    }
}

/// The longest run of bytes among the elements.
fn longest_literal(units: &[Unit], whole: bool) -> Option<(usize, Vec<Pattern>)> {
    let is_literal = |unit: &Unit| matches!(unit, Unit::Byte(_) | Unit::Letter(_));
    let mut best: Option<(usize, usize)> = None;
    let mut at = 0;
    for run in units.chunk_by(|one, other| is_literal(one) && is_literal(other)) {
        if run.first().is_some_and(is_literal) && best.is_none_or(|(_, length)| run.len() > length)
        {
            best = Some((at, run.len()));
        }
        at += run.len();
    }
    let (start, length) = best?;
    let literal = units.get(start..start + length)?;
    let fold = literal.iter().any(|unit| matches!(unit, Unit::Letter(_)));
    let mut tokens = Vec::new();
    if !(whole && start == 0) {
        tokens.push(Token::Run);
    }
    tokens.extend(literal.iter().filter_map(|unit| match unit {
        Unit::Byte(byte) | Unit::Letter(byte) => Some(Token::Byte(*byte)),
        _ => None,
    }));
    if !(whole && start + length == units.len()) {
        tokens.push(Token::Run);
    }
    Some((length, vec![Pattern::new(tokens, fold)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pattern: &Pattern) -> String {
        let text = pattern.tokens.iter().map(|token| match token {
            Token::Run => '*',
            Token::One => '?',
            Token::Byte(byte) => char::from(*byte),
        });
        let mut text: String = text.collect();
        if pattern.fold {
            text.push_str(" ~");
        }
        text
    }

    #[test]
    fn guards_are_the_longest_literals() {
        for (pattern, expected) in [
            (r"/var/run/\w+\.(pid|lock)", Some("/var/run/*")),
            (r"(?s-u).*\s-O\s.*", Some("*-O*")),
            (r"(?i-u)php?[0-9]?", Some("ph* ~")),
            (r"(?s-u).*https://[0-9]{1,3}\.x", Some("*https://*")),
            (r"[24][0-9]{3}", None),
            (r"[a-z]*(?:one|two)\.", Some("*one*, *two*")),
            (r"one|two", Some("one, two")),
            (r"[0-9]+(?:abc)?x", Some("*x")),
            (r"(?:abc){2,}", Some("*abc*")),
        ] {
            let found = guard(pattern)
                .map(|patterns| patterns.iter().map(show).collect::<Vec<_>>().join(", "));
            assert_eq!(found.as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn expressions_that_are_patterns() {
        for (pattern, expected) in [
            (r"(?s-u).*-D.*", Some("*-D*")),
            (r"(?s-u)a.b.+", Some("a?b?*")),
            (r"(?i-u)ab-1", Some("ab-1 ~")),
            (r"(?s).*-D", None),
            (r"(?i-u:a)b", None),
            (r"[ab]c", None),
            (r"a\z", None),
        ] {
            assert_eq!(
                as_pattern(pattern).as_ref().map(show).as_deref(),
                expected,
                "{pattern}"
            );
        }
    }
}
