//! A health record on the wire.

use super::fields::{Fields, Out};
use crate::alert::{COUNTS, Health, Limits, Reason, Source};

pub(super) fn put(out: &mut Out<'_>, health: &Health) {
    out.number(health.time_ms);
    out.number(health.boot_ms);
    out.byte(health.reason as u8);
    out.byte(health.source as u8);
    out.number(health.limits.bits().into());
    out.byte(COUNTS as u8);
    for count in health.counts {
        out.number(count);
    }
}

#[inline(never)]
pub(super) fn take(fields: &mut Fields<'_>) -> Health {
    let mut health = Health {
        time_ms: fields.u64(),
        boot_ms: fields.u64(),
        reason: fields.variant(&Reason::ALL),
        source: fields.variant(&Source::ALL),
        limits: Limits::from_bits(fields.u32()),
        counts: [0; COUNTS],
    };
    // An earlier version counts less, a later one more.
    let count = usize::from(fields.byte());
    for place in health.counts.iter_mut().take(count) {
        *place = fields.u64();
    }
    health
}
