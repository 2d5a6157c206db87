//! Values on the wire, as postcard has them. Not its own code: that is generic over formats, serde's over types, and
//! together they were 8 KiB of the sensor; tests compare.

use crate::alert::cut::{cut_directory, cut_text};
use crate::alert::{PATH_LIMIT, Path};
use crate::utf8;

/// Takes one field after the other. One that fails gives an empty value, and so does each after it; it is asked once, at the
/// end, whether any did.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    pub(crate) failed: bool,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            failed: false,
        }
    }

    /// Whether the record ends here.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline(never)]
    fn take(&mut self, length: usize) -> &'a [u8] {
        if let Some((taken, rest)) = self.rest.split_at_checked(length) {
            self.rest = rest;
            return taken;
        }
        self.fail();
        &[]
    }

    #[cold]
    fn fail(&mut self) {
        self.failed = true;
        self.rest = &[];
    }

    /// One byte as it is.
    #[inline(never)]
    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// So many bytes as they are.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).first_chunk().copied().unwrap_or([0; N])
    }

    /// A number in eight bytes, the lowest first.
    #[inline(never)]
    pub(crate) fn fixed(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number of so many bits, 7 in a byte, the lowest first.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        while shift < bits {
            let byte = self.byte();
            let part = u64::from(byte & 0x7F);
            if bits - shift < 7 && part >> (bits - shift) != 0 {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
        self.fail();
        0
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.varint(16) as u16
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.varint(32) as u32
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.varint(64)
    }

    /// Zigzag: 0, -1, 1, -2 are 0, 1, 2, 3.
    #[inline(never)]
    pub(crate) fn i32(&mut self) -> i32 {
        let number = self.u32();
        (number >> 1 ^ (number & 1).wrapping_neg()).cast_signed()
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        match usize::try_from(self.u32()) {
            Ok(length) => self.take(length),
            Err(_) => {
                self.fail();
                &[]
            }
        }
    }

    #[inline(never)]
    pub(crate) fn text(&mut self) -> &'a str {
        let text = utf8(self.bytes());
        self.required(text)
    }

    /// Whether there is what an option stands for.
    pub(crate) fn some(&mut self) -> bool {
        let some = self.byte();
        if some > 1 {
            self.fail();
        }
        some == 1
    }

    #[inline(never)]
    pub(crate) fn optional_bytes(&mut self) -> Option<&'a [u8]> {
        self.some().then(|| self.bytes())
    }

    pub(crate) fn optional_u32(&mut self) -> Option<u32> {
        self.some().then(|| self.u32())
    }

    /// What there has to be, an empty value if it is not.
    pub(crate) fn required<T: Default>(&mut self, value: Option<T>) -> T {
        self.failed |= value.is_none();
        value.unwrap_or_default()
    }

    /// A case by its number.
    pub(crate) fn variant<T: Copy, const N: usize>(&mut self, all: &[T; N]) -> T {
        const { assert!(N > 0) };
        *all.get(self.choice(N)).unwrap_or(&all[0])
    }

    /// A number below `count`.
    #[inline(never)]
    fn choice(&mut self, count: usize) -> usize {
        let number = usize::from(self.byte());
        if number < count {
            return number;
        }
        self.fail();
        0
    }
}

/// Puts one field behind the other. What there is no room for is only counted.
pub(crate) struct Out<'o> {
    out: &'o mut [u8],
    length: usize,
    /// Something was longer than its limit.
    pub(crate) cut: bool,
}

impl<'o> Out<'o> {
    pub(crate) const fn new(out: &'o mut [u8]) -> Self {
        Self {
            out,
            length: 0,
            cut: false,
        }
    }

    /// How many bytes were put; `None` if there was no room for all.
    pub(crate) fn end(self) -> Option<usize> {
        Some(self.length).filter(|length| *length <= self.out.len())
    }

