//! Exceptions: events that are no alert on this device, whatever a rule says.
//!
//! One a line, in KQL's own form: `field : value`, several joined by `and`; `rule.id` is a field too. A quoted value is exact, a
//! bare one may hold `*`; what each means is what it means in a rule's query (`docs/configuration.md`). Empty lines and those that
//! begin with `#` say nothing.
//!
//! [`check`] looks at the text once; [`excepts`] reads it where it stands, and only when an alert is about to be raised. In
//! doubt it does not hold: not for a value that was lost, and not for one of more than [`MAX_VALUE`] bytes.

use crate::event::{Block, Event, Reading, Values};
use crate::field::{Cost, Field, FieldSet, Type};
use crate::glob;
use crate::{Parts, parts};

/// Most bytes of all exceptions.
pub const MAX_TEXT: usize = 8 << 10;
/// Most exceptions.
pub const MAX_EXCEPTIONS: u32 = 64;
/// Most bytes of a value in an exception, `*` counted as two, a backslash too.
pub const MAX_PATTERN: usize = 512;
/// Most bytes of what an exception can hold for: all arguments together, for example.
pub const MAX_VALUE: usize = 16 << 10;

/// A value as [`glob::matches`] takes it.
type Pattern = heapless::Vec<u8, MAX_PATTERN>;

/// What is wrong with an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wrong {
    /// There is no such field.
    Field,
    /// No device has this field.
    Absent,
    /// A `:` is missing behind the field.
    Colon,
    /// A value is missing.
    Value,
    /// The closing quote is missing.
    Quote,
    /// This character has a meaning in KQL: it takes quotes, or a backslash.
    Special,
    /// Nothing but `and` can stand here.
    And,
    /// The field takes a whole number, or `*`.
    Number,
    /// A value of more than [`MAX_PATTERN`] bytes.
    TooLong,
    /// More than [`MAX_EXCEPTIONS`], or [`MAX_TEXT`] bytes.
    TooMany,
    /// A control character.
    NoText,
}

/// Where something is wrong: line and column from 1, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mistake {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is odd about an exception that is well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Doubt {
    /// It holds for whatever has some field.
    Everything,
    /// It asks one field for two values.
    Never,
    /// No rule has this id.
    NoRule,
}

/// What exceptions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// How many.
    pub count: u32,
    /// The fields that they ask for.
    pub fields: FieldSet,
    /// The first line that is odd, and why.
    pub doubt: Option<(u32, Doubt)>,
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Rule,
    Field(Field),
}

impl Key {
    /// Whether an event can have several values of it.
    fn has_several(self) -> bool {
        matches!(self, Self::Field(field) if field.has_several())
    }
}

/// Looks at all exceptions. `has_rule` says whether a rule's id matches a pattern.
///
/// # Errors
/// The first mistake.
pub fn check(text: &[u8], has_rule: &mut dyn FnMut(&[u8]) -> bool) -> Result<Summary, Mistake> {
    let mut summary = Summary::default();
    for (number, line) in (1..).zip(lines(text)) {
        let mistake = |(at, wrong): (usize, Wrong)| Mistake {
            line: number,
            column: at as u32 + 1,
            wrong,
        };
        let Some(terms) = Terms::of(line) else {
            continue;
        };
        summary.count += 1;
        if summary.count > MAX_EXCEPTIONS || text.len() > MAX_TEXT {
            return Err(mistake((0, Wrong::TooMany)));
        }
        let doubt = check_line(terms, &mut summary.fields, has_rule).map_err(mistake)?;
        summary.doubt = summary.doubt.or(doubt.map(|doubt| (number, doubt)));
    }
    Ok(summary)
}

