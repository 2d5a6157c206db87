//! `peewit terms`: what is known, to be looked at, taken along, added to and forgotten.
//!
//! What is known is read from the disk. It is changed by the sensor that runs, and by nobody else: so there is one way.

use core::ffi::CStr;
use peewit_core::parts;

use peewit_core::store::{Line, MAX_LINE, Saved, Term, parse};

use crate::age;
use crate::file::File;
use crate::options::{Name, Options, USAGE_ERROR, WORDS};
use crate::state::{SENSOR, STATE, Sensor};
use crate::status::{self, ANSWER_MS, silence};
use crate::store::{self, BUFFER, Folder, NEWEST_FIRST};
use crate::sys::{Errno, Fd, Mapping, STDOUT, ThreadId, ask, sleep_ms, thread_id, wait_readable};
use crate::text::{Out, say};
use crate::texts::Text;

/// Where a baseline is if nobody says otherwise.
const BASELINE: &CStr = c"/usr/share/peewit/baseline";

/// Largest file of terms: more than fit.
const LARGEST: usize = 1 << 20;

/// A question about terms begins so. What is to happen follows, and the term as a line.
pub const QUESTION: &[u8] = b"terms ";
const IMPORT: &[u8] = b"import ";
const FORGET: &[u8] = b"forget ";

/// Answers.
const DONE: &[u8] = b"done";
const UNKNOWN: &[u8] = b"unknown";
const BUSY: &[u8] = b"busy";

/// How often, and after how many milliseconds, to try again while the sensor is busy.
const TRIES: u32 = 500;
const PAUSE_MS: u64 = 10;

/// The command. Gives the exit status.
#[inline(never)]
pub fn terms(options: &Options) -> u8 {
    let word = |number| options.word(number).map(CStr::to_bytes);
    let count = (0..WORDS)
        .take_while(|n| options.word(*n).is_some())
        .count();
    match (word(0), count) {
        (Some(b"list"), 1) => list(options, false),
        (Some(b"export"), 1) => list(options, true),
        (Some(b"import"), 2) => import(options),
        (Some(b"forget"), 3..) => forget(options, count),
        _ => {
            say("").long(Text::TermsUsage);
            USAGE_ERROR
        }
    }
}

/// Prints what is known; `export`: as it can be read again.
fn list(options: &Options, export: bool) -> u8 {
    let path = options.value(Name::State).unwrap_or(store::DEFAULT);
    match print(path, export) {
        Ok(left) => {
            if left > 0 {
                say("terms of which the name is not known, or too long: ").number(left);
            }
            0
        }
        Err(error) => {
            say("").printable(path.to_bytes()).text(": ").error(error);
            1
        }
    }
}

/// Gives how many terms could not be exported.
fn print(path: &CStr, export: bool) -> Result<u64, Errno> {
    let me = thread_id();
    let folder = Folder::open(path)?;
    let mut memory = Mapping::new(BUFFER)?;
    let mut saved = Saved::new([0; 16], heapless::String::new());
    // If a sensor writes all anew meanwhile, its journal is not that of the snapshot.
    for _ in 0..3 {
        if store::look(&folder, memory.bytes(), &mut saved, me)?
            .journal
            .is_some()
        {
            break;
        }
    }
    let now = saved.age(&age::now()).0;
    let mut out = Out::new(&STDOUT);
    let mut left = 0;
    store::names(&folder, NEWEST_FIRST, memory.bytes(), &mut |term| {
        if !export {
            let seconds = now.saturating_sub(term.age_ms) / 1000;
            out.number(seconds)
                .text(" s ago\t")
                .text(match term.learned {
                    true => "learned",
                    false => "once",
                });
        } else if !term.whole {
            left += 1;
            return;
        }
        line(&mut out, &term, export);
    });
    out.flush()?;
    Ok(left)
}

/// Writes a term as a line.
fn line(out: &mut Out<'_>, term: &Term<'_>, export: bool) {
    let fields = core::iter::once(&term.rule).chain(&term.values);
    for (number, field) in fields.enumerate() {
        if number > 0 || !export {
            out.text("\t");
        }
        for part in field.split_inclusive(|&byte| byte == b'\\') {
            out.printable(part);
            if part.ends_with(b"\\") {
                out.text("\\");
            }
        }
    }
    out.text(match (term.whole, term.rule.is_empty()) {
        (true, _) => "\n",
        (false, false) => "...\n",
        (false, true) => "(name not known)\n",
    });
}

