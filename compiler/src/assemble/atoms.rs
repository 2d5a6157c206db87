//! The atoms of all rules, de-duplicated and numbered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peewit_core::field::Field;
use peewit_core::pack::{MAX_ATOM_WORDS, MAX_LATE_WORDS};

use super::{TooLarge, bounded, queries};
use crate::expr::Atom;
use crate::plan;
use crate::rule::Rule;

/// All atoms of all rules, numbered: a field's atoms begin a new word of 64, and those that are tested one by one
/// follow all others.
pub(super) struct Atoms {
    pub fields: BTreeMap<Field, Vec<Atom>>,
    pub late: Vec<Atom>,
    pub numbers: HashMap<Atom, u16>,
}

impl Atoms {
    pub fn of(rules: &[Rule]) -> Result<Self, TooLarge> {
        let mut sets: BTreeMap<Field, BTreeSet<Atom>> = BTreeMap::new();
        let mut late: BTreeSet<Atom> = BTreeSet::new();
        let triggers = queries(rules).filter_map(|(_, query)| plan::triggers(&query.condition));
        let triggers: BTreeSet<Atom> = triggers.flatten().collect();
        for (_, query) in queries(rules) {
            query.condition.atoms(&mut |atom| {
                let is_alone = atom.is_broad() && !triggers.contains(atom);
                let early = if is_alone || atom.is_late() {
                    late.insert(atom.clone());
                    // One that nearly always holds guards nothing.
                    let guard = atom.guard();
                    guard.filter(|guard| !guard.is_broad() || triggers.contains(guard))
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
