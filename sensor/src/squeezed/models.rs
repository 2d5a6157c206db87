//! The bits that have a model, by number, and what a model learns.

/// Whether an item is a copy: behind a byte, and behind a copy.
pub const COPY: usize = 0;
/// Whether a copy reaches as far back as the one before.
pub const AGAIN: usize = 2;
/// The bits of a number: whether there is one more, and that one.
const NUMBER: usize = 2 * 16;
/// How far back a copy begins.
pub const REACH: usize = 3;
/// How long it is.
pub const LENGTH: usize = REACH + NUMBER;
/// The bits of a byte, the highest first: by those before it, a 1 in front of them.
pub const BYTE: usize = LENGTH + NUMBER;
/// How many there are.
pub const MODELS: usize = BYTE + 256;

/// A model: how likely the bit is 0, in parts of 2^[`PRECISION`].
pub type Model = u16;
/// See [`Model`].
pub const PRECISION: u32 = 12;
/// Nothing is known yet.
pub const UNKNOWN: Model = 1 << (PRECISION - 1);
/// The range is kept at least as wide.
pub const NARROWEST: u32 = 1 << 24;

/// What is known when this bit has been seen. It never comes to be certain.
pub const fn learn(zero: Model, bit: bool) -> Model {
    if bit {
        zero - (zero >> 4)
    } else {
        zero + (((1 << PRECISION) - zero) >> 4)
    }
}
