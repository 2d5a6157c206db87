//! Lucene's regular expressions: what rules use of them. Read to a tree of its own, which a set of positions
//! is moved over; the same tree gives texts that match.

use crate::rng::Rng;
use crate::text::{Cursor, Error};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Regex {
    /// One of several.
    Alternatives(Vec<Regex>),
    /// One after the other.
    Sequence(Vec<Regex>),
    /// At least and at most so often.
    Repeat(Box<Regex>, usize, Option<usize>),
    /// One character of these, or none of these if negated. Case is ignored in single characters only.
    Class(bool, Vec<(char, char)>),
    /// Any one character.
    Dot,
}

/// Reads an expression.
pub fn parse(text: &str) -> Result<Regex, Error> {
    let mut cursor = Cursor::new(text);
    let regex = alternatives(&mut cursor)?;
    if cursor.rest().is_empty() {
        Ok(regex)
    } else {
        Err(cursor.error("the end expected"))
    }
}

fn alternatives(cursor: &mut Cursor) -> Result<Regex, Error> {
    let mut parts = vec![sequence(cursor)?];
    while cursor.eat("|") {
        parts.push(sequence(cursor)?);
    }
    Ok(match parts.len() {
        1 => parts.remove(0),
        _ => Regex::Alternatives(parts),
    })
}

fn sequence(cursor: &mut Cursor) -> Result<Regex, Error> {
    let mut parts = Vec::new();
    while cursor.peek().is_some_and(|next| next != '|' && next != ')') {
        let mut part = atom(cursor)?;
        loop {
            let (least, most) = if cursor.eat("*") {
                (0, None)
            } else if cursor.eat("+") {
                (1, None)
            } else if cursor.eat("?") {
                (0, Some(1))
            } else if cursor.eat("{") {
                let least = count(cursor)?.ok_or("a count expected")?;
                let most = if cursor.eat(",") {
                    count(cursor)?
                } else {
                    Some(least)
                };
                cursor.expect("}")?;
                (least, most)
            } else {
                break;
            };
            part = Regex::Repeat(Box::new(part), least, most);
        }
        parts.push(part);
    }
    Ok(Regex::Sequence(parts))
}

fn count(cursor: &mut Cursor) -> Result<Option<usize>, Error> {
    let digits = cursor.take_while(|next| next.is_ascii_digit());
    if digits.is_empty() {
        return Ok(None);
    }
    digits
        .parse()
        .map(Some)
        .map_err(|_| "a count too large".to_owned())
}

fn atom(cursor: &mut Cursor) -> Result<Regex, Error> {
    let one = |own| Regex::Class(false, vec![(own, own)]);
    match cursor.take().ok_or("the end is not expected")? {
        '(' => {
            let inner = alternatives(cursor)?;
            cursor.expect(")")?;
            Ok(inner)
        }
        '[' => {
            let negated = cursor.eat("^");
            let mut ranges = Vec::new();
            while !cursor.eat("]") {
                let first = cursor.take().ok_or("a class without end")?;
                if first == '\\' {
                    ranges.extend(escaped(cursor)?);
                } else if cursor.rest().starts_with('-') && !cursor.rest().starts_with("-]") {
                    cursor.expect("-")?;
                    ranges.push((first, cursor.take().ok_or("a class without end")?));
                } else {
                    ranges.push((first, first));
                }
            }
            Ok(Regex::Class(negated, ranges))
        }
        '\\' => Ok(Regex::Class(false, escaped(cursor)?)),
        '.' => Ok(Regex::Dot),
        special @ ('*' | '+' | '?' | '{' | '~' | '&' | '@' | '<' | '#' | '"') => {
            Err(cursor.error(&format!("{special} is not expected")))
        }
        own => Ok(one(own)),
    }
}

fn escaped(cursor: &mut Cursor) -> Result<Vec<(char, char)>, Error> {
    Ok(match cursor.take().ok_or("nothing after a backslash")? {
        'd' => vec![('0', '9')],
        's' => [' ', '\t', '\n', '\r'].map(|own| (own, own)).to_vec(),
        'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        other if other.is_alphabetic() => return Err(cursor.error("an unknown escape")),
        own => vec![(own, own)],
    })
}

