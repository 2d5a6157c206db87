//! From a rule that holds to an alert in the writer's queue.

mod describe;

use core::sync::atomic::Ordering;

use peewit_core::alert::{Flags, MatchedArg, ProcessEvent, Record, STAGES, Stage as Earlier};
use peewit_core::engine::Engine;
use peewit_core::event::base_name;
use peewit_core::frame::{self, MAX_FRAME, MAX_RULE_FRAME};
use peewit_core::lineage::Lineage;
use peewit_core::pack::{self, MAX_TEXTS, Pack, Purpose, RuleIndex};
use peewit_core::sequence::{Sequences, Stage};
use peewit_core::store::{self, Term, encode};
use peewit_core::terms::{Key, Terms, fingerprint};
use peewit_core::threshold::{self, Threshold, Thresholds};

use crate::age;
use crate::exceptions::Exceptions;
use crate::judge::Rules;
use crate::log::BEGUN;
use crate::queue;
use crate::rate::Rate;
use crate::ring::Producer;
use crate::subject::Subject;
use crate::sys::{boot_ms, real_ms};

use describe::{Found, describe};
pub use describe::{args_len, matched_arg};

/// Who started whom: processes, images and bytes of their paths and arguments.
pub type Table = Lineage<1024, 256, 16384>;

/// Terms that were seen.
pub type Known = Terms<512, 1024>;

/// Before a record for the store, in the queue to the writer. A frame begins with 0.
pub const NOTE: u8 = 1;

/// Of the time since a term was last written down, when it is seen again: this part of its window is worth another record.
const STALE: u64 = 8;

/// Sequences that are not complete.
type Pending = Sequences<256, STAGES, Earlier>;

/// Events and values that count towards thresholds.
type Counts = Thresholds<{ threshold::MOST as usize }>;

/// Most values of one event that count towards a threshold of different ones.
const MAX_VALUES: usize = 128;

/// Most tuples of values that one event brings for one rule.
const MAX_TUPLES: usize = 64;

/// What an alert says beside what the rules saw.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The thread that made the call.
    pub tid: u32,
    /// Length of all arguments.
    pub args_len: u32,
    /// Marks.
    pub flags: Flags,
    /// The argument by which the rule matched.
    pub matched: Option<MatchedArg<'a>>,
}

/// What was forgotten for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Terms: they may be reported again.
    pub terms: u64,
    /// Pending sequences: their alerts may be missed.
    pub sequences: u64,
    /// Events and values that counted: thresholds may be reached too late or never.
    pub thresholds: u64,
}

/// Decides what is new, complete or often enough, numbers alerts, and hands them to the writer.
pub struct Outlet {
    terms: Known,
    sequences: Pending,
    thresholds: Counts,
    key: Key,
    /// What is no alert on this device.
    pub exceptions: Exceptions,
    /// The rules that the stream has told of.
    told: Rules,
    /// The last number given.
    sequence: u64,
    /// How old the state is while alerts of new terms are still marked: `u64::MAX`: as old as the rule's window is long.
    learning_ms: u64,
    alerts: Option<Producer>,
    events: Option<Producer>,
    frame: [u8; MAX_FRAME],
    /// How many alerts there may be.
    pub rate: Rate,
    /// Alerts for which the queue had no room.
    pub alerts_lost: u64,
    /// The same of events.
    pub events_lost: u64,
    /// Events that a rule held for, and an exception too.
    pub excepted: u64,
}

impl Outlet {
    /// Knows no term and has nobody to hand alerts to. All zero.
    pub const fn new() -> Self {
        Self {
            terms: Known::new(),
            sequences: Pending::new(),
            thresholds: Counts::new(),
            key: Key([0; 16]),
            exceptions: Exceptions::NONE,
            told: Rules::NONE,
            sequence: 0,
            learning_ms: 0,
            alerts: None,
            events: None,
            frame: [0; MAX_FRAME],
            rate: Rate::new(),
            alerts_lost: 0,
            events_lost: 0,
            excepted: 0,
        }
    }

