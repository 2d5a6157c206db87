//! What a state says, terms apart.

use heapless::String;

use super::{Clock, Identity, Record};
use crate::alert::TEXT_LIMIT;
use crate::terms::{Key, Terms};

/// What a state says, terms apart.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The device's secret.
    pub key: Key,
    /// ECS `host.id`, if the device has none of its own.
    pub host_id: String<TEXT_LIMIT>,
    /// Alerts up to this number may have been sent.
    pub sequence: u64,
    /// The newest rules that were in use.
    pub pack_build: u32,
    /// The last time of which clocks are known.
    pub clock: Option<Clock>,
    /// The last one at which the wall clock was known to be right.
    pub trusted: Option<Clock>,
    /// The latest age of all that is in it.
    pub age_ms: u64,
}

impl Saved {
    /// Of a device that knows nothing yet.
    pub const fn new(key: [u8; 16], host_id: String<TEXT_LIMIT>) -> Self {
        Self {
            key: Key(key),
            host_id,
            sequence: 0,
            pack_build: 0,
            clock: None,
            trusted: None,
            age_ms: 0,
        }
    }

    /// Whose it is, for a snapshot.
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            key: self.key.0,
            host_id: &self.host_id,
            sequence: self.sequence,
            pack_build: self.pack_build,
        }
    }

    /// Takes in a record.
    pub fn apply(&mut self, record: &Record<'_>) {
        let mut aged = |age_ms| self.age_ms = self.age_ms.max(age_ms);
        match record {
            Record::Identity(identity) => {
                self.key = Key(identity.key);
                self.host_id.clear();
                // No longer than a record may be.
                let _ = self.host_id.push_str(identity.host_id);
                self.sequence = identity.sequence;
                self.pack_build = identity.pack_build;
            }
            Record::Clock(clock) => {
                aged(clock.age_ms);
                self.clock = Some(*clock);
                if clock.trusted {
                    self.trusted = Some(*clock);
                }
            }
            Record::Term(term) => aged(term.age_ms),
            Record::Seen { age_ms, .. } => aged(*age_ms),
            Record::Reserved { sequence } => self.sequence = self.sequence.max(*sequence),
            Record::Pack { build } => self.pack_build = self.pack_build.max(*build),
            Record::Forgotten { .. } | Record::End { .. } => {}
        }
    }
}

/// Takes what a record says of a term into the table.
pub fn restore<const N: usize, const RING: usize>(terms: &mut Terms<N, RING>, record: &Record<'_>) {
    match record {
        Record::Term(term) => terms.restore(term.fingerprint, term.age_ms, term.learned),
        Record::Seen {
            fingerprint,
            age_ms,
        } => terms.restore(*fingerprint, *age_ms, true),
        Record::Forgotten { fingerprint } => {
            terms.forget(*fingerprint);
        }
        _ => {}
    }
}
