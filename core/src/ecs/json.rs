//! A JSON object, written as it comes (RFC 8259).

use crate::parts;
use core::fmt::{Result, Write};

use super::sink::{Form, Sink};
use super::time::write_time;
use crate::alert::{Path, RuleId};

/// An object that is being written.
pub(super) struct Object<'w> {
    out: Sink<'w>,
    /// Nothing stands yet in the innermost object or list.
    empty: bool,
}

impl<'w> Object<'w> {
    pub(super) fn begin(out: &'w mut dyn Write) -> Self {
        let mut object = Self {
            out: Sink::new(out),
            empty: true,
        };
        object.open("{");
        object
    }

    pub(super) fn end(mut self) -> Result {
        self.close("}");
        self.out.end()
    }

    #[inline(never)]
    fn open(&mut self, bracket: &str) {
        self.out.text(bracket);
        self.empty = true;
    }

    #[inline(never)]
    fn close(&mut self, bracket: &str) {
        self.out.text(bracket);
        self.empty = false;
    }

    /// Begins one more member or item.
    #[inline(never)]
    fn next(&mut self) {
        if !self.empty {
            self.out.text(",");
        }
        self.empty = false;
    }

    /// Begins a member. Keys are ours and need no escapes.
    #[inline(never)]
    fn key(&mut self, key: &str) -> &mut Sink<'w> {
        self.key_of("", key)
    }

    /// The same, the key in two pieces.
    #[inline(never)]
    fn key_of(&mut self, prefix: &str, key: &str) -> &mut Sink<'w> {
        self.next();
        self.out.text("\"").text(prefix).text(key).text("\":")
    }

    #[inline(never)]
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key).number(number);
    }

    /// A number, its key in two pieces.
    pub(super) fn count(&mut self, prefix: &str, name: &str, number: u64) {
        self.key_of(prefix, name).number(number);
    }

    /// A number, unless it is 0, which stands for an unknown one.
    #[inline(never)]
    pub(super) fn known_number(&mut self, key: &str, number: u64) {
        if number != 0 {
            self.number(key, number);
        }
    }

    /// `"KEY":true`, the key in two pieces.
    #[inline(never)]
    pub(super) fn mark(&mut self, prefix: &str, name: &str) {
        self.key_of(prefix, name).text("true");
    }

    #[inline(never)]
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.string(key, text.as_bytes());
    }

    #[inline(never)]
    pub(super) fn string(&mut self, key: &str, bytes: &[u8]) {
        quoted(self.key(key), bytes);
    }

    /// The same for bytes that may be unknown.
    #[inline(never)]
    pub(super) fn optional_string(&mut self, key: &str, bytes: Option<&[u8]>) {
        if let Some(bytes) = bytes {
            self.string(key, bytes);
        }
    }

    /// A program's path and its name, if it is known.
    #[inline(never)]
    pub(super) fn program(&mut self, prefix: &str, path: Option<&Path<'_>>) {
        if let Some(path) = path {
            let out = self.key_of(prefix, "executable");
            out.text("\"").path(path, Form::Json).text("\"");
            quoted(self.key_of(prefix, "name"), path.name);
        }
    }

    pub(super) fn rule(&mut self, key: &str, id: &RuleId<'_>) {
        self.key(key).text("\"").rule(id, Form::Json).text("\"");
    }

    /// A number as a string.
    pub(super) fn number_text(&mut self, key: &str, number: u64) {
        self.key(key).text("\"").number(number).text("\"");
    }

    #[inline(never)]
    pub(super) fn time(&mut self, key: &str, time_ms: u64) {
        let out = self.key(key).text("\"");
        write_time(out, time_ms);
        out.text("\"");
    }

    /// Begins a list. Its [items](Self::item) follow, then its [end](Self::end_list).
    #[inline(never)]
    pub(super) fn list(&mut self, key: &str) {
        self.key(key);
        self.open("[");
    }

    #[inline(never)]
    pub(super) fn item(&mut self, item: &[u8]) {
        self.next();
        quoted(&mut self.out, item);
    }

    pub(super) fn end_list(&mut self) {
        self.close("]");
    }

    /// A list of one.
    #[inline(never)]
    pub(super) fn only(&mut self, key: &str, item: &str) {
        self.list(key);
        self.item(item.as_bytes());
        self.end_list();
    }

    /// The items of a text that `keep` takes, spaces around them left out; nothing if there are none.
    #[inline(never)]
    pub(super) fn items(&mut self, key: &str, text: &str, separator: u8, keep: fn(&[u8]) -> bool) {
        let mut begun = false;
        for item in parts(text.as_bytes(), separator) {
            let item = item.trim_ascii();
            if item.is_empty() || !keep(item) {
                continue;
            }
            if !begun {
                self.list(key);
            }
            begun = true;
            self.item(item);
        }
        if begun {
            self.end_list();
        }
    }

    /// A list of objects, the members of each written by `write`; nothing if there are none.
    pub(super) fn objects<T>(&mut self, key: &str, items: &[T], write: impl Fn(&mut Self, &T)) {
        if items.is_empty() {
            return;
        }
        self.list(key);
        for item in items {
            self.next();
            self.open("{");
            write(self, item);
            self.close("}");
        }
        self.end_list();
    }
}

#[inline(never)]
fn quoted(out: &mut Sink<'_>, bytes: &[u8]) {
    out.text("\"").escaped(bytes, Form::Json).text("\"");
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::ecs::sink::is_treacherous;
    use crate::ecs::sink::tests::written;

    fn string(bytes: &[u8]) -> String {
        written(|out| quoted(out, bytes))
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
