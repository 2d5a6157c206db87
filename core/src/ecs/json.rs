//! A JSON object, written as it comes (RFC 8259).

use core::fmt::{Result, Write};

use super::digits::{decimal, hex};
use super::text::is_treacherous;
use super::time::write_time;

/// An object that is being written.
pub(super) struct Object<'w> {
    out: &'w mut dyn Write,
    empty: bool,
}

impl<'w> Object<'w> {
    pub(super) fn begin(out: &'w mut dyn Write) -> core::result::Result<Self, core::fmt::Error> {
        out.write_char('{')?;
        Ok(Self { out, empty: true })
    }

    pub(super) fn end(self) -> Result {
        self.out.write_char('}')
    }

    /// Begins a member. Keys are ours and need no escapes.
    fn key(&mut self, pieces: &[&str]) -> Result {
        self.out.write_str(if self.empty { "\"" } else { ",\"" })?;
        self.empty = false;
        for piece in pieces {
            self.out.write_str(piece)?;
        }
        self.out.write_str("\":")
    }

    pub(super) fn number(&mut self, key: &str, number: u64) -> Result {
        self.key(&[key])?;
        decimal(self.out, number, 1)
    }

    /// A number, its key in two pieces.
    pub(super) fn count(&mut self, key: &str, name: &str, number: u64) -> Result {
        self.key(&[key, name])?;
        decimal(self.out, number, 1)
    }

    /// A number, unless it is 0, which stands for an unknown one.
    pub(super) fn known_number(&mut self, key: &str, number: u64) -> Result {
        match number {
            0 => Ok(()),
            number => self.number(key, number),
        }
    }

    /// `"KEY":true`, the key in pieces.
    pub(super) fn mark(&mut self, key: &[&str]) -> Result {
        self.key(key)?;
        self.out.write_str("true")
    }

    pub(super) fn text(&mut self, key: &str, text: &str) -> Result {
        self.string(key, &[text.as_bytes()])
    }

    /// A string in pieces, each of them whole characters.
    pub(super) fn string(&mut self, key: &str, pieces: &[&[u8]]) -> Result {
        self.key(&[key])?;
        quoted(self.out, pieces)
    }

    /// The same for bytes that may be unknown.
    pub(super) fn optional_string(&mut self, key: &str, bytes: Option<&[u8]>) -> Result {
        match bytes {
            Some(bytes) => self.string(key, &[bytes]),
            None => Ok(()),
        }
    }

    /// A string whose NULs are written as spaces.
    pub(super) fn joined(&mut self, key: &str, block: &[u8]) -> Result {
        self.key(&[key])?;
        self.out.write_char('"')?;
        for (number, piece) in block.split(|&byte| byte == 0).enumerate() {
            if number > 0 {
                self.out.write_char(' ')?;
            }
            escaped(self.out, piece)?;
        }
        self.out.write_char('"')
    }

    /// A string that `write` writes, without anything to escape.
    pub(super) fn written(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut dyn Write) -> Result,
    ) -> Result {
        self.key(&[key])?;
        self.out.write_char('"')?;
        write(self.out)?;
        self.out.write_char('"')
    }

    pub(super) fn time(&mut self, key: &str, time_ms: u64) -> Result {
        self.written(key, |out| write_time(out, time_ms))
    }

    pub(super) fn strings<'a>(
        &mut self,
        key: &str,
        strings: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result {
        self.key(&[key])?;
        self.out.write_char('[')?;
        for (number, string) in strings.into_iter().enumerate() {
            if number > 0 {
                self.out.write_char(',')?;
            }
            quoted(self.out, &[string])?;
        }
        self.out.write_char(']')
    }

    /// The items of a text that `keep` takes, spaces around them left out; nothing if there are none.
    pub(super) fn items(
        &mut self,
        key: &str,
        text: &str,
        separator: u8,
        keep: fn(&[u8]) -> bool,
    ) -> Result {
        let items = text.as_bytes().split(|&byte| byte == separator);
        let mut items = items
            .map(<[u8]>::trim_ascii)
            .filter(|item| !item.is_empty() && keep(item))
            .peekable();
        match items.peek() {
            Some(_) => self.strings(key, items),
            None => Ok(()),
        }
    }

    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        items: &[T],
        write: impl Fn(&mut Object<'_>, &T) -> Result,
    ) -> Result {
        self.key(&[key])?;
        self.out.write_char('[')?;
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                self.out.write_char(',')?;
            }
            let mut object = Object::begin(self.out)?;
            write(&mut object, item)?;
            object.end()?;
        }
        self.out.write_char(']')
    }
}

fn quoted(out: &mut dyn Write, pieces: &[&[u8]]) -> Result {
    out.write_char('"')?;
    for piece in pieces {
        escaped(out, piece)?;
    }
    out.write_char('"')
}

fn escaped(out: &mut dyn Write, bytes: &[u8]) -> Result {
    for chunk in bytes.utf8_chunks() {
        escaped_text(out, chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// Also escapes what JSON allows but a terminal that shows the line would obey.
fn escaped_text(out: &mut dyn Write, text: &str) -> Result {
    let mut rest = text;
    let special = |c: char| matches!(c, '"' | '\\') || is_treacherous(c);
    while let Some((place, c)) = rest.char_indices().find(|&(_, c)| special(c)) {
        let (plain, from) = rest.split_at_checked(place).unwrap_or((rest, ""));
        out.write_str(plain)?;
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            // Between the arguments that a command line joins: no argument holds one.
            '\0' => out.write_char(' ')?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.write_str("\\u")?;
                    hex(out, (*unit).into(), 4)?;
                }
            }
        }
        rest = from.get(c.len_utf8()..).unwrap_or("");
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn string(bytes: &[u8]) -> String {
        let mut out = String::new();
        quoted(&mut out, &[bytes]).unwrap();
        out
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string(b"plain /tmp/x"), r#""plain /tmp/x""#);
        assert_eq!(string(b"a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(string(b"ls\0-l"), r#""ls -l""#);
        assert_eq!(string(b"\n\r\t\x1b\x7f"), "\"\\n\\r\\t\\u001b\\u007f\"");
        assert_eq!(
            string("zażółć \u{1f426}".as_bytes()),
            "\"zażółć \u{1f426}\""
        );
    }

    #[test]
    fn every_character_is_read_back() {
        for c in '\u{1}'..=char::MAX {
            let json = string(c.encode_utf8(&mut [0; 4]).as_bytes());
            assert_eq!(json.is_ascii(), c.is_ascii() || is_treacherous(c));
            assert!(!json.contains(char::is_control));
            assert_eq!(serde_json::from_str::<char>(&json).unwrap(), c);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        for bytes in [
            &b"a\xffb"[..],
            b"\xe2\x82",
            b"\xe2\x82x\xf0\x9f\x90",
            b"\xff\xfe",
        ] {
            let text: String = serde_json::from_str(&string(bytes)).unwrap();
            assert_eq!(text, String::from_utf8_lossy(bytes));
        }
    }
}
