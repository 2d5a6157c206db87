//! By which path the program of an event was invoked: read at most once, and only if somebody asks.

use peewit_core::field::Field;
use peewit_core::pack::Pack;

/// Room for reading it: half for what was handed to the kernel, half for the absolute path. A longer one is lost.
pub const ROOM: usize = 1024;

/// What is known of it.
#[derive(Debug)]
pub enum Invoked<'a> {
    /// Nothing yet.
    Unread {
        /// Where it goes.
        room: &'a mut [u8],
        /// The program has not run yet.
        stands: bool,
    },
    /// The path, absolute.
    Known(&'a [u8]),
    /// It could not be read.
    Lost,
}

impl<'a> Invoked<'a> {
    /// As it was kept.
    pub fn kept(path: Option<&'a [u8]>) -> Self {
        path.map_or(Self::Lost, Self::Known)
    }

    /// The path, if it is known.
    pub const fn path(&self) -> Option<&'a [u8]> {
        match self {
            Self::Known(path) => Some(path),
            _ => None,
        }
    }
}

/// Whether alerts or state of some rule are told apart by it: only then it is kept with each process.
pub fn is_key(pack: &Pack<'_>) -> bool {
    pack.rules()
        .any(|rule| rule.keys.iter().any(Field::is_invoked))
}