    /// Opens it: with the number of the last alert in the log, and queues to the writer.
    pub fn open(&mut self, sequence: u64, alerts: Producer, events: Option<Producer>) {
        self.sequence = sequence;
        self.alerts = Some(alerts);
        self.events = events;
    }

    /// The terms that are known.
    pub fn terms(&mut self) -> &mut Known {
        &mut self.terms
    }

    /// The secret key under which they are.
    pub fn set_key(&mut self, key: [u8; 16]) {
        self.key = Key(key);
    }

    /// The fingerprint of a term.
    pub fn fingerprint(&self, rule: &[u8], values: &[&[u8]]) -> u64 {
        fingerprint(&self.key, rule, values)
    }

    /// Marks alerts of new terms while the state is younger than this; `None`: than their rule's window.
    pub fn learn(&mut self, milliseconds: Option<u64>) {
        self.learning_ms = milliseconds.unwrap_or(u64::MAX);
    }

    /// The number of the last alert.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Room for a frame, for whoever has the lock.
    pub fn frame(&mut self) -> &mut [u8] {
        &mut self.frame
    }

    /// Whether anybody wants to see every event.
    pub const fn wants_events(&self) -> bool {
        self.events.is_some()
    }

    /// What was forgotten for want of room.
    pub fn evicted(&self) -> Evicted {
        Evicted {
            terms: self.terms.evicted(),
            sequences: self.sequences.evicted(),
            thresholds: self.thresholds.evicted(),
        }
    }

    /// Takes out those rules that are stages of sequences which did not get there yet: nothing comes of them. Gives them.
    #[inline(never)]
    pub fn leave_out(&self, pack: &Pack<'_>, rules: &mut Rules) -> Rules {
        let (now, mut rest) = (boot_ms(), *rules);
        let (mut kept, mut left_out) = (Rules::NONE, Rules::NONE);
        while let Some(rule) = rest.pop() {
            let stage = pack.rule(rule).and_then(|rule| Stage::of(&rule));
            match stage {
                Some(stage) if !self.sequences.awaits(&stage, now) => left_out.insert(rule),
                _ => kept.insert(rule),
            }
        }
        *rules = kept;
        left_out
    }

    /// A query holds for an event: raises an alert for each term that is new, each sequence that is complete, each threshold
    /// that is reached, or one where the rule asks for nothing more. Gives how many.
    ///
    /// Of the stages of a sequence, the last is to be told first.
    pub fn matched(
        &mut self,
        engine: &Engine<'_>,
        rule: RuleIndex,
        subject: &Subject<'_>,
        lineage: &Table,
        beside: &Beside<'_>,
    ) -> u32 {
        let Some(held) = engine.pack().rule(rule) else {
            return 0;
        };
        let mut room = [0; _];
        let id = held.id.text(&mut room);
        if self.exceptions.except(id, subject) {
            self.excepted += 1;
            return 0;
        }
        let now = boot_ms();
        let mut different: heapless::Vec<u64, MAX_VALUES> = heapless::Vec::new();
        if let Purpose::Threshold {
            distinct: Some((field, _)),
            ..
        } = held.purpose
        {
            engine.values(field, subject, MAX_VALUES, |value| {
                // There is room for as many.
                let _ = different.push(fingerprint(&self.key, id, &[value]));
            });
        }
        let mut raised = 0;
        let mut found = |values: &[&[u8]]| {
            let key = fingerprint(&self.key, id, values);
            let (mut terms, mut stages) = (&[][..], heapless::Vec::new());
            let raise = match held.purpose {
                Purpose::Query => true,
                Purpose::NewTerms { window_ms } => {
                    terms = values;
                    self.is_new(key, window_ms)
                }
                Purpose::Threshold { .. } => Threshold::of(&held).is_some_and(|threshold| {
                    self.thresholds.count(&threshold, key, &different, now)
                }),
                Purpose::Stage { .. } => {
                    let event = Earlier {
                        pid: subject.pid,
                        boot_ms: now,
                    };
                    let completed = Stage::of(&held)
                        .and_then(|stage| self.sequences.advance(&stage, key, now, event));
                    let complete = completed.is_some();
                    stages = completed.unwrap_or_default();
                    complete
                }
            };
            if !raise {
                return;
            }
            if self.rate.is_due(now) {
                self.tell_held_back(&engine.pack());
            }
            if self.rate.admits(now) {
                // If there is no room for it the number is used up: whoever reads the log sees that one is missing.
                self.sequence += 1;
                let found = Found {
                    sequence: self.sequence,
                    terms,
                    stages,
                    flags: self.marks(&held.purpose),
                };
                let alert = describe(&held, subject, lineage, beside, found);
                let sent = self.send(&engine.pack(), &held, &alert);
                if let Purpose::NewTerms { .. } = held.purpose {
                    self.keep(key, id, values, sent);
                }
                raised += 1;
            } else {
                let name = || subject.executable.map_or(&b""[..], base_name);
                let about = terms.first().copied().unwrap_or_else(name);
                self.rate.hold(held.index, about, now, real_ms());
                if let Purpose::NewTerms { .. } = held.purpose {
                    // Nobody was told of it.
                    self.terms.forget(key);
                }
            }
        };
        if held.keys.is_empty() {
            found(&[]);
        } else {
            engine.terms(&held, subject, MAX_TUPLES, found);
        }
        raised
    }

