//! Records on standard output, and on standard error what is wrong with them.

use peewit_core::alert::{Alert, Header, HeldBack, Record};
use peewit_core::ecs::{write_alert, write_held_back, write_held_back_text};
use peewit_core::frame::Item;
use peewit_core::pack::MAX_TEXTS;

use crate::host::Host;
use crate::rule_book::RuleBook;
use crate::rules;
use crate::status::show_health;
use crate::sys::{Book, STDOUT};
use crate::text::{Line, Out, say};
use crate::writer::{rule_of, show};

/// Prints a log, record by record.
pub(super) struct Printer {
    pub(super) out: Out<'static>,
    json: bool,
    /// What the log says of its rules.
    rules: RuleBook,
    book: Option<Book>,
    /// Whose alerts those are that follow.
    host: Option<Host>,
    /// The first alert that is wanted.
    from: u64,
    /// The last alert in the log so far.
    seen: u64,
    /// The sensor was started again since the last alert.
    restarted: bool,
    /// Something was no record.
    pub(super) damaged: bool,
}

impl Printer {
    #[inline(never)]
    pub(super) fn new(json: bool, from: u64) -> Self {
        // Only for rules of which the log says nothing: without it their ids are shown.
        let book = rules::load(rules::DEFAULT).or_else(|_| rules::built_in());
        Self {
            out: Out::new(&STDOUT),
            json,
            rules: RuleBook::new(),
            book: book.ok(),
            host: None,
            from,
            seen: 0,
            restarted: false,
            damaged: false,
        }
    }

    /// The file is read from its beginning once more: what was printed is not printed again.
    pub(super) fn again(&mut self) {
        self.from = self.from.max(self.seen + 1);
    }

    /// Prints what stands in a file, at a place that counts from `base`.
    pub(super) fn item(&mut self, item: &Item<'_>, base: u64, file: &[u8]) {
        match item {
            Item::Record {
                record: Record::Header(header),
                ..
            } => {
                let host = Host::of(header);
                // Each file has one; only a start has a new time.
                let before = self.host.as_ref();
                self.restarted |= before.is_some_and(|before| !before.same_start(&host));
                self.host = Some(host);
            }
            Item::Record {
                record: Record::Rule(rule),
                ..
            } => self.rules.note(rule),
            Item::Record {
                record: Record::Alert(alert),
                ..
            } => {
                self.numbered(alert.sequence);
                if alert.sequence >= self.from {
                    self.alert(alert);
                }
            }
            Item::Record {
                record: Record::Health(health),
                ..
            } => {
                if self.seen + 1 >= self.from {
                    show_health(&mut self.out, self.host.as_ref(), health, self.json, "; ");
                }
            }
            Item::Record {
                record: Record::HeldBack(held),
                ..
            } => {
                if self.seen + 1 >= self.from {
                    self.held_back(held);
                }
            }
            Item::Unknown { offset, kind } => {
                let mut line = place(file, base + *offset);
                line.text("skipped: a record of a later version")
                    .count(", kind ", u64::from(*kind));
            }
            Item::Corrupt { offset, len } => {
                self.damaged = true;
                let mut line = place(file, base + *offset);
                line.text("skipped: no record").count(", bytes: ", *len);
            }
        }
    }

    fn held_back(&mut self, held: &HeldBack<'_>) {
        // Errors of `out` come with its flush.
        let _ = if self.json {
            let header = self.host.as_ref().map(Host::header);
            write_held_back(&mut self.out, header.as_ref(), held)
        } else {
            write_held_back_text(&mut self.out, held)
        };
        self.out.bytes(b"\n");
    }

    #[inline(never)]
    fn alert(&mut self, alert: &Alert<'_>) {
        let mut room = [0; MAX_TEXTS];
        let rule = match (self.rules.rule(alert.rule), &self.book) {
            (None, Some(book)) => rule_of(alert, &book.engine().pack(), &mut room),
            (rule, _) => rule,
        };
        if self.json {
            let header: Option<Header<'_>> = self.host.as_ref().map(Host::header);
            // Errors of `out` come with its flush.
            let _ = write_alert(&mut self.out, header.as_ref(), alert, None, rule.as_ref());
            self.out.bytes(b"\n");
        } else {
            show(&mut self.out, alert, rule.as_ref());
        }
    }

    /// Says which alerts are missing in front of this one.
    fn numbered(&mut self, sequence: u64) {
        let seen = core::mem::replace(&mut self.seen, sequence);
        let restarted = core::mem::take(&mut self.restarted);
        // Without any before it, it is the first of the log, or should be the first that is wanted.
        let next = if seen > 0 {
            seen.saturating_add(1)
        } else {
            sequence
        };
        let next = if self.from > 0 && seen < self.from {
            self.from
        } else {
            next
        };
        if sequence <= next {
            return;
        }
        let mut line = say("lost: ");
        line.count("alerts ", next).count(" to ", sequence - 1);
        if restarted {
            line.text(", at most: numbers are skipped when the sensor was killed");
        }
    }
}

/// Begins a line about a place in a file.
fn place(file: &[u8], offset: u64) -> Line {
    let mut line = say("");
    line.printable(file).count(", byte ", offset).text(": ");
    line
}
