//! Bytes cut wherever a certain one stands: lines of a file, words of a line.

/// What stands between, as `split` gives it, empty parts too. A type of its own because that one would be compiled anew for each
/// separator and each use.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

/// The parts of some bytes.
pub const fn parts(bytes: &[u8], separator: u8) -> Parts<'_> {
    Parts {
        rest: Some(bytes),
        separator,
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = rest.iter().position(|&byte| byte == self.separator);
        let (part, behind) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((part, behind)) => (part, behind.get(1..)),
            None => (rest, None),
        };
        self.rest = behind;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn they_are_those_of_split() {
        for bytes in [&b""[..], b"/", b"//a", b"a/b", b"a/b/", b"ab"] {
            let expected: Vec<_> = bytes.split(|&byte| byte == b'/').collect();
            assert_eq!(parts(bytes, b'/').collect::<Vec<_>>(), expected);
        }
    }
}
