//! Reading a log from its oldest segment on, while it may be written.

use peewit_core::frame::Frames;

use super::printer::Printer;
use crate::log::{self, Path};
use crate::sys::{Errno, Fd, Identity, OpenMode, identity, identity_by, open, sleep_ms};

/// How often a followed log is looked at.
const INTERVAL_MS: u64 = 200;

/// Reads a log.
pub(super) struct Follow<'p> {
    path: &'p Path,
    /// Goes on with what is still to come.
    follow: bool,
    /// The last segment that was read.
    done: u64,
    /// The file that is written was read up to here.
    held: Option<Held>,
}

/// The file that is written, as far as it was read.
struct Held {
    fd: Fd,
    identity: Identity,
    at: u64,
}

impl<'p> Follow<'p> {
    pub(super) const fn new(path: &'p Path, follow: bool) -> Self {
        Self {
            path,
            follow,
            done: 0,
            held: None,
        }
    }

    /// Hands all of it to the printer.
    ///
    /// # Errors
    /// Those of open(2) and read(2), and of the output's write(2).
    pub(super) fn read(&mut self, printer: &mut Printer, buffer: &mut [u8]) -> Result<(), Errno> {
        loop {
            let more = self.step(printer, buffer)?;
            if more {
                continue;
            }
            printer.out.flush()?;
            if !self.follow {
                return Ok(());
            }
            sleep_ms(INTERVAL_MS);
        }
    }

    /// Reads what is there. Gives whether there is more by now.
    #[inline(never)]
    fn step(&mut self, printer: &mut Printer, buffer: &mut [u8]) -> Result<bool, Errno> {
        // One that was begun is read to its end first: it may have become a segment, or be gone.
        if let Some(held) = &mut self.held {
            let last = !self.follow;
            held.at = read_on(&held.fd, held.at, self.path, printer, buffer, last)?;
            if identity_by(self.path.as_c_str()) == Ok(held.identity) {
                return Ok(false);
            }
        }
        // What was written between the look at it and its new name.
        let before = self.held.take();
        loop {
            let number = log::survey(self.path, self.done).next;
            if number == 0 {
                break;
            }
            self.done = number;
            let segment = log::segment(self.path, number)?;
            let (fd, from) = match open(segment.as_c_str(), OpenMode::Read) {
                Ok(fd) => match &before {
                    Some(held) if identity(&fd)? == held.identity => (fd, held.at),
                    _ => (fd, 0),
                },
                // Removed meanwhile.
                Err(Errno::NOT_FOUND) => continue,
                Err(error) => return Err(error),
            };
            read_on(&fd, from, &segment, printer, buffer, true)?;
        }
        let fd = match open(self.path.as_c_str(), OpenMode::Read) {
            Ok(fd) => fd,
            // Not made yet, or just renamed.
            Err(Errno::NOT_FOUND) if self.follow => return Ok(false),
            Err(Errno::NOT_FOUND) if self.done > 0 => return Ok(false),
            Err(error) => return Err(error),
        };
        if log::survey(self.path, self.done).next == 0 {
            let identity = identity(&fd)?;
            self.held = Some(Held {
                fd,
                identity,
                at: 0,
            });
        }
        Ok(true)
    }
}

/// Reads on in a file from a place, and gives how far. Half a frame at its end is left for later, unless this is the end (`last`).
#[inline(never)]
fn read_on(
    fd: &Fd,
    from: u64,
    path: &Path,
    printer: &mut Printer,
    buffer: &mut [u8],
    last: bool,
) -> Result<u64, Errno> {
    // It was cut, or emptied by another program.
    let from = match fd.seek_to_end() {
        Ok(end) if end < from => {
            printer.again();
            0
        }
        _ => from,
    };
    // A pipe is read as it comes.
    let _ = fd.seek_to(from);
    let mut frames = Frames::new(buffer);
    let mut piece = [0; 1024];
    let mut end = from;
    loop {
        let read = fd.read(&mut piece)?;
        end += read as u64;
        let mut input = piece.get(..read).unwrap_or(&[]);
        while let Some(item) = frames.next(&mut input) {
            printer.item(&item, from, path.as_bytes());
        }
        if read == 0 {
            break;
        }
    }
    if !last {
        return Ok(from + frames.restart());
    }
    if let Some(item) = frames.finish() {
        printer.item(&item, from, path.as_bytes());
    }
    Ok(end)
}
