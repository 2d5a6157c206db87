//! The exceptions of this device: `peewit_core::exception` and the file that they are in.

use core::ffi::CStr;

use peewit_core::event::Reading;
use peewit_core::exception::{self, Doubt, Summary, Wrong};
use peewit_core::field::{Field, FieldSet};
use peewit_core::glob;
use peewit_core::pack::Pack;

use crate::file::{Error, File};
use crate::options::{Name, Told};
use crate::subject::Subject;
use crate::sys::Errno;
use crate::texts::Text;

/// Where they are looked for if nobody says otherwise.
pub const DEFAULT: &CStr = c"/etc/peewit/exceptions";

/// A text of exceptions that was looked at.
#[derive(Debug)]
pub struct Exceptions {
    /// `None`: there are none.
    text: Option<File>,
    /// What they ask for.
    pub fields: FieldSet,
}

impl Exceptions {
    /// None. All zero.
    pub const NONE: Self = Self {
        text: None,
        fields: FieldSet::EMPTY,
    };

    /// Whether one holds for an event that a rule holds for.
    #[inline(never)]
    pub fn except(&self, rule: &[u8], subject: &Subject<'_>) -> bool {
        let text = self.text.as_ref();
        text.is_some_and(|text| exception::excepts(text.as_bytes(), rule, subject))
    }
}

/// Reads what exceptions ask for of an event that a rule holds for.
#[inline(never)]
pub fn read(fields: FieldSet, subject: &mut Subject<'_>) {
    let fields = Field::ALL.iter().filter(|field| fields.contains(**field));
    subject.read_keys(fields.copied());
}

const fn text(wrong: Wrong) -> Text {
    match wrong {
        Wrong::Field => Text::UnknownField,
        Wrong::Absent => Text::AbsentField,
        Wrong::Colon => Text::MissingColon,
        Wrong::Value => Text::MissingValue,
        Wrong::Quote => Text::MissingQuote,
        Wrong::Special => Text::SpecialCharacter,
        Wrong::And => Text::OnlyAnd,
        Wrong::Number => Text::OnlyNumbers,
        Wrong::TooLong => Text::TooLongAValue,
        Wrong::TooMany => Text::TooManyExceptions,
        Wrong::NoText => Text::NoText,
    }
}

/// What is odd, as if it were a mistake.
pub const fn doubt((line, doubt): (u32, Doubt)) -> Error {
    let text = match doubt {
        Doubt::Everything => Text::ExceptsEverything,
        Doubt::Never => Text::ExceptsNothing,
        Doubt::NoRule => Text::ExceptsNoRule,
    };
    Error::Mistake(line, 1, text)
}

/// Where the file is.
pub fn path<'a>(told: &Told<'a>) -> &'a CStr {
    told.value(Name::Exceptions).unwrap_or(DEFAULT)
}

/// Reads the file, and says what was found in it. Where nobody named one it need not be there.
///
/// # Errors
/// What is wrong with it.
#[inline(never)]
pub fn load(told: &Told<'_>, pack: &Pack<'_>) -> Result<(Exceptions, Summary), Error> {
    // One byte more, for it to be said where there are too many.
    let text = match File::read(path(told), exception::MAX_TEXT + 1) {
        Err(Errno::NOT_FOUND) if !told.has(Name::Exceptions) => {
            return Ok((Exceptions::NONE, Summary::default()));
        }
        text => text.map_err(Error::Unreadable)?,
    };
    let mut has_rule = |pattern: &[u8]| {
        pack.rules()
            .any(|rule| glob::matches(pattern, rule.id.text(&mut [0; _]), Reading::default()))
    };
    let summary = exception::check(text.as_bytes(), &mut has_rule);
    let summary = summary.map_err(|mistake| {
        Error::Mistake(mistake.line, mistake.column, self::text(mistake.wrong))
    })?;
    let exceptions = Exceptions {
        text: Some(text).filter(|_| summary.count > 0),
        fields: summary.fields,
    };
    Ok((exceptions, summary))
}
