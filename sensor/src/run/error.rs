//! Why the sensor cannot watch.

use crate::options::{Name, Options};
use crate::problem::Problem;
use crate::sys::Errno;
use crate::text::say;
use crate::{exceptions, file, rules};

/// Why the sensor cannot watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// A call that never fails but for want of memory, or where it is forbidden.
    Start(Errno),
    /// The own child, for a proof.
    Child(Errno),
    Problem(Problem),
    Rules(rules::Error),
    Exceptions(file::Error),
    Events(Errno),
    Demo(Errno),
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::Start(error)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Error {
    /// Says it, with the file that the options name.
    pub(super) fn tell(self, options: &Options) {
        let mut line = say("");
        match self {
            Self::Exceptions(error) => error.tell(exceptions::path(options), &mut line),
            Self::Rules(error) => error.tell(rules::path(options), &mut line),
            Self::Start(error) => line.text("cannot start: ").error(error),
            Self::Child(error) => line.text("cannot start a child: ").error(error),
            Self::Problem(problem) => line
                .long(problem.text())
                .text("\n`peewit check` says what this kernel and these privileges allow"),
            Self::Events(error) => line
                .text("events ")
                .printable(
                    options
                        .value(Name::Events)
                        .map_or(b"", |path| path.to_bytes()),
                )
                .text(": ")
                .error(error),
            Self::Demo(error) => line.text("the demo cannot be played: ").error(error),
        };
    }
}