impl Regex {
    /// Whether it matches the whole text, ignoring the case of single characters if `fold`.
    pub fn matches(&self, text: &str, fold: bool) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut from = vec![false; text.len() + 1];
        from[0] = true;
        self.ends(&text, &from, fold)[text.len()]
    }

    /// Where it can end, for where it can begin.
    fn ends(&self, text: &[char], from: &[bool], fold: bool) -> Vec<bool> {
        match self {
            Regex::Alternatives(parts) => {
                let mut ends = vec![false; from.len()];
                for part in parts {
                    union(&mut ends, &part.ends(text, from, fold));
                }
                ends
            }
            Regex::Sequence(parts) => parts
                .iter()
                .fold(from.to_vec(), |from, part| part.ends(text, &from, fold)),
            Regex::Repeat(part, least, most) => {
                let mut now = from.to_vec();
                for _ in 0..*least {
                    now = part.ends(text, &now, fold);
                }
                let mut ends = now.clone();
                let mut times = *least;
                while now.contains(&true) && most.is_none_or(|most| times < most) {
                    now = part.ends(text, &now, fold);
                    times += 1;
                    if !union(&mut ends, &now) && most.is_none() {
                        break;
                    }
                }
                ends
            }
            Regex::Class(..) | Regex::Dot => {
                let mut ends = vec![false; from.len()];
                for (at, next) in text.iter().enumerate() {
                    ends[at + 1] = from[at] && self.is_in(*next, fold);
                }
                ends
            }
        }
    }

    fn is_in(&self, next: char, fold: bool) -> bool {
        let Regex::Class(negated, ranges) = self else {
            return true;
        };
        let inside = ranges.iter().any(|&(first, last)| {
            (first..=last).contains(&next)
                || (fold && first == last && first.eq_ignore_ascii_case(&next))
        });
        inside != *negated
    }

    /// Whether there is a range of letters in it, which no one folds the same way.
    pub fn has_letter_range(&self) -> bool {
        match self {
            Regex::Alternatives(parts) | Regex::Sequence(parts) => {
                parts.iter().any(Regex::has_letter_range)
            }
            Regex::Repeat(part, ..) => part.has_letter_range(),
            Regex::Class(_, ranges) => ranges
                .iter()
                .any(|&(first, last)| first != last && !(first == '0' && last == '9')),
            Regex::Dot => false,
        }
    }

    /// A text that matches.
    pub fn sample(&self, rng: &mut Rng) -> String {
        match self {
            Regex::Alternatives(parts) => rng.pick(parts).sample(rng),
            Regex::Sequence(parts) => parts.iter().map(|part| part.sample(rng)).collect(),
            Regex::Repeat(part, least, most) => {
                let most = most.unwrap_or(least + 4).min(least + 6);
                let times = least + rng.below(most - least + 1);
                (0..times).map(|_| part.sample(rng)).collect()
            }
            Regex::Class(false, ranges) => {
                let &(first, last) = rng.pick(ranges);
                let width = u32::from(last) - u32::from(first) + 1;
                let offset = rng.below(width as usize) as u32;
                char::from_u32(u32::from(first) + offset)
                    .unwrap_or(first)
                    .to_string()
            }
            Regex::Class(true, _) | Regex::Dot => {
                let candidates: Vec<char> = "ax0-/ .Z_é"
                    .chars()
                    .filter(|next| self.is_in(*next, false))
                    .collect();
                if candidates.is_empty() {
                    String::new()
                } else {
                    rng.pick(&candidates).to_string()
                }
            }
        }
    }

    /// The expression as text.
    pub fn print(&self) -> String {
        match self {
            Regex::Alternatives(parts) => {
                let parts: Vec<_> = parts.iter().map(Regex::print).collect();
                format!("({})", parts.join("|"))
            }
            Regex::Sequence(parts) => parts.iter().map(Regex::print).collect(),
            Regex::Repeat(part, least, most) => {
                let part = match **part {
                    Regex::Sequence(_) => format!("({})", part.print()),
                    _ => part.print(),
                };
                match (least, most) {
                    (0, None) => format!("{part}*"),
                    (1, None) => format!("{part}+"),
                    (0, Some(1)) => format!("{part}?"),
                    (least, None) => format!("{part}{{{least},}}"),
                    (least, Some(most)) if least == most => format!("{part}{{{least}}}"),
                    (least, Some(most)) => format!("{part}{{{least},{most}}}"),
                }
            }
            Regex::Class(false, ranges) if ranges.len() == 1 && ranges[0].0 == ranges[0].1 => {
                print_char(ranges[0].0)
            }
            Regex::Class(negated, ranges) => {
                let range = |&(first, last): &(char, char)| {
                    if first == last {
                        print_char(first)
                    } else {
                        format!("{first}-{last}")
                    }
                };
                let ranges: String = ranges.iter().map(range).collect();
                format!("[{}{ranges}]", if *negated { "^" } else { "" })
            }
            Regex::Dot => ".".to_owned(),
        }
    }
}

fn print_char(own: char) -> String {
    if own.is_alphanumeric() || " \t\n\r/_%=,:;!'".contains(own) {
        own.to_string()
    } else {
        format!("\\{own}")
    }
}

fn union(into: &mut [bool], from: &[bool]) -> bool {
    let mut grown = false;
    for (into, from) in into.iter_mut().zip(from) {
        grown |= *from && !*into;
        *into |= *from;
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_is_matched() {
        for (regex, text, fold, expected) in [
            ("[24][0-9]{3}", "2755", false, true),
            ("[24][0-9]{3}", "02755", false, false),
            (r".*[0-9]{1,3}\.[0-9]+.*", "a 10.1\n", false, true),
            ("-[^-]*[uz][^-]*", "-vU", true, true),
            ("-[^-]*[uz][^-]*", "-vU", false, false),
            ("[a-z]+", "aB", true, false),
            (r"php?[0-9]?\.?[0-9]{0,2}", "PHP7.4", true, true),
            (r"/var/run/\w+\.(pid|lock|)", "/var/run/a_B.", false, true),
            ("", "", false, true),
            ("a|b*", "bb", false, true),
        ] {
            let parsed = parse(regex).expect("an expression");
            assert_eq!(parsed.matches(text, fold), expected, "{regex} {text}");
            let printed = parse(&parsed.print()).expect("an expression");
            assert_eq!(printed.matches(text, fold), expected, "{}", parsed.print());
            let mut rng = Rng::new(1);
            for _ in 0..20 {
                let sample = parsed.sample(&mut rng);
                assert!(parsed.matches(&sample, false), "{regex} {sample:?}");
            }
        }
    }
}
