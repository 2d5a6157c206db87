//! The writer: the one thread that waits for disks and terminals.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use peewit_core::alert::{Alert, Record, RuleInfo};
use peewit_core::ecs::{write_event, write_text};
use peewit_core::frame::{Frames, Item, MAX_FRAME};
use peewit_core::pack::Pack;

use crate::queue;
use crate::ring::Consumer;
use crate::rules::RULES;
use crate::state::SENSOR;
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
        failed: None,
    };
    loop {
        BEATS.fetch_add(1, Ordering::Relaxed);
        let seen = sensor.writer.rung();
        let stop = STOP.load(Ordering::SeqCst);
        let worked = desk.alerts(start.buffer) | desk.events(start.buffer);
        if !worked {
            if stop {
                STOPPED.store(true, Ordering::SeqCst);
                return;
            }
            sensor
                .writer
                .wait(seen, desk.writer.events.as_ref().map(|_| EVENT_INTERVAL_MS));
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

struct Desk {
    writer: Writer,
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
                    let rules = RULES.hold();
                    let rule = rules
                        .as_ref()
                        .and_then(|rules| rule_of(&alert, &rules.engine().pack()));
                    show(&mut out, &alert, rule.as_ref());
                }
            }
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
