//! What a value must hold for a regular expression to match it: literals, which the automata of a field find in passing.
//! The expression itself is then walked only where they were found.

use std::collections::BTreeSet;

use peewit_core::glob::Token;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::expr::Pattern;
use crate::typical;

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
        Unit::Set(_) | Unit::Other => None,
    });
    Some(Pattern::new(tokens.collect::<Option<Vec<_>>>()?, fold))
}

fn parse(pattern: &str) -> Option<Hir> {
    let mut parser = ParserBuilder::new().utf8(false).build();
    parser.parse(pattern).ok()
}

/// One element of a concatenation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unit {
    /// This byte.
    Byte(u8),
    /// This letter, in either case.
    Letter(u8),
    /// One of a few bytes.
    Set(Vec<u8>),
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
                    (0..min).for_each(|_| units.extend(inner.iter().cloned()));
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
    let count: u32 = ranges.iter().map(|(start, end)| end - start + 1).sum();
    if count > MOST_ALTERNATIVES {
        return Unit::Other;
    }
    let bytes = ranges.into_iter().flat_map(|(start, end)| start..=end);
    let bytes: Option<Vec<u8>> = bytes
        .map(|byte| u8::try_from(byte).ok().filter(u8::is_ascii))
        .collect();
    match bytes.as_deref() {
        None | Some([]) => Unit::Other,
        Some([one]) => Unit::Byte(*one),
        Some([upper, lower])
            if upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == *lower =>
        {
            Unit::Letter(*lower)
        }
        Some(bytes) => Unit::Set(bytes.to_vec()),
    }
}

/// Most literals of a guard that stand for one place of an expression.
const MOST_ALTERNATIVES: u32 = 16;

/// The best patterns, and about how often a value matches one of them.
fn required(hir: &Hir, whole: bool) -> Option<(f64, Vec<Pattern>)> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub, whole),
        HirKind::Alternation(parts) => {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| required(part, whole))
                .collect::<Option<_>>()?;
            let share = parts.iter().map(|(share, _)| share).sum();
            let patterns = parts.into_iter().flat_map(|(_, patterns)| patterns);
            Some((share, patterns.collect()))
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
                .chain(rarest(&units, whole))
                .min_by(|(one, _), (other, _)| one.total_cmp(other))
        }
    }
}

/// The literals, of a run of elements that all stand for few bytes, that are seen least.
fn rarest(units: &[Unit], whole: bool) -> Option<(f64, Vec<Pattern>)> {
    let places = 0..units.len();
    let runs = places.flat_map(|start| (start + 1..=units.len()).map(move |end| (start, end)));
    let found = runs.filter_map(|(start, end)| {
        let run = units.get(start..end)?;
        let begins = whole && start == 0;
        let ends = whole && end == units.len();
        let patterns = spelled(run, begins, ends)?;
        let breadth = |pattern| typical::breadth(None, pattern);
        let share: f64 = patterns.iter().map(breadth).sum();
        Some((run.len(), (share, patterns)))
    });
    // Of those that are seen as rarely the longest.
    let best = found.min_by(|(one_len, (one, _)), (len, (other, _))| {
        one.total_cmp(other).then(len.cmp(one_len))
    });
    best.map(|(_, best)| best)
}

/// The patterns that a run of elements stands for, if they are few. It `begins` a value, or `ends` it.
fn spelled(run: &[Unit], begins: bool, ends: bool) -> Option<Vec<Pattern>> {
    let fold = run.iter().any(|unit| matches!(unit, Unit::Letter(_)));
    let mut literals = vec![Vec::new()];
    for unit in run {
        let bytes = match unit {
            Unit::Byte(byte) | Unit::Letter(byte) => std::slice::from_ref(byte),
            Unit::Set(bytes) => bytes,
            Unit::One | Unit::Run | Unit::Other => return None,
        };
        if literals.len() * bytes.len() > MOST_ALTERNATIVES as usize {
            return None;
        }
        literals = literals
            .iter()
            .flat_map(|literal| {
                bytes
                    .iter()
                    .map(|&byte| [literal.as_slice(), &[byte]].concat())
            })
            .collect();
    }
    let pattern = |literal: Vec<u8>| {
        let bytes = literal.into_iter().map(Token::Byte);
        let run = |closed: bool| (!closed).then_some(Token::Run);
        Pattern::new(run(begins).into_iter().chain(bytes).chain(run(ends)), fold)
    };
    let patterns: BTreeSet<Pattern> = literals.into_iter().map(pattern).collect();
    Some(patterns.into_iter().collect())
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
    fn guards_are_the_rarest_literals() {
        for (pattern, expected) in [
            (r"/var/run/\w+\.(pid|lock)", Some("/var/run/*")),
            (
                r"(?s-u)/[a-z ]+\s",
                Some("*\t, *\n, *\u{b}, *\u{c}, *\r, * "),
            ),
            (r"(?s-u).*-(W|R)x?[0-9]{4}.*", Some("*-R*, *-W*")),
            (r"(?i-u)php?[0-9]?", Some("ph* ~")),
            (r"(?s-u).*ftps://[0-9]{1,3}\.x", Some("*ftps://*")),
            (r"[a-z]{2}[^0-9]{3}", None),
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
