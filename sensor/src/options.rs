//! What can be told: commands, their options, and what values these take.

use core::ffi::CStr;

use peewit_core::alert::Source;

use crate::log::{Settings, Sync};
use crate::text::number;

/// Exit status for a command line that makes no sense.
pub const USAGE_ERROR: u8 = 2;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Watches.
    Run,
    /// Says what `run` could do.
    Check,
    /// Asks the one that runs how it is.
    Status,
    /// Prints alerts.
    Alerts,
    /// What is known.
    Terms,
    /// Says what there is.
    Help,
    /// Says which one it is.
    Version,
    /// A part that the demo's programs play.
    Role,
    /// The child that the sensor starts to see whether it sees it.
    Canary,
}

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

/// The option of a command that is written so.
pub fn option(command: Command, written: &[u8]) -> Option<(Name, Kind)> {
    let whose = match command {
        Command::Check => Command::Run,
        command => command,
    };
    let mut known = OPTIONS.iter();
    let known = known.find(|known| known.1 == whose && known.0.as_bytes() == written)?;
    Some((known.2, known.3))
}

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
    pub fn add_word(&mut self, word: &'static CStr, most: usize) -> bool {
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

/// The largest number: what the kernel takes too.
const MAX: u64 = i32::MAX as u64;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None; in a file `yes` or `no`.
    Flag,
    /// Any.
    Text,
    /// A number of less than 2^31.
    Number,
    /// The same, of bytes: what has to hold any record.
    Size,
    /// The same, from 1 to as many segments as there may be.
    Count,
    /// The number of an alert.
    Sequence,
    /// A source of events.
    Source,
    /// `N/SECONDS`, or 0.
    Rate,
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
            Self::Number => is_within(value, 0, MAX),
            Self::Size => is_within(value, Settings::LEAST_SIZE, MAX),
            Self::Count => is_within(value, 1, Settings::MOST_SEGMENTS),
            Self::Sequence => is_within(value, 0, u64::MAX),
            Self::Source => one_of(&Source::ALL.map(Source::name)),
            Self::Rate => value == b"0" || rate(value).is_some(),
            Self::Sync => Sync::named(value).is_some(),
        }
    }
}

/// Whether it is a number of this range.
fn is_within(value: &[u8], least: u64, most: u64) -> bool {
    number(value).is_some_and(|number| number >= least && number <= most)
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

#[cfg(test)]
mod tests {
    use super::*;

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
