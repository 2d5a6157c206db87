//! `peewit alerts`: prints a log of alerts, or takes note of how far it was read.

mod follow;
mod printer;

use crate::log;
use crate::options::{Name, Options};
use crate::sys::Errno;
use crate::text::{number, say};
use follow::Follow;
use peewit_core::frame::MAX_FRAME;
use printer::Printer;

/// The command. Gives the exit status: 1 if the log could not be read or holds what is no alert.
// Not inlined: its buffers would be on the stack of `run` too.
#[inline(never)]
pub fn alerts(options: &Options) -> u8 {
    let path = options.value(Name::Word).unwrap_or(log::DEFAULT);
    let done = log::file(path).and_then(|file| match figure(options, Name::Consumed)? {
        Some(number) => consume(&file, number),
        None => print(&file, options),
    });
    match done {
        Ok(well) => u8::from(!well),
        Err(error) => {
            say("").printable(path.to_bytes()).text(": ").error(error);
            1
        }
    }
}

/// A number of an option.
fn figure(options: &Options, name: Name) -> Result<Option<u64>, Errno> {
    let figure = |value: &core::ffi::CStr| number(value.to_bytes()).ok_or(Errno::INVALID);
    options.value(name).map(figure).transpose()
}

/// Prints the log. Gives whether all of it are records.
fn print(file: &log::Path, options: &Options) -> Result<bool, Errno> {
    let from = figure(options, Name::From)?.unwrap_or(0);
    let mut printer = Printer::new(options.has(Name::Json), from);
    let mut buffer = [0; MAX_FRAME];
    Follow::new(file, options.has(Name::Follow)).read(&mut printer, &mut buffer)?;
    Ok(!printer.damaged)
}

/// The alerts up to this number are not needed any more.
fn consume(file: &log::Path, number: u64) -> Result<bool, Errno> {
    let mut buffer = [0; MAX_FRAME];
    let last = log::last_number(file, &mut buffer);
    if number > last {
        say("there is no such alert yet; the last one is ").number(last);
        return Ok(false);
    }
    // Who says less than was said before is late.
    let before = log::consumed(file);
    if number > before || before > last {
        log::set_consumed(file, number)?;
    }
    log::remove_consumed(file, &mut buffer);
    Ok(true)
}
