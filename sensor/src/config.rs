//! The configuration file: `key = value`, one a line. Its keys are the options of `run`, and what the command line says wins.

use core::ffi::CStr;

use crate::file::{Error, File};
use crate::options::{self, Kind, Name, Told};
use crate::sys::Errno;
use crate::text::say;
use crate::texts::Text;

/// Where it is looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/peewit.conf";

/// Most bytes of it.
const MOST: usize = 16 << 10;

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

/// What was told on the command line, and else what the text of a file says, [with its end](File::with_end).
///
/// # Errors
/// [`Error::Mistake`]
#[inline(never)]
pub fn merge<'a>(told: &Told<'a>, text: &'a mut [u8]) -> Result<Told<'a>, Error> {
    let mut said = Told::default();
    parse(text, &mut said)?;
    Ok(told.or(&said))
}

/// The same, for as long as the process lives; or says why not.
pub fn load(told: &Told<'static>) -> Option<Told<'static>> {
    let loaded = read(told).and_then(|file| merge(told, file.map_or(&mut [], File::leak)));
    loaded
        .map_err(|error| {
            error.tell(path(told), &mut say(""));
        })
        .ok()
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
#[inline(never)]
fn take<'a>(line: &'a mut [u8], said: &mut Told<'a>) -> Result<(), (usize, Text)> {
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
        return Err((at, Text::NoText));
    }
    let equals = body.iter().position(|&byte| byte == b'=');
    let equals = equals.ok_or((start, Text::NoEquals))?;
    let word = body.get(start..end(equals)).unwrap_or(&[]);
    let (name, kind) = options::key(word).ok_or((start, Text::UnknownKey))?;
    let (from, to) = (begin(equals + 1), end(body.len()));
    let value = body.get(from..to).unwrap_or(&[]);
    if value.is_empty() {
        return Err((equals + 1, Text::MissingValue));
    }
    if !kind.takes(value) {
        return Err((from, Text::BadValue));
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
            ("health", 1, 1, Text::NoEquals),
            ("#\n  colour = red", 2, 3, Text::UnknownKey),
            ("config = /x", 1, 1, Text::UnknownKey),
            ("demo = yes", 1, 1, Text::UnknownKey),
            ("--rules = x", 1, 1, Text::UnknownKey),
            ("= x", 1, 1, Text::UnknownKey),
            ("rules = ", 1, 8, Text::MissingValue),
            ("rules =\nhealth = 1", 1, 8, Text::MissingValue),
            ("\n\nhealth = soon", 3, 10, Text::BadValue),
            ("health = 2147483648", 1, 10, Text::BadValue),
            ("segment-size = 4095", 1, 16, Text::BadValue),
            ("segments = 0", 1, 12, Text::BadValue),
            ("segments = 1001", 1, 12, Text::BadValue),
            ("source = ebpf", 1, 10, Text::BadValue),
            ("sync = always", 1, 8, Text::BadValue),
            ("rate-limit = 100/0", 1, 14, Text::BadValue),
            ("allow-older-pack = 1", 1, 20, Text::BadValue),
            ("rules = a\0b", 1, 10, Text::NoText),
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
        let merged = merge(&told, read.as_mut().unwrap().with_end()).unwrap();
        assert_eq!(merged.value(Name::Health), Some(c"7"));
        assert_eq!(merged.value(Name::Canary), Some(c"5"));
        std::fs::write(&file, [b'#'; MOST + 1]).unwrap();
        assert!(matches!(
            super::read(&told),
            Err(Error::Unreadable(Errno::TOO_LARGE))
        ));
        std::fs::remove_file(&file).unwrap();
    }

    /// What packages install is all comments; without those it is good, and names every key that it should.
    #[test]
    fn the_example_and_the_manual_are_complete() {
        let example = include_str!("../../targets/packages/init/peewit.conf");
        assert_eq!(told(example), Ok(Told::default()));
        let said = told(&example.replace("\n#", "\n")).err();
        assert!(
            matches!(said, Some(Error::Mistake(_, _, Text::NoEquals))),
            "sentences"
        );
        let lines = example.lines().filter_map(|line| line.strip_prefix('#'));
        let lines: std::vec::Vec<_> = lines.filter(|line| !line.starts_with(' ')).collect();
        let said = told(&lines.join("\n")).unwrap();
        let manual = include_str!("../../docs/configuration.md");
        for name in options::keys() {
            let key = options::key_of(name);
            assert!(manual.contains(&format!("\n| `{key}` |")), "{key}");
            assert!(
                said.has(name) || example.contains(&format!("\n#{key} = no\n")),
                "{key}"
            );
        }
    }
}
