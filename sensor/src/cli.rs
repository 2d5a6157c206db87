//! The command line.

use core::ffi::CStr;

use crate::options::{Command, Kind, Name, Options, USAGE_ERROR, WORDS, option};
use crate::sys::{Args, STDOUT};
use crate::text::{Out, say};
use crate::texts::Text;
use crate::{alerts, check, demo, run, status, terms};

static COMMANDS: [(&str, Command); 7] = [
    ("run", Command::Run),
    ("check", Command::Check),
    ("status", Command::Status),
    ("alerts", Command::Alerts),
    ("terms", Command::Terms),
    ("demo-role", Command::Role),
    ("canary", Command::Canary),
];

/// Why a word of the command line makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    UnknownCommand,
    UnknownOption,
    MissingValue,
    UnwantedValue,
    BadValue,
    Unexpected,
}

impl Mistake {
    const fn text(self) -> &'static str {
        match self {
            Self::UnknownCommand => "there is no command ",
            Self::UnknownOption => "unknown option ",
            Self::MissingValue => "a value is missing behind ",
            Self::UnwantedValue => "no value is wanted by ",
            Self::BadValue => "this cannot be its value: ",
            Self::Unexpected => "did not expect ",
        }
    }
}

/// Does what the command line says. Gives the exit status.
pub fn main(args: Args) -> u8 {
    match parse(args) {
        Ok((Command::Run, options)) => run::run(&options),
        Ok((Command::Check, options)) => check::check(&options),
        Ok((Command::Status, options)) => status::status(&options),
        Ok((Command::Alerts, options)) => alerts::alerts(&options),
        Ok((Command::Terms, options)) => terms::terms(&options),
        Ok((Command::Help, _)) => print(Out::new(&STDOUT).long(Text::Help)),
        Ok((Command::Version, _)) => {
            print(Out::new(&STDOUT).text(concat!("peewit ", env!("CARGO_PKG_VERSION"))))
        }
        Ok((Command::Role, options)) => demo::role(options.value(Name::Word)),
        Ok((Command::Canary, _)) => 0,
        Err((mistake, word)) => {
            say(mistake.text())
                .printable(word.to_bytes())
                .text("; see peewit --help");
            USAGE_ERROR
        }
    }
}

/// Ends the line, and gives the exit status.
fn print(out: &mut Out<'_>) -> u8 {
    u8::from(out.text("\n").flush().is_err())
}

/// The command and its options, or the first word that makes no sense.
#[inline(never)]
fn parse(
    mut args: impl Iterator<Item = &'static CStr>,
) -> Result<(Command, Options), (Mistake, &'static CStr)> {
    let mut options = Options::default();
    let mut command = None;
    while let Some(word) = args.next() {
        let bytes = word.to_bytes();
        if bytes.len() < 2 || bytes.first() != Some(&b'-') {
            match command {
                None => {
                    let known = COMMANDS.iter().find(|known| known.0.as_bytes() == bytes);
                    command = Some(known.ok_or((Mistake::UnknownCommand, word))?.1);
                }
                Some(Command::Alerts | Command::Role)
                    if !bytes.is_empty() && options.add_word(word, 1) => {}
                Some(Command::Terms) if options.add_word(word, WORDS) => {}
                Some(_) => return Err((Mistake::Unexpected, word)),
            }
            continue;
        }
        match bytes {
            b"--help" | b"-h" => return Ok((Command::Help, options)),
            b"--version" | b"-V" => return Ok((Command::Version, options)),
            _ => {}
        }
        let equals = bytes.iter().position(|&byte| byte == b'=');
        let written = bytes.get(..equals.unwrap_or(bytes.len()));
        let command = *command.get_or_insert(Command::Run);
        let known = written.and_then(|written| option(command, written));
        let (name, kind) = known.ok_or((Mistake::UnknownOption, word))?;
        let value = match (equals, kind) {
            (Some(_), Kind::Flag) => return Err((Mistake::UnwantedValue, word)),
            (None, Kind::Flag) => Some(word),
            (Some(equals), _) => behind(word, equals + 1),
            (None, _) => args.next(),
        };
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or((Mistake::MissingValue, word))?;
        if kind != Kind::Flag && !kind.takes(value.to_bytes()) {
            return Err((Mistake::BadValue, value));
        }
        options.set(name, value);
    }
    Ok((command.unwrap_or(Command::Run), options))
}

