//! Lucene's regular expressions, which EQL's `regex` takes, as patterns over bytes.
//!
//! A character is a byte that does not continue one, and those that continue it: so `.` takes a whole character of
//! text in UTF-8, and `.*` anything at all. Ignoring case concerns single ASCII letters, not ranges, as in Lucene.

use std::fmt::Write as _;

use crate::syntax::MAX_DEPTH;

/// Whatever may follow the first byte of a character.
const REST: &str = r"[\x80-\xBF]*";
/// Any bytes.
const ANYTHING: &str = r"[\x00-\xFF]*";

/// Translates a pattern to one for the `regex-syntax` crate that matches whole values.
///
/// # Errors
/// What is wrong with it, or not supported: intersections, complements, numeric ranges.
pub(crate) fn parse(pattern: &str, fold: bool) -> Result<String, String> {
    let mut parser = Parser {
        rest: pattern.chars().peekable(),
        fold,
        out: String::from("(?s-u)"),
        depth: 0,
    };
    parser.union()?;
    match parser.rest.next() {
        None => Ok(parser.out),
        Some(c) => Err(format!(
            "`{c}` without an opening one in a regular expression"
        )),
    }
}

struct Parser<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    fold: bool,
    out: String,
    depth: usize,
}

impl Parser<'_> {
    fn union(&mut self) -> Result<(), String> {
        self.out.push_str("(?:");
        loop {
            match self.rest.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.rest.next();
                    self.out.push('|');
                }
                Some(_) => self.repeated()?,
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// An atom, and how often it may stand there.
    fn repeated(&mut self) -> Result<(), String> {
        let start = self.out.len();
        let any = self.rest.peek() == Some(&'.');
        self.atom()?;
        while let Some(&c) = self.rest.peek() {
            let times = match c {
                '*' | '+' | '?' => {
                    self.rest.next();
                    c.to_string()
                }
                '{' => {
                    self.rest.next();
                    self.times()?
                }
                _ => break,
            };
            if any && times == "*" {
                self.out.truncate(start);
                self.out.push_str(ANYTHING);
            } else {
                let atom = self.out.split_off(start);
                let _ = write!(self.out, "(?:{atom}){times}");
            }
        }
        Ok(())
    }

    /// `N}`, `N,}` or `N,M}`.
    fn times(&mut self) -> Result<String, String> {
        let mut times = String::from("{");
        for c in self.rest.by_ref() {
            times.push(c);
            match c {
                '}' => return Ok(times),
                ',' | '0'..='9' => {}
                _ => break,
            }
        }
        Err("a number of times is written {2}, {2,} or {2,5}".to_owned())
    }

    fn atom(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('.') => {
                let _ = write!(self.out, r"[^\x80-\xBF]{REST}");
            }
            Some('@') => self.out.push_str(ANYTHING),
            Some('[') => self.class()?,
            Some('(') => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("groups nested deeper than {MAX_DEPTH}"));
                }
                self.union()?;
                self.depth -= 1;
                if self.rest.next() != Some(')') {
                    return Err("a group without an end in a regular expression".to_owned());
                }
            }
            Some('"') => loop {
                match self.rest.next() {
                    Some('"') => break,
                    Some(c) => self.literal(c),
                    None => return Err("a `\"` without an end in a regular expression".to_owned()),
                }
            },
            Some('\\') => match self.rest.next() {
                Some(c) => match shorthand(c) {
                    Some((true, bytes)) => {
                        let _ = write!(self.out, r"[^\x80-\xBF{bytes}]{REST}");
                    }
                    Some((false, bytes)) => {
                        let _ = write!(self.out, "[{bytes}]");
                    }
                    None => self.escaped(c)?,
                },
                None => return Err("a backslash at the end of a regular expression".to_owned()),
            },
            Some(c @ ('~' | '&' | '<' | '>' | '#')) => {
                return Err(format!(
                    "`{c}` in a regular expression is not supported; `\\{c}` is the character"
                ));
            }
            Some(c @ ('*' | '+' | '?' | '{')) => {
                return Err(format!(
                    "nothing to repeat in front of `{c}` in a regular expression"
                ));
            }
            Some(c) => self.literal(c),
            None => {}
        }
        Ok(())
    }

    /// A character behind a backslash. A letter there would have to mean something.
    fn escaped(&mut self, c: char) -> Result<(), String> {
        if c.is_ascii_alphabetic() {
            return Err(meaningless(c));
        }
        self.literal(c);
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if self.fold && c.is_ascii_alphabetic() {
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

    /// What stands between brackets. Negated, it takes a whole character.
    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut bytes = String::new();
        let mut first = true;
        loop {
            let low = match self.rest.next() {
                None => return Err("a class without an end in a regular expression".to_owned()),
                Some(']') if !first => break,
                Some('\\') => {
                    let c = self
                        .rest
                        .next()
                        .ok_or("a class without an end in a regular expression")?;
                    match shorthand(c) {
                        Some((true, _)) => {
                            return Err(format!("`\\{c}` between brackets is not supported"));
                        }
                        Some((false, shorthand)) => {
                            bytes.push_str(shorthand);
                            first = false;
                            continue;
                        }
                        None if c.is_ascii_alphabetic() => return Err(meaningless(c)),
                        None => c,
                    }
                }
                Some(c) => c,
            };
            first = false;
            let mut high = low;
            if self.rest.peek() == Some(&'-') {
                let mut ahead = self.rest.clone();
                ahead.next();
                if ahead.peek().is_some_and(|&c| c != ']') {
                    self.rest = ahead;
                    high = match self.rest.next() {
                        Some('\\') => self
                            .rest
                            .next()
                            .ok_or("a class without an end in a regular expression")?,
                        other => other.unwrap_or(low),
                    };
                }
            }
            if !low.is_ascii() || !high.is_ascii() {
                return Err("only ASCII characters are supported between brackets".to_owned());
            }
            if low > high {
                return Err(format!(
                    "`{low}-{high}` goes backwards in a regular expression"
                ));
            }
            let range = |low: char, high: char| {
                format!(r"\x{:02X}-\x{:02X}", u32::from(low), u32::from(high))
            };
            bytes.push_str(&range(low, high));
            if self.fold && low == high && low.is_ascii_alphabetic() {
                let other = char::from(low as u8 ^ 0x20);
                bytes.push_str(&range(other, other));
            }
        }
        let _ = match negated {
            true => write!(self.out, r"[^\x80-\xBF{bytes}]{REST}"),
            false => write!(self.out, "[{bytes}]"),
        };
        Ok(())
    }
}

