//! Whole files, in memory of their own.

use core::ffi::CStr;

use crate::sys::{Errno, Mapping, OpenMode, open};
use crate::text::Out;
use crate::texts::Text;

/// What is in a file, and one byte more: zero.
#[derive(Debug)]
pub struct File {
    memory: Mapping,
    length: usize,
}

impl File {
    /// Reads it, if it has no more than `most` bytes.
    ///
    /// # Errors
    /// Those of open(2), mmap(2) and read(2).
    #[inline(never)]
    pub fn read(path: &CStr, most: usize) -> Result<Self, Errno> {
        let file = open(path, OpenMode::Read)?;
        let length = usize::try_from(file.seek_to_end()?).unwrap_or(usize::MAX);
        if length > most {
            return Err(Errno::TOO_LARGE);
        }
        file.seek_to(0)?;
        let mut whole = Self::empty(length)?;
        let mut filled = 0;
        while let Some(rest) = whole
            .bytes()
            .get_mut(filled..)
            .filter(|rest| !rest.is_empty())
        {
            match file.read(rest)? {
                // It became shorter meanwhile.
                0 => break,
                read => filled += read,
            }
        }
        whole.length = filled;
        Ok(whole)
    }

    /// So many zeros.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn empty(length: usize) -> Result<Self, Errno> {
        let memory = Mapping::new(length.saturating_add(1))?;
        Ok(Self { memory, length })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.memory.as_bytes().get(..self.length).unwrap_or(&[])
    }

    /// Its bytes, to be changed.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory
            .bytes()
            .get_mut(..self.length)
            .unwrap_or(&mut [])
    }

    /// Its bytes, and the one more.
    pub fn with_end(&mut self) -> &mut [u8] {
        let end = self.length + 1;
        self.memory.bytes().get_mut(..end).unwrap_or(&mut [])
    }

    /// The same, for as long as the process lives.
    pub fn leak(self) -> &'static mut [u8] {
        let end = self.length + 1;
        self.memory.leak().get_mut(..end).unwrap_or(&mut [])
    }

    /// The memory that it is in, from the first byte, and how many there are.
    pub fn into_memory(self) -> (Mapping, usize) {
        (self.memory, self.length)
    }
}

/// Why a file that somebody wrote is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It cannot be read.
    Unreadable(Errno),
    /// Line and column, both from 1, and what is wrong there.
    Mistake(u32, u32, Text),
}

impl Error {
    /// Says it: `FILE:LINE:COLUMN: what is wrong`.
    #[inline(never)]
    pub fn tell<'o, 'f>(self, path: &CStr, out: &'o mut Out<'f>) -> &'o mut Out<'f> {
        out.printable(path.to_bytes());
        match self {
            Self::Unreadable(error) => out.text(": ").error(error),
            Self::Mistake(line, column, text) => out
                .count(":", u64::from(line))
                .count(":", u64::from(column))
                .text(": ")
                .long(text),
        }
    }
}
