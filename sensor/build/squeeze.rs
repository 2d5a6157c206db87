//! Makes texts and the built-in pack shorter: the other half of `src/squeezed.rs`, which describes the form.

#[path = "../src/squeezed/models.rs"]
mod models;

use std::collections::HashMap;

use models::{
    AGAIN, BYTE, COPY, LENGTH, MODELS, Model, NARROWEST, PRECISION, REACH, UNKNOWN, learn,
};

/// How many bytes a copy may have: longer ones save next to nothing, and cost time.
const LONGEST: usize = 256;

/// How often items are chosen: what each costs is known only when all are, so it is taken from the choice before.
const ROUNDS: usize = 12;

/// A byte, or a copy.
#[derive(Clone, Copy)]
pub struct Item {
    /// How far back the copy begins; 0 for a byte.
    pub reach: usize,
    /// For how many bytes it stands.
    pub length: usize,
}

const ONE: Item = Item {
    reach: 0,
    length: 1,
};

/// The shortest form of `bytes` that was found.
pub fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let copies = copies(bytes);
    let mut costs = [[1.0; 2]; MODELS];
    let mut best: Option<Vec<u8>> = None;
    for _ in 0..ROUNDS {
        let items = choose(bytes, &copies, &costs);
        let squeezed;
        (squeezed, costs) = code(bytes, &items);
        if best.as_ref().is_none_or(|best| squeezed.len() < best.len()) {
            best = Some(squeezed);
        }
    }
    best.unwrap_or_default()
}

/// What these items are in bits, and what each bit costs then.
pub fn code(bytes: &[u8], items: &[Item]) -> (Vec<u8>, Costs) {
    let mut coder = Coder::default();
    let mut state = State::default();
    let mut place = 0;
    for item in items {
        state = state.tell(&mut coder, *item, bytes[place]);
        place += item.length;
    }
    let costs = coder.costs();
    (coder.end(), costs)
}

/// For each place the copies of what follows, from the nearest to the longest.
fn copies(bytes: &[u8]) -> Vec<Vec<Item>> {
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut copies = Vec::with_capacity(bytes.len());
    for place in 0..bytes.len() {
        let mut found: Vec<Item> = Vec::new();
        if let Some(first) = bytes.get(place..place + 2) {
            let before = seen.entry(first).or_default();
            for &start in before.iter().rev() {
                let length = same(bytes, start, place);
                if found.last().is_none_or(|last| length > last.length) {
                    let reach = place - start;
                    found.push(Item { reach, length });
                }
            }
            before.push(place);
        }
        copies.push(found);
    }
    copies
}

/// How many bytes are the same at both places.
fn same(bytes: &[u8], start: usize, place: usize) -> usize {
    let both = bytes[start..].iter().zip(&bytes[place..]).take(LONGEST);
    both.take_while(|(one, other)| one == other).count()
}

/// What a bit costs in each model.
type Costs = [[f64; 2]; MODELS];

/// The cheapest way that was found to a place.
#[derive(Clone, Copy)]
struct Way {
    cost: f64,
    state: State,
    /// Its last item, and whether there was a copy in front of that.
    item: Item,
    behind_copy: bool,
}

/// The items that cost least.
fn choose(bytes: &[u8], copies: &[Vec<Item>], costs: &Costs) -> Vec<Item> {
    // To each place two, one of them with a copy at its end.
    let mut ways = vec![[None::<Way>; 2]; bytes.len() + 1];
    ways[0][0] = Some(Way {
        cost: 0.0,
        state: State::default(),
        item: ONE,
        behind_copy: false,
    });
    for place in 0..bytes.len() {
        for way in ways[place].into_iter().flatten() {
            let mut offer = |item: Item| {
                let mut sum = Sum { costs, bits: 0.0 };
                let state = way.state.tell(&mut sum, item, bytes[place]);
                let cost = way.cost + sum.bits;
                let known = &mut ways[place + item.length][usize::from(state.copied)];
                if known.is_none_or(|known| cost < known.cost) {
                    *known = Some(Way {
                        cost,
                        state,
                        item,
                        behind_copy: way.state.copied,
                    });
                }
            };
            offer(ONE);
            let mut lengths = |reach, from, to| {
                for length in from..=to {
                    offer(Item { reach, length });
                }
            };
            let State { copied, reach } = way.state;
            if !copied && reach > 0 {
                lengths(reach, 1, same(bytes, place - reach, place));
            }
            let mut shortest = 2;
            for copy in &copies[place] {
                lengths(copy.reach, shortest, copy.length);
                shortest = copy.length + 1;
            }
        }
    }
    let mut items = Vec::new();
    let (mut place, mut copied) = (bytes.len(), None);
    while place > 0 {
        let [byte, copy] = ways[place];
        let way = match copied {
            Some(copied) => [byte, copy][usize::from(copied)],
            None => [byte, copy]
                .into_iter()
                .flatten()
                .min_by(|one, other| one.cost.total_cmp(&other.cost)),
        };
        let way = way.expect("each place has a way to it");
        items.push(way.item);
        place -= way.item.length;
        copied = Some(way.behind_copy);
    }
    items.reverse();
    items
}

