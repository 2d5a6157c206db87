//! The command line.

use core::ffi::CStr;
use core::fmt::Write;

use crate::sys::{Args, STDOUT};
use crate::text::{Out, Printable};
use crate::{alerts, check, demo, run, say};

/// Exit status for a command line that makes no sense.
const USAGE_ERROR: u8 = 2;

const HELP: &str = "\
peewit: watches which programs start on this device, and calls out when a rule matches.

usage: peewit [COMMAND] [OPTION...]

  run                 watch until Ctrl-C (the default)
    --rules PACK      rules compiled by peewitctl (default: /etc/peewit/rules.pack
                      if it is there, else those built in)
    --alerts PATH     alert log, or a folder for it (default: /var/lib/peewit/alerts/)
    --events FILE     also write every captured event, as ECS NDJSON
    --demo            also play a harmless attack, and leave nothing behind
  check               say what this kernel and these privileges allow
  alerts [PATH]       print the alerts of a log
    -f, --follow      go on with those to come
    --json            as ECS JSON, one a line
  --help, --version
";

/// What `run` was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `--rules`
    pub rules: Option<&'static CStr>,
    /// `--alerts`
    pub alerts: Option<&'static CStr>,
    /// `--events`
    pub events: Option<&'static CStr>,
    /// `--demo`
    pub demo: bool,
}

/// What `alerts` was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertsOptions {
    /// The log, or its folder.
    pub path: Option<&'static CStr>,
    /// `--follow`
    pub follow: bool,
    /// `--json`
    pub json: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Run(RunOptions),
    Check,
    Alerts(AlertsOptions),
    Help,
    Version,
    /// A part that the demo's programs play.
    Role(Option<&'static CStr>),
    /// The child that the sensor starts to see whether it sees it.
    Canary,
}

