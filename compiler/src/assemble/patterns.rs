//! Placing the patterns over one field in its automata.

use std::collections::{BTreeMap, BTreeSet};

use peewit_core::automaton::{MAX_FILTER, PART, place_in_filter};
use peewit_core::glob;
use peewit_core::pack::{MAX_SLOTS, NO_SLOT};

use super::{TooLarge, Writer, bounded};
use crate::automata::{Trie, When};
use crate::expr::{Pattern, Token};
use crate::typical;

/// On what a glob is tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    /// On what follows the literal that was found.
    Rest,
    /// On the whole value; with a slot only the first time that the literal was found.
    Whole(u16),
    /// It is a literal and compared where a part of it was found, so many of its bytes back.
    Inside(u16),
}

/// A pattern and the atoms that it is a test of.
pub(super) type Found<'p> = (&'p Pattern, BTreeSet<u16>);

/// The automata of one field, each for case-sensitive (0) and folding (1) patterns.
#[derive(Default)]
pub(super) struct Patterns {
    pub anchored: [Trie; 2],
    pub reversed: [Trie; 2],
    pub unanchored: [Trie; 2],
    slots: u16,
    /// Whether an unanchored automaton ignores case: then it also looks for the case-sensitive patterns, for it is
    /// one walk less.
    folds: bool,
    beginnings: Beginnings,
}

impl Patterns {
    /// The automata of these patterns.
    pub fn of(writer: &mut Writer, found: &[Found<'_>]) -> Result<Self, TooLarge> {
        let inside = || found.iter().filter(|(pattern, _)| is_inside(pattern));
        let folds = inside().any(|(pattern, _)| pattern.fold);
        let literals = inside().filter_map(|(pattern, _)| longest_literal(&pattern.tokens));
        let mut patterns = Self {
            folds,
            beginnings: Beginnings::of(literals.map(|literal| literal.to_ascii_lowercase())),
            ..Self::default()
        };
        for (pattern, atoms) in found {
            patterns.add(writer, pattern, atoms)?;
        }
        Ok(patterns)
    }

    fn add(
        &mut self,
        writer: &mut Writer,
        pattern: &Pattern,
        numbers: &BTreeSet<u16>,
    ) -> Result<(), TooLarge> {
        let fold = usize::from(pattern.fold);
        let Pattern { tokens, .. } = pattern;
        let (literal, rest) = split(tokens);
        let atoms = || numbers.iter().copied();
        if rest.is_empty() {
            self.anchored[fold].insert(&literal, When::End, atoms());
            return Ok(());
        }
        if rest == [Token::Run] {
            self.anchored[fold].insert(&literal, When::Here, atoms());
            return Ok(());
        }
        if !literal.is_empty() {
            let item = writer.glob(rest, pattern.fold, Tried::Rest, numbers)?;
            self.anchored[fold].insert(&literal, When::Here, [item]);
            return Ok(());
        }
        let ending: Vec<u8> = literal_end(tokens);
        if !ending.is_empty() {
            if ending.len() + 1 == tokens.len() && tokens[0] == Token::Run {
                self.reversed[fold].insert(&ending, When::Here, atoms());
            } else {
                // What a value ends with is found once.
                let item = writer.glob(tokens, pattern.fold, Tried::Whole(NO_SLOT), numbers)?;
                self.reversed[fold].insert(&ending, When::Here, [item]);
            }
            return Ok(());
        }
        let Some(inner) = longest_literal(tokens) else {
            // Single bytes and runs alone: tried against every value.
            let item = writer.glob(tokens, pattern.fold, Tried::Rest, numbers)?;
            self.anchored[fold].insert(b"", When::Here, [item]);
            return Ok(());
        };
        let runs = [tokens.first(), tokens.last()] == [Some(&Token::Run); 2];
        let alone = runs && inner.len() + 2 == tokens.len();
        let exact = pattern.fold == self.folds || !inner.iter().any(u8::is_ascii_alphabetic);
        let inner = if self.folds {
            inner.to_ascii_lowercase()
        } else {
            inner
        };
        let start = self.beginnings.place(&inner);
        let part = &inner[start..inner.len().min(start + PART)];
        let trie = usize::from(self.folds);
        if alone && exact && part.len() == inner.len() {
            self.unanchored[trie].insert(&inner, When::Here, atoms());
        } else if alone && inner.len() > 1 && recurrence(tokens) + 2 <= glob::CREDIT {
            let read = Tried::Inside((start + part.len()) as u16);
            let item = writer.glob(tokens, pattern.fold, read, numbers)?;
            self.unanchored[trie].insert(part, When::Here, [item]);
        } else {
            bounded(
                "patterns with several wildcards inside the values of one field",
                usize::from(self.slots) + 1,
                MAX_SLOTS,
            )?;
            let item = writer.glob(tokens, pattern.fold, Tried::Whole(self.slots), numbers)?;
            self.slots += 1;
            self.unanchored[trie].insert(part, When::Here, [item]);
        }
        Ok(())
    }
}

/// Where the parts of literals begin for which a value is searched: with bytes that are rare, for at each
/// place of a value where there are such the search goes on.
#[derive(Default)]
struct Beginnings(BTreeSet<Key>);

/// What the filter of an automaton makes of the first three bytes of a part. Of two all bits are set: it is taken for a key of its own.
type Key = (usize, u32);

/// See [`Key`].
fn key(part: &[u8]) -> Key {
    match *part {
        [first, second, third, ..] => place_in_filter([first, second, third], MAX_FILTER),
        [first, second] => (place_in_filter([first, second, 0], MAX_FILTER).0, u32::MAX),
        _ => (0, u32::MAX),
    }
}

/// What another bit in a filter weighs, in bytes seen.
const BIT: f64 = 0.1;

impl Beginnings {
    /// Chosen one after the other, each to begin as many more literals as can be for how often it is seen (the greedy cover of
    /// Chvatal, 1979).
    fn of(literals: impl Iterator<Item = Vec<u8>>) -> Self {
        let literals: BTreeSet<Vec<u8>> = literals.filter(|literal| literal.len() > 1).collect();
        let mut open: Vec<Vec<(usize, Key)>> = literals.iter().map(|it| places(it)).collect();
        let mut seen: BTreeMap<Key, f64> = BTreeMap::new();
        for literal in &literals {
            for place in 0..literal.len() - 1 {
                let part = &literal[place..literal.len().min(place + 3)];
                // Another part may have the same key.
                let often = typical::expected(part) + BIT;
                let seen = seen.entry(key(part)).or_default();
                *seen = seen.max(often);
            }
        }
        let mut chosen = BTreeSet::new();
        while !open.is_empty() {
            let mut begun: BTreeMap<Key, f64> = BTreeMap::new();
            for places in &open {
                let keys: BTreeSet<Key> = places.iter().map(|(_, key)| *key).collect();
                for key in keys {
                    *begun.entry(key).or_default() += 1.0;
                }
            }
            let worth = |(key, begun): &(Key, f64)| begun / seen.get(key).unwrap_or(&1.0);
            let best = begun
                .into_iter()
                .max_by(|one, other| worth(one).total_cmp(&worth(other)));
            let Some((best, _)) = best else { break };
            chosen.insert(best);
            open.retain(|places| places.iter().all(|(_, key)| *key != best));
        }
        Self(chosen)
    }

