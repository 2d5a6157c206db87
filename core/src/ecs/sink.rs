//! Where documents and lines go, piece by piece, without `core::fmt`: its machinery would be 3 KiB of the sensor.

use core::fmt::{Result, Write};

use crate::alert::{Path, RuleId};

/// What is written to. The first error is kept, and what follows it is not written: it is asked once, at the end.
pub(super) struct Sink<'w> {
    out: &'w mut dyn Write,
    result: Result,
}

/// How characters are shown that stand for something else where they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In JSON (RFC 8259), where bytes that are not UTF-8 cannot be shown.
    Json,
    /// In a line of text.
    Text,
}

impl<'w> Sink<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        Self {
            out,
            result: Ok(()),
        }
    }

    /// The first error.
    pub(super) const fn end(self) -> Result {
        self.result
    }

    /// Text as it is.
    #[inline(never)]
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        if self.result.is_ok() {
            self.result = self.out.write_str(text);
        }
        self
    }

    #[inline(never)]
    pub(super) fn char(&mut self, c: char) -> &mut Self {
        if self.result.is_ok() {
            self.result = self.out.write_char(c);
        }
        self
    }

    /// A number in decimal.
    #[inline(never)]
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.digits(number, 10, 1)
    }

    /// A number to a base of at most 16, with zeros in front up to at least `width` digits.
    #[inline(never)]
    pub(super) fn digits(&mut self, number: u64, base: u64, width: usize) -> &mut Self {
        // The longest: 20 digits to base 10.
        let mut digits = [b'0'; 20];
        let mut rest = number;
        let mut used = 0;
        for place in digits.iter_mut().rev() {
            let digit = (rest % base) as u8;
            *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
            rest /= base;
            used += 1;
            if rest == 0 && used >= width {
                break;
            }
        }
        for digit in digits.iter().skip(digits.len() - used) {
            self.char(char::from(*digit));
        }
        self
    }

    /// A rule's id, a text with its characters escaped.
    pub(super) fn rule(&mut self, id: &RuleId<'_>, form: Form) -> &mut Self {
        self.escaped(id.text(&mut [0; _]), form)
    }

    /// A path, its characters escaped.
    #[inline(never)]
    pub(super) fn path(&mut self, path: &Path<'_>, form: Form) -> &mut Self {
        self.escaped(path.directory, form).escaped(path.name, form)
    }

    /// Bytes from elsewhere: what stands for something else here, what a terminal would obey, and what is no UTF-8 is escaped.
    #[inline(never)]
    pub(super) fn escaped(&mut self, bytes: &[u8], form: Form) -> &mut Self {
        for chunk in bytes.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some((place, c)) = rest.char_indices().find(|&(_, c)| is_special(c)) {
                let (plain, from) = rest.split_at_checked(place).unwrap_or((rest, ""));
                self.text(plain).escape(c, form);
                rest = from.get(c.len_utf8()..).unwrap_or("");
            }
            self.text(rest);
            match form {
                Form::Json if chunk.invalid().is_empty() => {}
                Form::Json => {
                    self.char(char::REPLACEMENT_CHARACTER);
                }
                Form::Text => {
                    for byte in chunk.invalid() {
                        self.text("\\x").digits((*byte).into(), 16, 2);
                    }
                }
            }
        }
        self
    }

    #[inline(never)]
    fn escape(&mut self, c: char, form: Form) -> &mut Self {
        match c {
            '"' | '\\' => self.text("\\").char(c),
            // Between the arguments that a command line joins: no argument holds one.
            '\0' => self.text(" "),
            '\n' => self.text("\\n"),
            '\t' => self.text("\\t"),
            '\r' if form == Form::Json => self.text("\\r"),
            c if form == Form::Text => {
                let number = u32::from(c).into();
                self.text("\\u{").digits(number, 16, 1).text("}")
            }
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.text("\\u").digits((*unit).into(), 16, 4);
                }
                self
            }
        }
    }
}

fn is_special(c: char) -> bool {
    matches!(c, '"' | '\\') || is_treacherous(c)
}

/// Control characters, and the format characters of Unicode that are not seen but change how or in which order others are.
pub(super) fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    /// What `write` writes.
    pub(in crate::ecs) fn written(write: impl FnOnce(&mut Sink<'_>)) -> String {
        let mut out = String::new();
        let mut sink = Sink::new(&mut out);
        write(&mut sink);
        sink.end().unwrap();
        out
    }

    #[test]
    fn numbers_as_core_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 99, 255, 256, 4096, u32::MAX.into()] {
            for width in [1, 2, 4] {
                let both = written(|out| {
                    out.digits(number, 10, width).digits(number, 16, width);
                });
                assert_eq!(both, format!("{number:0width$}{number:0width$x}"));
            }
        }
        let largest = written(|out| {
            out.number(u64::MAX);
        });
        assert_eq!(largest, format!("{}", u64::MAX));
    }

    #[test]
    fn nothing_follows_an_error() {
        struct Two(usize);
        impl Write for Two {
            fn write_str(&mut self, _: &str) -> Result {
                self.0 += 1;
                if self.0 == 2 {
                    return Err(core::fmt::Error);
                }
                Ok(())
            }
        }
        let mut out = Two(0);
        let mut sink = Sink::new(&mut out);
        sink.text("a").number(7).text("b").number(8);
        assert!(sink.end().is_err());
        assert_eq!(out.0, 2);
    }
}