/// What is left of a string behind so many bytes.
fn behind(string: &'static CStr, bytes: usize) -> Option<&'static CStr> {
    let rest = string.to_bytes_with_nul().get(bytes..)?;
    CStr::from_bytes_until_nul(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parsed = Result<(Command, Options), (Mistake, &'static CStr)>;

    fn of(words: &[&'static CStr]) -> Parsed {
        parse(words.iter().copied())
    }

    fn told(command: Command, values: &[(Name, &'static CStr)]) -> Parsed {
        let mut options = Options::default();
        for (name, value) in values {
            options.set(*name, value);
            assert_eq!(options.value(*name), Some(*value));
        }
        Ok((command, options))
    }

    #[test]
    fn run_is_what_happens_without_a_command() {
        let expected = told(
            Command::Run,
            &[
                (Name::Rules, c"p"),
                (Name::Alerts, c"a"),
                (Name::Events, c"e"),
                (Name::Demo, c"--demo"),
            ],
        );
        assert_eq!(of(&[]), told(Command::Run, &[]));
        assert_eq!(of(&[c"run"]), told(Command::Run, &[]));
        let words = [
            c"--rules",
            c"p",
            c"--alerts=a",
            c"--events",
            c"e",
            c"--demo",
        ];
        assert_eq!(of(&words), expected);
        let words = [
            c"run",
            c"--demo",
            c"--events=e",
            c"--alerts",
            c"a",
            c"--rules=p",
        ];
        assert_eq!(of(&words), expected);
    }

    #[test]
    fn other_commands() {
        assert_eq!(of(&[c"check"]), told(Command::Check, &[]));
        assert_eq!(
            of(&[c"check", c"--config", c"/c", c"--health=3"]),
            told(
                Command::Check,
                &[(Name::Config, c"/c"), (Name::Health, c"3")]
            )
        );
        assert_eq!(of(&[c"canary"]), told(Command::Canary, &[]));
        for words in [&[c"--help"][..], &[c"-h"], &[c"run", c"--help", c"x"]] {
            assert_eq!(of(words), told(Command::Help, &[]));
        }
        assert_eq!(of(&[c"--version"]), told(Command::Version, &[]));
        assert_eq!(
            of(&[c"demo-role", c"/x/y"]),
            told(Command::Role, &[(Name::Word, c"/x/y")])
        );
        assert_eq!(
            of(&[c"status", c"--socket", c"/s", c"--json"]),
            told(
                Command::Status,
                &[(Name::Socket, c"/s"), (Name::Json, c"--json")]
            )
        );
        assert_eq!(of(&[c"alerts"]), told(Command::Alerts, &[]));
        assert_eq!(
            of(&[c"alerts", c"-f", c"p", c"--json"]),
            told(
                Command::Alerts,
                &[
                    (Name::Follow, c"-f"),
                    (Name::Word, c"p"),
                    (Name::Json, c"--json")
                ]
            )
        );
    }

    #[test]
    fn terms_have_several_words() {
        let words = [
            c"terms", c"forget", c"r", c"", c"--state", c"/s", c"-", c"y", c"z",
        ];
        let (command, options) = of(&words).unwrap();
        assert_eq!(command, Command::Terms);
        assert_eq!(options.value(Name::State), Some(c"/s"));
        let said: [_; WORDS] = core::array::from_fn(|number| options.word(number));
        assert_eq!(said, [c"forget", c"r", c"", c"-", c"y", c"z"].map(Some));
        let words = [c"terms", c"1", c"2", c"3", c"4", c"5", c"6", c"7"];
        assert_eq!(of(&words), Err((Mistake::Unexpected, c"7")));
    }

    #[test]
    fn mistakes_are_named() {
        for (words, mistake, word) in [
            (&[c"watch"][..], Mistake::UnknownCommand, c"watch"),
            (&[c""], Mistake::UnknownCommand, c""),
            (&[c"-"], Mistake::UnknownCommand, c"-"),
            (&[c"--colour"], Mistake::UnknownOption, c"--colour"),
            (&[c"run", c"-x"], Mistake::UnknownOption, c"-x"),
            (&[c"run", c"--rules"], Mistake::MissingValue, c"--rules"),
            (&[c"run", c"--rules="], Mistake::MissingValue, c"--rules="),
            (
                &[c"run", c"--demo=yes"],
                Mistake::UnwantedValue,
                c"--demo=yes",
            ),
            (&[c"run", c"demo"], Mistake::Unexpected, c"demo"),
            (&[c"alerts", c"a", c"b"], Mistake::Unexpected, c"b"),
            (&[c"alerts", c""], Mistake::Unexpected, c""),
            (
                &[c"alerts", c"--json=1"],
                Mistake::UnwantedValue,
                c"--json=1",
            ),
            (
                &[c"alerts", c"--rules", c"x"],
                Mistake::UnknownOption,
                c"--rules",
            ),
            (&[c"check", c"x"], Mistake::Unexpected, c"x"),
            (&[c"check", c"--json"], Mistake::UnknownOption, c"--json"),
            (&[c"--health", c"soon"], Mistake::BadValue, c"soon"),
            (&[c"--source=ebpf"], Mistake::BadValue, c"ebpf"),
            (&[c"--rate-limit=100"], Mistake::BadValue, c"100"),
            (&[c"alerts", c"--from", c"-1"], Mistake::BadValue, c"-1"),
        ] {
            assert_eq!(of(words), Err((mistake, word)), "{words:?}");
        }
    }
}
