//! The control socket, and `peewit status`, which asks through it.

use core::ffi::CStr;

use peewit_core::alert::{Health, Reason, Record};
use peewit_core::ecs::{write_health, write_health_text};
use peewit_core::frame::{Frames, Item, encode};
use peewit_core::store::MAX_LINE;

use crate::health::Keeper;
use crate::host::Host;
use crate::options::{Name, Options};
use crate::sys::{Control, Errno, Fd, STDOUT, ThreadId, ask, wait_readable};
use crate::terms;
use crate::text::{Out, say};

/// Where the control socket is if nobody says otherwise.
pub const DEFAULT: &CStr = c"/run/peewit.sock";

/// How long who asks may take to say what.
const PATIENCE_MS: u32 = 100;
/// How long an answer may take.
pub const ANSWER_MS: u32 = 5000;
/// Longest answer: a header and a health record, each in its frame.
const ANSWER: usize = 1024;

/// Longest question.
const QUESTION: usize = 16 + MAX_LINE;

/// The question of `peewit status`.
const STATUS: &[u8] = b"status";

/// Answers everybody who asks.
pub fn serve(control: &Control, host: &Host, keeper: &Keeper, me: ThreadId) {
    while let Ok(client) = control.accept() {
        // Who does not speak at once, or does not listen, is let go.
        let _ = answer(&client, host, keeper, me);
    }
}

/// Answers a question by its first word; what follows that is its own.
#[inline(never)]
fn answer(client: &Fd, host: &Host, keeper: &Keeper, me: ThreadId) -> Result<(), Errno> {
    let mut question = [0; QUESTION];
    if !wait_readable(client, PATIENCE_MS) {
        return Err(Errno::AGAIN);
    }
    let read = client.read(&mut question)?;
    let question = question.get(..read).unwrap_or(&[]);
    if let Some(rest) = question.strip_prefix(terms::QUESTION) {
        return terms::answer(client, rest, me);
    }
    if question != STATUS {
        return Err(Errno::INVALID);
    }
    health(client, host, keeper, me)
}

/// How the sensor is.
fn health(client: &Fd, host: &Host, keeper: &Keeper, me: ThreadId) -> Result<(), Errno> {
    let mut bytes = [0; ANSWER];
    let mut length = 0;
    let health = keeper.health(Reason::Status, me);
    for record in [Record::Header(host.header()), Record::Health(health)] {
        let free = bytes.get_mut(length..).unwrap_or(&mut []);
        length += encode(&record, free).map_err(|_| Errno::TOO_LONG)?.len();
    }
    client.write_all(bytes.get(..length).unwrap_or(&[]))
}

/// The command. Gives the exit status: 1 if nobody answers.
#[inline(never)]
pub fn status(options: &Options) -> u8 {
    let path = options.value(Name::Socket).unwrap_or(DEFAULT);
    match print(path, options.has(Name::Json)) {
        Ok(()) => 0,
        Err(error) => silence(path, error),
    }
}

/// Says why nobody can be asked. Gives the exit status.
#[inline(never)]
pub fn silence(path: &CStr, error: Errno) -> u8 {
    let mut line = say("");
    line.printable(path.to_bytes());
    match error {
        Errno::NOT_FOUND | Errno::REFUSED => {
            line.text(": nobody answers; is peewit running, with this --socket?")
        }
        error => line.text(": ").error(error),
    };
    1
}

fn print(path: &CStr, json: bool) -> Result<(), Errno> {
    let server = ask(path)?;
    server.write_all(STATUS)?;
    let mut bytes = [0; ANSWER];
    if !wait_readable(&server, ANSWER_MS) {
        return Err(Errno::AGAIN);
    }
    let read = server.read(&mut bytes)?;
    let mut rest = bytes.get(..read).unwrap_or(&[]);
    let mut buffer = [0; ANSWER];
    let mut frames = Frames::new(&mut buffer);
    let mut out = Out::new(&STDOUT);
    let mut host: Option<Host> = None;
    while let Some(item) = frames.next(&mut rest) {
        match item {
            Item::Record {
                record: Record::Header(header),
                ..
            } => host = Some(Host::of(&header)),
            Item::Record {
                record: Record::Health(health),
                ..
            } => show_health(&mut out, host.as_ref(), &health, json, "\n  "),
            _ => {}
        }
    }
    out.flush()
}

/// How a sensor is: as a line of JSON, or as text with `separator` between its counts.
#[inline(never)]
pub fn show_health(
    out: &mut Out<'_>,
    host: Option<&Host>,
    health: &Health,
    json: bool,
    separator: &str,
) {
    // Errors of `out` come with its flush.
    let _ = if json {
        write_health(out, host.map(Host::header).as_ref(), health)
    } else {
        write_health_text(out, health, separator)
    };
    out.bytes(b"\n");
}
