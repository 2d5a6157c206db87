//! What a pack holds and what it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use peewit_compiler::estimate::Estimate;
use peewit_compiler::expr::{Atom, Test, Token};
use peewit_compiler::rule::{Kind, Rule};
use peewit_core::pack::{Kinds, Pack};

/// What the tables of sequences and of thresholds take on a device once they are full, in KiB.
const SEQUENCES_KIB: usize = 32;
const THRESHOLDS_KIB: usize = 36;

/// A summary of the rules of a pack.
pub struct Summary {
    rules: BTreeMap<&'static str, usize>,
    predicates: usize,
    tests: BTreeMap<&'static str, usize>,
    pack_bytes: usize,
    always: usize,
    by_kind: [usize; 3],
    sequences: bool,
    thresholds: bool,
    estimate: Estimate,
}

impl Summary {
    /// Of these rules and their pack.
    pub fn new(rules: &[Rule], bytes: &[u8], pack: &Pack) -> Self {
        let mut summary = Self {
            rules: BTreeMap::new(),
            predicates: 0,
            tests: BTreeMap::new(),
            pack_bytes: bytes.len(),
            always: pack.always_looked_at(),
            by_kind: [Kinds::EXEC, Kinds::FORK, Kinds::EXIT]
                .map(|kind| pack.rules().filter(|rule| rule.kinds.meets(kind)).count()),
            sequences: false,
            thresholds: false,
            estimate: Estimate::of(rules),
        };
        let mut atoms: BTreeSet<&Atom> = BTreeSet::new();
        for rule in rules {
            let kind = match rule.kind {
                Kind::Query => "query",
                Kind::NewTerms { .. } => "new terms",
                Kind::Threshold { .. } => "threshold",
                Kind::Sequence { .. } => "sequence",
            };
            *summary.rules.entry(kind).or_default() += 1;
            summary.sequences |= matches!(rule.kind, Kind::Sequence { .. });
            summary.thresholds |= matches!(rule.kind, Kind::Threshold { .. });
            for query in &rule.queries {
                query.condition.atoms(&mut |atom| {
                    atoms.insert(atom);
                });
            }
        }
        summary.predicates = atoms.len();
        for test in atoms.iter().flat_map(|atom| &atom.tests) {
            *summary.tests.entry(kind(test)).or_default() += 1;
        }
        summary
    }
}

/// The kind of a test.
fn kind(test: &Test) -> &'static str {
    let Test::Pattern(pattern) = test else {
        return match test {
            Test::Regex(_) => "regular expressions",
            Test::BeginsWith(_) => "comparisons of fields",
            _ => "ranges",
        };
    };
    let literals = |tokens: &[Token]| tokens.iter().all(|token| matches!(token, Token::Byte(_)));
    match pattern.tokens.as_slice() {
        [Token::Run] => "existence",
        tokens if literals(tokens) => "exact",
        [start @ .., Token::Run] if literals(start) => "prefix",
        [Token::Run, end @ ..] if literals(end) => "suffix",
        [Token::Run, middle @ .., Token::Run] if literals(middle) => "contains",
        _ => "other globs",
    }
}

fn list(counts: &BTreeMap<&'static str, usize>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    parts.join(", ")
}

fn reads(estimate: &Estimate) -> String {
    let names: Vec<&str> = estimate.reads.iter().map(|field| field.name()).collect();
    match names.as_slice() {
        [] => String::from("nothing more"),
        names => names.join(", "),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [exec, fork, exit] = self.by_kind;
        let tables = usize::from(self.sequences) * SEQUENCES_KIB
            + usize::from(self.thresholds) * THRESHOLDS_KIB;
        writeln!(f, "rules: {}", list(&self.rules))?;
        writeln!(
            f,
            "predicates: {} lists of {} patterns: {}",
            self.predicates,
            self.tests.values().sum::<usize>(),
            list(&self.tests)
        )?;
        writeln!(
            f,
            "queries: {exec} can hold for an exec, {fork} for a fork, {exit} for a process' end"
        )?;
        writeln!(
            f,
            "estimated cost: {:.2} queries looked at for an exec, {} of them whatever is in it; read from /proc for it: {}",
            self.estimate.conditions,
            self.always,
            reads(&self.estimate)
        )?;
        write!(
            f,
            "memory on a device, beside the sensor's own: {} KiB for the pack{}",
            self.pack_bytes.div_ceil(1024),
            if tables > 0 {
                format!(", up to {tables} for sequences and thresholds")
            } else {
                String::new()
            }
        )
    }
}
