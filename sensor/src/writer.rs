//! The writer: the one thread that waits for disks and terminals.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use peewit_core::alert::{Alert, Record, RuleInfo};
use peewit_core::ecs::{write_event, write_text};
use peewit_core::frame::{Frames, Glance, Item, MAX_FRAME, glance};
use peewit_core::pack::{MAX_TEXTS, Pack};

use crate::log::Log;
use crate::outlet::NOTE;
use crate::queue;
use crate::ring::{Consumer, Ring};
use crate::rules::RULES;
use crate::state::SENSOR;
use crate::store::Store;
use crate::sys::{Fd, Once, PiMutex, STDOUT, Start, favour, sleep_ms, thread_id};
use crate::text::{Out, say};

/// Stack of the writer in bytes.
pub const STACK: usize = 16 << 10;
/// Its buffer without events: a frame as it comes, and once more to look into it.
pub const BUFFER: usize = 2 * MAX_FRAME;
/// Its buffer with events: the longest of them.
pub const EVENT_BUFFER: usize = queue::MAX_LEN;

/// How many alerts are brought to the disk in one go at most.
const BATCH: usize = 64;

/// So many numbers of alerts are known as used ahead, if there is time.
const AHEAD: u64 = 32;

/// How often it looks for events, which do not wake it.
const EVENT_INTERVAL_MS: u32 = 100;

/// What the writer works with.
pub struct Writer {
    /// The alerts.
    pub alerts: Consumer,
    /// All events, if somebody wants them.
    pub events: Option<Consumer>,
    /// Where alerts are kept.
    pub log: Log,
    /// What outlives the sensor.
    pub store: Option<Store>,
    /// Where events go.
    pub events_file: Option<Fd>,
    /// Whether somebody reads alerts on standard output.
    pub show: bool,
}

/// The writer, until its thread takes it.
pub static WRITER: PiMutex<Option<&mut Writer>> = PiMutex::new(None);
/// Alerts on their way to it.
pub static ALERTS: Once<Ring> = Once::new();
/// Events on their way to it.
pub static EVENTS: Once<Ring> = Once::new();

static STOP: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

/// The thread.
pub fn run(start: Start) {
    let (Some(writer), Some(sensor)) = (WRITER.lock(thread_id()).take(), SENSOR.get()) else {
        return;
    };
    // Without the right to it the writer is merely later.
    let _ = favour();
    loop {
        BEATS.fetch_add(1, Ordering::Relaxed);
        let seen = sensor.writer.rung();
        let stop = STOP.load(Ordering::SeqCst);
        let worked = writer.alerts(start.buffer) | writer.events(start.buffer);
        if !worked {
            if stop {
                writer.finish(start.buffer);
                STOPPED.store(true, Ordering::SeqCst);
                return;
            }
            sensor.writer.wait(seen, writer.wait_ms());
        }
    }
}

/// Goes on whenever the writer does: it has done what there was when the bell was rung.
pub static BEATS: AtomicU32 = AtomicU32::new(0);

/// Lets the writer finish what is queued, for at most so many milliseconds. Gives whether it did.
pub fn finish(at_most_ms: u32) -> bool {
    STOP.store(true, Ordering::SeqCst);
    if let Some(sensor) = SENSOR.get() {
        sensor.writer.ring();
    }
    for _ in 0..at_most_ms {
        if STOPPED.load(Ordering::SeqCst) {
            return true;
        }
        sleep_ms(1);
    }
    false
}

impl Writer {
    /// Writes the alerts that are there, and does what is due anyway. Gives whether there were any.
    fn alerts(&mut self, buffer: &mut [u8]) -> bool {
        let mut worked = false;
        let (buffer, scratch) = buffer.split_at_mut(MAX_FRAME);
        let Self {
            alerts,
            log,
            store,
            show: shown,
            ..
        } = self;
        log.look(store, buffer, scratch);
        let mut last = 0;
        for _ in 0..BATCH {
            let Some(record) = alerts.pop(buffer) else {
                break;
            };
            worked = true;
            let is_note = record.first() == Some(&NOTE);
            if !is_note && let Glance::Alert(sequence) = glance(record) {
                last = sequence;
                reserve(store, sequence);
            }
            log.take(record, store, scratch);
            if *shown && !is_note {
                print(record, scratch);
            }
        }
        // An error is told, and what it is about waits.
        let _ = log.settle(store, scratch, false);
        if last > 0 {
            // Now nobody waits for it.
            reserve(store, last + AHEAD);
        }
        if let Some(store) = store {
            store.tick(false);
        }
        worked
    }

    /// How long there may be nothing to do, without a ring.
    #[inline(never)]
    fn wait_ms(&self) -> Option<u32> {
        [
            self.events.as_ref().map(|_| EVENT_INTERVAL_MS),
            self.log.wait_ms(),
            self.store.as_ref().and_then(Store::wait_ms),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The end.
    fn finish(&mut self, buffer: &mut [u8]) {
        let (buffer, scratch) = buffer.split_at_mut(MAX_FRAME);
        self.log.finish(&mut self.store, buffer, scratch);
        if let Some(store) = &mut self.store {
            store.tick(true);
        }
    }

    /// Writes the events that are there. Gives whether there were any.
    #[inline(never)]
    fn events(&mut self, buffer: &mut [u8]) -> bool {
        let (Some(events), Some(file)) = (&mut self.events, &self.events_file) else {
            return false;
        };
        let mut worked = false;
        let mut out = Out::new(file);
        while let Some(record) = events.pop(buffer) {
            worked = true;
            if let Some(event) = queue::get(record) {
                // Errors of `out` come with its flush.
                let _ = write_event(&mut out, &event);
                out.bytes(b"\n");
            }
        }
        let flushed = out.flush();
        drop(out);
        if let Err(error) = flushed {
            say("cannot write events: ").error(error);
            self.events_file = None;
        }
        worked
    }
}

/// Makes known that the numbers up to this one may be used, before they are.
fn reserve(store: &mut Option<Store>, sequence: u64) {
    if let Some(store) = store
        && sequence > store.reserved()
    {
        store.reserve(sequence);
    }
}

/// Shows an alert on standard output.
#[inline(never)]
fn print(frame: &[u8], scratch: &mut [u8]) {
    let mut input = frame;
    if let Some(Item::Record {
        record: Record::Alert(alert),
        ..
    }) = Frames::new(scratch).next(&mut input)
    {
        let mut out = Out::new(&STDOUT);
        let rules = RULES.hold();
        let mut room = [0; MAX_TEXTS];
        let rule = rules
            .as_ref()
            .and_then(|rules| rule_of(&alert, &rules.engine().pack(), &mut room));
        show(&mut out, &alert, rule.as_ref());
    }
}

/// An alert as a line of text, with what is known of its rule.
pub fn show(out: &mut Out<'_>, alert: &Alert<'_>, rule: Option<&RuleInfo<'_>>) {
    // Errors of `out` come with its flush.
    let _ = write_text(out, alert, rule);
    out.bytes(b"\n");
}

/// What a pack says of an alert's rule, if it has it. Its texts are written into `room`.
#[inline(never)]
pub fn rule_of<'p>(
    alert: &Alert<'_>,
    pack: &Pack<'p>,
    room: &'p mut [u8; MAX_TEXTS],
) -> Option<RuleInfo<'p>> {
    let rule = pack.rules().find(|rule| rule.id == alert.rule)?;
    Some(pack.info(&rule, room))
}
