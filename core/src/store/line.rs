//! A term as a line of text: the id of its rule and its values, with tabs between them. `\t`, `\n`, `\\` and `\xNN` stand for
//! bytes that would not be seen, or mean something else.

use super::Values;
use crate::alert::TEXT_LIMIT;
use crate::pack::MAX_TERM_FIELDS;

/// Longest line.
pub const MAX_LINE: usize = 1200;

/// A term by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The rule's id.
    pub rule: &'a [u8],
    /// The values.
    pub values: Values<'a>,
}

/// Reads a line without its end, and changes it: what was escaped becomes what it means. `None`: nothing but a comment, which begins
/// with `#`.
///
/// # Errors
/// The column, counted in bytes from 1, at which it makes no sense.
#[inline(never)]
pub fn parse(line: &mut [u8]) -> Result<Option<Line<'_>>, usize> {
    if matches!(line.first(), None | Some(b'#')) {
        return Ok(None);
    }
    if line.len() > MAX_LINE {
        return Err(MAX_LINE + 1);
    }
    // Where the values end, and the rule before them.
    let mut ends: heapless::Vec<usize, { MAX_TERM_FIELDS + 1 }> = heapless::Vec::new();
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = line.get(from) {
        let column = from + 1;
        from += 1;
        let meant = match byte {
            b'\t' => {
                if ends.len() == MAX_TERM_FIELDS {
                    return Err(column);
                }
                // There is room for one more.
                let _ = ends.push(to);
                continue;
            }
            b'\\' => {
                let (meant, length) = unescape(line.get(from..).unwrap_or(&[])).ok_or(column)?;
                from += length;
                meant
            }
            byte => byte,
        };
        if let Some(place) = line.get_mut(to) {
            *place = meant;
        }
        to += 1;
    }
    let column = line.len() + 1;
    let _ = ends.push(to);
    let line: &[u8] = line;
    let mut parts = ends.iter().scan(0, |start, &end| {
        line.get(core::mem::replace(start, end)..end)
    });
    let rule = parts.next().unwrap_or(&[]);
    let values: Values<'_> = parts.collect();
    if rule.is_empty() || rule.len() > TEXT_LIMIT {
        return Err(1);
    }
    if values.is_empty() {
        return Err(column);
    }
    Ok(Some(Line { rule, values }))
}

/// What the bytes behind a backslash mean, and how many they are.
fn unescape(bytes: &[u8]) -> Option<(u8, usize)> {
    let digit = |place| char::from(*bytes.get(place)?).to_digit(16);
    match bytes.first()? {
        b't' => Some((b'\t', 1)),
        b'n' => Some((b'\n', 1)),
        b'\\' => Some((b'\\', 1)),
        b'x' => Some(((digit(1)? << 4 | digit(2)?) as u8, 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A rule and its values; `None` for a line without a term, and where a mistake is.
    type Parsed = Result<Option<(Vec<u8>, Vec<Vec<u8>>)>, usize>;

    fn of(line: &str) -> Parsed {
        let mut bytes = line.as_bytes().to_vec();
        let line = parse(&mut bytes)?;
        Ok(line.map(|line| {
            let values = line.values.iter().map(|value| value.to_vec());
            (line.rule.to_vec(), values.collect())
        }))
    }

    fn is(rule: &str, values: &[&[u8]]) -> Parsed {
        let values = values.iter().map(|value| value.to_vec()).collect();
        Ok(Some((rule.as_bytes().to_vec(), values)))
    }

    #[test]
    fn lines_of_all_kinds() {
        assert_eq!(of(""), Ok(None));
        assert_eq!(of("# a comment\t"), Ok(None));
        assert_eq!(of("r\tdropper"), is("r", &[b"dropper"]));
        assert_eq!(of("r\ta b\t\tc\t#d"), is("r", &[b"a b", b"", b"c", b"#d"]));
        assert_eq!(of("r\t\\t\\n\\\\\\x00\\xfFx"), is("r", &[b"\t\n\\\0\xffx"]));
        assert_eq!(of("r\t\u{e4}"), is("r", &["\u{e4}".as_bytes()]));
        assert_eq!(
            of(&format!("{}\tx", "r".repeat(64))),
            is(&"r".repeat(64), &[b"x"])
        );
    }

    #[test]
    fn mistakes_have_a_column() {
        for (line, column) in [
            ("r", 2),
            ("\tx", 1),
            ("r\tx\\", 4),
            ("r\t\\y", 3),
            ("r\t\\x1", 3),
            ("r\t\\x1g", 3),
            ("r\t1\t2\t3\t4\t5", 10),
        ] {
            assert_eq!(of(line), Err(column), "{line}");
        }
        assert_eq!(of(&format!("{}\tx", "r".repeat(65))), Err(1));
        assert_eq!(
            of(&format!("r\t{}", "x".repeat(MAX_LINE))),
            Err(MAX_LINE + 1)
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(mut bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\\'), Just(b'\t'), Just(b'x'), Just(b'0'),
        ], 0..40)) {
            let length = bytes.len();
            match parse(&mut bytes) {
                Ok(Some(line)) => prop_assert!(!line.rule.is_empty() && !line.values.is_empty()),
                Ok(None) => (),
                Err(column) => prop_assert!((1..=length + 1).contains(&column)),
            }
        }
    }
}
