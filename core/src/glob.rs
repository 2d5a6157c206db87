//! Matching one glob, in time linear in the text whatever the pattern.
//!
//! A pattern is a byte string in which a backslash gives the next byte a meaning:
//!
//! | bytes | matches |
//! | --- | --- |
//! | `\*` | any run of bytes, the empty one, `/` and newlines included |
//! | `\?` | exactly one byte |
//! | `\\` | a backslash |
//! | any other byte | itself |
//!
//! The rule languages have other escapes; the compiler translates them. Ignoring case
//! folds ASCII letters only, and wants the pattern in lower case.
//!
//! Nearly always it is enough to look for the literals between the runs, each where it first stands after the one
//! before: an earlier end leaves more to what follows. What such a search may cost is bounded by the text's length; if it
//! would cost more, the pattern is matched by the definition.
//!
//! That matcher is a bit-parallel automaton: bit *i* of a machine word says "the first *i*
//! positions have matched up to here", a `\*` is a bit that stays set. One shift, one
//! look-up and two logical operations for each byte of text; nothing is ever tried twice.
//! Almost every pattern of a pack is decided by [`crate::automaton`] without coming here:
//! only what follows the first run of literals does.

use crate::event::Reading;

/// Longest pattern in positions (literals and `\?`) that is matched by the definition where the search for its literals
/// takes too long. The compiler takes longer ones only if that cannot be.
pub const MAX_POSITIONS: usize = 127;
/// Longest pattern in positions.
pub const MAX_LONG: usize = 1023;
/// Comparisons for each byte of text that the search for literals may take.
pub const CREDIT: usize = 16;

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Token {
    /// Any run of bytes, `\*`.
    Run,
    /// Exactly one byte, `\?`.
    One,
    /// This byte.
    Byte(u8),
}

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// A backslash at the end, or before a byte that has no meaning there.
    Escape,
    /// More than [`MAX_LONG`] positions.
    TooLong,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Escape => "a backslash without a meaning in a glob",
            Self::TooLong => "a glob of more than 1023 positions after its first literal",
        })
    }
}

impl core::error::Error for Error {}

/// The elements of a pattern; ends at a malformed escape.
#[derive(Clone, Debug)]
struct Tokens<'a>(core::slice::Iter<'a, u8>);

impl Iterator for Tokens<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        match self.0.next()? {
            b'\\' => match self.0.next()? {
                b'*' => Some(Token::Run),
                b'?' => Some(Token::One),
                b'\\' => Some(Token::Byte(b'\\')),
                _ => None,
            },
            &byte => Some(Token::Byte(byte)),
        }
    }
}

/// Checks a pattern once, so that [`matches()`] need not.
pub fn validate(pattern: &[u8]) -> Result<(), Error> {
    let mut bytes = pattern.iter();
    let mut positions = 0usize;
    while let Some(&byte) = bytes.next() {
        positions += match byte {
            b'\\' => match bytes.next() {
                Some(b'*') => 0,
                Some(b'?' | b'\\') => 1,
                _ => return Err(Error::Escape),
            },
            _ => 1,
        };
    }
    if positions > MAX_LONG {
        Err(Error::TooLong)
    } else {
        Ok(())
    }
}

/// Whether `pattern` matches the whole of `text`. What a pattern
/// that [`validate`] refuses matches is not said; it never panics.
pub fn matches(pattern: &[u8], text: &[u8], reading: Reading) -> bool {
    let mut credit = MAX_LONG + 1 + CREDIT * text.len();
    let read = reading.bytes();
    by_literals(pattern, text, read, &mut credit)
        .unwrap_or_else(|| by_positions(pattern, text, read))
}

