//! A rule, whatever format it was written in.

use peewit_core::alert::Severity;
use peewit_core::field::Field;
use peewit_core::pack::Kinds;

use crate::expr::Node;

/// A rule, ready for a pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Elastic's `rule_id`, Sigma's `id`.
    pub id: String,
    /// Its title.
    pub name: String,
    /// Its authors, joined by `, `.
    pub author: String,
    /// Ids of ATT&CK tactics, techniques and subtechniques, joined by a space.
    pub attack: String,
    /// Its tags as written, ATT&CK's among them.
    pub tags: Vec<String>,
    /// URLs to read on.
    pub references: Vec<String>,
    /// How severe a match is: Elastic's `severity`, Sigma's `level` (`informational` is low).
    pub severity: Severity,
    /// `risk_score`, 0 to 100. For a Sigma rule that of its level.
    pub risk_score: u8,
    /// The kinds of a device's events that it is about. A recorded event says itself what it is.
    pub kinds: Kinds,
    /// What is to be done with the events that match.
    pub kind: Kind,
    /// What to match: several queries for a sequence, in the order of its stages (one that is to match
    /// `with runs=N` stands here N times), else one.
    pub queries: Vec<Query>,
    /// `from`, seconds before now. The window of a threshold rule.
    pub lookback_s: u32,
    /// `interval`, seconds.
    pub interval_s: u32,
}

/// What is to be done with the events that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each is an alert.
    Query,
    /// Each that has new values of the query's keys is an alert.
    NewTerms {
        /// `history_window_start`, seconds before now.
        window_s: u32,
    },
    /// So many with the same values of the query's keys are an alert.
    Threshold {
        /// How many events.
        count: u32,
        /// How many different values of a field they must have, if that is asked for.
        distinct: Option<(Field, u32)>,
    },
    /// One for each query, in this order and with the same values of the queries' keys, are an alert.
    Sequence {
        /// `maxspan`: longest time from the first to the last, ms. `None`: any.
        span_ms: Option<u64>,
    },
}

/// A condition, and the fields that tell matching events apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The condition.
    pub condition: Node,
    /// The fields of `new_terms`; of a threshold; of a sequence's `by`, those of the whole sequence first. At most
    /// [`peewit_core::pack::MAX_TERM_FIELDS`].
    pub keys: Vec<Field>,
}

impl Rule {
    /// All fields whose values decide beside the conditions.
    pub fn keys(&self) -> impl Iterator<Item = Field> {
        let distinct = match self.kind {
            Kind::Threshold { distinct, .. } => distinct.map(|(field, _)| field),
            _ => None,
        };
        let keys = self.queries.iter().flat_map(|query| &query.keys).copied();
        keys.chain(distinct)
    }
}
