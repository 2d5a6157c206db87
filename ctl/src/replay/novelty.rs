//! Which terms are new, over a recording.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peewit_core::pack::{Purpose, Rule};
use peewit_core::terms::{Key, Terms, fingerprint};

use super::NoveltyForm;

/// Room for terms: a recording of a whole fleet has more of them than one device.
const CAPACITY: usize = 1 << 20;

/// 40 MiB, of which only what is used takes memory: too large for a stack.
static TERMS: Mutex<Terms<CAPACITY, { CAPACITY * 2 }>> = Mutex::new(Terms::new());

/// The terms of a recording so far.
pub struct Novelty {
    form: NoveltyForm,
    first_ms: u64,
    terms: MutexGuard<'static, Terms<CAPACITY, { CAPACITY * 2 }>>,
}

impl Novelty {
    /// `first_ms`: the time of the first event, from which the times of scheduled runs count.
    pub fn new(form: NoveltyForm, first_ms: u64) -> Self {
        Self {
            form,
            first_ms,
            terms: TERMS.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Whether a term of an event at `time_ms` is new. Events have to come in the order of their times.
    pub fn is_new(&mut self, rule: &Rule, tuple: &[&[u8]], time_ms: u64) -> bool {
        let Purpose::NewTerms { window_ms } = rule.purpose else {
            return true;
        };
        let known_ms = match self.form {
            NoveltyForm::Device => window_ms,
            NoveltyForm::Streaming => {
                // The last run that looks back as far as this event is the largest T = first + k * interval
                // with T - look-back < time. The term is new if it was last seen before T - window.
                let since_first = time_ms.saturating_sub(self.first_ms);
                let reach = (since_first + rule.lookback_ms).saturating_sub(1);
                let run = reach - reach % rule.interval_ms.max(1);
                (since_first + window_ms).saturating_sub(run)
            }
        };
        // Nobody attacks a recording's table: any key will do.
        let term = fingerprint(&Key([0; 16]), rule.id.text(&mut [0; _]), tuple);
        self.terms.seen(term, time_ms, known_ms).is_new()
    }

    /// How many terms had to be forgotten: each may have been reported again.
    pub fn forgotten(&self) -> u64 {
        self.terms.evicted()
    }
}
