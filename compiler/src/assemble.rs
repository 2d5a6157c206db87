//! Writing a pack: de-duplicates atoms over all rules and lays out `docs/pack-format.md`.

mod atoms;
mod patterns;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use peewit_core::alert::RuleId;
use peewit_core::automaton::{MAX_WORDS, PART};
use peewit_core::field::{Field, Type};
use peewit_core::glob;
use peewit_core::pack::{
    self, GLOB, HEADER_LEN, MAGIC, MAX_RULES, MAX_STAGES, MAX_TERM_FIELDS, NO_GUARD, NO_SLOT, Pack,
    Section, VERSION,
};
use peewit_core::threshold;

use self::atoms::Atoms;
use self::patterns::{Patterns, Tried, byte, is_inside, longest_literal, recurrence};
use crate::automata::Item;
use crate::dfa;
use crate::expr::{Test, Token, encode};
use crate::plan;
use crate::rule::{Kind, Query, Rule};
use crate::texts;
use crate::typical;

/// Why rules do not fit into a pack together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge(String);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rules do not fit into one pack: {}", self.0)
    }
}

impl std::error::Error for TooLarge {}

fn bounded(what: &str, count: usize, limit: usize) -> Result<(), TooLarge> {
    if count > limit {
        Err(TooLarge(format!(
            "{count} {what}, and {limit} is the limit"
        )))
    } else {
        Ok(())
    }
}

/// Writes a pack of these rules, in this order.
///
/// # Errors
/// They exceed a capacity of the format.
pub fn assemble(rules: &[Rule], build: u32) -> Result<Vec<u8>, TooLarge> {
    let queries = rules.iter().map(|rule| rule.queries.len()).sum();
    bounded("rules and stages of sequences", queries, MAX_RULES)?;
    let atoms = Atoms::of(rules)?;
    let mut writer = Writer::default();
    writer.literals(&atoms);
    writer.fields(&atoms)?;
    writer.late(&atoms)?;
    writer.rules(rules, &atoms)?;
    writer.index(rules, &atoms)?;
    writer.finish(build)
}

/// The queries of all rules, in the order of their numbers in the pack.
fn queries(rules: &[Rule]) -> impl Iterator<Item = (&Rule, &Query)> {
    let of = |rule| std::iter::repeat(rule);
    rules
        .iter()
        .flat_map(move |rule: &Rule| of(rule).zip(&rule.queries))
}

/// The growing sections.
#[derive(Default)]
struct Writer {
    sections: [Vec<u8>; Section::COUNT],
    lists: HashMap<Vec<u16>, u16>,
    strings: HashMap<Vec<u8>, u32>,
    dfas: HashMap<Vec<u8>, u32>,
    purposes: HashMap<Vec<u8>, u16>,
    /// For each condition its first jump.
    conditions: HashMap<Vec<(u16, u16)>, u16>,
}

impl Writer {
    fn section(&mut self, section: Section) -> &mut Vec<u8> {
        &mut self.sections[section as usize]
    }

    fn count(&mut self, section: Section, len: usize) -> usize {
        self.section(section).len() / len
    }

    fn u16(&mut self, section: Section, value: u16) {
        self.section(section).extend(value.to_le_bytes());
    }

    /// A list as a state of an automaton refers to it, written at its first use. More than fit are noticed in `finish`.
    fn outputs(&mut self, items: impl IntoIterator<Item = u16>) -> u32 {
        let items: Vec<u16> = items.into_iter().collect();
        if let [item] = items[..] {
            return pack::SINGLE | u32::from(item);
        }
        if let Some(&index) = self.lists.get(&items) {
            return u32::from(index);
        }
        let index = self.count(Section::Lists, pack::ITEM_LEN) as u16;
        for item in std::iter::once(items.len() as u16).chain(items.iter().copied()) {
            self.u16(Section::Lists, item);
        }
        self.lists.insert(items, index);
        u32::from(index)
    }

