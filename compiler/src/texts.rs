//! Puts texts of rules into the shorter form that `core/src/pack/texts.rs` reads: again and again the two symbols that most often
//! stand side by side become one (Larsson and Moffat's Re-Pair).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use peewit_core::pack::{NESTING, PAIR_LEN};

/// The first symbol that is a pair; those below are bytes. A text has 12 bits for a symbol.
const PAIRS: u16 = 256;
const SYMBOLS: u16 = 1 << 12;
/// How many pairs have a symbol of one byte.
const SHORT: usize = 128;
/// How often two symbols must stand side by side to become one.
const FEWEST: usize = 3;
/// Around each text: it is in no pair.
const END: u16 = u16::MAX;
/// What became part of the symbol before it.
const GONE: u16 = u16::MAX - 1;

/// Texts in their shorter form.
pub struct Coded {
    /// The records of the pairs.
    pub pairs: Vec<[u8; PAIR_LEN]>,
    /// The texts, in their order.
    pub texts: Vec<Vec<u8>>,
}

/// Makes texts shorter.
pub fn code<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Coded {
    let mut symbols = vec![END];
    for text in texts {
        symbols.extend(text.iter().copied().map(u16::from));
        symbols.push(END);
    }
    let mut pairs = pair_up(&mut symbols);
    symbols.retain(|&symbol| symbol != GONE);
    let mut texts: Vec<Vec<u16>> = symbols[1..]
        .split_inclusive(|&symbol| symbol == END)
        .map(|text| text[..text.len() - 1].to_vec())
        .collect();
    undo(&mut texts, &mut pairs);
    number(&texts, &pairs)
}

/// Two symbols side by side.
type Pair = [u16; 2];

/// Puts pairs in the place of their symbols.
fn pair_up(symbols: &mut [u16]) -> Vec<Pair> {
    // Where the symbol behind each is, and that before it, without those that are gone.
    let mut next: Vec<usize> = (1..=symbols.len()).collect();
    let mut previous: Vec<usize> = (0..symbols.len()).map(|at| at.saturating_sub(1)).collect();
    let mut places: HashMap<Pair, BTreeSet<usize>> = HashMap::new();
    for (at, pair) in symbols.array_windows().enumerate() {
        if !pair.contains(&END) {
            places.entry(*pair).or_default().insert(at);
        }
    }
    let mut often: BinaryHeap<(usize, Reverse<Pair>)> = places
        .iter()
        .map(|(&pair, places)| (places.len(), Reverse(pair)))
        .collect();
    let (mut pairs, mut nesting): (Vec<Pair>, Vec<usize>) = (Vec::new(), Vec::new());
    while let Some((count, Reverse(pair))) = often.pop() {
        let now = places.get(&pair).map_or(0, BTreeSet::len);
        if now < FEWEST || pairs.len() >= usize::from(SYMBOLS - PAIRS) {
            continue;
        }
        if now < count {
            often.push((now, Reverse(pair)));
            continue;
        }
        let nested = |symbol: u16| {
            let pair = symbol.checked_sub(PAIRS);
            pair.map_or(0, |pair| nesting[usize::from(pair)])
        };
        // Each that a pair is nested in lets one symbol wait, and the innermost two.
        let deep = 1 + nested(pair[0]).max(nested(pair[1]));
        if deep >= NESTING {
            continue;
        }
        nesting.push(deep);
        let new = PAIRS + pairs.len() as u16;
        pairs.push(pair);
        let mut changed = BTreeSet::new();
        for at in places.remove(&pair).into_iter().flatten() {
            let other = next[at];
            // Of three of a kind the last two are no pair any more.
            if [symbols[at], symbols[other]] != pair {
                continue;
            }
            let (before, after) = (previous[at], next[other]);
            for (place, old) in [
                (before, [symbols[before], pair[0]]),
                (other, [pair[1], symbols[after]]),
            ] {
                if let Some(places) = places.get_mut(&old) {
                    places.remove(&place);
                }
            }
            (symbols[at], symbols[other]) = (new, GONE);
            (next[at], previous[after]) = (after, at);
            for (place, pair) in [
                (before, [symbols[before], new]),
                (at, [new, symbols[after]]),
            ] {
                if !pair.contains(&END) {
                    places.entry(pair).or_default().insert(place);
                    changed.insert(pair);
                }
            }
        }
        often.extend(
            changed
                .into_iter()
                .map(|pair| (places[&pair].len(), Reverse(pair))),
        );
    }
    pairs
}