fn meaningless(c: char) -> String {
    format!("`\\{c}` in a regular expression means nothing")
}

/// The characters of a letter behind a backslash, and whether all others are meant.
fn shorthand(c: char) -> Option<(bool, &'static str)> {
    let bytes = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        // As Lucene has it: no form feed, no vertical tab.
        's' => r"\x09\x0A\x0D\x20",
        _ => return None,
    };
    Some((c.is_ascii_uppercase(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_classes() {
        for (pattern, fold, expected) in [
            ("ab", false, r"(?s-u)(?:(?:\x61)(?:\x62))"),
            ("a", true, "(?s-u)(?:[aA])"),
            (".", false, r"(?s-u)(?:[^\x80-\xBF][\x80-\xBF]*)"),
            (".*", false, r"(?s-u)(?:[\x00-\xFF]*)"),
            ("\u{e9}?", false, r"(?s-u)(?:(?:(?:\xC3\xA9))?)"),
            (
                "[^ ]+",
                false,
                r"(?s-u)(?:(?:[^\x80-\xBF\x20-\x20][\x80-\xBF]*)+)",
            ),
            (r"[a-z\s]", true, r"(?s-u)(?:[\x61-\x7A\x09\x0A\x0D\x20])"),
            ("[k-]", true, r"(?s-u)(?:[\x6B-\x6B\x4B-\x4B\x2D-\x2D])"),
            (r"\w{1,3}", false, "(?s-u)(?:(?:[0-9A-Za-z_]){1,3})"),
            ("a|(b)", false, r"(?s-u)(?:(?:\x61)|(?:(?:\x62)))"),
        ] {
            assert_eq!(parse(pattern, fold).as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for (pattern, message) in [
            ("a&b", "`&` in a regular expression is not supported"),
            ("(a", "a group without an end"),
            ("a)", "`)` without an opening one"),
            ("[a", "a class without an end"),
            ("*a", "nothing to repeat in front of `*`"),
            ("a{x}", "a number of times is written"),
            ("[\u{e9}]", "only ASCII"),
            ("[z-a]", "`z-a` goes backwards"),
            ("a\\", "a backslash at the end"),
            (r"\b", r"`\b` in a regular expression means nothing"),
            (r"[\b]", r"`\b` in a regular expression means nothing"),
        ] {
            let error = parse(pattern, false).unwrap_err();
            assert!(error.starts_with(message), "{pattern}: {error}");
        }
        assert!(
            parse(&"(".repeat(200), false)
                .unwrap_err()
                .starts_with("groups nested")
        );
    }
}
