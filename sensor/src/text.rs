//! Text without a heap: paths, lines, numbers.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::sys::{Errno, Fd};

/// A path of at most `N` - 1 bytes, always ended by NUL.
#[derive(Clone, Debug)]
pub struct PathBuffer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> PathBuffer<N> {
    /// Empty.
    pub const fn new() -> Self {
        const { assert!(N > 0) }
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// The path made of these parts, one behind the other.
    ///
    /// # Errors
    /// [`Errno::TOO_LONG`] if there is no room, [`Errno::INVALID`] if there is a NUL in it.
    pub fn of(parts: &[&[u8]]) -> Result<Self, Errno> {
        let mut path = Self::new();
        for part in parts {
            path.push(part)?;
        }
        Ok(path)
    }

    /// Puts bytes behind it.
    ///
    /// # Errors
    /// As for [`PathBuffer::of`]; it is as before then.
    #[inline(never)]
    pub fn push(&mut self, part: &[u8]) -> Result<(), Errno> {
        if part.contains(&0) {
            return Err(Errno::INVALID);
        }
        let end = self.length + part.len();
        if end >= N {
            return Err(Errno::TOO_LONG);
        }
        self.bytes
            .get_mut(self.length..end)
            .ok_or(Errno::TOO_LONG)?
            .copy_from_slice(part);
        self.length = end;
        Ok(())
    }

    /// Cuts it to its first bytes.
    pub fn truncate(&mut self, length: usize) {
        if let Some(rest) = self.bytes.get_mut(length..self.length) {
            rest.fill(0);
            self.length = length;
        }
    }

    /// Its bytes, without the NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    /// For the kernel.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl<const N: usize> Default for PathBuffer<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A number in decimal.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 20],
    start: u8,
}

impl Decimal {
    /// Of this number.
    pub fn new(mut number: u64) -> Self {
        let mut decimal = Self {
            digits: [b'0'; 20],
            start: 20,
        };
        for place in (0..20u8).rev() {
            if let Some(digit) = decimal.digits.get_mut(usize::from(place)) {
                *digit = b'0' + (number % 10) as u8;
            }
            decimal.start = place;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    /// Its digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(usize::from(self.start)..).unwrap_or(b"0")
    }
}

/// The number that `digits` are, and nothing else.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Writes to a file through a small buffer. What could not be written is told once, at the end.
#[derive(Debug)]
pub struct Out<'f> {
    fd: &'f Fd,
    buffer: [u8; 512],
    filled: usize,
    error: Option<Errno>,
}

impl<'f> Out<'f> {
    /// To this file.
    pub const fn new(fd: &'f Fd) -> Self {
        Self {
            fd,
            buffer: [0; 512],
            filled: 0,
            error: None,
        }
    }

    /// Puts bytes behind the others.
    #[inline(never)]
    pub fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let free = self.buffer.get_mut(self.filled..).unwrap_or(&mut []);
            let fitting = free.len().min(bytes.len());
            let (now, later) = bytes.split_at(fitting);
            free[..fitting].copy_from_slice(now);
            self.filled += fitting;
            bytes = later;
            if self.filled == self.buffer.len() {
                self.write_out();
            }
        }
    }

    /// Writes out what is in the buffer, and says how it went since the last time.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn flush(&mut self) -> Result<(), Errno> {
        self.write_out();
        self.error.take().map_or(Ok(()), Err)
    }

    fn write_out(&mut self) {
        let bytes = self.buffer.get(..self.filled).unwrap_or(&[]);
        if let Err(error) = self.fd.write_all(bytes) {
            self.error.get_or_insert(error);
        }
        self.filled = 0;
    }
}

impl Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.write_out();
    }
}

/// Bytes as text for a terminal: control characters, and what is not UTF-8, as `\xNN`.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    let mut utf8 = [0; 4];
                    escape(f, character.encode_utf8(&mut utf8).as_bytes())?;
                } else {
                    f.write_char(character)?;
                }
            }
            escape(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        f.write_str("\\x")?;
        for digit in [byte >> 4, byte & 15] {
            f.write_char(char::from(b"0123456789abcdef"[usize::from(digit)]))?;
        }
    }
    Ok(())
}

/// Says something on standard error, a line at a time. Not inlined: it is called in many places, none of them hot.
#[cold]
#[inline(never)]
pub fn say(line: fmt::Arguments<'_>) {
    let mut out = Out::new(&crate::sys::STDERR);
    // Errors of `out` come with its flush; there is nowhere to tell of this one.
    let _ = out.write_fmt(line);
    out.bytes(b"\n");
}

/// [`say`] with the arguments of `format_args`.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::text::say(format_args!($($part)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn paths_end_with_nul_and_never_run_over() {
        let mut path = PathBuffer::<8>::of(&[b"/ab", b"/c"]).unwrap();
        assert_eq!(path.as_c_str(), c"/ab/c");
        assert_eq!(path.push(b"123"), Err(Errno::TOO_LONG));
        assert_eq!(path.push(b"1\0"), Err(Errno::INVALID));
        path.push(b"12").unwrap();
        assert_eq!(path.as_c_str(), c"/ab/c12");
        path.truncate(3);
        assert_eq!((path.as_bytes(), path.as_c_str()), (&b"/ab"[..], c"/ab"));
    }

    #[test]
    fn numbers_in_decimal() {
        for value in [0, 7, 10, 4_194_304, u64::MAX] {
            assert_eq!(Decimal::new(value).as_bytes(), value.to_string().as_bytes());
            assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }
        for text in ["", "x", "1x", "-1", "18446744073709551616"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(
            Printable(b"a\x1b[2Jb\xff\n\xc3\xa4").to_string(),
            "a\\x1b[2Jb\\xff\\x0a\u{e4}"
        );
    }
}
