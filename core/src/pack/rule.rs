//! What a pack says of one query: whose it is, and what is to be done with its matches.

use super::layout::{le_u16, le_u32};
use super::{
    ABOUT_BITS, Kinds, MAX_STAGES, MAX_TERM_FIELDS, PURPOSE_LEN, Pack, RULE_LEN, RuleIndex,
};
use crate::alert::wire::fields::Fields;
use crate::alert::wire::rule::take_id;
use crate::alert::{RuleId, Severity};
use crate::field::Field;

/// One query of a pack: a rule, or a stage of one that is a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// The rule's id, a UUID in most collections.
    pub id: RuleId<'a>,
    /// How severe a match is.
    pub severity: Severity,
    /// 0 to 100.
    pub risk_score: u8,
    /// The events it can hold for.
    pub kinds: Kinds,
    /// The fields whose values tell matches apart: those of `new_terms`, of a threshold's groups, of a
    /// sequence's `by`.
    pub keys: TermFields,
    /// What is to be done with matches.
    pub purpose: Purpose,
    /// How far a scheduled run looks back, ms: a threshold's window; replay's streaming form.
    pub lookback_ms: u64,
    /// Time between two scheduled runs, ms (replay's streaming form).
    pub interval_ms: u64,
    /// Its number within the pack.
    pub index: RuleIndex,
}

/// What is to be done with the matches of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Purpose {
    /// Each is an alert.
    Query,
    /// One with new values of the keys is an alert.
    NewTerms {
        /// How long values stay known, ms.
        window_ms: u64,
    },
    /// So many with the same values of the keys within the look-back are an alert.
    Threshold {
        /// How many.
        count: u32,
        /// How many different values of a field they must have, if that is asked for.
        distinct: Option<(Field, u32)>,
    },
    /// One for each stage, in order and with the same values of the keys, are an alert.
    Stage {
        /// Which one, from 0: the first stage has the index `index - number`, the others follow it.
        number: u8,
        /// How many there are.
        of: u8,
        /// Longest time from the first to the last, ms; [`u64::MAX`]: any.
        span_ms: u64,
    },
}

/// [`Purpose`] in a record: which, then three numbers.
pub const QUERY: u8 = 0;
/// See [`QUERY`]: seconds.
pub const NEW_TERMS: u8 = 1;
/// See [`QUERY`]: count; field of distinct values, 255 for none; how many of them.
pub const THRESHOLD: u8 = 2;
/// See [`QUERY`]: number in the first byte and of in the second; ms, low and high half.
pub const STAGE: u8 = 3;

/// The fields whose values tell matches of a query apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermFields {
    fields: [Option<Field>; MAX_TERM_FIELDS],
}

impl TermFields {
    /// The fields, in the rule's order.
    pub fn iter(&self) -> impl Iterator<Item = Field> {
        self.fields.into_iter().flatten()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.fields[0].is_none()
    }
}

impl<'a> Pack<'a> {
    /// How many queries there are.
    pub const fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// All queries.
    pub fn rules(&self) -> impl Iterator<Item = Rule<'a>> + use<'a> {
        let pack = *self;
        (0..pack.rules.len() as RuleIndex).filter_map(move |index| pack.rule(index))
    }

    /// A query by its number.
    #[inline(never)]
    pub fn rule(&self, index: RuleIndex) -> Option<Rule<'a>> {
        let record = self.rules.get(usize::from(index))?;
        let handled = self.purposes.get(usize::from(le_u16(record, 8)))?;
        let mut about = self.about(record);
        let id = take_id(&mut about);
        let mut fields = [None; MAX_TERM_FIELDS];
        for (field, &number) in fields.iter_mut().zip(&handled[8..12]) {
            if number == 0xFF {
                break;
            }
            *field = Some(Field::from_number(number)?);
        }
        if about.failed {
            return None;
        }
        Some(Rule {
            id,
            index,
            lookback_ms: u64::from(le_u32(handled, 0)) * 1000,
            interval_ms: u64::from(le_u32(handled, 4)) * 1000,
            keys: TermFields { fields },
            severity: *Severity::ALL.get(usize::from(handled[12]))?,
            risk_score: handled[13],
            kinds: Kinds(record[3]),
            purpose: purpose(handled)?,
        })
    }

    /// What the strings say of a rule: its id comes first.
    pub(super) fn about(&self, record: &[u8; RULE_LEN]) -> Fields<'a> {
        let at = le_u32(record, 0) & ((1 << ABOUT_BITS) - 1);
        Fields::new(self.strings.get(at as usize..).unwrap_or(&[]))
    }
}

fn purpose(record: &[u8; PURPOSE_LEN]) -> Option<Purpose> {
    let (first, second, third) = (le_u32(record, 16), le_u32(record, 20), le_u32(record, 24));
    Some(match record[14] {
        QUERY => Purpose::Query,
        NEW_TERMS => Purpose::NewTerms {
            window_ms: u64::from(first) * 1000,
        },
        THRESHOLD => Purpose::Threshold {
            count: first,
            distinct: match second {
                0xFF => None,
                number => Some((Field::from_number(u8::try_from(number).ok()?)?, third)),
            },
        },
        STAGE => {
            let [number, of] = [record[16], record[17]];
            if number >= of || usize::from(of) > MAX_STAGES {
                return None;
            }
            Purpose::Stage {
                number,
                of,
                span_ms: u64::from(second) | u64::from(third) << 32,
            }
        }
        _ => return None,
    })
}
