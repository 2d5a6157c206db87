//! The texts of rules: what stands in them often is there once, as a pair of two symbols that may be pairs themselves.
//!
//! A symbol below 256 is a byte, any other the pair of the number above that. Coded, a byte of 128 or more stands for one
//! of the first 128 pairs, and one from 1 to 16 begins a symbol of two bytes; any other stands for itself.

use super::layout::le_u16;
use super::{NESTING, Pack, Rule};
use crate::alert::RuleInfo;
use crate::alert::wire::fields::Fields;
use crate::alert::wire::rule::{take_id, take_texts};

/// The first symbol that is a pair.
const PAIRS: u16 = 256;

impl<'a> Pack<'a> {
    /// What there is to be said of a rule; its texts are written into `room`, where [`MAX_TEXTS`](super::MAX_TEXTS) bytes are enough.
    #[inline(never)]
    pub fn info<'t>(&self, rule: &Rule<'t>, room: &'t mut [u8]) -> Option<RuleInfo<'t>> {
        let mut about = self.about(self.rules.get(usize::from(rule.index))?);
        take_id(&mut about);
        let room = room.get_mut(..usize::from(about.u16()))?;
        self.expand(about.rest(), room)?;
        let mut texts = Fields::new(room);
        let info = take_texts(&mut texts, rule.id, rule.severity);
        (!texts.failed && texts.is_empty()).then_some(info)
    }

    /// Fills `room`. Each turn puts a byte or lets one symbol more wait: there are no more turns than bytes and places to wait.
    fn expand(&self, coded: &[u8], room: &mut [u8]) -> Option<()> {
        let mut coded = coded.iter().map(|&byte| u16::from(byte));
        let mut waiting = heapless::Vec::<u16, NESTING>::new();
        let mut places = room.iter_mut();
        let mut place = places.next();
        while let Some(free) = place.as_deref_mut() {
            let symbol = match waiting.pop() {
                Some(symbol) => symbol,
                None => match coded.next()? {
                    first @ 1..=16 => (first - 1) << 8 | coded.next()?,
                    first @ 128.. => first + (PAIRS - 128),
                    byte => byte,
                },
            };
            if let Some(pair) = symbol.checked_sub(PAIRS) {
                let pair = self.pairs.get(usize::from(pair))?;
                waiting.push(le_u16(pair, 2)).ok()?;
                waiting.push(le_u16(pair, 0)).ok()?;
            } else {
                *free = symbol as u8;
                place = places.next();
            }
        }
        Some(())
    }
}
