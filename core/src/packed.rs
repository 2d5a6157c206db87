//! Short lists of small numbers that ascend: each as its distance from the one before, in a varint of 7 bits
//! a byte. What holds of a process as a parent is a dozen numbers in as many bytes.

/// A packed list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// No numbers.
    pub const EMPTY: Self = Self(&[]);

    /// The list of these bytes. Any bytes are some list.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no numbers.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether `number` is in it.
    pub fn contains(self, number: u16) -> bool {
        self.iter().any(|other| other == number)
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        let mut bytes = self.0.iter();
        // Where the next one counts from: one more than the last.
        let mut base = 0u16;
        core::iter::from_fn(move || {
            let first = *bytes.next()?;
            let mut distance = u32::from(first & 0x7F);
            // Nearly all are short.
            if first & 0x80 != 0 {
                let mut shift = 7;
                loop {
                    let byte = *bytes.next()?;
                    distance |= u32::from(byte & 0x7F).wrapping_shl(shift);
                    shift += 7;
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
            }
            let number = base.wrapping_add(distance as u16);
            base = number.wrapping_add(1);
            Some(number)
        })
    }
}

/// There is no room for another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("more numbers than the list has room for")
    }
}

impl core::error::Error for Full {}

/// A packed list that is being written, of at most `N` bytes.
#[derive(Clone, Debug, Default)]
pub struct Packer<const N: usize> {
    bytes: heapless::Vec<u8, N>,
    base: u16,
}

impl<const N: usize> Packer<N> {
    /// No numbers.
    pub const fn new() -> Self {
        Self {
            bytes: heapless::Vec::new(),
            base: 0,
        }
    }

    /// Takes all numbers out.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.base = 0;
    }

    /// Appends a number, which is greater than the last one.
    ///
    /// # Errors
    /// [`Full`]; nothing was appended.
    pub fn push(&mut self, number: u16) -> Result<(), Full> {
        let mut distance = number.wrapping_sub(self.base);
        let length = self.bytes.len();
        while distance >= 0x80 {
            if self.bytes.push(distance as u8 | 0x80).is_err() {
                break;
            }
            distance >>= 7;
        }
        if distance >= 0x80 || self.bytes.push(distance as u8).is_err() {
            self.bytes.truncate(length);
            return Err(Full);
        }
        self.base = number.wrapping_add(1);
        Ok(())
    }

    /// Takes over another list, as far as it has room for it.
    ///
    /// # Errors
    /// [`Full`]; it is empty then.
    pub fn copy(&mut self, list: Packed<'_>) -> Result<(), Full> {
        self.clear();
        self.bytes.extend_from_slice(list.0).map_err(|_| Full)
    }

    /// The list as it is.
    pub fn list(&self) -> Packed<'_> {
        Packed(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_take_a_byte_each() {
        let mut packer = Packer::<8>::new();
        for number in [3, 4, 5, 200] {
            packer.push(number).unwrap();
        }
        assert_eq!(packer.list().as_bytes(), [3, 0, 0, 0xC2, 1]);
        for number in [201, 202, 203] {
            packer.push(number).unwrap();
        }
        assert_eq!(packer.push(204), Err(Full));
        assert_eq!(packer.list().iter().last(), Some(203));
    }

    #[test]
    fn a_number_that_does_not_fit_leaves_nothing() {
        let mut packer = Packer::<2>::new();
        packer.push(1).unwrap();
        assert_eq!(packer.push(u16::MAX), Err(Full));
        assert_eq!(packer.list().as_bytes(), [1]);
        packer.push(2).unwrap();
        assert!(packer.list().iter().eq([1, 2]));
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(numbers in prop::collection::btree_set(any::<u16>(), 0..80)) {
            let mut packer = Packer::<256>::new();
            for &number in &numbers {
                packer.push(number).unwrap();
            }
            prop_assert!(packer.list().iter().eq(numbers));
        }

        #[test]
        fn any_bytes_are_a_list(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Packed::new(&bytes).iter().count() <= bytes.len());
        }
    }
}
