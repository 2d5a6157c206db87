//! Nothing is lost over crashes, power cuts and wrong clocks: what was durable before is there after.
//!
//! Each test does a part of what it can do; more with these variables:
//!
//! | | | in CI |
//! | --- | --- | --- |
//! | `PEEWIT_KILLS` | how often the sensor is killed | 50 |
//! | `PEEWIT_POWER_CUTS` | how often a guest loses its power | 4 |
//! | `PEEWIT_FLUSH_POINTS` | at how many flush points a disk is looked at, at most | 100 |

#[path = "crash/clock.rs"]
mod clock;
#[path = "crash/device.rs"]
mod device;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/errors.rs"]
mod errors;
#[path = "crash/kept.rs"]
mod kept;
#[path = "crash/kill.rs"]
mod kill;
#[path = "crash/log_writes.rs"]
mod log_writes;
#[path = "crash/random.rs"]
mod random;

/// How often something is done: as this variable says, or so often.
fn times(variable: &str, usually: usize) -> usize {
    std::env::var(variable).map_or(usually, |times| times.parse().expect("a number"))
}