/// Why a command line makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Error {
    UnknownCommand(&'static [u8]),
    UnknownOption(&'static [u8]),
    MissingValue(&'static [u8]),
    UnwantedValue(&'static [u8]),
    Unexpected(&'static [u8]),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (what, word) = match *self {
            Self::UnknownCommand(word) => ("there is no command ", word),
            Self::UnknownOption(word) => ("unknown option ", word),
            Self::MissingValue(word) => ("a value is missing behind ", word),
            Self::UnwantedValue(word) => ("no value is wanted by ", word),
            Self::Unexpected(word) => ("did not expect ", word),
        };
        write!(f, "{what}{}", Printable(word))
    }
}

/// Does what the command line says. Gives the exit status.
pub fn main(args: Args) -> u8 {
    match parse(args) {
        Ok(Command::Run(options)) => run::run(&options),
        Ok(Command::Check) => check::check(),
        Ok(Command::Alerts(options)) => alerts::alerts(&options),
        Ok(Command::Help) => print(HELP),
        Ok(Command::Version) => print(concat!("peewit ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Role(program)) => demo::role(program),
        Ok(Command::Canary) => 0,
        Err(error) => {
            say!("peewit: {error}; see peewit --help");
            USAGE_ERROR
        }
    }
}

fn print(text: &str) -> u8 {
    let mut out = Out::new(&STDOUT);
    // Errors of `out` come with its flush.
    let _ = out.write_str(text);
    u8::from(out.flush().is_err())
}

fn parse(args: impl Iterator<Item = &'static CStr>) -> Result<Command, Error> {
    let mut words = Words { args, value: None };
    let Some(first) = words.next() else {
        return Ok(Command::Run(RunOptions::default()));
    };
    match first {
        Word::Plain(word) => match word.to_bytes() {
            b"run" => words.run(None),
            b"check" => words.nothing_more(Command::Check),
            b"alerts" => words.alerts(),
            b"demo-role" => Ok(Command::Role(words.plain())),
            b"canary" => words.nothing_more(Command::Canary),
            other => Err(Error::UnknownCommand(other)),
        },
        Word::Option(b"--help" | b"-h") => words.nothing_more(Command::Help),
        Word::Option(b"--version" | b"-V") => words.nothing_more(Command::Version),
        Word::Option(option) => words.run(Some(option)),
    }
}

enum Word {
    Plain(&'static CStr),
    Option(&'static [u8]),
}

/// The words of a command line; of `--option=value` first the option, then the value.
struct Words<I> {
    args: I,
    value: Option<&'static CStr>,
}

impl<I: Iterator<Item = &'static CStr>> Words<I> {
    fn next(&mut self) -> Option<Word> {
        let arg = self.args.next()?;
        let bytes = arg.to_bytes();
        if !bytes.starts_with(b"-") || bytes == b"-" {
            return Some(Word::Plain(arg));
        }
        let equals = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .filter(|_| bytes.starts_with(b"--"));
        let Some(equals) = equals else {
            return Some(Word::Option(bytes));
        };
        self.value = arg
            .to_bytes_with_nul()
            .get(equals + 1..)
            .and_then(|value| CStr::from_bytes_with_nul(value).ok());
        Some(Word::Option(bytes.get(..equals).unwrap_or(bytes)))
    }

    fn plain(&mut self) -> Option<&'static CStr> {
        self.args.next()
    }

    fn value(&mut self, option: &'static [u8]) -> Result<&'static CStr, Error> {
        self.value
            .take()
            .or_else(|| self.args.next())
            .filter(|value| !value.is_empty())
            .ok_or(Error::MissingValue(option))
    }

    fn run(&mut self, mut first: Option<&'static [u8]>) -> Result<Command, Error> {
        let mut options = RunOptions::default();
        loop {
            let option = match first.take() {
                Some(option) => option,
                None => match self.next() {
                    None => return Ok(Command::Run(options)),
                    Some(Word::Option(option)) => option,
                    Some(Word::Plain(word)) => return Err(Error::Unexpected(word.to_bytes())),
                },
            };
            match option {
                b"--rules" => options.rules = Some(self.value(option)?),
                b"--alerts" => options.alerts = Some(self.value(option)?),
                b"--events" => options.events = Some(self.value(option)?),
                b"--demo" => options.demo = true,
                other => return Err(Error::UnknownOption(other)),
            }
            if self.value.is_some() {
                return Err(Error::UnwantedValue(option));
            }
        }
    }

    fn alerts(&mut self) -> Result<Command, Error> {
        let mut options = AlertsOptions::default();
        while let Some(word) = self.next() {
            match word {
                Word::Option(option @ (b"-f" | b"--follow" | b"--json"))
                    if self.value.is_some() =>
                {
                    return Err(Error::UnwantedValue(option));
                }
                Word::Option(b"-f" | b"--follow") => options.follow = true,
                Word::Option(b"--json") => options.json = true,
                Word::Option(other) => return Err(Error::UnknownOption(other)),
                Word::Plain(path) if options.path.is_none() && !path.is_empty() => {
                    options.path = Some(path)
                }
                Word::Plain(path) => return Err(Error::Unexpected(path.to_bytes())),
            }
        }
        Ok(Command::Alerts(options))
    }

    fn nothing_more(&mut self, command: Command) -> Result<Command, Error> {
        match self.args.next() {
            Some(word) => Err(Error::Unexpected(word.to_bytes())),
            None => Ok(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&'static CStr]) -> Result<Command, Error> {
        parse(words.iter().copied())
    }

    #[test]
    fn run_is_what_happens_without_a_command() {
        let options = RunOptions {
            rules: Some(c"p"),
            alerts: Some(c"a"),
            events: Some(c"e"),
            demo: true,
        };
        assert_eq!(of(&[]), Ok(Command::Run(RunOptions::default())));
        assert_eq!(of(&[c"run"]), Ok(Command::Run(RunOptions::default())));
        let words = [
            c"--rules",
            c"p",
            c"--alerts=a",
            c"--events",
            c"e",
            c"--demo",
        ];
        assert_eq!(of(&words), Ok(Command::Run(options)));
        assert_eq!(
            of(&[
                c"run",
                c"--demo",
                c"--events=e",
                c"--alerts",
                c"a",
                c"--rules=p"
            ]),
            Ok(Command::Run(options))
        );
    }

    #[test]
    fn other_commands() {
        assert_eq!(of(&[c"check"]), Ok(Command::Check));
        assert_eq!(of(&[c"--help"]), Ok(Command::Help));
        assert_eq!(of(&[c"--version"]), Ok(Command::Version));
        assert_eq!(
            of(&[c"demo-role", c"/x/y"]),
            Ok(Command::Role(Some(c"/x/y")))
        );
        assert_eq!(
            of(&[c"alerts"]),
            Ok(Command::Alerts(AlertsOptions::default()))
        );
        let options = AlertsOptions {
            path: Some(c"p"),
            follow: true,
            json: true,
        };
        assert_eq!(
            of(&[c"alerts", c"-f", c"p", c"--json"]),
            Ok(Command::Alerts(options))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (words, error) in [
            (&[c"watch"][..], Error::UnknownCommand(b"watch")),
            (&[c""], Error::UnknownCommand(b"")),
            (&[c"--colour"], Error::UnknownOption(b"--colour")),
            (&[c"run", c"-x"], Error::UnknownOption(b"-x")),
            (&[c"run", c"--rules"], Error::MissingValue(b"--rules")),
            (&[c"run", c"--rules="], Error::MissingValue(b"--rules")),
            (&[c"run", c"--demo=yes"], Error::UnwantedValue(b"--demo")),
            (&[c"run", c"demo"], Error::Unexpected(b"demo")),
            (&[c"alerts", c"a", c"b"], Error::Unexpected(b"b")),
            (&[c"alerts", c"--json=1"], Error::UnwantedValue(b"--json")),
            (
                &[c"alerts", c"--rules", c"x"],
                Error::UnknownOption(b"--rules"),
            ),
            (&[c"check", c"x"], Error::Unexpected(b"x")),
            (&[c"--help", c"x"], Error::Unexpected(b"x")),
        ] {
            assert_eq!(of(words), Err(error), "{words:?}");
        }
    }
}
