//! What the engine asks an event for.

use crate::field::Field;
use crate::packed::Packed;

/// The values of one field of one event.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// The event does not have the field.
    Missing,
    /// The event has it, but its value was lost (a full table): a clause on it holds,
    /// and so does its negation. Better one alert too many than one too few.
    Lost,
    /// One byte string.
    One(&'a [u8]),
    /// Several byte strings.
    Many(&'a [&'a [u8]]),
    /// Several byte strings, each ended by NUL, as `/proc/PID/cmdline` has them.
    /// What follows the last NUL, if anything does, is one more.
    Block(&'a [u8]),
    /// The byte strings of a [`Values::Block`] joined by one space.
    Joined(&'a [u8]),
    /// A whole number, or a boolean as 0 or 1.
    Number(i64),
    /// Not the values but what holds of them and of all other fields of the same [cost](crate::field::Cost): the
    /// atoms found by [`crate::engine::Engine::facts`], ascending.
    Facts(Packed<'a>),
}

/// Iterates over the strings of a [`Values::Block`].
#[derive(Clone, Debug)]
pub struct Block<'a> {
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    /// The strings of `block`.
    pub const fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }
}

impl<'a> Iterator for Block<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (string, rest) = self.rest.split_at(first_nul(self.rest));
        self.rest = rest.get(1..).unwrap_or(&[]);
        Some(string)
    }
}

/// Where the first NUL is, or the length if there is none. Eight bytes at a time.
#[inline]
fn first_nul(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest high bit that is left is that of the first byte that is zero.
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return index * 8 + zeros.trailing_zeros() as usize / 8;
        }
    }
    let before = bytes.len() - rest.len();
    before
        + rest
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(rest.len())
}

/// A block without the NUL that ends its last string: the bytes that
/// [`Values::Joined`] stands for, NUL in the place of the space.
pub fn unterminated(block: &[u8]) -> &[u8] {
    block.strip_suffix(&[0]).unwrap_or(block)
}

/// How the bytes of a value are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The case of ASCII letters is ignored: patterns are in lower case.
    pub fold: bool,
    /// NUL stands for a space: the value is a [`Values::Joined`].
    pub joined: bool,
}

impl Reading {
    /// Each byte as patterns have it.
    #[inline]
    pub const fn bytes(self) -> &'static [u8; 256] {
        &READ[(self.fold as usize) << 1 | self.joined as usize]
    }

    /// A byte as patterns have it.
    #[inline]
    pub const fn byte(self, byte: u8) -> u8 {
        match byte {
            0 if self.joined => b' ',
            b'A'..=b'Z' if self.fold => byte | 0x20,
            byte => byte,
        }
    }

    /// Whether a value begins with a literal.
    pub fn begins(self, value: &[u8], literal: &[u8]) -> bool {
        let read = self.bytes();
        value.len() >= literal.len()
            && value
                .iter()
                .zip(literal)
                .all(|(&byte, &expected)| read[usize::from(byte)] == expected)
    }
}

/// [`Reading::byte`] of all bytes, for each reading: where many are compared a look-up costs less.
static READ: [[u8; 256]; 4] = {
    let mut read = [[0; 256]; 4];
    let mut at = 0;
    while at < 4 * 256 {
        let reading = Reading {
            fold: at >> 9 & 1 == 1,
            joined: at >> 8 & 1 == 1,
        };
        read[at >> 8][at & 0xFF] = reading.byte(at as u8);
        at += 1;
    }
    read
};

/// A process event, as far as rules ask for it.
///
/// The engine asks for a field at most once an evaluation, and only where a rule is still
/// undecided without it: an implementation may read the value on demand.
pub trait Event {
    /// The values of `field`.
    fn values(&mut self, field: Field) -> Values<'_>;

    /// The same for a field of `new_terms`: here [`Values::Facts`] and [`Values::Number`] are of no use, and what
    /// is read on demand has been read before.
    fn term(&self, field: Field) -> Values<'_>;
}

/// The base name of a path: what follows its last slash. A memfd's name may hold slashes
/// too and is treated the same.
pub fn base_name(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(block: &[u8]) -> std::vec::Vec<&[u8]> {
        Block::new(block).collect()
    }

    #[test]
    fn a_block_is_split_at_its_nuls() {
        assert!(strings(b"").is_empty());
        assert_eq!(strings(b"\0"), [b""]);
        assert_eq!(strings(b"ls\0-l\0"), [&b"ls"[..], b"-l"]);
        assert_eq!(strings(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert_eq!(strings(b"sshd: root"), [b"sshd: root"]);
        assert_eq!(unterminated(b"ls\0-l\0"), b"ls\0-l");
    }

    #[test]
    fn the_first_nul_is_found_at_every_place() {
        // 0x01 and 0x80 are the bytes that a careless test for zero takes for it.
        for filler in [0x01, 0x80, 0xFF] {
            for len in 0..40 {
                let mut bytes = std::vec![filler; len];
                assert_eq!(first_nul(&bytes), len);
                for at in (0..len).rev() {
                    bytes[at] = 0;
                    assert_eq!(first_nul(&bytes), at);
                }
            }
        }
    }

    #[test]
    fn literals_are_compared_as_they_are_read() {
        let reading = |fold, joined| Reading { fold, joined };
        assert!(reading(true, true).begins(b"CURL\0-k x", b"curl -k"));
        assert!(!reading(false, true).begins(b"CURL\0-k x", b"curl -k"));
        assert!(!reading(true, false).begins(b"CURL\0-k x", b"curl -k"));
        assert!(!reading(true, true).begins(b"curl", b"curl -k"));
    }

    #[test]
    fn the_table_of_a_reading_is_the_reading() {
        for (fold, joined) in [(false, false), (false, true), (true, false), (true, true)] {
            let reading = Reading { fold, joined };
            for byte in 0..=u8::MAX {
                assert_eq!(reading.bytes()[usize::from(byte)], reading.byte(byte));
            }
        }
        let both = Reading {
            fold: true,
            joined: true,
        };
        assert_eq!(
            (both.bytes()[0], both.bytes()[usize::from(b'Q')]),
            (b' ', b'q')
        );
    }

    #[test]
    fn base_names() {
        assert_eq!(base_name(b"/usr/bin/id"), b"id");
        assert_eq!(base_name(b"id"), b"id");
        assert_eq!(base_name(b"/"), b"");
    }
}
