//! Text without a heap: paths, lines, numbers.

use core::ffi::CStr;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::sys::{Errno, Fd, STDERR};
use crate::texts::Text;

/// A path of at most `N` - 1 bytes, always ended by NUL.
#[derive(Clone, Debug)]
pub struct PathBuffer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> PathBuffer<N> {
    /// Empty.
    #[inline(never)]
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
    pub fn push(&mut self, part: &[u8]) -> Result<(), Errno> {
        self.length = append(&mut self.bytes, self.length, part)?;
        Ok(())
    }

    /// Its bytes, without the NUL.
    #[inline(never)]
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

/// Puts a part behind `length` bytes of a path, with room left for a NUL, and gives its length then. One function for
/// paths of all capacities.
#[inline(never)]
fn append(path: &mut [u8], length: usize, part: &[u8]) -> Result<usize, Errno> {
    let free = path.get_mut(length..).unwrap_or(&mut []);
    if part.len() >= free.len() {
        return Err(Errno::TOO_LONG);
    }
    if part.contains(&0) {
        return Err(Errno::INVALID);
    }
    for (place, byte) in free.iter_mut().zip(part) {
        *place = *byte;
    }
    Ok(length + part.len())
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
    pub fn bytes(&mut self, mut bytes: &[u8]) -> &mut Self {
        while !bytes.is_empty() {
            let free = self.buffer.get_mut(self.filled..).unwrap_or(&mut []);
            let (now, later) = bytes.split_at_checked(free.len()).unwrap_or((bytes, &[]));
            for (place, byte) in free.iter_mut().zip(now) {
                *place = *byte;
            }
            self.filled += now.len();
            bytes = later;
            if self.filled == self.buffer.len() {
                self.write_out();
            }
        }
        self
    }

    /// Puts text behind it.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Puts a long text behind it.
    pub fn long(&mut self, text: Text) -> &mut Self {
        text.read(&mut |bytes| {
            self.bytes(bytes);
        });
        self
    }

    /// Puts a number behind it, in decimal.
    #[inline(never)]
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(Decimal::new(number).as_bytes())
    }

    /// Puts text and a number behind it.
    #[inline(never)]
    pub fn count(&mut self, text: &str, number: u64) -> &mut Self {
        self.text(text).number(number)
    }

    /// Puts the meaning of an error behind it.
    #[inline(never)]
    pub fn error(&mut self, error: Errno) -> &mut Self {
        match error.text() {
            Some(text) => self.long(text),
            None => self.text("error ").number(u64::from(error.number())),
        }
    }

    /// Puts bytes behind it that came from elsewhere: all but ASCII that can be seen as `\xNN`, for a terminal may obey it.
    #[inline(never)]
    pub fn printable(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            if byte.is_ascii_graphic() || *byte == b' ' {
                self.bytes(core::slice::from_ref(byte));
            } else {
                self.bytes(b"\\x").bytes(&hex(*byte));
            }
        }
        self
    }

    /// Writes out what is in the buffer, and says how it went since the last time.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn flush(&mut self) -> Result<(), Errno> {
        self.write_out();
        self.error.take().map_or(Ok(()), Err)
    }

    #[inline(never)]
    fn write_out(&mut self) {
        let bytes = self.buffer.get(..self.filled).unwrap_or(&[]);
        if let Err(error) = self.fd.write_all(bytes) {
            self.error.get_or_insert(error);
        }
        self.filled = 0;
    }
}

impl fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }

    /// Nobody formats anything: core's machinery for it would be linked only to stand in the
    /// table of this trait's methods.
    fn write_fmt(&mut self, _: fmt::Arguments<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.write_out();
    }
}

/// The two hexadecimal digits of a byte.
pub fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| digit + if digit < 10 { b'0' } else { b'a' - 10 })
}

/// A line on standard error, written when it is dropped.
///
/// Formatting as the standard library does it would be a tenth of the binary.
#[derive(Debug)]
pub struct Line(Out<'static>);

/// A line that says who speaks.
#[cold]
#[inline(never)]
pub fn say(text: &str) -> Line {
    let mut line = plain("peewit: ");
    line.text(text);
    line
}

/// A line that begins with this text.
#[cold]
#[inline(never)]
pub fn plain(text: &str) -> Line {
    let mut line = Line(Out::new(&STDERR));
    line.text(text);
    line
}

impl Deref for Line {
    type Target = Out<'static>;

    fn deref(&self) -> &Out<'static> {
        &self.0
    }
}

impl DerefMut for Line {
    fn deref_mut(&mut self) -> &mut Out<'static> {
        &mut self.0
    }
}

impl Drop for Line {
    // There is nowhere to tell of an error of standard error.
    #[inline(never)]
    fn drop(&mut self) {
        self.0.bytes(b"\n");
    }
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
            written(|out| {
                out.printable(b"a\x1b[2J b\xff\n\xc3\xa4");
            }),
            b"a\\x1b[2J b\\xff\\x0a\\xc3\\xa4"
        );
    }

    #[test]
    fn numbers_errors_and_long_texts() {
        let long = "x".repeat(1300);
        let expected = std::format!("{long}18446744073709551615 not found error 9999");
        assert_eq!(
            written(|out| {
                out.text(&long).number(u64::MAX).text(" ");
                out.error(Errno::NOT_FOUND).text(" ").error(Errno::of(9999));
            }),
            expected.as_bytes()
        );
    }

    /// What comes out of the other end.
    fn written(write: impl Fn(&mut Out<'_>)) -> std::vec::Vec<u8> {
        static COUNT: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        let file =
            std::env::temp_dir().join(std::format!("peewit-text-{}-{number}", std::process::id()));
        let path = PathBuffer::<256>::of(&[file.as_os_str().as_encoded_bytes()]).unwrap();
        let fd = crate::sys::open(path.as_c_str(), crate::sys::OpenMode::Truncate).unwrap();
        let mut out = Out::new(&fd);
        write(&mut out);
        assert_eq!(out.flush(), Ok(()));
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        bytes
    }
}