    /// Whether a term is new. One that is not is written down again if what is written is too old.
    #[inline(never)]
    pub(crate) fn is_new(&mut self, key: u64, window_ms: u64) -> bool {
        let now = age::age_ms();
        let before = self.terms.get(key);
        if self.terms.seen(key, now, window_ms).is_new() {
            return true;
        }
        let part = (window_ms / STALE).max(1);
        let learned = self.terms.get(key).is_some_and(|known| known.learned);
        if before.is_some_and(|before| {
            before.settled
                && (before.learned != learned || before.last_seen_ms / part != now / part)
        }) {
            // Without room for it the next time does.
            self.note(&store::Record::Seen {
                fingerprint: key,
                age_ms: now,
            });
        }
        false
    }

    /// A term has become known by an alert that is on its way, or is not: what nobody was told of must not silence the next.
    pub(crate) fn keep(&mut self, key: u64, rule: &[u8], values: &[&[u8]], sent: bool) {
        if !sent {
            self.terms.forget(key);
        } else if let Some(known) = self.terms.get(key) {
            // Without room for it the term is known in memory only.
            self.note(&store::Record::Term(Term::new(
                key,
                known.last_seen_ms,
                known.learned,
                rule,
                values,
            )));
        }
    }

    /// Enters a term that is known from elsewhere, as if it had been seen now and before; `lasting`: also if it has been known. Gives
    /// whether there was room to have that written down; it is as before if there was not.
    #[inline(never)]
    pub fn enter(&mut self, rule: &[u8], values: &[&[u8]], lasting: bool) -> bool {
        let key = self.fingerprint(rule, values);
        let age = age::age_ms();
        let written = match self.terms.get(key) {
            Some(known) if known.settled => {
                !lasting
                    || self.note(&store::Record::Seen {
                        fingerprint: key,
                        age_ms: age,
                    })
            }
            _ => self.note(&store::Record::Term(Term::new(
                key, age, true, rule, values,
            ))),
        };
        if written {
            self.terms.restore(key, age, true);
        }
        written
    }

    /// Forgets a term. Gives whether it was known; `None` if there was no room to have that written down.
    pub fn forget(&mut self, rule: &[u8], values: &[&[u8]]) -> Option<bool> {
        let key = self.fingerprint(rule, values);
        self.terms.get(key).map_or(Some(false), |_| {
            let forgotten = store::Record::Forgotten { fingerprint: key };
            self.note(&forgotten).then(|| self.terms.forget(key))
        })
    }

    /// Hands a record for the store to the writer. Gives whether there was room for it.
    #[inline(never)]
    pub fn note(&mut self, record: &store::Record<'_>) -> bool {
        let (Some(length), Some(alerts)) = (encode(record, &mut self.frame), &mut self.alerts)
        else {
            return false;
        };
        let mut draft = alerts.begin();
        draft.extend(&[NOTE]).is_ok()
            && draft
                .extend(self.frame.get(..length).unwrap_or(&[]))
                .is_ok()
            && draft.finish().is_ok()
    }

