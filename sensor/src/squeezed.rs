//! Bytes in a shorter form, which the build script has made: items (Lempel and Ziv), their bits told by how likely they are (a binary range coder).
//!
//! An item is a byte, or a copy of what stands some bytes before; it may run into what it makes. Each bit has a [model](models), which learns with
//! each bit how likely it is 0: that part of the range, rounded down, is the lower one and stands for 0. As often as the range is narrower than
//! 24 bits, a byte of the input is taken; behind its end all are 0. A number is written from its lowest bit on, a 1 before each and a 0
//! instead of its highest.

mod models;

use core::slice::Iter;

use models::{
    AGAIN, BYTE, COPY, LENGTH, MODELS, Model, NARROWEST, PRECISION, REACH, UNKNOWN, learn,
};

/// Fills `out`. `None` if a copy begins before it, or goes beyond its end.
pub fn expand(squeezed: &[u8], out: &mut [u8]) -> Option<()> {
    let mut bits = Bits {
        bytes: squeezed.iter(),
        models: [UNKNOWN; MODELS],
        range: 1,
        code: 0,
    };
    let (mut filled, mut reach, mut copied) = (0, 0, false);
    while filled < out.len() {
        let copy = bits.next(COPY + usize::from(copied));
        if copy {
            if copied || !bits.next(AGAIN) {
                reach = bits.number(REACH);
            }
            for _ in 0..bits.number(LENGTH) {
                *out.get_mut(filled)? = *out.get(filled.checked_sub(reach)?)?;
                filled += 1;
            }
        } else {
            *out.get_mut(filled)? = bits.byte();
            filled += 1;
        }
        copied = copy;
    }
    Some(())
}

/// The bits of the input.
struct Bits<'s> {
    bytes: Iter<'s, u8>,
    models: [Model; MODELS],
    range: u32,
    /// Where in the range the input points to.
    code: u32,
}

impl Bits<'_> {
    /// The next one, which has this model.
    #[inline(never)]
    fn next(&mut self, model: usize) -> bool {
        let Some(model) = self.models.get_mut(model) else {
            return false;
        };
        while self.range < NARROWEST {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.code = self.code << 8 | u32::from(byte);
            self.range <<= 8;
        }
        let zero = (self.range >> PRECISION) * u32::from(*model);
        let bit = self.code >= zero;
        if bit {
            self.code -= zero;
            self.range -= zero;
        } else {
            self.range = zero;
        }
        *model = learn(*model, bit);
        bit
    }

    fn number(&mut self, mut model: usize) -> usize {
        let (mut number, mut place) = (0, 1);
        while self.next(model) {
            if self.next(model + 1) {
                number |= place;
            }
            place <<= 1;
            model += 2;
        }
        number | place
    }

    fn byte(&mut self) -> u8 {
        let mut byte = 1;
        while byte < 256 {
            byte = byte << 1 | usize::from(self.next(BYTE + byte));
        }
        byte as u8
    }
}

#[cfg(test)]
#[path = "../build/squeeze.rs"]
mod squeeze;

#[cfg(test)]
mod tests {
    use super::*;
    use squeeze::Item;
    use std::vec::Vec;

    fn check(bytes: &[u8]) -> usize {
        let squeezed = squeeze::squeeze(bytes);
        let mut out = std::vec![0xA5; bytes.len()];
        assert_eq!(expand(&squeezed, &mut out), Some(()));
        assert_eq!(out, bytes);
        squeezed.len()
    }

    #[test]
    fn what_was_squeezed_comes_back() {
        assert_eq!(check(b""), 0);
        assert_eq!(check(b"abcdefgh"), 8);
        // A byte, and copies of it that run into themselves.
        assert_eq!(check(&[7; 18]), 3);
        assert_eq!(check(&[7; 600]), 7);
        assert_eq!(check(b"peewit peewit peewit"), 10);
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        for (alphabet, length) in [(1, 9), (2, 178), (4, 336), (256u16, 1020)] {
            let bytes: Vec<u8> = (0..1000)
                .map(|_| (u16::from(noise()) % alphabet) as u8)
                .collect();
            assert_eq!(check(&bytes), length, "{alphabet}");
        }
        // The same far away.
        let mut bytes: Vec<u8> = (0..3000).map(|_| noise()).collect();
        assert_eq!(check(&bytes), 3070);
        bytes.extend_from_within(..100);
        assert_eq!(check(&bytes), 3075);
    }

    #[test]
    fn nonsense_is_none() {
        let (copy, _) = squeeze::code(
            &[0],
            &[Item {
                reach: 1,
                length: 1,
            }],
        );
        assert_eq!(expand(&copy, &mut [0]), None);
        let sevens = squeeze::squeeze(&[7; 18]);
        assert_eq!(expand(&sevens, &mut [0; 17]), None);
        // A number without an end.
        assert_eq!(expand(&[0xFF; 99], &mut [0; 99]), None);
    }
}
