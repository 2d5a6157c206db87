//! Sigma's regular expressions (`|re`) as patterns over bytes that match whole values.
//!
//! Sigma's are those of Perl and may stand anywhere in a value. A character is a byte that does not continue one, and
//! those that continue it; `\d`, `\s`, `\w` and `\b` know ASCII only, and so does ignoring case.

use std::fmt::Write as _;

use regex_syntax::ParserBuilder;
use regex_syntax::ast::parse::ParserBuilder as AstParserBuilder;
use regex_syntax::ast::{
    AssertionKind, Ast, Flag, Flags, FlagsItemKind, GroupKind, RepetitionKind, RepetitionRange,
    Span,
};
use regex_syntax::hir::{Class, HirKind};

use crate::syntax::MAX_DEPTH;

/// What the flags say that are in force at a place.
#[derive(Clone, Copy, Default)]
pub(super) struct Mode {
    /// `i`: the case of letters is ignored.
    pub(super) fold: bool,
    /// `m`: `^` and `$` match at line breaks too.
    pub(super) lines: bool,
    /// `s`: a dot matches a line break too.
    pub(super) dot_all: bool,
}

/// Translates a pattern to one for the `regex-syntax` crate.
///
/// # Errors
/// What is wrong with it, or not supported: looking ahead or behind, references to groups, classes of Unicode.
pub(super) fn translate(pattern: &str, mode: Mode) -> Result<String, String> {
    let mut parser = AstParserBuilder::new().nest_limit(MAX_DEPTH as u32).build();
    let ast = parser
        .parse(pattern)
        .map_err(|error| format!("in a regular expression: {}", error.kind()))?;
    let mut translator = Translator {
        pattern,
        mode,
        out: String::from("(?s-u).*"),
    };
    translator.group(&ast)?;
    translator.out.push_str(".*");
    Ok(translator.out)
}

struct Translator<'p> {
    pattern: &'p str,
    mode: Mode,
    out: String,
}

impl Translator<'_> {
    /// A part that is to stay one, whatever stands beside it. Flags set in it end with it.
    fn group(&mut self, ast: &Ast) -> Result<(), String> {
        let mode = self.mode;
        self.out.push_str("(?:");
        self.any(ast)?;
        self.out.push(')');
        self.mode = mode;
        Ok(())
    }

    fn any(&mut self, ast: &Ast) -> Result<(), String> {
        let source = |span: &Span| &self.pattern[span.start.offset..span.end.offset];
        match ast {
            Ast::Empty(_) => {}
            Ast::Flags(flags) => self.set(&flags.flags)?,
            Ast::Literal(literal) => self.literal(literal.c),
            Ast::Dot(_) => self.class(if self.mode.dot_all {
                "(?s:.)"
            } else {
                r"[^\n]"
            })?,
            Ast::Assertion(assertion) => self.out.push_str(self.assertion(&assertion.kind)?),
            Ast::ClassUnicode(class) => return Err(unsupported(source(&class.span))),
            Ast::ClassPerl(class) => self.class(source(&class.span))?,
            Ast::ClassBracketed(class) => self.class(source(&class.span))?,
            Ast::Repetition(repetition) => {
                self.group(&repetition.ast)?;
                let _ = match &repetition.op.kind {
                    RepetitionKind::ZeroOrOne => write!(self.out, "?"),
                    RepetitionKind::ZeroOrMore => write!(self.out, "*"),
                    RepetitionKind::OneOrMore => write!(self.out, "+"),
                    RepetitionKind::Range(RepetitionRange::Exactly(n)) => {
                        write!(self.out, "{{{n}}}")
                    }
                    RepetitionKind::Range(RepetitionRange::AtLeast(n)) => {
                        write!(self.out, "{{{n},}}")
                    }
                    RepetitionKind::Range(RepetitionRange::Bounded(n, m)) => {
                        write!(self.out, "{{{n},{m}}}")
                    }
                };
            }
            Ast::Group(group) => {
                let mode = self.mode;
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.set(flags)?;
                }
                self.group(&group.ast)?;
                self.mode = mode;
            }
            Ast::Alternation(alternation) => {
                for (number, branch) in alternation.asts.iter().enumerate() {
                    if number > 0 {
                        self.out.push('|');
                    }
                    self.any(branch)?;
                }
            }
            Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| self.any(part))?,
        }
        Ok(())
    }

    /// A class, as it is written: its bytes, and for characters of several bytes all or none of them.
    fn class(&mut self, source: &str) -> Result<(), String> {
        let mut parser = ParserBuilder::new()
            .utf8(false)
            .unicode(false)
            .case_insensitive(self.mode.fold)
            .build();
        let hir = parser.parse(source).map_err(|_| unsupported(source))?;
        // A class of one byte is read as that byte.
        let ranges = match hir.into_kind() {
            HirKind::Class(Class::Bytes(class)) => {
                let ranges = class.ranges().iter();
                ranges.map(|range| (range.start(), range.end())).collect()
            }
            HirKind::Literal(literal) if literal.0.len() == 1 => vec![(literal.0[0], literal.0[0])],
            _ => return Err(unsupported(source)),
        };
        let wide = match ranges.last() {
            Some(&(low, 0xFF)) if low <= 0x80 => true,
            Some(&(_, high)) if high < 0x80 => false,
            _ => return Err(unsupported(source)),
        };
        self.out.push('[');
        for &(low, high) in ranges.iter().filter(|(low, _)| *low < 0x80) {
            let _ = write!(self.out, r"\x{low:02X}-\x{:02X}", high.min(0x7F));
        }
        self.out
            .push_str(if wide { r"\xC0-\xFF][\x80-\xBF]*" } else { "]" });
        Ok(())
    }

    fn set(&mut self, flags: &Flags) -> Result<(), String> {
        let mut on = true;
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Negation => on = false,
                FlagsItemKind::Flag(Flag::CaseInsensitive) => self.mode.fold = on,
                FlagsItemKind::Flag(Flag::MultiLine) => self.mode.lines = on,
                FlagsItemKind::Flag(Flag::DotMatchesNewLine) => self.mode.dot_all = on,
                // Laziness does not change what matches; space was left out by the parser.
                FlagsItemKind::Flag(Flag::SwapGreed | Flag::IgnoreWhitespace) => {}
                FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF) => {
                    return Err("the flags `u` and `R` are not supported".to_owned());
                }
            }
        }
        Ok(())
    }

    fn assertion(&self, kind: &AssertionKind) -> Result<&'static str, String> {
        Ok(match kind {
            AssertionKind::StartLine if self.mode.lines => "(?m:^)",
            AssertionKind::EndLine if self.mode.lines => "(?m:$)",
            AssertionKind::StartLine | AssertionKind::StartText => r"\A",
            AssertionKind::EndLine | AssertionKind::EndText => r"\z",
            AssertionKind::WordBoundary => r"\b",
            AssertionKind::NotWordBoundary => r"\B",
            _ => return Err(unsupported("half a word boundary")),
        })
    }

    fn literal(&mut self, c: char) {
        if self.mode.fold && c.is_ascii_alphabetic() {
            let (lower, upper) = (c.to_ascii_lowercase(), c.to_ascii_uppercase());
            let _ = write!(self.out, "[{lower}{upper}]");
            return;
        }
        self.out.push_str("(?:");
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(self.out, r"\x{byte:02X}");
        }
        self.out.push(')');
    }
}

