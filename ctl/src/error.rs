//! What ends a command.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a command failed, ready to be printed.
#[derive(Debug)]
pub struct Error {
    message: String,
    broken_pipe: bool,
}

impl Error {
    /// An error in words.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: format!("error: {message}"),
            broken_pipe: false,
        }
    }

    /// An error whose text says `error:` itself.
    pub fn whole(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            broken_pipe: false,
        }
    }

    /// An error of a file.
    pub fn file(path: &Path, error: impl fmt::Display) -> Self {
        Self::new(format_args!("{}: {error}", path.display()))
    }

    /// An error of the standard output.
    pub fn output(error: &io::Error) -> Self {
        Self {
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::new(format_args!("standard output: {error}"))
        }
    }

    /// Whether it says only that nobody reads the output any more.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
