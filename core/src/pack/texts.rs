//! The texts of rules: what stands in them often is there once, as a pair of two symbols that may be pairs themselves.
//!
//! A symbol below 256 is a byte, any other the pair of the number above that. Coded, a byte of 128 or more stands for one
//! of the first 128 pairs, and one from 1 to 16 begins a symbol of two bytes; any other stands for itself.

use super::{NESTING, Pack, RuleIndex};
use crate::utf8;

/// What there is to read of a rule. Each ends with a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts<'t> {
    /// Its title.
    pub name: &'t str,
    /// Its authors, separated by `, `.
    pub author: &'t str,
    /// ATT&CK tactics, techniques and subtechniques, separated by a space.
    pub attack: &'t str,
    /// Its tags, separated by `, `.
    pub tags: &'t str,
    /// URLs to read on, separated by a space.
    pub references: &'t str,
}

/// How many texts a rule has.
const COUNT: usize = 5;

/// The first symbol that is a pair.
const PAIRS: u16 = 256;

impl Pack<'_> {
    /// The texts of a rule, written into `room`, where [`MAX_TEXTS`](super::MAX_TEXTS) bytes are enough for all.
    #[inline(never)]
    pub fn texts<'t>(&self, rule: RuleIndex, room: &'t mut [u8]) -> Option<Texts<'t>> {
        let (_, coded) = self.about(self.rules.get(usize::from(rule))?)?;
        let mut rest = utf8(self.expand(coded, room)?)?;
        let mut texts = [""; COUNT];
        for text in &mut texts {
            let end = rest.bytes().position(|byte| byte == 0)?;
            *text = rest.get(..end)?;
            rest = rest.get(end + 1..)?;
        }
        let [name, author, attack, tags, references] = texts;
        Some(Texts {
            name,
            author,
            attack,
            tags,
            references,
        })
    }

    /// Writes what is coded, up to the last zero. Each turn puts a byte or lets one symbol more wait: there are no more turns than
    /// bytes and places to wait.
    fn expand<'t>(&self, coded: &[u8], room: &'t mut [u8]) -> Option<&'t [u8]> {
        let mut coded = coded.iter().map(|&byte| u16::from(byte));
        let mut waiting = heapless::Vec::<u16, NESTING>::new();
        let (mut length, mut zeros) = (0, 0);
        while zeros < COUNT {
            let symbol = match waiting.pop() {
                Some(symbol) => symbol,
                None => match coded.next()? {
                    first @ 1..=16 => (first - 1) << 8 | coded.next()?,
                    first @ 128.. => first + (PAIRS - 128),
                    byte => byte,
                },
            };
            if let Some(pair) = symbol.checked_sub(PAIRS) {
                let [low, middle, high] = self.pairs.get(usize::from(pair))?.map(u16::from);
                waiting.push(high << 4 | middle >> 4).ok()?;
                waiting.push((middle & 15) << 8 | low).ok()?;
            } else {
                *room.get_mut(length)? = symbol as u8;
                length += 1;
                zeros += usize::from(symbol == 0);
            }
        }
        room.get(..length)
    }
}
