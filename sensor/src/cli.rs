//! The command line.

use core::ffi::CStr;

use crate::config::Kind;
use crate::sys::{Args, STDOUT};
use crate::text::{Out, number, say};
use crate::texts::Text;
use crate::{alerts, check, demo, run, status, terms};

/// Exit status for a command line that makes no sense.
pub const USAGE_ERROR: u8 = 2;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Run,
    Check,
    Status,
    Alerts,
    Terms,
    Help,
    Version,
    /// A part that the demo's programs play.
    Role,
    /// The child that the sensor starts to see whether it sees it.
    Canary,
}

static COMMANDS: [(&str, Command); 7] = [
    ("run", Command::Run),
    ("check", Command::Check),
    ("status", Command::Status),
    ("alerts", Command::Alerts),
    ("terms", Command::Terms),
    ("demo-role", Command::Role),
    ("canary", Command::Canary),
];

/// What can be told beside the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `--rules PACK`
    Rules,
    /// `--alerts PATH`
    Alerts,
    /// `--events FILE`
    Events,
    /// `--source NAME`
    Source,
    /// `--socket PATH`
    Socket,
    /// `--health SECONDS`
    Health,
    /// `--canary SECONDS`: how often an own child is started to be seen.
    Canary,
    /// `--buffer BYTES`: receive buffer of each socket.
    Buffer,
    /// `--demo`
    Demo,
    /// `--follow`
    Follow,
    /// `--json`
    Json,
    /// The word behind the command.
    Word,
    /// `--config FILE`
    Config,
    /// `--state PATH`
    State,
    /// `--exceptions FILE`
    Exceptions,
    /// `--baseline FILE`: terms that are known from the start.
    Baseline,
    /// `--learning SECONDS`
    Learning,
    /// `--rate-limit N/SECONDS`
    RateLimit,
    /// `--segment-size BYTES`
    SegmentSize,
    /// `--segments COUNT`
    Segments,
    /// `--sync each|interval|none`
    Sync,
    /// `--allow-older-pack`
    AllowOlderPack,
    /// `--from N`: the first alert to print.
    From,
    /// `--consumed N`: the last alert that is not needed any more.
    Consumed,
}

/// How many there are.
const NAMES: usize = Name::Consumed as usize + 1;

/// How many words there may be behind a command: `forget`, a rule and a term.
pub const WORDS: usize = 2 + peewit_core::pack::MAX_TERM_FIELDS;

/// How options are written, whose they are, and what values they take. Those of `run` are also the keys of the configuration file, and
/// `check` takes them too: it looks at what `run` would do with them.
static OPTIONS: [(&str, Command, Name, Kind); 28] = [
    ("--rules", Command::Run, Name::Rules, Kind::Text),
    ("--alerts", Command::Run, Name::Alerts, Kind::Text),
    ("--events", Command::Run, Name::Events, Kind::Text),
    ("--source", Command::Run, Name::Source, Kind::Source),
    ("--socket", Command::Run, Name::Socket, Kind::Text),
    ("--health", Command::Run, Name::Health, Kind::Number),
    // Not in the help: for tests.
    ("--canary", Command::Run, Name::Canary, Kind::Number),
    ("--buffer", Command::Run, Name::Buffer, Kind::Number),
    ("--demo", Command::Run, Name::Demo, Kind::Flag),
    ("--config", Command::Run, Name::Config, Kind::Text),
    ("--state", Command::Run, Name::State, Kind::Text),
    ("--exceptions", Command::Run, Name::Exceptions, Kind::Text),
    ("--baseline", Command::Run, Name::Baseline, Kind::Text),
    ("--learning", Command::Run, Name::Learning, Kind::Number),
    ("--rate-limit", Command::Run, Name::RateLimit, Kind::Rate),
    (
        "--segment-size",
        Command::Run,
        Name::SegmentSize,
        Kind::Size,
    ),
    ("--segments", Command::Run, Name::Segments, Kind::Count),
    ("--sync", Command::Run, Name::Sync, Kind::Sync),
    (
        "--allow-older-pack",
        Command::Run,
        Name::AllowOlderPack,
        Kind::Flag,
    ),
    ("--socket", Command::Status, Name::Socket, Kind::Text),
    ("--json", Command::Status, Name::Json, Kind::Flag),
    ("--follow", Command::Alerts, Name::Follow, Kind::Flag),
    ("-f", Command::Alerts, Name::Follow, Kind::Flag),
    ("--json", Command::Alerts, Name::Json, Kind::Flag),
    ("--from", Command::Alerts, Name::From, Kind::Sequence),
    (
        "--consumed",
        Command::Alerts,
        Name::Consumed,
        Kind::Sequence,
    ),
    ("--state", Command::Terms, Name::State, Kind::Text),
    ("--socket", Command::Terms, Name::Socket, Kind::Text),
];