/// Searches for the literals between the runs one after the other. `None`: the credit of comparisons was used up.
fn by_literals(
    mut pattern: &[u8],
    mut text: &[u8],
    read: &[u8; 256],
    credit: &mut usize,
) -> Option<bool> {
    let mut floats = false;
    loop {
        if let Some(rest) = pattern.strip_prefix(br"\*") {
            if rest.is_empty() {
                return Some(true);
            }
            (pattern, floats) = (rest, true);
            continue;
        }
        let (segment, rest) = pattern.split_at(segment_len(pattern));
        let is_last = rest.is_empty();
        if is_last {
            // It has to stand at the end.
            match text.len().checked_sub(Tokens(segment.iter()).count()) {
                Some(skipped) if floats || skipped == 0 => text = text.get(skipped..)?,
                _ => return Some(false),
            }
            floats = false;
        }
        let end = loop {
            if floats {
                if *credit == 0 {
                    return None;
                }
                // Nearly everywhere the first byte tells.
                if let Some(Token::Byte(first)) = Tokens(segment.iter()).next() {
                    let mut bytes = text.iter();
                    match bytes.position(|&byte| read[usize::from(byte)] == first) {
                        Some(place) => text = &text[place..],
                        None => return Some(false),
                    }
                }
            }
            match begins_with(text, segment, read, credit) {
                Some(width) => break width,
                None if floats && !text.is_empty() => text = &text[1..],
                None => return Some(false),
            }
        };
        if is_last {
            return Some(true);
        }
        text = text.get(end..)?;
        pattern = rest;
    }
}

/// How long the part before the next run is.
fn segment_len(pattern: &[u8]) -> usize {
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        if byte == b'\\' && matches!(bytes.next(), Some((_, b'*'))) {
            return at;
        }
    }
    pattern.len()
}

/// How much of `text` a part without runs takes, if it begins with it.
#[inline]
fn begins_with(text: &[u8], segment: &[u8], read: &[u8; 256], credit: &mut usize) -> Option<usize> {
    let mut width = 0;
    for token in Tokens(segment.iter()) {
        *credit = credit.saturating_sub(1);
        let &byte = text.get(width)?;
        match token {
            Token::Byte(expected) if expected != read[usize::from(byte)] => return None,
            _ => width += 1,
        }
    }
    Some(width)
}