    /// Bytes as they are.
    #[inline(never)]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    #[inline(never)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.raw(&[byte]);
    }

    /// A number in eight bytes, the lowest first.
    #[inline(never)]
    pub(crate) fn fixed(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    #[inline(never)]
    pub(crate) fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    pub(crate) fn i32(&mut self, number: i32) {
        self.number((number << 1 ^ number >> 31).cast_unsigned().into());
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    #[inline(never)]
    pub(crate) fn optional_bytes(&mut self, bytes: Option<&[u8]>) {
        self.byte(bytes.is_some().into());
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    /// A text, cut to its limit.
    #[inline(never)]
    pub(crate) fn text(&mut self, text: &str, limit: usize) {
        let kept = cut_text(text, limit);
        self.cut |= kept.len() < text.len();
        self.bytes(kept.as_bytes());
    }

    /// The first `limit` bytes, and whether there are more is kept in mind.
    #[inline(never)]
    pub(crate) fn cut<'a>(&mut self, bytes: &'a [u8], limit: usize) -> &'a [u8] {
        let kept = bytes.get(..limit).unwrap_or(bytes);
        self.cut |= kept.len() < bytes.len();
        kept
    }

    /// The same of a path, each piece on its own.
    #[inline(never)]
    pub(crate) fn cut_path<'a>(&mut self, path: &Path<'a>) -> Path<'a> {
        let directory = cut_directory(path.directory, PATH_LIMIT);
        self.cut |= directory.len() < path.directory.len();
        Path {
            directory,
            name: self.cut(path.name, PATH_LIMIT),
        }
    }

    #[inline(never)]
    pub(crate) fn optional_number(&mut self, number: Option<u32>) {
        self.byte(number.is_some().into());
        if let Some(number) = number {
            self.number(number.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    /// What a value is on the wire, by `put` and by postcard.
    fn written(value: &impl Serialize, put: impl Fn(&mut Out<'_>)) {
        let mut ours = [0; 64];
        let mut theirs = [0; 64];
        let mut out = Out::new(&mut ours);
        put(&mut out);
        let length = out.end().unwrap();
        let expected = postcard::to_slice(value, &mut theirs).unwrap();
        assert_eq!(&ours[..length], expected);
    }

    /// What bytes are, by `take` and by postcard.
    fn read<'a, T: Deserialize<'a> + PartialEq + core::fmt::Debug>(
        bytes: &'a [u8],
        take: impl Fn(&mut Fields<'a>) -> T,
    ) {
        let mut fields = Fields::new(bytes);
        let value = take(&mut fields);
        let ours = (!fields.failed).then_some((value, fields.rest));
        assert_eq!(ours, postcard::take_from_bytes(bytes).ok());
    }

    proptest! {
        #[test]
        fn values_are_written_as_postcard_does(
            (byte, signed) in any::<(u8, i32)>(),
            (number, zeros) in (any::<u64>(), 0..64),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let number = number >> zeros;
            let short = number as u32;
            let bytes = &bytes[..];
            written(&byte, |out| out.byte(byte));
            written(&number, |out| out.number(number));
            written(&(signed >> (zeros % 32)), |out| out.i32(signed >> (zeros % 32)));
            written(&bytes, |out| out.bytes(bytes));
            for there in [false, true] {
                let (bytes, short) = (there.then_some(bytes), there.then_some(short));
                written(&bytes, |out| out.optional_bytes(bytes));
                written(&short, |out| out.optional_number(short));
            }
        }

        #[test]
        fn values_are_read_as_postcard_does(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(), 0..20u8, Just(0x80), Just(0xFF), Just(0x7F),
            ], 0..14),
        ) {
            read(&bytes, Fields::byte);
            read(&bytes, Fields::u16);
            read(&bytes, Fields::u32);
            read(&bytes, Fields::u64);
            read(&bytes, Fields::i32);
            read(&bytes, Fields::some);
            read(&bytes, Fields::optional_u32);
            // postcard takes a length of up to 64 bits for one; there are never so many bytes.
            read(&bytes, Fields::bytes);
            read(&bytes, Fields::optional_bytes);
            read(&bytes, Fields::text);
        }
    }

    #[test]
    fn the_largest_values_are_read() {
        for more in [0, 1] {
            read(&[0xFF, 0xFF, 3 + more], Fields::u16);
            read(&[0xFF, 0xFF, 0xFF, 0xFF, 0xF + more], Fields::u32);
            let mut largest = [0xFF; 10];
            largest[9] = 1 + more;
            read(&largest, Fields::u64);
        }
    }
}