/// How often each symbol is there.
fn count<'a>(symbols: impl Iterator<Item = &'a u16>) -> Vec<usize> {
    let mut counts = vec![0; usize::from(SYMBOLS)];
    symbols.for_each(|&symbol| counts[usize::from(symbol)] += 1);
    counts
}

/// Takes pairs back that cost more than they save, or as much. Only symbols below a pair's own are part of it.
fn undo(texts: &mut [Vec<u16>], pairs: &mut [Pair]) {
    let mut counts = count(texts.iter().flatten());
    let mut parts = count(pairs.iter().flatten());
    let shortest = counts
        .iter()
        .skip(usize::from(PAIRS))
        .filter(|&&count| count > 0)
        .count()
        <= SHORT;
    let length = |symbol: u16| if symbol < PAIRS || shortest { 1 } else { 2 };
    let mut taken_back = BTreeSet::new();
    for (place, pair) in pairs.iter().enumerate().rev() {
        let symbol = PAIRS + place as u16;
        let here = counts[usize::from(symbol)];
        let shorter = length(pair[0]) + length(pair[1]) - length(symbol);
        if parts[usize::from(symbol)] > 0 || here * shorter > PAIR_LEN {
            continue;
        }
        taken_back.insert(symbol);
        for part in pair {
            counts[usize::from(*part)] += here;
            parts[usize::from(*part)] -= 1;
        }
    }
    for text in texts {
        while let Some(at) = text.iter().position(|symbol| taken_back.contains(symbol)) {
            let pair = pairs[usize::from(text[at] - PAIRS)];
            text.splice(at..=at, pair);
        }
    }
    for symbol in taken_back {
        pairs[usize::from(symbol - PAIRS)] = [GONE; 2];
    }
}

/// Gives the pairs that are most often in texts the short symbols, and writes all.
fn number(texts: &[Vec<u16>], pairs: &[Pair]) -> Coded {
    let counts = count(texts.iter().flatten());
    let mut order: Vec<u16> = (PAIRS..)
        .zip(pairs)
        .filter(|(_, pair)| **pair != [GONE; 2])
        .map(|(symbol, _)| symbol)
        .collect();
    order.sort_by_key(|&symbol| Reverse(counts[usize::from(symbol)]));
    let mut numbers: Vec<u16> = (0..SYMBOLS).collect();
    for (number, &symbol) in (PAIRS..).zip(&order) {
        numbers[usize::from(symbol)] = number;
    }
    let number = |symbol: u16| numbers[usize::from(symbol)];
    let record = |&symbol: &u16| {
        let [first, second] =
            pairs[usize::from(symbol - PAIRS)].map(|part| number(part).to_le_bytes());
        [first[0], first[1], second[0], second[1]]
    };
    let written = |text: &Vec<u16>| {
        let symbols = text.iter().map(|&symbol| number(symbol));
        symbols.flat_map(bytes).collect()
    };
    Coded {
        pairs: order.iter().map(record).collect(),
        texts: texts.iter().map(written).collect(),
    }
}

/// A symbol in a text.
fn bytes(symbol: u16) -> Vec<u8> {
    match symbol {
        0 | 17..128 => vec![symbol as u8],
        PAIRS.. if usize::from(symbol - PAIRS) < SHORT => vec![(symbol - PAIRS) as u8 + 128],
        _ => vec![(symbol >> 8) as u8 + 1, symbol as u8],
    }
}
