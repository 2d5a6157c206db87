//! The configuration file: `key = value`, one a line. Its keys are the options of `run`, and what the command line says wins.

use core::ffi::CStr;

use peewit_core::alert::Source;

use crate::cli::{self, Name, Told};
use crate::file::File;
use crate::log::{Settings, Sync};
use crate::sys::Errno;
use crate::text::{Out, number, say};

/// Where it is looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/peewit.conf";

/// Most bytes of it.
const MOST: usize = 16 << 10;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None; in a file `yes` or `no`.
    Flag,
    /// Any.
    Text,
    /// A number of less than 2^31.
    Number,
    /// The number of an alert.
    Sequence,
    /// A source of events.
    Source,
    /// `N/SECONDS`, or 0.
    Rate,
    /// Bytes of a segment of the log.
    SegmentSize,
    /// How many segments there are.
    Segments,
    /// When the log is made durable.
    Sync,
}

impl Kind {
    /// Whether this can be a value.
    pub fn takes(self, value: &[u8]) -> bool {
        let one_of = |names: &[&str]| names.iter().any(|name| name.as_bytes() == value);
        match self {
            Self::Flag => one_of(&["yes", "no"]),
            Self::Text => true,
            Self::Number => number(value).is_some_and(|number| number < 1 << 31),
            Self::Sequence => number(value).is_some(),
            Self::Source => one_of(&Source::ALL.map(Source::name)),
            Self::Rate => value == b"0" || rate(value).is_some(),
            Self::SegmentSize => {
                number(value).is_some_and(|size| (Settings::LEAST_SIZE..1 << 31).contains(&size))
            }
            Self::Segments => {
                number(value).is_some_and(|count| (1..=Settings::MOST_SEGMENTS).contains(&count))
            }
            Self::Sync => Sync::named(value).is_some(),
        }
    }
}

/// So many in so many seconds: neither is 0.
pub fn rate(value: &[u8]) -> Option<(u32, u32)> {
    let slash = value.iter().position(|&byte| byte == b'/')?;
    let part = |digits: &[u8]| {
        let number = number(digits)?;
        u32::try_from(number).ok().filter(|&number| number > 0)
    };
    Some((part(value.get(..slash)?)?, part(value.get(slash + 1..)?)?))
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no `key = value`.
    NoEquals,
    /// There is no such key.
    UnknownKey,
    /// Nothing stands behind the `=`.
    MissingValue,
    /// This is no value of that key.
    BadValue,
    /// A control character.
    NoText,
}

/// Why there is no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file cannot be read.
    Unreadable(Errno),
    /// Line and column, both from 1, and what is wrong there.
    Mistake(u32, u32, Wrong),
}

impl Error {
    /// Says it, with the path in front.
    #[inline(never)]
    pub fn tell<'o, 'f>(self, path: &CStr, out: &'o mut Out<'f>) -> &'o mut Out<'f> {
        let wrong = match self {
            Self::Unreadable(error) => {
                return out.printable(path.to_bytes()).text(": ").error(error);
            }
            Self::Mistake(line, column, wrong) => {
                place(out, path, line, column);
                wrong
            }
        };
        out.text(match wrong {
            Wrong::NoEquals => "not of the form key = value",
            Wrong::UnknownKey => "there is no such key",
            Wrong::MissingValue => "a value is missing",
            Wrong::BadValue => "this cannot be the value of that key",
            Wrong::NoText => "not text",
        })
    }
}

/// Says where in a file something is: `FILE:LINE:COLUMN: `.
#[inline(never)]
pub fn place(out: &mut Out<'_>, path: &CStr, line: u32, column: u32) {
    out.printable(path.to_bytes())
        .count(":", u64::from(line))
        .count(":", u64::from(column))
        .text(": ");
}

/// Where the file is.
pub fn path<'a>(told: &Told<'a>) -> &'a CStr {
    told.value(Name::Config).unwrap_or(DEFAULT)
}

/// The file. `None`: it is where nobody said, and not there.
///
/// # Errors
/// [`Error::Unreadable`]
pub fn read(told: &Told<'_>) -> Result<Option<File>, Error> {
    match File::read(path(told), MOST) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOT_FOUND) if !told.has(Name::Config) => Ok(None),
        Err(error) => Err(Error::Unreadable(error)),
    }
}

/// What was told on the command line, and else what the file says.
///
/// # Errors
/// [`Error::Mistake`]
pub fn merge<'a>(told: &Told<'a>, file: Option<&'a mut File>) -> Result<Told<'a>, Error> {
    let mut said = Told::default();
    if let Some(file) = file {
        parse(file.with_end(), &mut said)?;
    }
    Ok(told.or(&said))
}

/// The same, for as long as the process lives; or says why not.
#[inline(never)]
pub fn load(told: &Told<'static>) -> Option<Told<'static>> {
    let loaded = read(told).and_then(|file| {
        let mut said = Told::default();
        if let Some(file) = file {
            parse(file.leak(), &mut said)?;
        }
        Ok(told.or(&said))
    });
    match loaded {
        Ok(told) => Some(told),
        Err(error) => {
            error.tell(path(told), &mut say(""));
            None
        }
    }
}

/// Takes what the lines say; of a key that is there twice, the last. The last byte of `text` is not part of it. A value's end is made NUL.
fn parse<'a>(text: &'a mut [u8], said: &mut Told<'a>) -> Result<(), Error> {
    let (mut rest, mut number) = (text, 0);
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.map_or(rest.len(), |end| end + 1);
        let Some((line, later)) = rest.split_at_mut_checked(end) else {
            break;
        };
        take(line, said).map_err(|(at, wrong)| Error::Mistake(number, at as u32 + 1, wrong))?;
        rest = later;
    }
    Ok(())
}

const fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Takes what a line says, whose last byte is its end. Else where something is wrong.
fn take<'a>(line: &'a mut [u8], said: &mut Told<'a>) -> Result<(), (usize, Wrong)> {
    let Some((_, body)) = line.split_last() else {
        return Ok(());
    };
    let begin = |from: usize| {
        let rest = body.iter().skip(from);
        from + rest.take_while(|byte| is_space(byte)).count()
    };
    let end = |to: usize| {
        let back = body.iter().take(to).rev();
        to - back.take_while(|byte| is_space(byte)).count()
    };
    let start = begin(0);
    if matches!(body.get(start), None | Some(b'#')) {
        return Ok(());
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && !is_space(byte);
    if let Some(at) = body.iter().position(is_control) {
        return Err((at, Wrong::NoText));
    }
    let equals = body.iter().position(|&byte| byte == b'=');
    let equals = equals.ok_or((start, Wrong::NoEquals))?;
    let word = body.get(start..end(equals)).unwrap_or(&[]);
    let (name, kind) = cli::key(word).ok_or((start, Wrong::UnknownKey))?;
    let (from, to) = (begin(equals + 1), end(body.len()));
    let value = body.get(from..to).unwrap_or(&[]);
    if value.is_empty() {
        return Err((equals + 1, Wrong::MissingValue));
    }
    if !kind.takes(value) {
        return Err((from, Wrong::BadValue));
    }
    let is_no = kind == Kind::Flag && value == b"no";
    if let Some(end) = line.get_mut(to) {
        *end = 0;
    }
    let line: &'a [u8] = line;
    if let Some(Ok(value)) = line.get(from..).map(CStr::from_bytes_until_nul)
        && !is_no
    {
        said.set(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PathBuffer;
    use std::format;

    /// What the text says, or where it is wrong.
    fn told(text: &str) -> Result<Told<'static>, Error> {
        let mut said = Told::default();
        let bytes = format!("{text}\0").into_bytes().leak();
        parse(bytes, &mut said).map(|()| said)
    }

    #[test]
    fn keys_and_values() {
        let said = told(
            "# a comment\n\n rules=/a b/c.pack \r\n\thealth\t=\t60\nrate-limit = 5/10\nallow-older-pack = yes\nsync = none\nhealth = 61",
        )
        .unwrap();
        for (name, value) in [
            (Name::Rules, c"/a b/c.pack"),
            (Name::Health, c"61"),
            (Name::RateLimit, c"5/10"),
            (Name::AllowOlderPack, c"yes"),
            (Name::Sync, c"none"),
        ] {
            assert_eq!(said.value(name), Some(value), "{name:?}");
        }
        assert!(!said.has(Name::Alerts));
        assert_eq!(said.figure(Name::Health, 1), 61);
        assert_eq!(said.figure(Name::Canary, 1), 1);
        assert!(
            !told("allow-older-pack = no")
                .unwrap()
                .has(Name::AllowOlderPack)
        );
        assert_eq!(told(""), Ok(Told::default()));
        assert_eq!(
            told("alerts = x = y").unwrap().value(Name::Alerts),
            Some(c"x = y")
        );
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, line, column, wrong) in [
            ("health", 1, 1, Wrong::NoEquals),
            ("#\n  colour = red", 2, 3, Wrong::UnknownKey),
            ("config = /x", 1, 1, Wrong::UnknownKey),
            ("demo = yes", 1, 1, Wrong::UnknownKey),
            ("--rules = x", 1, 1, Wrong::UnknownKey),
            ("= x", 1, 1, Wrong::UnknownKey),
            ("rules = ", 1, 8, Wrong::MissingValue),
            ("rules =\nhealth = 1", 1, 8, Wrong::MissingValue),
            ("\n\nhealth = soon", 3, 10, Wrong::BadValue),
            ("health = 2147483648", 1, 10, Wrong::BadValue),
            ("source = ebpf", 1, 10, Wrong::BadValue),
            ("sync = always", 1, 8, Wrong::BadValue),
            ("rate-limit = 100/0", 1, 14, Wrong::BadValue),
            ("allow-older-pack = 1", 1, 20, Wrong::BadValue),
            ("rules = a\0b", 1, 10, Wrong::NoText),
        ] {
            assert_eq!(
                told(text),
                Err(Error::Mistake(line, column, wrong)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_command_line_wins_and_only_a_named_file_must_be_there() {
        let file = std::env::temp_dir().join(format!("peewit-conf-{}", std::process::id()));
        let path = PathBuffer::<256>::of(&[file.as_os_str().as_encoded_bytes()]).unwrap();
        let mut told = Told::default();
        told.set(Name::Config, path.as_c_str());
        told.set(Name::Health, c"7");
        assert!(matches!(
            read(&told),
            Err(Error::Unreadable(Errno::NOT_FOUND))
        ));
        std::fs::write(&file, "health = 60\ncanary = 5").unwrap();
        let mut read = read(&told).unwrap();
        let merged = merge(&told, read.as_mut()).unwrap();
        assert_eq!(merged.value(Name::Health), Some(c"7"));
        assert_eq!(merged.value(Name::Canary), Some(c"5"));
        std::fs::write(&file, [b'#'; MOST + 1]).unwrap();
        assert!(matches!(
            super::read(&told),
            Err(Error::Unreadable(Errno::TOO_LARGE))
        ));
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn rates() {
        assert_eq!(rate(b"100/300"), Some((100, 300)));
        for text in [
            &b"100"[..],
            b"0/1",
            b"1/0",
            b"/",
            b"1/2/3",
            b"-1/2",
            b"4294967296/1",
        ] {
            assert_eq!(rate(text), None);
        }
    }
}
