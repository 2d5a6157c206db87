//! What takes more than some words to say, and what errors mean. It stands in `texts.txt`, and squeezed in the sensor: text for people would be a
//! third of what is not code.

use crate::squeezed;

include!(concat!(env!("OUT_DIR"), "/texts.rs"));

/// All of them, one behind the other, [`squeezed`].
static SQUEEZED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts.squeezed"));

impl Text {
    /// Hands its bytes over.
    #[cold]
    #[inline(never)]
    pub fn read(self, take: &mut dyn FnMut(&[u8])) {
        let mut texts = [0; LENGTH];
        // They are whole: the build script has made them.
        let _ = squeezed::expand(SQUEEZED, &mut texts);
        let end = |index: usize| ENDS.get(index).map_or(0, |end| usize::from(*end));
        let start = (self as usize).checked_sub(1).map_or(0, end);
        take(texts.get(start..end(self as usize)).unwrap_or(&[]));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::string::String;

    /// The text.
    pub(crate) fn of(text: Text) -> String {
        let mut read = String::new();
        text.read(&mut |bytes| read = String::from_utf8(bytes.to_vec()).unwrap());
        read
    }

    #[test]
    fn the_first_one_in_between_and_the_last() {
        assert!(of(Text::Help).starts_with("peewit: watches which programs start on this device"));
        assert!(of(Text::Help).ends_with("\n  --help, --version"));
        assert!(of(Text::Explanation).starts_with("\nThe line above is a real alert"));
        assert!(of(Text::NoProc).starts_with("/proc cannot be opened; "));
        assert_eq!(of(Text::QuotaExceeded), "quota exceeded");
    }
}
