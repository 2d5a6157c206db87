//! Undoes Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999).

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

    use super::decode;

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
        /// Against the encoder that `encode` uses.
        #[test]
        fn inverse(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..600),
            prop::collection::vec(1..=2u8, 240..600),
            prop::collection::vec(0..=1u8, 0..600),
        ]) {
            use postcard::ser_flavors::{Cobs, Flavor, Slice};
            let mut buffer = [0; 700];
            let mut encoder = Cobs::try_new(Slice::new(&mut buffer)).unwrap();
            encoder.try_extend(&bytes).unwrap();
            let frame = encoder.finalize().unwrap();
            let (delimiter, frame) = frame.split_last_mut().unwrap();
            prop_assert_eq!(*delimiter, 0);
            prop_assert!(!frame.contains(&0));
            prop_assert_eq!(decode(frame), Some(&bytes[..]));
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
