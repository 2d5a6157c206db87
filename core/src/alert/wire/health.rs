//! A health record on the wire.

use core::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Fields, Out, variant};
use crate::alert::{COUNTS, Health, Limits, Reason, Source};

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Out {
            inner: serializer.serialize_tuple(usize::MAX)?,
            result: Ok(()),
        };
        out.put(&self.time_ms);
        out.put(&self.boot_ms);
        out.put(&(self.reason as u8));
        out.put(&(self.source as u8));
        out.put(&self.limits.bits());
        out.put(&(COUNTS as u8));
        self.counts.iter().for_each(|count| out.put(count));
        out.end()
    }
}

impl<'de> Deserialize<'de> for Health {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(usize::MAX, HealthFields)
    }
}

struct HealthFields;

impl<'de> Visitor<'de> for HealthFields {
    type Value = Health;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a health record")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Health, A::Error> {
        let mut fields = Fields::new(&mut fields);
        let mut health = Health {
            time_ms: fields.next(),
            boot_ms: fields.next(),
            reason: variant(&mut fields, &Reason::ALL),
            source: variant(&mut fields, &Source::ALL),
            limits: Limits::from_bits(fields.next()),
            counts: [0; COUNTS],
        };
        // An earlier version counts less, a later one more.
        let count = usize::from(fields.next::<u8>());
        for place in health.counts.iter_mut().take(count) {
            *place = fields.next();
        }
        fields.end(health)
    }
}
