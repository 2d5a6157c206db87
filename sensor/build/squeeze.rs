//! Makes the built-in pack shorter: the other half of `src/squeezed.rs`, which describes the form.

use std::collections::HashMap;

/// How far back a copy may reach, and how many bytes it may have.
const REACH: usize = 1 << 12;
const SHORTEST: usize = 2;
const LONGEST: usize = SHORTEST + 15;

/// What an item costs, its mark included, in bits.
const BYTE: usize = 9;
const COPY: usize = 17;

/// The shortest form of `bytes`.
pub fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let copies = longest_copies(bytes);
    // From the end: what the rest costs at least, and how many bytes its first item stands for.
    let mut costs = vec![0; bytes.len() + 1];
    let mut steps = vec![1; bytes.len()];
    for place in (0..bytes.len()).rev() {
        costs[place] = costs[place + 1] + BYTE;
        for length in SHORTEST..=copies[place].1 {
            if costs[place + length] + COPY < costs[place] {
                costs[place] = costs[place + length] + COPY;
                steps[place] = length;
            }
        }
    }
    let mut out = Vec::new();
    let (mut place, mut items, mut marks_at) = (0, 0, 0);
    while place < bytes.len() {
        if items % 8 == 0 {
            marks_at = out.len();
            out.push(0);
        }
        let length = steps[place];
        if length == 1 {
            out.push(bytes[place]);
        } else {
            out[marks_at] |= 1 << (items % 8);
            let copy = (copies[place].0 - 1) << 4 | (length - SHORTEST);
            out.extend(u16::try_from(copy).expect("12 and 4 bits").to_le_bytes());
        }
        place += length;
        items += 1;
    }
    out
}

/// For each place how far back the longest copy of what follows is, and its length; (0, 0) if there is none.
fn longest_copies(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut copies = vec![(0, 0); bytes.len()];
    for (place, copy) in copies.iter_mut().enumerate() {
        let Some(first) = bytes.get(place..place + SHORTEST) else {
            break;
        };
        let before = seen.entry(first).or_default();
        for &start in before
            .iter()
            .rev()
            .take_while(|&&start| place - start <= REACH)
        {
            let same = bytes[start..].iter().zip(&bytes[place..]);
            let length = same
                .take(LONGEST)
                .take_while(|(one, other)| one == other)
                .count();
            if length > copy.1 {
                *copy = (place - start, length);
            }
        }
        before.push(place);
    }
    copies
}