    /// Marks of an alert that do not depend on the event.
    #[inline(never)]
    fn marks(&self, purpose: &Purpose) -> Flags {
        let mut flags = Flags::NONE;
        if !age::trusted() {
            flags |= Flags::CLOCK_UNTRUSTED;
        }
        if let Purpose::NewTerms { window_ms } = purpose {
            let learning = match self.learning_ms {
                u64::MAX => *window_ms,
                learning => learning,
            };
            if age::age_ms() < learning {
                flags |= Flags::LEARNING;
            }
        }
        flags
    }

    #[inline(never)]
    fn send(&mut self, pack: &Pack<'_>, rule: &pack::Rule<'_>, alert: &Record<'_>) -> bool {
        // A new file is to say itself what its alerts are about.
        if BEGUN.swap(false, Ordering::Relaxed) {
            self.told = Rules::NONE;
        }
        // If there is no room for it, it goes in front of the next one.
        if !self.told.contains(rule.index) && self.tell_rule(pack, rule) {
            self.told.insert(rule.index);
        }
        let sent = self.push(alert);
        self.alerts_lost += u64::from(!sent);
        sent
    }

    /// Says what the alerts of a rule are about. Gives whether there was room for it.
    fn tell_rule(&mut self, pack: &Pack<'_>, rule: &pack::Rule<'_>) -> bool {
        const { assert!(MAX_RULE_FRAME + MAX_TEXTS <= MAX_FRAME) };
        let (frame, room) = self.frame.split_at_mut(MAX_RULE_FRAME);
        let record = Record::Rule(pack.info(rule, room));
        push(&record, frame, &mut self.alerts)
    }

    /// Hands a record to the writer. Gives whether there was room for it.
    fn push(&mut self, record: &Record<'_>) -> bool {
        push(record, &mut self.frame, &mut self.alerts)
    }

    /// Tells what was held back, if anything: when its period is over, and at an end. Gives whether it did.
    #[inline(never)]
    pub fn tell_held_back(&mut self, pack: &pack::Pack<'_>) -> bool {
        let record = self.rate.record(pack).map(Record::HeldBack);
        // Without room for it, it is told later.
        let told = record.is_some_and(|record| push(&record, &mut self.frame, &mut self.alerts));
        if told {
            self.rate.told();
        }
        told
    }

    /// Hands a record that is no alert to the writer. Gives whether there was room for it.
    pub fn tell(&mut self, record: &Record<'_>) -> bool {
        self.push(record)
    }

    /// Other rules are used from now on: what is kept by the old ones' numbers is forgotten. Terms stay, which are known by a
    /// rule's id.
    pub fn forget_rules(&mut self) {
        self.told = Rules::NONE;
        self.rate.forget_rules();
        self.sequences.clear();
        self.thresholds.clear();
    }

    /// How many terms were forgotten before their window was over.
    pub fn terms_forgotten(&self) -> u64 {
        self.terms.evicted()
    }

    /// How many terms are known, and how many of them were seen once.
    pub fn terms_known(&self) -> (usize, usize) {
        (self.terms.len(), self.terms.once())
    }

    /// Hands an event on to whoever wants to see all of them. Gives whether the writer should be woken.
    pub fn event(&mut self, event: &ProcessEvent<'_>) -> bool {
        let Some(events) = &mut self.events else {
            return false;
        };
        if queue::put(event, events).is_err() {
            self.events_lost += 1;
        }
        events.is_filling()
    }
}

#[inline(never)]
fn push(record: &Record<'_>, buffer: &mut [u8], alerts: &mut Option<Producer>) -> bool {
    match (frame::encode(record, buffer), alerts) {
        (Ok(frame), Some(alerts)) => alerts.push(frame).is_ok(),
        _ => false,
    }
}

impl Default for Outlet {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests;
