//! The exceptions of this device: `peewit_core::exception` and the file that they are in.

use core::ffi::CStr;

use peewit_core::event::Reading;
use peewit_core::exception::{self, Doubt, Mistake, Summary, Wrong};
use peewit_core::field::{Field, FieldSet};
use peewit_core::glob;
use peewit_core::pack::Pack;

use crate::cli::{Name, Told};
use crate::config::place;
use crate::file::File;
use crate::subject::Subject;
use crate::sys::{Errno, Pair};
use crate::text::Out;

/// Where they are looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/exceptions";

/// Those in use. Replaced only by who has the lock of the state.
pub static EXCEPTIONS: Pair<Exceptions> = Pair::new();

/// A text of exceptions that was looked at.
#[derive(Debug)]
pub struct Exceptions {
    /// `None`: there are none.
    text: Option<File>,
    /// How many there are, and what they ask for.
    pub summary: Summary,
}

/// Why there are no exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file cannot be read.
    Unreadable(Errno),
    /// Something is wrong in it.
    Mistake(Mistake),
}

impl Error {
    /// Says it, with the path in front.
    #[inline(never)]
    pub fn tell<'o, 'f>(self, path: &CStr, out: &'o mut Out<'f>) -> &'o mut Out<'f> {
        let mistake = match self {
            Self::Unreadable(error) => {
                return out.printable(path.to_bytes()).text(": ").error(error);
            }
            Self::Mistake(mistake) => mistake,
        };
        place(out, path, mistake.line, mistake.column);
        out.text(match mistake.wrong {
            Wrong::Field => "there is no such field",
            Wrong::Absent => "no device has this field",
            Wrong::Colon => "a `:` is missing",
            Wrong::Value => "a value is missing",
            Wrong::Quote => "its closing quote is missing",
            Wrong::Special => "put the value in quotes, or a backslash in front of this",
            Wrong::And => "terms can only be joined by `and`",
            Wrong::Number => "the field takes a whole number",
            Wrong::TooLong => "too long a value",
            Wrong::TooMany => "too many exceptions",
            Wrong::NoText => "not text",
        })
    }
}

/// Says what is odd.
pub fn tell_doubt(path: &CStr, (line, doubt): (u32, Doubt), out: &mut Out<'_>) {
    place(out, path, line, 1);
    out.text(match doubt {
        Doubt::Everything => "this excepts every alert that has these fields",
        Doubt::Never => "this can never hold: one field, two values",
        Doubt::NoRule => "this can never hold: no rule has this id",
    });
}

/// Where the file is.
pub fn path<'a>(told: &Told<'a>) -> &'a CStr {
    told.value(Name::Exceptions).unwrap_or(DEFAULT)
}

/// Reads the file. Where nobody named one it need not be there.
///
/// # Errors
/// What is wrong with it.
#[inline(never)]
pub fn load(told: &Told<'_>, pack: &Pack<'_>) -> Result<Exceptions, Error> {
    let none = Exceptions {
        text: None,
        summary: Summary::default(),
    };
    // One byte more, for it to be said where there are too many.
    let text = match File::read(path(told), exception::MAX_TEXT + 1) {
        Err(Errno::NOT_FOUND) if !told.has(Name::Exceptions) => return Ok(none),
        text => text.map_err(Error::Unreadable)?,
    };
    let mut has_rule = |pattern: &[u8]| {
        pack.rules()
            .any(|rule| glob::matches(pattern, rule.id.as_bytes(), Reading::default()))
    };
    let summary = exception::check(text.as_bytes(), &mut has_rule).map_err(Error::Mistake)?;
    Ok(Exceptions {
        text: Some(text).filter(|_| summary.count > 0),
        summary,
    })
}

/// Reads what exceptions ask for of an event that a rule holds for.
pub fn read(subject: &mut Subject<'_>) {
    let fields = match EXCEPTIONS.hold() {
        Some(held) => held.summary.fields,
        None => FieldSet::EMPTY,
    };
    let fields = Field::ALL.iter().filter(|field| fields.contains(**field));
    subject.read_keys(fields.copied());
}

/// Whether an exception holds for an event that a rule holds for.
#[inline(never)]
pub fn except(rule: &str, subject: &Subject<'_>) -> bool {
    let Some(held) = EXCEPTIONS.hold() else {
        return false;
    };
    let text = held.text.as_ref();
    text.is_some_and(|text| exception::excepts(text.as_bytes(), rule.as_bytes(), subject))
}