#[inline(never)]
fn check_line(
    terms: Terms<'_>,
    fields: &mut FieldSet,
    has_rule: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<Option<Doubt>, (usize, Wrong)> {
    let mut doubt = Some(Doubt::Everything);
    let (mut rest, mut pattern) = (terms, Pattern::new());
    while let Some(key) = rest.next(&mut pattern)? {
        match key {
            Key::Field(field) => fields.insert(field),
            Key::Rule if !has_rule(&pattern) => doubt = Some(Doubt::NoRule),
            Key::Rule => {}
        }
        if doubt == Some(Doubt::Everything) && pattern != ANY {
            doubt = None;
        }
        // Those before it are well formed.
        let (mut before, mut other) = (terms, Pattern::new());
        while before.at < rest.at
            && let Ok(Some(earlier)) = before.next(&mut other)
        {
            if earlier == key
                && !key.has_several()
                && is_exact(&other)
                && is_exact(&pattern)
                && other != pattern
            {
                doubt = Some(Doubt::Never);
            }
        }
    }
    Ok(doubt)
}

/// Whether one of the exceptions holds for an event that a rule is about to alert of. Where the text has a mistake, that
/// exception does not hold.
pub fn excepts<E: Event>(text: &[u8], rule: &[u8], event: &E) -> bool {
    let mut pattern = Pattern::new();
    lines(text).filter_map(Terms::of).any(|mut terms| {
        loop {
            match terms.next(&mut pattern) {
                Ok(Some(key)) => {
                    let values = match key {
                        Key::Rule => Values::One(rule),
                        Key::Field(field) => event.term(field),
                    };
                    if !holds(&pattern, values) {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    })
}

/// Whether a pattern matches one of the values.
#[inline(never)]
fn holds(pattern: &[u8], values: Values<'_>) -> bool {
    let one = |value: &[u8], joined| {
        let reading = Reading {
            fold: false,
            joined,
        };
        value.len() <= MAX_VALUE && glob::matches(pattern, value, reading)
    };
    match values {
        Values::Missing | Values::Lost | Values::Facts(_) => false,
        Values::One(value) => one(value, false),
        Values::Joined(block) => one(crate::event::unterminated(block), true),
        Values::Many(values) => values.iter().any(|value| one(value, false)),
        Values::Block(block) => {
            block.len() <= MAX_VALUE && Block::new(block).any(|value| one(value, false))
        }
        Values::Number(number) => pattern == ANY || self::number(pattern) == Some(number),
    }
}

/// What `*` alone becomes.
const ANY: &[u8] = br"\*";

/// Whether a pattern matches one value only.
fn is_exact(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next() != Some(&b'\\') {
            return false;
        }
    }
    true
}

/// A whole number as text; `true` is 1, `false` 0.
#[inline(never)]
fn number(text: &[u8]) -> Option<i64> {
    match text {
        b"true" => return Some(1),
        b"false" => return Some(0),
        _ => {}
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |number, &digit| {
        let digit = i64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
        let shifted = number.checked_mul(10)?;
        // Downwards where it is negative: the least one has no counterpart.
        match digits.len() == text.len() {
            true => shifted.checked_add(digit),
            false => shifted.checked_sub(digit),
        }
    })
}

const fn lines(text: &[u8]) -> Parts<'_> {
    parts(text, b'\n')
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// A word in lower case, if it is no longer than those that join terms in KQL.
#[inline(never)]
fn keyword(word: &[u8]) -> [u8; 3] {
    let mut lower = [0; 3];
    if word.len() <= lower.len() {
        for (place, byte) in lower.iter_mut().zip(word) {
            *place = byte.to_ascii_lowercase();
        }
    }
    lower
}

const AND: [u8; 3] = *b"and";
const OR: [u8; 3] = *b"or\0";
const NOT: [u8; 3] = *b"not";

/// What is left of the terms of a line.
#[derive(Clone, Copy)]
struct Terms<'t> {
    line: &'t [u8],
    at: usize,
    /// A term has to follow.
    more: bool,
}

impl<'t> Terms<'t> {
    /// Those of a line, unless it says nothing.
    fn of(line: &'t [u8]) -> Option<Self> {
        let mut terms = Self {
            line,
            at: 0,
            more: true,
        };
        terms.skip_space();
        (!matches!(terms.peek(), None | Some(b'#'))).then_some(terms)
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline(never)]
    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The word that begins at `from` and ends before a space or a colon.
    #[inline(never)]
    fn word(&self, from: usize) -> &'t [u8] {
        let rest = self.line.get(from..).unwrap_or(&[]);
        let end = rest.iter().position(|&byte| is_space(byte) || byte == b':');
        rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest)
    }

    /// The next term: what is compared, and with which pattern; `None` behind the last one.
    #[inline(never)]
    fn next(&mut self, pattern: &mut Pattern) -> Result<Option<Key>, (usize, Wrong)> {
        if !self.more {
            return Ok(None);
        }
        self.skip_space();
        let (start, name) = (self.at, self.word(self.at));
        let key = match name {
            b"rule.id" => Key::Rule,
            name => match Field::from_bytes(name).ok_or((start, Wrong::Field))? {
                field if field.cost() == Cost::Absent => return Err((start, Wrong::Absent)),
                field => Key::Field(field),
            },
        };
        self.at += name.len();
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err((self.at, Wrong::Colon));
        }
        self.at += 1;
        self.skip_space();
        let start = self.at;
        self.value(pattern)?;
        if let Key::Field(field) = key
            && field.ty() == Type::Number
            && pattern != ANY
            && number(pattern).is_none()
        {
            return Err((start, Wrong::Number));
        }
        self.skip_space();
        self.more = self.at < self.line.len();
        if self.more {
            if keyword(self.word(self.at)) != AND {
                return Err((self.at, Wrong::And));
            }
            self.at += 3;
        }
        Ok(Some(key))
    }

    /// Reads a value, and what follows it is next.
    #[inline(never)]
    fn value(&mut self, pattern: &mut Pattern) -> Result<(), (usize, Wrong)> {
        pattern.clear();
        let start = self.at;
        let quoted = self.peek() == Some(b'"');
        self.at += usize::from(quoted);
        if let AND | OR | NOT = keyword(self.word(start)) {
            return Err((start, Wrong::And));
        }
        while let Some(byte) = self.peek() {
            let at = self.at;
            let next = self.line.get(at + 1).copied();
            let (literal, taken) = match byte {
                b'"' if quoted => {
                    self.at += 1;
                    return Ok(());
                }
                b'*' if !quoted => (None, 1),
                b'\\' => match next {
                    Some(b't') => (Some(b'\t'), 2),
                    Some(b'r') => (Some(b'\r'), 2),
                    Some(b'n') => (Some(b'\n'), 2),
                    // In quotes only a quote and a backslash are escaped.
                    Some(next) if !quoted || matches!(next, b'"' | b'\\') => (Some(next), 2),
                    _ => (Some(b'\\'), 1),
                },
                b'(' | b')' | b':' | b'<' | b'>' | b'"' | b'{' | b'}' if !quoted => {
                    return Err((at, Wrong::Special));
                }
                byte if is_space(byte) && !quoted => {
                    let mut ahead = *self;
                    ahead.skip_space();
                    match keyword(self.word(ahead.at)) {
                        AND => break,
                        OR | NOT => return Err((ahead.at, Wrong::And)),
                        _ if ahead.at == self.line.len() => break,
                        _ => (Some(byte), 1),
                    }
                }
                byte if byte.is_ascii_control() && byte != b'\t' => {
                    return Err((at, Wrong::NoText));
                }
                byte => (Some(byte), 1),
            };
            let bytes = match &literal {
                None => ANY,
                Some(b'\\') => br"\\",
                Some(byte) => core::slice::from_ref(byte),
            };
            if pattern.extend_from_slice(bytes).is_err() {
                return Err((start, Wrong::TooLong));
            }
            self.at += taken;
        }
        match () {
            () if quoted => Err((start, Wrong::Quote)),
            () if pattern.is_empty() => Err((start, Wrong::Value)),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