/// What is known from the items before.
#[derive(Clone, Copy, Default)]
struct State {
    copied: bool,
    reach: usize,
}

impl State {
    /// Tells the bits of an item, and what is known then. `byte` is the first that it stands for.
    fn tell(self, bits: &mut impl Bits, item: Item, byte: u8) -> Self {
        let copied = item.reach > 0;
        bits.bit(COPY + usize::from(self.copied), copied);
        if !copied {
            bits.byte(byte);
            return Self { copied, ..self };
        }
        let again = item.reach == self.reach;
        if !self.copied {
            bits.bit(AGAIN, again);
        }
        if self.copied || !again {
            bits.number(REACH, item.reach);
        }
        bits.number(LENGTH, item.length);
        Self {
            copied,
            reach: item.reach,
        }
    }
}

/// Takes bits.
trait Bits {
    /// One, which has this model.
    fn bit(&mut self, model: usize, bit: bool);

    fn number(&mut self, mut model: usize, mut number: usize) {
        while number > 1 {
            self.bit(model, true);
            self.bit(model + 1, number & 1 == 1);
            model += 2;
            number >>= 1;
        }
        self.bit(model, false);
    }

    fn byte(&mut self, byte: u8) {
        let mut before = 1;
        for place in (0..8).rev() {
            let bit = byte >> place & 1;
            self.bit(BYTE + before, bit == 1);
            before = before << 1 | usize::from(bit);
        }
    }
}

/// What the bits cost.
struct Sum<'c> {
    costs: &'c Costs,
    bits: f64,
}

impl Bits for Sum<'_> {
    fn bit(&mut self, model: usize, bit: bool) {
        self.bits += self.costs[model][usize::from(bit)];
    }
}

/// The range coder.
struct Coder {
    models: [Model; MODELS],
    /// The range's beginning, without what is in `out` already, and its width.
    low: u64,
    range: u32,
    out: Vec<u8>,
    /// For each model and bit what was spent, and how often.
    spent: [[(f64, f64); 2]; MODELS],
}

impl Default for Coder {
    fn default() -> Self {
        Self {
            models: [UNKNOWN; MODELS],
            low: 0,
            range: NARROWEST,
            out: Vec::new(),
            // As if each had been there before: 4 bits for what never is.
            spent: [[(4.0, 1.0); 2]; MODELS],
        }
    }
}

impl Bits for Coder {
    fn bit(&mut self, model: usize, bit: bool) {
        let zero = self.models[model];
        let spent = &mut self.spent[model][usize::from(bit)];
        spent.0 += cost(if bit { (1 << PRECISION) - zero } else { zero });
        spent.1 += 1.0;
        let zeros = (self.range >> PRECISION) * u32::from(zero);
        if bit {
            self.low += u64::from(zeros);
            self.range -= zeros;
        } else {
            self.range = zeros;
        }
        self.models[model] = learn(zero, bit);
        while self.range < NARROWEST {
            self.shift();
            self.range <<= 8;
        }
    }
}

/// What a bit costs that is so likely: nearly the logarithm, and the same on every machine that builds this.
fn cost(likely: Model) -> f64 {
    let whole = likely.ilog2();
    let rest = f64::from(likely) / f64::from(1 << whole) - 1.0;
    f64::from(PRECISION - whole) - rest
}

impl Coder {
    /// Gives out the highest byte.
    fn shift(&mut self) {
        if self.low >> 32 != 0 {
            // It has become one more than was thought.
            for byte in self.out.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        self.out.push((self.low >> 24) as u8);
        self.low = self.low << 8 & 0xFFFF_FFFF;
    }

    fn costs(&self) -> Costs {
        self.spent
            .map(|model| model.map(|(bits, times)| bits / times))
    }

    /// As few bytes as point into the range.
    fn end(mut self) -> Vec<u8> {
        let last = self.low + u64::from(self.range) - 1;
        let rounded = |bits: u32| last >> bits << bits;
        let bits = (0..=32).rev().find(|&bits| rounded(bits) >= self.low);
        self.low = rounded(bits.unwrap_or(0));
        for _ in 0..4 {
            self.shift();
        }
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        // At the beginning the range has 24 bits: the first byte says nothing.
        self.out.drain(..self.out.len().min(1));
        self.out
    }
}
