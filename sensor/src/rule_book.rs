//! What an alert log says of its rules, as long as there is room for it.

use peewit_core::alert::{self, MAX_RULE_ENCODED, Record, RuleId, RuleInfo};

/// How many rules are kept.
const RULES: usize = 32;

/// The rules that were noted last, as they are in the log.
pub struct RuleBook {
    entries: [[u8; MAX_RULE_ENCODED]; RULES],
    /// How many were noted.
    noted: usize,
}

impl RuleBook {
    /// No rules.
    pub const fn new() -> Self {
        Self {
            entries: [[0; MAX_RULE_ENCODED]; RULES],
            noted: 0,
        }
    }

    /// Notes a rule, in the place of the one that was noted first if need be.
    pub fn note(&mut self, rule: &RuleInfo<'_>) {
        let (known, noted) = (self.find(rule.id), self.noted);
        self.noted += usize::from(known.is_none());
        if let Some(entry) = self.entries.get_mut(known.unwrap_or(noted % RULES)) {
            // There is room for any: whoever wrote the log may have cut less than we do.
            alert::encode(&Record::Rule(*rule), entry);
        }
    }

    /// The rule with this id, if it was noted.
    pub fn rule(&self, id: RuleId<'_>) -> Option<RuleInfo<'_>> {
        rule(self.entries.get(self.find(id)?)?)
    }

    fn find(&self, id: RuleId<'_>) -> Option<usize> {
        let mut entries = self.entries.iter().take(self.noted);
        entries.position(|entry| rule(entry).is_some_and(|rule| rule.id == id))
    }
}

fn rule(entry: &[u8]) -> Option<RuleInfo<'_>> {
    match alert::decode(entry) {
        Some(Record::Rule(rule)) => Some(rule),
        _ => None,
    }
}

impl Default for RuleBook {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peewit_core::alert::{NAME_LIMIT, Severity};
    use std::format;

    fn rule<'a>(id: &'a str, name: &'a str) -> RuleInfo<'a> {
        RuleInfo {
            id: RuleId::new(id),
            severity: Severity::High,
            name,
            author: "A. Writer, B. Editor",
            attack: "T1059",
            tags: "",
            references: "https://example.org",
        }
    }

    #[test]
    fn rules_come_back_and_the_last_word_counts() {
        let mut book = RuleBook::new();
        let uuid = rule("00112233-4455-6677-8899-aabbccddeeff", "one");
        let text = rule("peewit-multi-call", "two");
        assert_eq!(book.rule(uuid.id), None);
        for rule in [uuid, text] {
            book.note(&rule);
        }
        assert_eq!(book.rule(uuid.id), Some(uuid));
        assert_eq!(book.rule(text.id), Some(text));
        assert_eq!(book.rule(RuleId::Text("")), None);
        let renamed = rule("peewit-multi-call", "three");
        book.note(&renamed);
        assert_eq!(book.rule(text.id), Some(renamed));
        assert_eq!(book.noted, 2);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut book = RuleBook::new();
        for number in 0..RULES + 3 {
            book.note(&rule(&format!("rule {number}"), "x"));
        }
        for number in 0..RULES + 3 {
            let id = format!("rule {number}");
            assert_eq!(book.rule(RuleId::Text(&id)).is_some(), number >= 3);
        }
    }

    #[test]
    fn texts_that_no_writer_of_ours_makes_are_cut() {
        let mut book = RuleBook::new();
        let long = "\u{e4}".repeat(NAME_LIMIT);
        book.note(&rule("x", &long));
        let cut = book.rule(RuleId::Text("x")).unwrap();
        assert_eq!(cut.name, &long[..NAME_LIMIT]);
        assert_eq!(cut.author, "A. Writer, B. Editor");
    }
}
