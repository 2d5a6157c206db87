//! `peewit alerts`: prints a log of alerts.

use peewit_core::alert::{Header, Record};
use peewit_core::ecs::write_alert;
use peewit_core::frame::{Frames, Item, MAX_FRAME};
use peewit_core::pack::Pack;

use crate::cli::{Name, Options};
use crate::host::Host;
use crate::rule_book::RuleBook;
use crate::status::show_health;
use crate::sys::{Errno, Fd, OpenMode, STDOUT, open, sleep_ms};
use crate::text::{Out, say};
use crate::writer::{rule_of, show};
use crate::{log, rules};

/// How often a followed log is looked at.
const INTERVAL_MS: u64 = 200;

/// The command. Gives the exit status: 1 if the log could not be read or holds what is no alert.
// Not inlined: its buffers would be on the stack of `run` too.
#[inline(never)]
pub fn alerts(options: &Options) -> u8 {
    let path = options.value(Name::Word).unwrap_or(log::DEFAULT);
    let opened = log::file(path).and_then(|file| open(file.as_c_str(), OpenMode::Read));
    match opened.and_then(|file| print(&file, options)) {
        Ok(damaged) => u8::from(damaged),
        Err(error) => {
            say("").printable(path.to_bytes()).text(": ").error(error);
            1
        }
    }
}

/// Prints what is in the file. Gives whether some of it is no alert.
fn print(file: &Fd, options: &Options) -> Result<bool, Errno> {
    // Only for rules of which the log says nothing: without it their ids are shown.
    let book = rules::load(rules::DEFAULT).or_else(|_| rules::built_in());
    let mut buffer = [0; MAX_FRAME];
    let mut frames = Frames::new(&mut buffer);
    let mut printer = Printer {
        out: Out::new(&STDOUT),
        json: options.has(Name::Json),
        rules: RuleBook::new(),
        pack: book.as_ref().ok().map(|book| book.engine().pack()),
        host: None,
        damaged: false,
    };
    let mut piece = [0; 1024];
    loop {
        let read = file.read(&mut piece)?;
        let mut input = piece.get(..read).unwrap_or(&[]);
        while let Some(item) = frames.next(&mut input) {
            printer.item(&item);
        }
        if read > 0 {
            continue;
        }
        if !options.has(Name::Follow) {
            if let Some(item) = frames.finish() {
                printer.item(&item);
            }
            printer.out.flush()?;
            return Ok(printer.damaged);
        }
        printer.out.flush()?;
        sleep_ms(INTERVAL_MS);
    }
}

struct Printer<'f> {
    out: Out<'f>,
    json: bool,
    /// What the log says of its rules.
    rules: RuleBook,
    pack: Option<Pack<'f>>,
    /// Whose alerts those are that follow.
    host: Option<Host>,
    damaged: bool,
}

impl Printer<'_> {
    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::Record {
                record: Record::Header(header),
                ..
            } => self.host = Some(Host::of(header)),
            Item::Record {
                record: Record::Rule(rule),
                ..
            } => self.rules.note(rule),
            Item::Record {
                record: Record::Alert(alert),
                ..
            } => {
                let in_pack = || rule_of(alert, self.pack.as_ref()?);
                let rule = self.rules.rule(alert.rule).or_else(in_pack);
                if self.json {
                    let header: Option<Header<'_>> = self.host.as_ref().map(Host::header);
                    // Errors of `out` come with its flush.
                    let _ = write_alert(&mut self.out, header.as_ref(), alert, None, rule.as_ref());
                    self.out.bytes(b"\n");
                } else {
                    show(&mut self.out, alert, rule.as_ref());
                }
            }
            Item::Record {
                record: Record::Health(health),
                ..
            } => show_health(&mut self.out, self.host.as_ref(), health, self.json, "; "),
            Item::Unknown { offset, kind } => {
                say("skipped: a record of a later version")
                    .count(", kind ", u64::from(*kind))
                    .count(", at byte ", *offset);
            }
            Item::Corrupt { offset, len } => {
                self.damaged = true;
                say("skipped: no record")
                    .count(", bytes: ", *len)
                    .count(", at byte ", *offset);
            }
        }
    }
}