fn unsupported(what: &str) -> String {
    format!("`{what}` in a regular expression is not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The translation, without what stands around each.
    fn core(pattern: &str, mode: Mode) -> String {
        let translated = translate(pattern, mode).expect(pattern);
        let core = translated.strip_prefix("(?s-u).*(?:").expect("a head");
        core.strip_suffix(").*").expect("a tail").to_owned()
    }

    #[test]
    fn characters_classes_and_anchors() {
        for (pattern, expected) in [
            ("a", r"(?:\x61)"),
            ("é", r"(?:\xC3\xA9)"),
            (".", r"[\x00-\x09\x0B-\x7F\xC0-\xFF][\x80-\xBF]*"),
            ("(?s:.)", r"(?:[\x00-\x7F\xC0-\xFF][\x80-\xBF]*)"),
            (r"\d{2,}", r"(?:[\x30-\x39]){2,}"),
            (
                r"[^-\s]",
                r"[\x00-\x08\x0E-\x1F\x21-\x2C\x2E-\x7F\xC0-\xFF][\x80-\xBF]*",
            ),
            ("[x]", r"[\x78-\x78]"),
            (r"^a|\bb$", r"\A(?:\x61)|\b(?:\x62)\z"),
            ("(?i)a[b-c]", r"[aA][\x42-\x43\x62-\x63]"),
            ("((?i)a)a", r"(?:[aA])(?:\x61)"),
            ("(?m)^", "(?m:^)"),
        ] {
            assert_eq!(core(pattern, Mode::default()), expected, "{pattern}");
        }
        let fold = Mode {
            fold: true,
            ..Mode::default()
        };
        assert_eq!(core("a", fold), "[aA]");
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for (pattern, message) in [
            ("(?=a)", "in a regular expression: look-around"),
            (r"(a)\1", "in a regular expression: backreferences"),
            ("(a", "in a regular expression: unclosed group"),
            ("[é]", "`[é]` in a regular expression is not supported"),
            (r"\pL", r"`\pL` in a regular expression is not supported"),
            ("(?u)a", "the flags `u` and `R` are not supported"),
        ] {
            let error = translate(pattern, Mode::default()).expect_err(pattern);
            assert!(error.starts_with(message), "{pattern}: {error}");
        }
    }
}
