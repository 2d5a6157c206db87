//! The identity of a rule.

use core::fmt;

use crate::utf8;

/// A rule's id as its author wrote it. Nearly all are UUIDs, which take 16 bytes instead of
/// 36.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RuleId<'a> {
    /// A UUID, big-endian as written.
    Uuid([u8; 16]),
    /// Any other text.
    Text(&'a str),
}

impl<'a> RuleId<'a> {
    /// The id for a rule's text. Only a lower-case UUID with its four hyphens becomes
    /// [`RuleId::Uuid`], so that [`fmt::Display`] always gives back the same text.
    pub fn new(text: &'a str) -> Self {
        match uuid(text.as_bytes()) {
            Some(uuid) => Self::Uuid(uuid),
            None => Self::Text(text),
        }
    }
}

impl RuleId<'_> {
    /// The id as its author wrote it. A UUID is written into `room`.
    #[inline(never)]
    pub fn text<'t>(&'t self, room: &'t mut UuidText) -> &'t [u8] {
        let uuid = match self {
            Self::Uuid(uuid) => uuid,
            Self::Text(text) => return text.as_bytes(),
        };
        let mut bytes = uuid.iter();
        let mut low = None;
        for (at, place) in room.iter_mut().enumerate() {
            *place = if matches!(at, 8 | 13 | 18 | 23) {
                b'-'
            } else {
                let digit = low.take().unwrap_or_else(|| {
                    // There are as many.
                    let byte = bytes.next().copied().unwrap_or(0);
                    low = Some(byte & 15);
                    byte >> 4
                });
                digit + if digit < 10 { b'0' } else { b'a' - 10 }
            };
        }
        room
    }
}

impl fmt::Display for RuleId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(utf8(self.text(&mut [0; _])).unwrap_or(""))
    }
}

/// Room for a UUID as text.
pub type UuidText = [u8; 36];

/// A hyphen stands before these bytes of a UUID (RFC 9562, section 4).
const HYPHEN_BEFORE: [usize; 4] = [4, 6, 8, 10];

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut text = text.iter();
    let mut uuid = [0; 16];
    for (place, byte) in uuid.iter_mut().enumerate() {
        if HYPHEN_BEFORE.contains(&place) && *text.next()? != b'-' {
            return None;
        }
        *byte = digit(*text.next()?)? << 4 | digit(*text.next()?)?;
    }
    text.next().is_none().then_some(uuid)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn uuids_are_packed() {
        assert_eq!(
            RuleId::new("00112233-4455-6677-8899-aabbccddeeff"),
            RuleId::Uuid([
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff
            ])
        );
    }

    #[test]
    fn the_text_comes_back() {
        for (text, is_uuid) in [
            ("00112233-4455-6677-8899-aabbccddeeff", true),
            ("00112233-4455-6677-8899-AABBCCDDEEFF", false),
            ("00112233-4455-6677-8899-aabbccddeef", false),
            ("00112233-4455-6677-8899-aabbccddeeff0", false),
            ("00112233445566778899aabbccddeeff", false),
            ("0011223344556677-8899-aabb-ccddeeff--", false),
            ("peewit-multi-call", false),
            ("", false),
        ] {
            let id = RuleId::new(text);
            assert_eq!(matches!(id, RuleId::Uuid(_)), is_uuid, "{text}");
            assert_eq!(id.to_string(), text);
        }
    }
}
