//! CRC-32 as in zip and Ethernet (CRC-32/ISO-HDLC).

/// A checksum of bytes that come one after the other. Bit by bit: frames are short and packs are checked once, and a table
/// would take 1 KiB of the sensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u32);

impl Crc {
    /// Of nothing yet.
    pub(crate) const NEW: Self = Self(u32::MAX);

    /// Takes in some more.
    #[inline(never)]
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = self.0 >> 1 ^ (0xEDB8_8320 & (self.0 & 1).wrapping_neg());
            }
        }
    }

    /// The sum of all up to now.
    pub(crate) const fn sum(self) -> u32 {
        !self.0
    }
}

/// The checksum of these parts, one behind the other.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::NEW;
    for part in parts {
        crc.add(part);
    }
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that catalogues of such sums give.
    #[test]
    fn the_sum_is_the_right_one() {
        assert_eq!(crc32(&[b"123456789"]), 0xCBF4_3926);
        assert_eq!(crc32(&[b"1234", b"", b"56789"]), 0xCBF4_3926);
        assert_eq!(crc32(&[]), 0);
    }
}
