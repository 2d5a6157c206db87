//! What a frame holds, at a glance.

use super::DELIMITER;
use crate::alert;

/// How many bytes of a record are looked at: its kind and a number.
const LOOKED_AT: usize = 12;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Glance {
    /// A header.
    Header,
    /// The alert with this number.
    Alert(u64),
    /// Another record.
    Other,
}

/// What a frame holds, told by its first bytes and without a look at the others: for whoever has just got it from an encoder.
pub fn glance(frame: &[u8]) -> Glance {
    let mut start = [0; LOOKED_AT];
    let mut places = start.iter_mut();
    let (mut left, mut full) = (0u8, true);
    for &byte in frame
        .iter()
        .skip_while(|&&byte| byte == DELIMITER)
        .take(LOOKED_AT + 2)
    {
        if left > 0 {
            left -= 1;
            if let Some(place) = places.next() {
                *place = byte;
            }
            continue;
        }
        // A group begins; the one before it stands for a zero too, unless it is full or there is none.
        if !full {
            let _ = places.next();
        }
        left = byte.saturating_sub(1);
        full = byte == 0xFF;
    }
    alert::glance(&start)
}
