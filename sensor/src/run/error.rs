//! Why the sensor cannot watch.

use crate::cli::{Name, Options};
use crate::problem::Problem;
use crate::rules;
use crate::sys::Errno;
use crate::text::say;

/// Why the sensor cannot watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// A call that never fails but for want of memory, or where it is forbidden.
    Start(Errno),
    /// The own child, for a proof.
    Child(Errno),
    Problem(Problem),
    Rules(rules::Error),
    Events(Errno),
    Demo(Errno),
    /// There is no such source, or a number is none.
    Option(Name),
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
        let path = |name| options.value(name).unwrap_or(rules::DEFAULT).to_bytes();
        match self {
            Self::Start(error) => say("cannot start: ").error(error),
            Self::Child(error) => say("cannot start a child: ").error(error),
            Self::Problem(problem) => say("")
                .long(problem.text())
                .text("\n`peewit check` says what this kernel and these privileges allow"),
            Self::Rules(error) => error.tell(say("rules ").printable(path(Name::Rules)).text(": ")),
            Self::Events(error) => say("events ")
                .printable(path(Name::Events))
                .text(": ")
                .error(error),
            Self::Option(name) => say("what is this? ").printable(path(name)),
            Self::Demo(error) => say("the demo cannot be played: ").error(error),
        };
    }
}
