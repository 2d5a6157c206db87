//! Times, all of them of this thread alone: what else the machine does at the same time is not in them.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::Engine;

/// Evaluations that are timed together take at least this long: much longer than reading the clock.
const BATCH: Duration = Duration::from_micros(100);

/// Of so many times the least counts: what disturbs only ever adds.
const TRIES: usize = 3;

/// Evaluations that take longer are done once.
const LONG: Duration = Duration::from_millis(100);

/// Does `work` and says how long this thread took for it.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let start = now();
    let result = work();
    (result, now() - start)
}

/// Nanoseconds of one evaluation of an event.
pub fn one(engine: &mut dyn Engine, event: usize) -> f64 {
    let first = batch(engine, event, 1);
    if first > LONG {
        return nanoseconds(first, 1);
    }
    let count = (BATCH.as_nanos() / first.as_nanos().max(1)) as usize + 1;
    let tries = (0..TRIES).map(|_| nanoseconds(batch(engine, event, count), count));
    tries.fold(f64::INFINITY, f64::min)
}

fn batch(engine: &mut dyn Engine, event: usize, count: usize) -> Duration {
    let evaluate = || {
        for _ in 0..count {
            black_box(engine.evaluate(black_box(event)));
        }
    };
    timed(evaluate).1
}

fn nanoseconds(duration: Duration, count: usize) -> f64 {
    duration.as_nanos() as f64 / count as f64
}

/// Times of one evaluation each of `events` events, ascending.
pub struct Times(Vec<f64>);

impl Times {
    /// Takes the times.
    pub fn take(engine: &mut dyn Engine, events: usize) -> Self {
        let mut times: Vec<f64> = (0..events).map(|event| one(engine, event)).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// Half of them are shorter.
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// 99 of 100 are shorter.
    pub fn p99(&self) -> f64 {
        self.0[self.0.len() * 99 / 100]
    }
}

/// Mean nanoseconds for each of `events` events, one after the other: nothing of an event is in the caches from
/// the time before.
pub fn pass(engine: &mut dyn Engine, events: usize) -> f64 {
    let tries = (0..TRIES).map(|_| {
        let evaluate = || {
            for event in 0..events {
                black_box(engine.evaluate(black_box(event)));
            }
        };
        nanoseconds(timed(evaluate).1, events)
    });
    tries.fold(f64::INFINITY, f64::min)
}
