//! The writer: the one thread that waits for disks and terminals.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use peewit_core::alert::{Alert, Record, RuleInfo};
use peewit_core::ecs::{write_event, write_text};
use peewit_core::frame::{Frames, Item, MAX_FRAME};
use peewit_core::pack::Pack;

use crate::outlet::NOTE;
use crate::queue;
use crate::ring::Consumer;
use crate::state::SENSOR;
use crate::store::Store;
use crate::sys::{Errno, Fd, PiMutex, STDOUT, Start, favour, sleep_ms, thread_id};
use crate::text::{Out, say};

/// Stack of the writer in bytes.
pub const STACK: usize = 16 << 10;
/// Its buffer without events: a frame as it comes, and once more to look into it.
pub const BUFFER: usize = 2 * MAX_FRAME;
/// Its buffer with events: the longest of them.
pub const EVENT_BUFFER: usize = queue::MAX_LEN;

/// How often it looks for events, which do not wake it.
const EVENT_INTERVAL_MS: u32 = 100;

/// What the writer works with.
pub struct Writer {
    /// The alerts.
    pub alerts: Consumer,
    /// All events, if somebody wants them.
    pub events: Option<Consumer>,
    /// Where alerts are kept.
    pub log: Option<Fd>,
    /// What outlives the sensor.
    pub store: Option<Store>,
    /// Where events go.
    pub events_file: Option<Fd>,
    /// Whether somebody reads alerts on standard output.
    pub show: bool,
}

/// The writer, until its thread takes it.
pub static WRITER: PiMutex<Option<Writer>> = PiMutex::new(None);

static STOP: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Alerts that the log did not take.
pub static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// The thread.
pub fn run(start: Start) {
    let (Some(writer), Some(sensor)) = (WRITER.lock(thread_id()).take(), SENSOR.get()) else {
        return;
    };
    // Without the right to it the writer is merely later.
    let _ = favour();
    let mut desk = Desk {
        writer,
        pack: sensor.engine.pack(),
        failed: None,
    };
    loop {
        let seen = sensor.writer.rung();
        let stop = STOP.load(Ordering::SeqCst);
        let worked = desk.alerts(start.buffer) | desk.events(start.buffer);
        if !worked {
            if stop {
                if let Some(store) = &mut desk.writer.store {
                    store.tick(true);
                }
                STOPPED.store(true, Ordering::SeqCst);
                return;
            }
            let events = desk.writer.events.as_ref().map(|_| EVENT_INTERVAL_MS);
            let store = desk.writer.store.as_ref().and_then(Store::wait_ms);
            let next = [events, store].into_iter().flatten().min();
            sensor.writer.wait(seen, next);
        }
    }
}

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

struct Desk {
    writer: Writer,
    pack: Pack<'static>,
    /// The last error of the log that was told.
    failed: Option<Errno>,
}

impl Desk {
    /// Writes the alerts that are there. Gives whether there were any.
    fn alerts(&mut self, buffer: &mut [u8]) -> bool {
        let mut worked = false;
        let (buffer, scratch) = buffer.split_at_mut(MAX_FRAME);
        while let Some(frame) = self.writer.alerts.pop(buffer) {
            worked = true;
            if let Some((&NOTE, note)) = frame.split_first() {
                if let Some(store) = &mut self.writer.store
                    && !store.note(note)
                {
                    store.commit(true);
                    store.note(note);
                }
                continue;
            }
            if let Some(log) = &self.writer.log {
                match log.write_all(frame) {
                    Ok(()) => self.failed = None,
                    Err(error) => {
                        UNWRITTEN.fetch_add(1, Ordering::Relaxed);
                        if self.failed.replace(error) != Some(error) {
                            say("cannot write to the alert log: ").error(error);
                        }
                    }
                }
            }
            if self.writer.show {
                let mut input = frame;
                if let Some(Item::Record {
                    record: Record::Alert(alert),
                    ..
                }) = Frames::new(scratch).next(&mut input)
                {
                    let mut out = Out::new(&STDOUT);
                    show(&mut out, &alert, rule_of(&alert, &self.pack).as_ref());
                }
            }
        }
        if let Some(store) = &mut self.writer.store {
            store.commit(true);
            store.tick(false);
        }
        worked
    }

    /// Writes the events that are there. Gives whether there were any.
    #[inline(never)]
    fn events(&mut self, buffer: &mut [u8]) -> bool {
        let (Some(events), Some(file)) = (&mut self.writer.events, &self.writer.events_file) else {
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
            self.writer.events_file = None;
        }
        worked
    }
}

/// An alert as a line of text, with what is known of its rule.
pub fn show(out: &mut Out<'_>, alert: &Alert<'_>, rule: Option<&RuleInfo<'_>>) {
    // Errors of `out` come with its flush.
    let _ = write_text(out, alert, rule);
    out.bytes(b"\n");
}

/// What a pack says of an alert's rule, if it has it.
pub fn rule_of<'p>(alert: &Alert<'_>, pack: &Pack<'p>) -> Option<RuleInfo<'p>> {
    pack.rules()
        .map(|rule| RuleInfo::of(&rule))
        .find(|rule| rule.id == alert.rule)
}
