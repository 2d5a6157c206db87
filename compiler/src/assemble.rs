//! Writing a pack: de-duplicates atoms over all rules and lays out `docs/pack-format.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use peewit_core::automaton::MAX_WORDS;
use peewit_core::field::{Field, Type};
use peewit_core::glob;
use peewit_core::pack::{
    self, ALWAYS, GLOB, HEADER_LEN, MAGIC, MAX_ATOM_WORDS, MAX_LATE_WORDS, MAX_RULES, MAX_SLOTS,
    MAX_STAGES, MAX_TERM_FIELDS, NO_GUARD, NO_SLOT, NOT, Pack, Section, VERSION,
};

use crate::automata::{Item, Trie, When};
use crate::dfa;
use crate::expr::{Atom, Pattern, Test, Token};
use crate::plan;
use crate::rule::{Kind, Query, Rule};

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

/// All atoms of all rules, numbered: a field's atoms begin a new word of 64, and those that are tested one by one
/// follow all others.
struct Atoms {
    fields: BTreeMap<Field, Vec<Atom>>,
    late: Vec<Atom>,
    numbers: HashMap<Atom, u16>,
}

impl Atoms {
    fn of(rules: &[Rule]) -> Result<Self, TooLarge> {
        let mut sets: BTreeMap<Field, BTreeSet<Atom>> = BTreeMap::new();
        let mut late: BTreeSet<Atom> = BTreeSet::new();
        for (_, query) in queries(rules) {
            query.condition.atoms(&mut |atom| {
                let early = if atom.is_late() {
                    late.insert(atom.clone());
                    atom.guard()
                } else {
                    Some(atom.clone())
                };
                if let Some(atom) = early {
                    sets.entry(atom.field).or_default().insert(atom);
                }
            });
        }
        let late: Vec<Atom> = late.into_iter().collect();
        bounded(
            "different lengths, comparisons and regular expressions",
            late.len(),
            MAX_LATE_WORDS * 64,
        )?;
        let (mut words, mut numbers, mut fields) = (0, HashMap::new(), BTreeMap::new());
        for (field, set) in sets {
            let list: Vec<Atom> = set.into_iter().collect();
            numbers.extend(
                list.iter()
                    .enumerate()
                    .map(|(index, atom)| (atom.clone(), (words * 64 + index) as u16)),
            );
            words += list.len().div_ceil(64);
            fields.insert(field, list);
        }
        numbers.extend(
            late.iter()
                .enumerate()
                .map(|(index, atom)| (atom.clone(), (words * 64 + index) as u16)),
        );
        bounded(
            "words of 64 different lists of values",
            words + late.len().div_ceil(64),
            MAX_ATOM_WORDS,
        )?;
        Ok(Self {
            fields,
            late,
            numbers,
        })
    }
}

/// The growing sections.
#[derive(Default)]
struct Writer {
    sections: [Vec<u8>; Section::COUNT],
    lists: HashMap<Vec<u16>, u16>,
    strings: HashMap<Vec<u8>, u32>,
    dfas: HashMap<Vec<u8>, u32>,
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