/// Hands over the lines of a text that name a term, with their numbers, if all of them can be read.
///
/// # Errors
/// What `take` gives; nothing else: of the first line that cannot be read is said where.
fn each<E>(
    path: &CStr,
    text: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<bool, E> {
    let lines = || parts(text, b'\n');
    for (number, line) in (1..).zip(lines()) {
        if let Err(column) = read(line, &mut |_| ()) {
            say("")
                .printable(path.to_bytes())
                .count(":", number)
                .count(":", column as u64)
                .long(Text::NoTerm);
            return Ok(false);
        }
    }
    for line in lines() {
        take(line)?;
    }
    Ok(true)
}

/// Reads a line.
#[inline(never)]
fn read(line: &[u8], take: &mut dyn FnMut(&Line<'_>)) -> Result<(), usize> {
    let mut copy = [0; MAX_LINE];
    let copy = copy.get_mut(..line.len()).ok_or(MAX_LINE + 1)?;
    copy.copy_from_slice(line);
    if let Some(term) = parse(copy)? {
        take(&term);
    }
    Ok(())
}

/// Has the sensor that runs know the terms of a file.
fn import(options: &Options) -> u8 {
    let path = options.word(1).unwrap_or(c"");
    let file = match File::read(path, LARGEST) {
        Ok(file) => file,
        Err(error) => {
            say("").printable(path.to_bytes()).text(": ").error(error);
            return 1;
        }
    };
    let mut count = 0;
    let done = each(path, file.as_bytes(), &mut |line| {
        let mut named = false;
        let _ = read(line, &mut |_| named = true);
        if named {
            request(options, IMPORT, line)?;
            count += 1;
        }
        Ok(())
    });
    match done {
        Ok(true) => {
            say("terms known now: ").number(count);
            0
        }
        Ok(false) => 1,
        Err(error) => silence(socket(options), error),
    }
}

/// Has the sensor that runs forget a term. Its words are written as in a file: so what `list` shows can be given.
#[inline(never)]
fn forget(options: &Options, count: usize) -> u8 {
    let mut text = [0; MAX_LINE];
    let mut length = 0;
    for number in 1..count {
        let word = options.word(number).unwrap_or(c"").to_bytes();
        let tab = (number > 1).then_some(b'\t');
        for byte in tab.into_iter().chain(word.iter().copied()) {
            if let Some(place) = text.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
    }
    let line = text.get(..length).unwrap_or(&[]);
    match request(options, FORGET, line) {
        Ok(true) => 0,
        Ok(false) => {
            say("it was not known");
            1
        }
        Err(error) => silence(socket(options), error),
    }
}

fn socket(options: &Options) -> &'static CStr {
    options.value(Name::Socket).unwrap_or(status::DEFAULT)
}

/// Asks the sensor that runs to do something with a term. Gives whether it knew of it.
fn request(options: &Options, what: &[u8], line: &[u8]) -> Result<bool, Errno> {
    let mut question = [0; QUESTION.len() + IMPORT.len() + MAX_LINE];
    let mut rest = &mut question[..];
    let mut length = 0;
    for part in [QUESTION, what, line] {
        let (place, more) = rest
            .split_at_mut_checked(part.len())
            .ok_or(Errno::TOO_LONG)?;
        place.copy_from_slice(part);
        (rest, length) = (more, length + part.len());
    }
    for _ in 0..TRIES {
        let server = ask(socket(options))?;
        server.write_all(question.get(..length).unwrap_or(&[]))?;
        let mut answer = [0; 16];
        if !wait_readable(&server, ANSWER_MS) {
            return Err(Errno::AGAIN);
        }
        let read = server.read(&mut answer)?;
        match answer.get(..read) {
            Some(DONE) => return Ok(true),
            Some(UNKNOWN) => return Ok(false),
            Some(BUSY) => sleep_ms(PAUSE_MS),
            _ => return Err(Errno::INVALID),
        }
    }
    Err(Errno::AGAIN)
}

/// Does what a question about terms asks for.
///
/// # Errors
/// [`Errno::INVALID`] if it makes no sense; else those of write(2).
pub fn answer(client: &Fd, question: &[u8], me: ThreadId) -> Result<(), Errno> {
    let mut answer = Err(Errno::INVALID);
    let (what, line) = question
        .split_at_checked(IMPORT.len())
        .ok_or(Errno::INVALID)?;
    read(line, &mut |term| {
        let outlet = &mut STATE.lock(me).outlet;
        answer = match what {
            IMPORT if outlet.enter(term.rule, &term.values, true) => Ok(DONE),
            FORGET => Ok(match outlet.forget(term.rule, &term.values) {
                Some(true) => DONE,
                Some(false) => UNKNOWN,
                None => BUSY,
            }),
            IMPORT => Ok(BUSY),
            _ => Err(Errno::INVALID),
        };
    })
    .map_err(|_| Errno::INVALID)?;
    if let Some(sensor) = SENSOR.get() {
        sensor.writer.ring();
    }
    client.write_all(answer?)
}

/// Enters the terms of the baseline: seen at each start.
#[inline(never)]
pub fn baseline(options: &Options, sensor: &Sensor, me: ThreadId) {
    let told = options.value(Name::Baseline);
    let path = told.unwrap_or(BASELINE);
    let file = match File::read(path, LARGEST) {
        Err(Errno::NOT_FOUND) if told.is_none() => return,
        Ok(file) => file,
        Err(error) => {
            say("baseline ")
                .printable(path.to_bytes())
                .text(": ")
                .error(error);
            return;
        }
    };
    let entered = each(path, file.as_bytes(), &mut |line| {
        let mut done = true;
        for _ in 0..TRIES {
            // All lines have been read before.
            let _ = read(line, &mut |term| {
                done = STATE.lock(me).outlet.enter(term.rule, &term.values, false);
            });
            if done {
                return Ok(());
            }
            // Until the writer has written what came before.
            sensor.writer.ring();
            sleep_ms(PAUSE_MS);
        }
        Err(())
    });
    if entered.is_err() {
        say("baseline ")
            .printable(path.to_bytes())
            .text(": cannot be entered: the writer is stuck");
    }
}
