//! How well the sensor sees, and what it has lost: the same for the alert stream, for `peewit status` and for the last words.

use core::sync::atomic::Ordering;

use peewit_core::alert::{COUNTS, Count, Health, Limits, Reason, Record};

use crate::capture::CAPTURES;
use crate::log::{DROPPED, RESUMED, UNWRITTEN};
use crate::rules::RULES;
use crate::state::{STATE, Sensor};
use crate::store;
use crate::sys::{Once, ThreadId, boot_ms, real_ms};

/// The least time between two records of losses.
const LOSS_MS: u64 = 60_000;

/// What to count as lost.
const LOSSES: [Count; 6] = [
    Count::ExecsDropped,
    Count::ForksDropped,
    Count::ProgramGone,
    Count::ArgumentsGone,
    Count::AlertsLost,
    Count::AlertsUnwritten,
];

/// Keeps account.
pub struct Keeper {
    sensor: &'static Sensor,
    /// What stands in the way, as far as it does not change.
    limits: Limits,
    /// Own children that were not seen.
    pub canaries_missed: u64,
    /// How often all was read again.
    pub reloads: u64,
    /// How often it was bad.
    pub reloads_refused: u64,
    /// Whether the last one was not.
    pub silent: bool,
    /// How much had been lost at the last record.
    lost: u64,
    /// When losses may be told of again.
    losses_from_ms: u64,
    interval_ms: u64,
    next_ms: u64,
}

impl Keeper {
    /// Nothing has happened yet.
    pub fn new(sensor: &'static Sensor, limits: Limits) -> Self {
        Self {
            sensor,
            limits,
            canaries_missed: 0,
            reloads: 0,
            reloads_refused: 0,
            silent: false,
            lost: 0,
            losses_from_ms: 0,
            interval_ms: 0,
            next_ms: 0,
        }
    }

    /// A record at least every so often, from now on.
    pub fn every(&mut self, interval_ms: u64) {
        if self.interval_ms != interval_ms {
            self.interval_ms = interval_ms;
            self.next_ms = boot_ms().saturating_add(interval_ms);
        }
    }

    /// A limit came, or went.
    pub fn limit(&mut self, limit: Limits, holds: bool) {
        self.limits = self.limits.with(limit, holds);
    }

    /// How things are.
    #[inline(never)]
    pub fn health(&self, reason: Reason, me: ThreadId) -> Health {
        let mut dropped = 0u64;
        for capture in CAPTURES.iter().map_while(Once::get) {
            dropped = dropped.saturating_add(capture.execs.drops());
        }
        let mut health = Health {
            time_ms: real_ms(),
            boot_ms: boot_ms(),
            reason,
            source: self.sensor.source,
            limits: self.limits,
            counts: [0; COUNTS],
        };
        let lineage_dropped = self.sensor.lineage.drops();
        let state = STATE.lock(me);
        let (counters, table) = (&state.counters, state.lineage().counters());
        let (terms, once) = state.outlet.terms_known();
        let [program, arguments, right, parent] = counters.missing;
        // In the order of `Count`.
        health.counts = [
            counters.execs,
            counters.complete,
            program,
            arguments,
            right,
            parent,
            counters.forks,
            dropped,
            lineage_dropped,
            counters.overruns,
            counters.alerts,
            state.outlet.alerts_lost,
            UNWRITTEN.load(Ordering::Relaxed),
            state.outlet.events_lost,
            state.lineage().len() as u64,
            table.evicted_live,
            table.parents_lost,
            table.images_lost,
            state.outlet.terms_forgotten(),
            self.canaries_missed,
            state.outlet.rate.total,
            state.outlet.excepted,
            DROPPED.load(Ordering::Relaxed),
            terms as u64,
            once as u64,
            store::UNWRITTEN.load(Ordering::Relaxed),
            self.reloads,
            self.reloads_refused,
        ];
        drop(state);
        health.limits = self
            .limits
            .with(Limits::LOSS, lost(&health) > self.lost)
            .with(Limits::SILENT, self.silent);
        health
    }

    /// Puts into the alert stream how things are.
    pub fn tell(&mut self, reason: Reason, me: ThreadId) -> Health {
        let health = self.health(reason, me);
        self.lost = lost(&health);
        self.next_ms = health.boot_ms.saturating_add(self.interval_ms);
        self.tell_held_back(reason == Reason::Stop, me);
        // Without room for it the next one says the same, and more.
        let _ = STATE.lock(me).outlet.tell(&Record::Health(health));
        self.sensor.writer.ring();
        health
    }

    /// Tells what the rate limit held back, if its period is over, or in any case (`now`).
    fn tell_held_back(&self, now: bool, me: ThreadId) {
        let mut state = STATE.lock(me);
        if (now || state.outlet.rate.is_due(boot_ms()))
            && let Some(rules) = RULES.hold()
            && state.outlet.tell_held_back(&rules.engine().pack())
        {
            self.sensor.writer.ring();
        }
    }

    /// Tells it if it is time to, or if something was lost since. Losses that follow each other closely are told together.
    pub fn look(&mut self, me: ThreadId) {
        self.tell_held_back(false, me);
        let health = self.health(Reason::Loss, me);
        // What was told while the log could not be written may be lost with the alerts.
        let resumed = RESUMED.swap(false, Ordering::Relaxed);
        if resumed || health.limits.contains(Limits::LOSS) && health.boot_ms >= self.losses_from_ms
        {
            self.losses_from_ms = health.boot_ms + LOSS_MS;
            self.tell(Reason::Loss, me);
        } else if health.boot_ms >= self.next_ms {
            self.tell(Reason::Interval, me);
        }
    }
}

fn lost(health: &Health) -> u64 {
    LOSSES.iter().map(|count| health.count(*count)).sum()
}