/// The same by the definition, whatever the pattern.
#[cold]
fn by_positions(pattern: &[u8], text: &[u8], read: &[u8; 256]) -> bool {
    // Bytes that stand in the pattern get a class each, all others share class 0.
    let mut classes = [0u8; 256];
    let mut accepts = [0u128; MAX_POSITIONS + 1];
    let mut class_count = 1usize;
    let (mut stays, mut any) = (0u128, 0u128);
    let mut positions = 0usize;
    for token in Tokens(pattern.iter()) {
        if positions >= MAX_POSITIONS {
            return false;
        }
        match token {
            Token::Run => {
                stays |= 1 << positions;
                continue;
            }
            Token::One => any |= 1 << positions,
            Token::Byte(byte) => {
                let class = &mut classes[usize::from(byte)];
                if *class == 0 {
                    *class = class_count as u8;
                    class_count += 1;
                }
                let mask = &mut accepts[usize::from(*class)];
                *mask |= 1 << positions;
            }
        }
        positions += 1;
    }
    let accepted = 1u128 << positions;
    let settled = stays & accepted;
    let mut states = 1u128;
    for &byte in text {
        let byte = read[usize::from(byte)];
        let accept = accepts[usize::from(classes[usize::from(byte)])] | any;
        states = ((states & accept) << 1) | (states & stays);
        if states == 0 {
            return false;
        }
        if states & settled != 0 {
            return true;
        }
    }
    states & accepted != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Reading = Reading {
        fold: false,
        joined: false,
    };

    fn glob(pattern: &str, text: &str) -> bool {
        validate(pattern.as_bytes()).unwrap();
        matches(pattern.as_bytes(), text.as_bytes(), PLAIN)
    }

    #[test]
    fn literals_runs_and_single_bytes() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            (r"\*", "", true),
            (r"\*", "any/thing\n", true),
            ("/tmp/", "/tmp/", true),
            ("/tmp/", "/tmp/x", false),
            (r"/home/\*/.\*", "/home/u/.x", true),
            (r"/home/\*/.\*", "/home/u/v/.x", true),
            (r"/home/\*/.\*", "/home/u/x", false),
            (r"/home/\*/.\*", "/home//.", true),
            (r"a\?c", "abc", true),
            (r"a\?c", "ac", false),
            (r"a\?c", "abbc", false),
            (r"\*\?", "", false),
            (r"\*\?", "x", true),
            (r"a?c", "abc", false),
            (r"a?c", "a?c", true),
            (r"a\\b", r"a\b", true),
            (r"\*.\*.\*", "a.b", false),
            (r"\*.\*.\*", "a..", true),
            (r"\*aab", "aaab", true),
            (r"\*\*x", "x", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn folding_is_ascii_only() {
        let folding = Reading {
            fold: true,
            joined: false,
        };
        let fold =
            |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes(), folding);
        assert!(fold(r"/tmp/\*.sh", "/TMP/X.Sh"));
        assert!(!fold("k", "\u{212a}"));
        assert!(!matches(b"a", b"A", PLAIN));
    }

    #[test]
    fn malformed_and_oversized_patterns_are_refused() {
        assert_eq!(validate(br"a\"), Err(Error::Escape));
        assert_eq!(validate(br"a\n"), Err(Error::Escape));
        let long = [b'a'; MAX_POSITIONS];
        assert_eq!(validate(&long), Ok(()));
        assert!(matches(&long, &long, PLAIN));
        let mut longer = std::vec![b'a'; MAX_LONG + 1];
        assert_eq!(validate(&longer), Err(Error::TooLong));
        longer.push(b'\\');
    }

    /// A backtracking matcher takes exponential time for this pattern, one that goes back to the last
    /// star quadratic time: the test would not end.
    #[test]
    fn hostile_patterns_take_linear_time() {
        let runs = br"\*a".repeat(40);
        let text = std::vec![b'a'; 4_000_000];
        assert!(matches(&runs, &text, PLAIN));
        let hopeless: std::vec::Vec<u8> = runs.iter().copied().chain(*b"b").collect();
        assert!(!matches(&hopeless, &text, PLAIN));
    }

    /// By the definition, exponential, for short inputs only.
    fn naive(pattern: &[Token], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Token::Run, rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((Token::One, rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((Token::Byte(byte), rest)) => {
                text.first() == Some(byte) && naive(rest, &text[1..])
            }
        }
    }

    fn token() -> impl Strategy<Value = Token> {
        prop_oneof![
            Just(Token::Run),
            Just(Token::One),
            prop_oneof![Just(b'a'), Just(b'b'), Just(b'\\')].prop_map(Token::Byte)
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            tokens in prop::collection::vec(token(), 0..9),
            text in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\\')], 0..12),
        ) {
            let mut pattern = std::vec::Vec::new();
            for token in &tokens {
                match token {
                    Token::Run => pattern.extend(br"\*"),
                    Token::One => pattern.extend(br"\?"),
                    Token::Byte(b'\\') => pattern.extend(br"\\"),
                    Token::Byte(byte) => pattern.push(*byte),
                }
            }
            let expected = naive(&tokens, &text);
            prop_assert_eq!(matches(&pattern, &text, PLAIN), expected);
        }

        #[test]
        fn the_search_for_literals_agrees(
            tokens in prop::collection::vec(token(), 0..20),
            text in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 0..30),
        ) {
            let mut pattern = std::vec::Vec::new();
            for token in &tokens {
                match token {
                    Token::Run => pattern.extend(br"\*"),
                    Token::One => pattern.extend(br"\?"),
                    Token::Byte(b'\\') => pattern.extend(br"\\"),
                    Token::Byte(byte) => pattern.push(*byte),
                }
            }
            let expected = by_positions(&pattern, &text, PLAIN.bytes());
            let mut credit = usize::MAX;
            prop_assert_eq!(by_literals(&pattern, &text, PLAIN.bytes(), &mut credit), Some(expected));
            let mut credit = 10;
            prop_assert!(by_literals(&pattern, &text, PLAIN.bytes(), &mut credit).is_none_or(|found| found == expected));
        }

        #[test]
        fn never_panics(pattern: std::vec::Vec<u8>, text: std::vec::Vec<u8>, fold: bool) {
            let _ = matches(&pattern, &text, Reading { fold, joined: false });
        }
    }
}