    /// The index of a list, written at its first use. More than fit are noticed in `finish`.
    fn list(&mut self, items: impl IntoIterator<Item = u16>) -> u16 {
        let items: Vec<u16> = items.into_iter().collect();
        if let Some(&index) = self.lists.get(&items) {
            return index;
        }
        let index = self.count(Section::Lists, pack::ITEM_LEN) as u16;
        for item in std::iter::once(items.len() as u16).chain(items.iter().copied()) {
            self.u16(Section::Lists, item);
        }
        self.lists.insert(items, index);
        index
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
            let folds = tests.keys().any(
                |test| matches!(test, Test::Pattern(pattern) if pattern.fold && is_inside(pattern)),
            );
            let mut patterns = Patterns {
                folds,
                ..Patterns::default()
            };
            let mut ranges = 0u16;
            for (test, numbers) in tests {
                match test {
                    Test::Length(..) | Test::Regex(_) | Test::BeginsWith(_) => {}
                    Test::Pattern(pattern) => patterns.add(self, pattern, &numbers)?,
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
            let mut list = |items: &BTreeSet<Item>| u32::from(self.list(items.iter().copied()));
            let automata = [
                patterns.anchored[0].anchored(&mut list),
                patterns.anchored[1].anchored(&mut list),
                patterns.reversed[0].anchored(&mut list),
                patterns.reversed[1].anchored(&mut list),
                std::mem::take(&mut patterns.unanchored[0]).unanchored(&mut list),
                std::mem::take(&mut patterns.unanchored[1]).unanchored(&mut list),
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
            let guard = atom.guard().map_or(NO_GUARD, |guard| atoms.numbers[&guard]);
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
                    if is_list(*other) || other.ty() == Type::Number {
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
            return self.glob_record(&literal, fold, tried, numbers);
        }
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
        self.glob_record(&pattern, fold, tried, numbers)
    }

    fn glob_record(
        &mut self,
        pattern: &[u8],
        fold: bool,
        tried: Tried,
        numbers: &BTreeSet<u16>,
    ) -> Result<Item, TooLarge> {
        let number = self.count(Section::Globs, pack::GLOB_LEN);
        let (offset, list) = (self.string(pattern), self.list(numbers.iter().copied()));
        let section = self.section(Section::Globs);
        section.extend(offset.to_le_bytes());
        section.extend((pattern.len() as u16).to_le_bytes());
        section.extend(list.to_le_bytes());
        let (slot, whole) = match tried {
            Tried::Rest => (NO_SLOT, 0),
            Tried::Whole(slot) => (slot, pack::GLOB_WHOLE),
            Tried::Inside(read) => (read, pack::GLOB_INSIDE),
        };
        let folds = if fold { pack::GLOB_FOLDS } else { 0 };
        section.extend([folds | whole, 0]);
        section.extend(slot.to_le_bytes());
        Ok(GLOB | number as u16)
    }

    fn rules(&mut self, rules: &[Rule], atoms: &Atoms) -> Result<(), TooLarge> {
        for rule in rules {
            bounded("stages of a sequence", rule.queries.len(), MAX_STAGES)?;
            for (stage, query) in rule.queries.iter().enumerate() {
                self.rule(rule, stage, query, atoms)?;
            }
        }
        Ok(())
    }

    fn rule(
        &mut self,
        rule: &Rule,
        stage: usize,
        query: &Query,
        atoms: &Atoms,
    ) -> Result<(), TooLarge> {
        let first = self.count(Section::Code, pack::INSTRUCTION_LEN);
        let jumps = plan::jumps(&query.condition);
        bounded("jumps", first + jumps.len(), usize::from(pack::FAIL))?;
        for jump in &jumps {
            let target = |target: u16| {
                if target >= pack::FAIL {
                    target
                } else {
                    target + first as u16
                }
            };
            let atom = atoms.numbers[jump.atom] | if jump.negated { NOT } else { 0 };
            for value in [atom, target(jump.then), target(jump.otherwise)] {
                self.u16(Section::Code, value);
            }
        }
        let mut record = Vec::with_capacity(pack::RULE_LEN);
        let (tags, references) = (rule.tags.join(", "), rule.references.join(" "));
        for text in [
            &rule.id,
            &rule.name,
            &rule.author,
            &rule.attack,
            &tags,
            &references,
        ] {
            bounded(
                "bytes in a rule's title, authors, techniques, tags or references",
                text.len(),
                usize::from(u16::MAX),
            )?;
            record.extend(self.string(text.as_bytes()).to_le_bytes());
            record.extend((text.len() as u16).to_le_bytes());
        }
        record.extend((first as u16).to_le_bytes());
        record.extend((jumps.len() as u16).to_le_bytes());
        for seconds in [rule.lookback_s, rule.interval_s] {
            record.extend(seconds.to_le_bytes());
        }
        bounded("fields of a rule's keys", query.keys.len(), MAX_TERM_FIELDS)?;
        let mut keys = [0xFF; MAX_TERM_FIELDS];
        for (slot, field) in keys.iter_mut().zip(&query.keys) {
            *slot = field.number();
        }
        record.extend(keys);
        let (purpose, numbers) = purpose(rule, stage);
        record.extend([
            rule.severity as u8,
            rule.risk_score,
            kinds(rule, query),
            purpose,
        ]);
        record.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
        debug_assert_eq!(record.len(), pack::RULE_LEN);
        self.section(Section::Rules).extend(record);
        Ok(())
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
        if !always.is_empty() {
            triggered.insert(ALWAYS, always);
        }
        for (atom, rules) in triggered {
            let list = self.list(rules);
            self.u16(Section::Triggers, atom);
            self.u16(Section::Triggers, list);
        }
        for ((_, field), kinds) in steps {
            self.section(Section::Steps).extend([field.number(), kinds]);
        }
        if always_kinds != 0 {
            self.section(Section::Steps).extend([0xFF, always_kinds]);
        }
        Ok(())
    }

    fn finish(mut self, build: u32) -> Result<Vec<u8>, TooLarge> {
        let lists = self.count(Section::Lists, pack::ITEM_LEN);
        bounded("items in lists", lists, usize::from(u16::MAX))?;
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

/// Whether an event can have several values of a field.
const fn is_list(field: Field) -> bool {
    matches!(
        field,
        Field::ProcessArgs
            | Field::ParentArgs
            | Field::EntryLeaderArgs
            | Field::ProcessEnvVars
            | Field::ProcessCapabilitiesEffective
            | Field::ProcessCapabilitiesPermitted
            | Field::EventCategory
            | Field::EventType
            | Field::EventAction
    )
}

/// How many bytes of a literal an automaton looks for that may stand anywhere.
const PART: usize = 5;

/// On what a glob is tried.
#[derive(Clone, Copy, Debug)]
enum Tried {
    /// On what follows the literal that was found.
    Rest,
    /// On the whole value; with a slot only the first time that the literal was found.
    Whole(u16),
    /// It is a literal and compared where a part of it was found, so many of its bytes back.
    Inside(u16),
}

/// The automata of one field, each for case-sensitive (0) and folding (1) patterns.
#[derive(Default)]
struct Patterns {
    anchored: [Trie; 2],
    reversed: [Trie; 2],
    unanchored: [Trie; 2],
    slots: u16,
    /// Whether an unanchored automaton ignores case: then it also looks for the case-sensitive patterns, for it is
    /// one walk less.
    folds: bool,
}

impl Patterns {
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
        let trie = usize::from(self.folds);
        let (start, part) = rarest(&inner);
        if alone && exact && part.len() == inner.len() {
            self.unanchored[trie].insert(&inner, When::Here, atoms());
        } else if alone && recurrence(tokens) + 2 <= glob::CREDIT {
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

/// The part of a long literal that is looked for, and where it begins: an unanchored automaton takes four bytes for
/// each byte of it.
fn rarest(literal: &[u8]) -> (usize, &[u8]) {
    let rarity = |part: &[u8]| -> u32 {
        let rarity = |byte: &u8| match byte {
            b' ' | b'/' | b'-' | b'.' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 1,
            b'a'..=b'z' | b'A'..=b'Z' => 2,
            b'0'..=b'9' => 3,
            _ => 4,
        };
        part.iter().map(rarity).sum()
    };
    // Of equals the first: the search goes on until one is seen.
    let parts = literal.windows(PART).enumerate().rev();
    parts
        .max_by_key(|(_, part)| rarity(part))
        .unwrap_or((0, literal))
}

/// How many beginnings of a pattern's literal can end at one place of a text, at most: so many comparisons can a search
/// for it take for a byte. Single bytes of any value are taken to recur without end.
fn recurrence(tokens: &[Token]) -> usize {
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
fn is_inside(pattern: &Pattern) -> bool {
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
fn longest_literal(tokens: &[Token]) -> Option<Vec<u8>> {
    let literals = tokens
        .split(|token| byte(token).is_none())
        .filter(|literal| !literal.is_empty());
    let longest = literals.max_by_key(|literal| literal.len())?;
    Some(longest.iter().filter_map(byte).collect())
}

const fn byte(token: &Token) -> Option<u8> {
    match token {
        Token::Byte(byte) => Some(*byte),
        Token::Run | Token::One => None,
    }
}

/// A pattern as `peewit_core::glob` reads it.
pub(crate) fn encode(tokens: &[Token]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for token in tokens {
        match token {
            Token::Run => pattern.extend(br"\*"),
            Token::One => pattern.extend(br"\?"),
            Token::Byte(b'\\') => pattern.extend(br"\\"),
            Token::Byte(byte) => pattern.push(*byte),
        }
    }
    pattern
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
