//! What an alert log says of its rules, as long as there is room for it.

use peewit_core::alert::{RuleId, RuleInfo, Severity};
use peewit_core::frame::MAX_RULE_FRAME;
use peewit_core::utf8;

/// How many rules are kept.
const RULES: usize = 32;

/// The rules that were noted last.
pub struct RuleBook {
    entries: [Entry; RULES],
    /// How many were noted.
    noted: usize,
}

/// A rule: its texts one behind the other.
#[derive(Clone, Copy)]
struct Entry {
    uuid: Option<[u8; 16]>,
    severity: Severity,
    /// Where each text ends: id, name, author, attack, tags, references.
    ends: [u16; 6],
    bytes: [u8; MAX_RULE_FRAME],
}

impl RuleBook {
    /// No rules.
    pub const fn new() -> Self {
        Self {
            entries: [Entry {
                uuid: None,
                severity: Severity::Low,
                ends: [0; 6],
                bytes: [0; MAX_RULE_FRAME],
            }; RULES],
            noted: 0,
        }
    }

    /// Notes a rule, in the place of the one that was noted first if need be.
    pub fn note(&mut self, rule: &RuleInfo<'_>) {
        let (known, noted) = (self.find(rule.id), self.noted);
        self.noted += usize::from(known.is_none());
        let Some(entry) = self.entries.get_mut(known.unwrap_or(noted % RULES)) else {
            return;
        };
        let id;
        (entry.uuid, id) = match rule.id {
            RuleId::Uuid(uuid) => (Some(uuid), ""),
            RuleId::Text(text) => (None, text),
        };
        entry.severity = rule.severity;
        let texts = [
            id,
            rule.name,
            rule.author,
            rule.attack,
            rule.tags,
            rule.references,
        ];
        let mut end = 0;
        for (text, place) in texts.into_iter().zip(&mut entry.ends) {
            // Whoever wrote the log may have cut less than we do.
            let room = entry.bytes.get_mut(end..).unwrap_or(&mut []);
            let fitting = text.floor_char_boundary(room.len());
            for (to, from) in room.iter_mut().zip(text.bytes().take(fitting)) {
                *to = from;
            }
            end += fitting;
            *place = end as u16;
        }
    }

    /// The rule with this id, if it was noted.
    pub fn rule(&self, id: RuleId<'_>) -> Option<RuleInfo<'_>> {
        Some(self.entries.get(self.find(id)?)?.rule())
    }

    fn find(&self, id: RuleId<'_>) -> Option<usize> {
        let mut entries = self.entries.iter().take(self.noted);
        entries.position(|entry| entry.rule().id == id)
    }
}

impl Default for RuleBook {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    fn rule(&self) -> RuleInfo<'_> {
        let mut start = 0;
        let [id, name, author, attack, tags, references] = self.ends.map(|end| {
            let end = usize::from(end);
            let bytes = self.bytes.get(core::mem::replace(&mut start, end)..end);
            bytes.and_then(utf8).unwrap_or("")
        });
        RuleInfo {
            id: self.uuid.map_or(RuleId::Text(id), RuleId::Uuid),
            severity: self.severity,
            name,
            author,
            attack,
            tags,
            references,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let long = "\u{e4}".repeat(MAX_RULE_FRAME);
        book.note(&rule("x", &long));
        let cut = book.rule(RuleId::Text("x")).unwrap();
        assert_eq!(cut.name.len(), (MAX_RULE_FRAME - 1) / 2 * 2);
        assert_eq!(cut.author, "");
    }
}
