//! What the rate limit held back.

use heapless::Vec;

use super::RuleId;

/// How many rules a [`HeldBack`] names; what is of others is only counted.
pub const HELD_BACK_RULES: usize = 8;

/// Alerts of a period that the rate limit held back. They have no number, and their terms are not known: the next event of the
/// kind is an alert again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeldBack<'a> {
    /// When the last of them was, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The same on `CLOCK_BOOTTIME`.
    pub boot_ms: u64,
    /// How long before it the first of them was, in milliseconds.
    pub lasted_ms: u64,
    /// How many there were, of all rules.
    pub count: u64,
    /// Of which rules; the first ones that came.
    pub rules: Vec<HeldBackRule<'a>, HELD_BACK_RULES>,
}

/// A rule of which alerts were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeldBackRule<'a> {
    /// The rule.
    pub rule: RuleId<'a>,
    /// How many of its alerts.
    pub count: u64,
    /// What the last of them was about: the first value of its term, or the name of its program. At most
    /// [`super::TEXT_LIMIT`] bytes; empty if not known.
    pub example: &'a [u8],
}

impl HeldBack<'_> {
    /// How many alerts were of rules that are not named.
    pub fn others(&self) -> u64 {
        let named = self.rules.iter().map(|rule| rule.count);
        self.count
            .saturating_sub(named.fold(0, u64::saturating_add))
    }
}
