//! Wildcards, and the comparison of values with them.

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Any run of characters, the empty one too.
    Any,
    /// Exactly one character.
    One,
    /// This character.
    Char(char),
}

/// The pieces of a text without wildcards.
pub fn literal(text: &str) -> Vec<Piece> {
    text.chars().map(Piece::Char).collect()
}

/// The pieces of a text in which `*` is any run, and `?` one character if `one`.
pub fn glob(text: &str, one: bool) -> Vec<Piece> {
    let piece = |next| match next {
        '*' => Piece::Any,
        '?' if one => Piece::One,
        other => Piece::Char(other),
    };
    text.chars().map(piece).collect()
}

/// Whether two characters are the same, in ASCII ignoring case if `fold`.
pub fn same(left: char, right: char, fold: bool) -> bool {
    left == right || fold && left.eq_ignore_ascii_case(&right)
}

/// Whether the pattern is the whole text: a table of which pieces can end after each character.
pub fn matches(pattern: &[Piece], text: &str, fold: bool) -> bool {
    // reach[i]: the first i pieces match what was read so far.
    let mut reach = vec![false; pattern.len() + 1];
    reach[0] = true;
    skip_any(pattern, &mut reach);
    for next in text.chars() {
        // From the end, as each place depends on what it and the one before were.
        for at in (0..=pattern.len()).rev() {
            let stays = reach[at] && pattern.get(at) == Some(&Piece::Any);
            let comes = at > 0
                && reach[at - 1]
                && match pattern[at - 1] {
                    Piece::Any => false,
                    Piece::One => true,
                    Piece::Char(own) => same(own, next, fold),
                };
            reach[at] = stays || comes;
        }
        skip_any(pattern, &mut reach);
        if !reach.contains(&true) {
            return false;
        }
    }
    reach[pattern.len()]
}

fn skip_any(pattern: &[Piece], reach: &mut [bool]) {
    for (at, piece) in pattern.iter().enumerate() {
        if *piece == Piece::Any && reach[at] {
            reach[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a/b\nbc", true),
            ("a*b*c", "acb", false),
            ("a?c", "aäc", true),
            ("a?c", "ac", false),
            ("*a", "aab", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(&glob(pattern, true), text, false),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(!matches(&glob("a?c", false), "abc", false));
        assert!(matches(&glob("aB*", false), "Abc", true));
        assert!(!matches(&glob("ä", false), "Ä", true));
    }
}