/// The option of `run` that a key of the configuration file is.
pub fn key(word: &[u8]) -> Option<(Name, Kind)> {
    let (_, _, name, kind) = *OPTIONS.iter().find(|known| {
        known.1 == Command::Run && known.0.as_bytes().strip_prefix(b"--") == Some(word)
    })?;
    (!is_for_once(name)).then_some((name, kind))
}

/// The options that a configuration file can have.
pub fn keys() -> impl Iterator<Item = Name> {
    OPTIONS
        .iter()
        .filter(|known| known.1 == Command::Run && !is_for_once(known.2))
        .map(|known| known.2)
}

/// A file cannot name another one, and nobody plays the demo each time.
const fn is_for_once(name: Name) -> bool {
    matches!(name, Name::Config | Name::Demo)
}

/// The key of an option.
pub fn key_of(name: Name) -> &'static str {
    let option = OPTIONS.iter().find(|known| known.2 == name);
    option.map_or("", |known| known.0.strip_prefix("--").unwrap_or(known.0))
}

/// What was told beside the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told<'a>([Option<&'a CStr>; NAMES + WORDS - 1]);

/// The same for as long as the process lives: the command line.
pub type Options = Told<'static>;

impl<'a> Told<'a> {
    /// The value of an option, if it was given. That of one that has none is the option itself.
    pub fn value(&self, name: Name) -> Option<&'a CStr> {
        self.0.get(name as usize).copied().flatten()
    }

    /// A word behind the command.
    pub fn word(&self, number: usize) -> Option<&'a CStr> {
        self.0.get(Self::place_of(number)).copied().flatten()
    }

    /// Behind the options there is room for more than one word.
    fn place_of(word: usize) -> usize {
        match word {
            0 => Name::Word as usize,
            more => NAMES + more - 1,
        }
    }

    /// Keeps another word, if there is room for it.
    fn add_word(&mut self, word: &'static CStr, most: usize) -> bool {
        let free = (0..most).find(|number| self.word(*number).is_none());
        let place = free.and_then(|number| self.0.get_mut(Self::place_of(number)));
        place.map(|place| *place = Some(word)).is_some()
    }

    /// Whether an option was given.
    pub fn has(&self, name: Name) -> bool {
        self.value(name).is_some()
    }

    /// A number of an option, which was found to be one.
    #[inline(never)]
    pub fn figure(&self, name: Name, default: u64) -> u64 {
        self.value(name)
            .and_then(|value| number(value.to_bytes()))
            .unwrap_or(default)
    }

    /// Gives an option its value.
    pub fn set(&mut self, name: Name, value: &'a CStr) {
        if let Some(place) = self.0.get_mut(name as usize) {
            *place = Some(value);
        }
    }

    /// With what `others` say where nothing was told.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        for (own, other) in self.0.iter_mut().zip(others.0) {
            *own = own.or(other);
        }
        self
    }
}

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
        let whose = match command {
            Command::Check => Command::Run,
            command => command,
        };
        let (_, _, name, kind) = *OPTIONS
            .iter()
            .find(|known| known.1 == whose && Some(known.0.as_bytes()) == written)
            .ok_or((Mistake::UnknownOption, word))?;
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