    /// Where the part of a literal begins.
    fn place(&self, literal: &[u8]) -> usize {
        let places = places(literal);
        let mut begun = places.iter().filter(|(_, key)| self.0.contains(key));
        begun.next().map_or(0, |(place, _)| *place)
    }
}

/// Where a part of a literal can begin, and its key: a part as long as may be, of those that are seen least.
fn places(literal: &[u8]) -> Vec<(usize, Key)> {
    let last = literal.len().saturating_sub(PART);
    let part = |place: usize| &literal[place..literal.len().min(place + PART)];
    let seen = |place: usize| typical::occurrences(part(place));
    let least = (0..=last).map(seen).min().unwrap_or(0);
    let rare = (0..=last).filter(|&place| seen(place) == least);
    rare.map(|place| (place, key(part(place)))).collect()
}

/// How many beginnings of a pattern's literal can end at one place of a text, at most: so many comparisons can a search
/// for it take for a byte. Single bytes of any value are taken to recur without end.
pub(super) fn recurrence(tokens: &[Token]) -> usize {
    if tokens.contains(&Token::One) {
        return usize::MAX - 2;
    }
    let literals = tokens.split(|token| *token == Token::Run);
    let deepest = literals.map(|literal| {
        // The longest beginning that is also an end, for each beginning (Morris and Pratt, 1970), and how many such
        // there are one within the other.
        let mut borders = vec![(0usize, 1usize); literal.len() + 1];
        borders[0].1 = 0;
        let mut border = 0;
        for at in 1..literal.len() {
            while border > 0 && literal[at] != literal[border] {
                border = borders[border].0;
            }
            border += usize::from(literal[at] == literal[border]);
            borders[at + 1] = (border, borders[border].1 + 1);
        }
        borders
            .into_iter()
            .map(|(_, depth)| depth)
            .max()
            .unwrap_or(0)
    });
    deepest.max().unwrap_or(0)
}

/// Whether an unanchored automaton has to look for a pattern.
pub(super) fn is_inside(pattern: &Pattern) -> bool {
    let tokens = &pattern.tokens;
    split(tokens).0.is_empty()
        && literal_end(tokens).is_empty()
        && longest_literal(tokens).is_some()
}

/// The literal that a pattern begins with, and what follows.
fn split(tokens: &[Token]) -> (Vec<u8>, &[Token]) {
    let literal: Vec<u8> = tokens.iter().map_while(byte).collect();
    let rest = &tokens[literal.len()..];
    (literal, rest)
}

/// The literal that a pattern ends with, its last byte first.
fn literal_end(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().rev().map_while(byte).collect()
}

/// The longest literal of a pattern.
pub(super) fn longest_literal(tokens: &[Token]) -> Option<Vec<u8>> {
    let literals = tokens
        .split(|token| byte(token).is_none())
        .filter(|literal| !literal.is_empty());
    let longest = literals.max_by_key(|literal| literal.len())?;
    Some(longest.iter().filter_map(byte).collect())
}

pub(super) const fn byte(token: &Token) -> Option<u8> {
    match token {
        Token::Byte(byte) => Some(*byte),
        Token::Run | Token::One => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_that_recur() {
        let literal = |text: &str| -> Vec<Token> { text.bytes().map(Token::Byte).collect() };
        assert_eq!(recurrence(&literal("abc")), 1);
        assert_eq!(recurrence(&literal("aaaa")), 4);
        assert_eq!(recurrence(&literal("abab")), 2);
        let mut two = literal("aaa");
        two.push(Token::Run);
        two.extend(literal("aaaaaa"));
        assert_eq!(recurrence(&two), 6);
    }
}