    /// The same of a list of atoms or rules, as records refer to it.
    fn list(&mut self, items: impl IntoIterator<Item = u16>) -> u16 {
        match self.outputs(items) {
            single if single & pack::SINGLE != 0 => single as u16 | pack::SINGLE_SHORT,
            index => index as u16,
        }
    }

    fn string(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&offset) = self.strings.get(bytes) {
            return offset;
        }
        let strings = self.section(Section::Strings);
        let found = memchr::memmem::find(strings, bytes);
        let offset = found.unwrap_or(strings.len()) as u32;
        if found.is_none() {
            strings.extend(bytes);
        }
        self.strings.insert(bytes.to_vec(), offset);
        offset
    }

    /// Writes the literals of patterns, the longest first: a shorter one is often part of it.
    fn literals(&mut self, atoms: &Atoms) {
        let tests = atoms.fields.values().flatten().flat_map(|atom| &atom.tests);
        let mut literals: Vec<Vec<u8>> = tests
            .filter_map(|test| match test {
                Test::Pattern(pattern) if is_inside(pattern) => longest_literal(&pattern.tokens),
                _ => None,
            })
            .filter(|literal| literal.len() > PART)
            .collect();
        literals.sort_by_key(|literal| std::cmp::Reverse(literal.len()));
        for literal in literals {
            self.string(&literal);
        }
    }

    fn fields(&mut self, atoms: &Atoms) -> Result<(), TooLarge> {
        for (&field, list) in &atoms.fields {
            let mut tests: BTreeMap<&Test, BTreeSet<u16>> = BTreeMap::new();
            for atom in list {
                for test in &atom.tests {
                    tests.entry(test).or_default().insert(atoms.numbers[atom]);
                }
            }
            let mut record = vec![
                field.number(),
                (atoms.numbers[&list[0]] / 64) as u8,
                list.len().div_ceil(64) as u8,
                0,
            ];
            record.extend((self.count(Section::Ranges, pack::RANGE_LEN) as u16).to_le_bytes());
            let mut found = Vec::new();
            let mut ranges = 0u16;
            for (test, numbers) in tests {
                match test {
                    Test::Length(..) | Test::Regex(_) | Test::BeginsWith(_) => {}
                    Test::Pattern(pattern) => found.push((pattern, numbers)),
                    Test::Range(low, high) => {
                        ranges += 1;
                        let list = self.list(numbers);
                        let section = self.section(Section::Ranges);
                        section.extend(low.to_le_bytes());
                        section.extend(high.to_le_bytes());
                        section.extend(list.to_le_bytes());
                        section.extend([0, 0]);
                    }
                }
            }
            debug_assert!(field.ty() == Type::Number || ranges == 0);
            record.extend(ranges.to_le_bytes());
            let patterns = Patterns::of(self, &found)?;
            let mut list = |items: &BTreeSet<Item>| self.outputs(items.iter().copied());
            let automata = [
                patterns.anchored[0].anchored(&mut list),
                patterns.anchored[1].anchored(&mut list),
                patterns.reversed[0].anchored(&mut list),
                patterns.reversed[1].anchored(&mut list),
                patterns.unanchored[0].unanchored(&mut list),
                patterns.unanchored[1].unanchored(&mut list),
            ];
            for words in automata {
                bounded(
                    &format!("words of patterns over {}", field.name()),
                    words.len(),
                    MAX_WORDS,
                )?;
                let section = self.section(Section::Automata);
                record.extend(((section.len() / 4) as u32).to_le_bytes());
                record.extend((words.len() as u32).to_le_bytes());
                section.extend(words.into_iter().flat_map(u32::to_le_bytes));
            }
            debug_assert_eq!(record.len(), pack::FIELD_LEN);
            self.section(Section::Fields).extend(record);
        }
        Ok(())
    }

    fn late(&mut self, atoms: &Atoms) -> Result<(), TooLarge> {
        for atom in &atoms.late {
            let field = atom.field;
            let refuse = |what: &str| Err(TooLarge(format!("{what} {}", field.name())));
            if field.ty() == Type::Number {
                return refuse("a length or regular expression over the number");
            }
            // Of a parent only what holds for it is kept.
            let of_parent = |field: Field| field.name().starts_with("process.parent.");
            // One that is tested alone itself guards nothing.
            let guard = atom.guard().filter(|guard| !atoms.late.contains(guard));
            let guard = guard.and_then(|guard| atoms.numbers.get(&guard).copied());
            let guard = guard.unwrap_or(NO_GUARD);
            let (kind, first, second) = match atom.tests.first() {
                Some(Test::Length(low, high)) => {
                    let length = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
                    if *high < 0 {
                        return refuse("a negative length of");
                    }
                    (pack::LENGTH, length(*low), length(*high))
                }
                Some(Test::BeginsWith(other)) => {
                    if of_parent(field) || of_parent(*other) {
                        return refuse("two fields compared, one of a parent:");
                    }
                    // Each value with each: the work would not be bounded.
                    if other.has_several() || other.ty() == Type::Number {
                        return refuse(
                            "a comparison with a field of several values or a number, of",
                        );
                    }
                    (pack::BEGINS_WITH, u32::from(other.number()), 0)
                }
                Some(Test::Regex(pattern)) => {
                    let bytes = dfa::build(pattern)
                        .map_err(|error| TooLarge(format!("`{pattern}`: {error}")))?;
                    let offset = match self.dfas.get(&bytes) {
                        Some(&offset) => offset,
                        None => {
                            let offset = self.section(Section::Dfas).len() as u32;
                            self.section(Section::Dfas).extend(&bytes);
                            self.dfas.insert(bytes.clone(), offset);
                            offset
                        }
                    };
                    (pack::REGEX, offset, bytes.len() as u32)
                }
                Some(Test::Pattern(pattern)) => {
                    let place = self.place(&checked(&pattern.tokens)?)?;
                    (pack::PATTERN, place, u32::from(pattern.fold))
                }
                _ => return refuse("an unexpected test of"),
            };
            let section = self.section(Section::Late);
            section.extend([field.number(), kind]);
            section.extend(guard.to_le_bytes());
            section.extend(first.to_le_bytes());
            section.extend(second.to_le_bytes());
        }
        Ok(())
    }

    /// A glob's record; gives the item that refers to it.
    fn glob(
        &mut self,
        tokens: &[Token],
        fold: bool,
        tried: Tried,
        numbers: &BTreeSet<u16>,
    ) -> Result<Item, TooLarge> {
        if let Tried::Inside(_) = tried {
            let literal: Vec<u8> = tokens.iter().filter_map(byte).collect();
            bounded("bytes of a literal", literal.len(), glob::MAX_LONG)?;
            return self.glob_record(&literal, fold, tried, None, numbers);
        }
        let pattern = checked(tokens)?;
        let rarest = tokens.iter().filter_map(byte).min_by(|one, other| {
            let share = |byte| typical::byte(byte);
            share(*one).total_cmp(&share(*other))
        });
        self.glob_record(&pattern, fold, tried, rarest, numbers)
    }

    /// Where a pattern stands: its length in the lower bits, its offset above them.
    fn place(&mut self, pattern: &[u8]) -> Result<u32, TooLarge> {
        bounded("bytes of a pattern", pattern.len(), pack::MAX_GLOB_LEN)?;
        let offset = self.string(pattern);
        let most = u32::MAX >> pack::GLOB_LEN_BITS;
        bounded("bytes of patterns", offset as usize, most as usize)?;
        Ok(offset << pack::GLOB_LEN_BITS | pattern.len() as u32)
    }

    fn glob_record(
        &mut self,
        pattern: &[u8],
        fold: bool,
        tried: Tried,
        rarest: Option<u8>,
        numbers: &BTreeSet<u16>,
    ) -> Result<Item, TooLarge> {
        let number = self.count(Section::Globs, pack::GLOB_LEN);
        let (place, list) = (self.place(pattern)?, self.list(numbers.iter().copied()));
        let (slot, tried) = match tried {
            Tried::Rest => (rarest.map_or(NO_SLOT, u16::from), 0),
            Tried::Whole(slot) => (slot, pack::GLOB_WHOLE),
            Tried::Inside(read) => (read, pack::GLOB_INSIDE),
        };
        let folds = if fold { pack::GLOB_FOLDS } else { 0 };
        let section = self.section(Section::Globs);
        section.extend(place.to_le_bytes());
        section.extend(list.to_le_bytes());
        section.extend((slot | tried | folds).to_le_bytes());
        Ok(GLOB | number as u16)
    }

    fn rules(&mut self, rules: &[Rule], atoms: &Atoms) -> Result<(), TooLarge> {
        let texts: Vec<Vec<u8>> = rules.iter().map(texts).collect::<Result<_, _>>()?;
        let coded = texts::code(texts.iter().map(Vec::as_slice));
        self.section(Section::Pairs)
            .extend(coded.pairs.as_flattened());
        for ((rule, texts), coded) in rules.iter().zip(&texts).zip(&coded.texts) {
            let texts = [varint(texts.len()), coded.clone()].concat();
            bounded("stages of a sequence", rule.queries.len(), MAX_STAGES)?;
            for (stage, query) in rule.queries.iter().enumerate() {
                self.rule(rule, stage, query, &texts, atoms)?;
            }
        }
        Ok(())
    }

    fn rule(
        &mut self,
        rule: &Rule,
        stage: usize,
        query: &Query,
        texts: &[u8],
        atoms: &Atoms,
    ) -> Result<(), TooLarge> {
        let (first, count) = self.code(query, atoms)?;
        let mut record = Vec::with_capacity(pack::RULE_LEN);
        let about = [id(&rule.id)?, texts.to_vec()].concat();
        let about = self.string(&about);
        let most = (1 << pack::ABOUT_BITS) - 1;
        bounded("bytes of strings", about as usize, most)?;
        let kinds = u32::from(kinds(rule, query));
        record.extend((about | kinds << pack::ABOUT_BITS).to_le_bytes());
        record.extend(first.to_le_bytes());
        record.extend(count.to_le_bytes());
        record.extend(self.purpose(rule, stage, query)?.to_le_bytes());
        debug_assert_eq!(record.len(), pack::RULE_LEN);
        self.section(Section::Rules).extend(record);
        Ok(())
    }

    /// What is to be done with the matches of a query: many have the same.
    fn purpose(&mut self, rule: &Rule, stage: usize, query: &Query) -> Result<u16, TooLarge> {
        let mut record = Vec::with_capacity(pack::PURPOSE_LEN);
        for seconds in [rule.lookback_s, rule.interval_s] {
            record.extend(seconds.to_le_bytes());
        }
        if let Kind::Threshold { count, distinct } = rule.kind {
            let most = count.max(distinct.map_or(0, |(_, values)| values));
            bounded(
                "events of a threshold",
                most as usize,
                threshold::MOST as usize,
            )?;
        }
        bounded("fields of a rule's keys", query.keys.len(), MAX_TERM_FIELDS)?;
        let mut keys = [0xFF; MAX_TERM_FIELDS];
        for (slot, field) in keys.iter_mut().zip(&query.keys) {
            *slot = field.number();
        }
        record.extend(keys);
        let (purpose, numbers) = purpose(rule, stage);
        record.extend([rule.severity as u8, rule.risk_score, purpose, 0]);
        record.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
        debug_assert_eq!(record.len(), pack::PURPOSE_LEN);
        if let Some(&number) = self.purposes.get(&record) {
            return Ok(number);
        }
        // There are no more of them than rules.
        let number = self.count(Section::Purposes, pack::PURPOSE_LEN) as u16;
        self.section(Section::Purposes).extend(&record);
        self.purposes.insert(record, number);
        Ok(number)
    }

    /// The first jump of a query's condition, and how many there are: equal conditions have the same.
    fn code(&mut self, query: &Query, atoms: &Atoms) -> Result<(u16, u16), TooLarge> {
        let mut jumps = Vec::new();
        for jump in plan::jumps(&query.condition) {
            let mut atom = atoms.numbers[jump.atom];
            for (set, flag) in [(jump.negated, pack::NOT), (jump.is_or, pack::OR)] {
                atom |= if set { flag } else { 0 };
            }
            jumps.push((atom, jump.target));
        }
        let count = jumps.len() as u16;
        let first = self.count(Section::Code, pack::INSTRUCTION_LEN);
        bounded("jumps", first + jumps.len(), usize::from(pack::FAIL))?;
        if let Some(&first) = self.conditions.get(&jumps) {
            return Ok((first, count));
        }
        let first = first as u16;
        for &(atom, target) in &jumps {
            let target = match target {
                pack::FAIL.. => target,
                target => target + first,
            };
            self.u16(Section::Code, atom);
            self.u16(Section::Code, target);
        }
        self.conditions.insert(jumps, first);
        Ok((first, count))
    }

    fn index(&mut self, rules: &[Rule], atoms: &Atoms) -> Result<(), TooLarge> {
        let mut triggered: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
        let mut steps: BTreeMap<(u8, Field), u8> = BTreeMap::new();
        let (mut always, mut always_kinds) = (Vec::new(), 0);
        for (number, (rule, query)) in queries(rules).enumerate() {
            let condition = &query.condition;
            let kinds = kinds(rule, query);
            match plan::triggers(condition) {
                Some(found) => {
                    for atom in found {
                        triggered
                            .entry(atoms.numbers[&atom])
                            .or_default()
                            .push(number as u16);
                        *steps
                            .entry((plan::rank(atom.field), atom.field))
                            .or_default() |= kinds;
                    }
                }
                None => {
                    always.push(number as u16);
                    always_kinds |= kinds;
                }
            }
        }
        let lists: Vec<(u16, u16)> = triggered
            .into_iter()
            .map(|(atom, rules)| (atom, self.list(rules)))
            .collect();
        let words = lists.last().map_or(0, |(atom, _)| atom / 64 + 1);
        for word in 0..words {
            let of_word = || lists.iter().filter(|(atom, _)| atom / 64 == word);
            let atoms = of_word().fold(0u64, |atoms, (atom, _)| atoms | 1 << (atom % 64));
            let start = self.count(Section::Lists, pack::ITEM_LEN) as u16;
            of_word().for_each(|&(_, list)| self.u16(Section::Lists, list));
            let section = self.section(Section::Triggers);
            section.extend(atoms.to_le_bytes());
            section.extend(start.to_le_bytes());
        }
        for ((_, field), kinds) in steps {
            self.section(Section::Steps)
                .extend([field.number(), kinds, 0, 0]);
        }
        if always_kinds != 0 {
            let list = self.list(always);
            let section = self.section(Section::Steps);
            section.extend([pack::ALWAYS, always_kinds]);
            section.extend(list.to_le_bytes());
        }
        Ok(())
    }

    fn finish(mut self, build: u32) -> Result<Vec<u8>, TooLarge> {
        let lists = self.count(Section::Lists, pack::ITEM_LEN);
        bounded("items in lists", lists, usize::from(pack::SINGLE_SHORT))?;
        let globs = self.count(Section::Globs, pack::GLOB_LEN);
        bounded(
            "patterns with several wildcards",
            globs,
            usize::from(GLOB) - 1,
        )?;
        let total = HEADER_LEN + self.sections.iter().map(Vec::len).sum::<usize>();
        let mut bytes = Vec::with_capacity(total);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend((total as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(build.to_le_bytes());
        let mut offset = HEADER_LEN;
        for section in &self.sections {
            bytes.extend((offset as u32).to_le_bytes());
            bytes.extend((section.len() as u32).to_le_bytes());
            offset += section.len();
        }
        bytes.extend(self.sections.concat());
        let checksum = pack::checksum(&bytes).to_le_bytes();
        bytes[pack::CHECKSUM_AT..pack::CHECKSUM_AT + 4].copy_from_slice(&checksum);
        // What the device would refuse must not leave the workstation.
        Pack::parse(&bytes).map_err(|error| TooLarge(format!("the pack is not sound: {error}")))?;
        Ok(bytes)
    }
}

/// A pattern as the device reads it, if it takes one of such a length.
fn checked(tokens: &[Token]) -> Result<Vec<u8>, TooLarge> {
    let pattern = encode(tokens);
    if let Err(error) = glob::validate(&pattern) {
        return Err(TooLarge(format!(
            "`{}`: {error}",
            String::from_utf8_lossy(&pattern)
        )));
    }
    let positions = tokens.iter().filter(|token| **token != Token::Run).count();
    if positions > glob::MAX_POSITIONS && recurrence(tokens) + 2 > glob::CREDIT {
        return Err(TooLarge(format!(
            "`{}`: a glob of more than {} positions in which a beginning recurs too often",
            String::from_utf8_lossy(&pattern),
            glob::MAX_POSITIONS
        )));
    }
    Ok(pattern)
}

/// A rule's id as the strings have it.
fn id(text: &str) -> Result<Vec<u8>, TooLarge> {
    match RuleId::new(text) {
        RuleId::Uuid(uuid) => Ok([&[0], &uuid[..]].concat()),
        RuleId::Text(text) => {
            bounded("bytes in a rule's id", text.len(), pack::MAX_TEXTS)?;
            Ok([vec![1], varint(text.len()), text.into()].concat())
        }
    }
}

/// A length in front of what is so long, 7 bits a byte.
fn varint(length: usize) -> Vec<u8> {
    match length {
        0..0x80 => vec![length as u8],
        _ => [vec![length as u8 | 0x80], varint(length >> 7)].concat(),
    }
}

/// A rule's texts, behind the length of each. Of references and tags, those are left out for which there is no room.
fn texts(rule: &Rule) -> Result<Vec<u8>, TooLarge> {
    let (mut tags, mut references) = (&rule.tags[..], &rule.references[..]);
    loop {
        let texts = [
            rule.name.clone(),
            rule.author.clone(),
            rule.attack.clone(),
            tags.join(", "),
            references.join(" "),
        ];
        let texts = texts
            .map(|text| [varint(text.len()), text.into()].concat())
            .concat();
        let last = if references.is_empty() {
            &mut tags
        } else {
            &mut references
        };
        match last.split_last() {
            Some((_, rest)) if texts.len() > pack::MAX_TEXTS => *last = rest,
            _ => {
                let what = "bytes in a rule's title, authors and techniques";
                bounded(what, texts.len(), pack::MAX_TEXTS)?;
                return Ok(texts);
            }
        }
    }
}

/// The kinds of events that a query is looked at for.
fn kinds(rule: &Rule, query: &Query) -> u8 {
    rule.kinds.0 & plan::kinds(&query.condition).0
}

/// What is to be done with the matches of a rule's query, as its record has it.
fn purpose(rule: &Rule, stage: usize) -> (u8, [u32; 3]) {
    match rule.kind {
        Kind::Query => (pack::QUERY, [0; 3]),
        Kind::NewTerms { window_s } => (pack::NEW_TERMS, [window_s, 0, 0]),
        Kind::Threshold { count, distinct } => {
            let (field, values) = distinct.map_or((0xFF, 0), |(field, values)| {
                (u32::from(field.number()), values)
            });
            (pack::THRESHOLD, [count, field, values])
        }
        Kind::Sequence { span_ms } => {
            let span_ms = span_ms.unwrap_or(u64::MAX);
            let stages = stage as u32 | (rule.queries.len() as u32) << 8;
            (
                pack::STAGE,
                [stages, span_ms as u32, (span_ms >> 32) as u32],
            )
        }
    }
}
