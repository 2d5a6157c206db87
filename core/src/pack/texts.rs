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
    /// What there is to be said of a rule; its texts are written into `room`, where [`MAX_TEXTS`](super::MAX_TEXTS) bytes are
    /// enough. Those of a damaged pack are empty.
    #[inline(never)]
    pub fn info<'t>(&self, rule: &Rule<'t>, room: &'t mut [u8]) -> RuleInfo<'t> {
        let texts = self.texts(rule, room).unwrap_or(&[]);
        take_texts(&mut Fields::new(texts), rule.id, rule.severity)
    }

    fn texts<'t>(&self, rule: &Rule<'_>, room: &'t mut [u8]) -> Option<&'t [u8]> {
        let mut about = self.about(self.rules.get(usize::from(rule.index))?);
        take_id(&mut about);
        let room = room.get_mut(..usize::from(about.u16()))?;
        self.expand(&mut about, room)?;
        Some(room)
    }

    /// Fills `room`. Each turn puts a byte or lets one symbol more wait: there are no more turns than bytes and places to wait.
    #[inline(never)]
    fn expand(&self, coded: &mut Fields<'_>, room: &mut [u8]) -> Option<()> {
        let mut waiting = [0; NESTING];
        let mut held = 0;
        for place in room {
            let mut symbol = if held > 0 {
                held -= 1;
                *waiting.get(held)?
            } else {
                match u16::from(coded.byte()) {
                    first @ 1..=16 => (first - 1) << 8 | u16::from(coded.byte()),
                    first @ 128.. => first + (PAIRS - 128),
                    byte => byte,
                }
            };
            while let Some(pair) = symbol.checked_sub(PAIRS) {
                let pair = self.pairs.get(usize::from(pair))?;
                *waiting.get_mut(held)? = le_u16(pair, 2);
                held += 1;
                symbol = le_u16(pair, 0);
            }
            *place = symbol as u8;
        }
        (!coded.failed).then_some(())
    }
}
