//! Bytes in a shorter form (Lempel and Ziv, Storer and Szymanski), which the build script has made.
//!
//! Groups of eight items, in front of each group a byte of marks, the first item's lowest. Without a mark an item is a byte;
//! with one it is two, a little-endian number: its upper 12 bits and 1 say how far back a copy begins, its lower 4 and 2
//! how long it is. It may run into what it makes.

/// Fills `out`. `None` if there are not as many bytes, or a copy begins before them.
pub fn expand(squeezed: &[u8], out: &mut [u8]) -> Option<()> {
    let mut bytes = squeezed.iter().copied();
    let mut filled = 0;
    // A one above those that are left says when they are used up.
    let mut marks = 1;
    while filled < out.len() {
        if marks == 1 {
            marks = 0x100 | u32::from(bytes.next()?);
        }
        let first = bytes.next()?;
        if marks & 1 == 0 {
            *out.get_mut(filled)? = first;
            filled += 1;
        } else {
            let copy = usize::from(u16::from_le_bytes([first, bytes.next()?]));
            let back = (copy >> 4) + 1;
            let end = filled + (copy & 15) + 2;
            while filled < end {
                *out.get_mut(filled)? = *out.get(filled.checked_sub(back)?)?;
                filled += 1;
            }
        }
        marks >>= 1;
    }
    Some(())
}

#[cfg(test)]
#[path = "../build/squeeze.rs"]
mod squeeze;

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(check(b"abcdefgh"), 9);
        // A byte, and copies of it that run into themselves.
        assert_eq!(check(&[7; 18]), 1 + 1 + 2);
        assert_eq!(check(b"peewit peewit peewit"), 1 + 7 + 2);
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        for alphabet in [1, 2, 4, 256u16] {
            let bytes: Vec<u8> = (0..9000)
                .map(|_| (u16::from(noise()) % alphabet) as u8)
                .collect();
            check(&bytes);
        }
        // Just within reach, and just beyond.
        for distance in [4096, 4097] {
            let mut bytes: Vec<u8> = (0..distance).map(|_| noise()).collect();
            bytes.extend_from_within(..20);
            check(&bytes);
        }
    }

    #[test]
    fn nonsense_is_none() {
        assert_eq!(expand(&[], &mut [0]), None);
        assert_eq!(expand(&[0], &mut [0]), None);
        assert_eq!(expand(&[0, 7], &mut [0; 2]), None);
        // A copy of what is not there, of half a number, and beyond the end.
        assert_eq!(expand(&[1, 0, 0], &mut [0; 2]), None);
        assert_eq!(expand(&[2, 7, 0], &mut [0; 2]), None);
        assert_eq!(expand(&[2, 7, 0, 0], &mut [0; 2]), None);
        let mut out = [0; 3];
        assert_eq!(expand(&[2, 7, 0, 0], &mut out), Some(()));
        assert_eq!(out, [7; 3]);
    }
}
