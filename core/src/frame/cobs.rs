//! Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999), in place both ways.

use core::ops::Range;

use super::DELIMITER;

/// How many bytes more than `length` its encoding takes at most, delimiters included.
pub(super) const fn overhead(length: usize) -> usize {
    3 + length / 254
}

/// Encodes the bytes at `payload` to the beginning of `buffer`, a delimiter in front and one
/// behind. Gives the length. `None` if there are not [`overhead`] bytes before the payload.
pub(super) fn encode(buffer: &mut [u8], payload: Range<usize>) -> Option<usize> {
    *buffer.first_mut()? = DELIMITER;
    let (mut code_at, mut written) = (1, 2);
    for read in payload {
        let byte = *buffer.get(read)?;
        if byte != 0 {
            *buffer.get_mut(written).filter(|_| written <= read)? = byte;
            written += 1;
        }
        let run = written - code_at;
        if byte == 0 || run == 0xFF {
            *buffer.get_mut(code_at)? = run as u8;
            code_at = written;
            written += 1;
        }
    }
    *buffer.get_mut(code_at)? = (written - code_at) as u8;
    *buffer.get_mut(written)? = DELIMITER;
    Some(written + 1)
}

/// Decodes `frame`, which holds no delimiter, in place. `None` if it ends too early.
pub(super) fn decode(frame: &mut [u8]) -> Option<&[u8]> {
    let (mut read, mut written) = (0, 0);
    while let Some(&code) = frame.get(read) {
        let run = usize::from(code).checked_sub(1)?;
        let (from, to) = (read + 1, read + 1 + run);
        // `written <= read`, so the bytes to come are not overwritten.
        if to > frame.len() {
            return None;
        }
        frame.copy_within(from..to, written);
        written += run;
        read = to;
        // A full run has no zero behind it, nor has the last one.
        if code < 0xff && read < frame.len() {
            *frame.get_mut(written)? = 0;
            written += 1;
        }
    }
    frame.get(..written)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn decoded(frame: &[u8]) -> Option<Vec<u8>> {
        let mut frame = frame.to_vec();
        decode(&mut frame).map(<[u8]>::to_vec)
    }

    #[test]
    fn examples() {
        assert_eq!(decoded(&[]), Some(vec![]));
        assert_eq!(decoded(&[1]), Some(vec![]));
        assert_eq!(decoded(&[1, 1]), Some(vec![0]));
        assert_eq!(decoded(&[3, 11, 22, 2, 33]), Some(vec![11, 22, 0, 33]));
        assert_eq!(decoded(&[3, 11]), None);
        assert_eq!(decoded(&[0, 11]), None);
        let mut full = vec![0xff];
        full.extend(1..=254);
        assert_eq!(decoded(&full), Some((1..=254).collect()));
        full.extend([2, 7]);
        assert_eq!(decoded(&full), Some((1..=254).chain([7]).collect()));
    }

    proptest! {
        /// Against postcard's encoder.
        #[test]
        fn encodes_as_others_do(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..600),
            prop::collection::vec(1..=2u8, 240..600),
            prop::collection::vec(0..=1u8, 0..600),
        ]) {
            use postcard::ser_flavors::{Cobs, Flavor, Slice};
            let mut expected = [0; 700];
            let mut encoder = Cobs::try_new(Slice::new(&mut expected)).unwrap();
            encoder.try_extend(&bytes).unwrap();
            let expected = encoder.finalize().unwrap();

            let start = overhead(bytes.len());
            let mut buffer = std::vec![0xA5; start];
            buffer.extend(&bytes);
            let end = encode(&mut buffer, start..start + bytes.len()).unwrap();
            prop_assert_eq!(buffer[0], DELIMITER);
            prop_assert_eq!(&buffer[1..end], &*expected);
            prop_assert_eq!(decode(&mut buffer[1..end - 1]), Some(&bytes[..]));
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let length = bytes.len();
            if let Some(decoded) = decoded(&bytes) {
                prop_assert!(decoded.len() < length.max(1));
            }
        }
    }
}
