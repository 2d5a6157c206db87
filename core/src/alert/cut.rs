//! Bounds what an alert copies.

use super::{PATH_LIMIT, Path, TEXT_LIMIT};

/// Cuts copies, and remembers whether it had to.
#[derive(Default)]
pub(super) struct Cut {
    /// Something was longer than its limit.
    pub(super) happened: bool,
}

impl Cut {
    /// The first `limit` bytes.
    pub(super) fn bytes<'a>(&mut self, bytes: &'a [u8], limit: usize) -> &'a [u8] {
        match bytes.get(..limit) {
            Some(head) if bytes.len() > limit => {
                self.happened = true;
                head
            }
            _ => bytes,
        }
    }

    /// See [`cut_text`].
    pub(super) fn text<'a>(&mut self, text: &'a str) -> &'a str {
        let kept = cut_text(text);
        self.happened |= kept.len() < text.len();
        kept
    }

    /// Each piece on its own.
    pub(super) fn path<'a>(&mut self, path: Path<'a>) -> Path<'a> {
        let directory = cut_directory(path.directory, PATH_LIMIT);
        self.happened |= directory.len() < path.directory.len();
        Path {
            directory,
            name: self.bytes(path.name, PATH_LIMIT),
        }
    }
}

/// The characters of `text` that fit into [`TEXT_LIMIT`] bytes.
pub(super) fn cut_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_LIMIT))
        .unwrap_or(text)
}

/// The first components of a directory, slash included, that fit into `limit` bytes.
fn cut_directory(directory: &[u8], limit: usize) -> &[u8] {
    match directory.get(..limit) {
        Some(head) if directory.len() > limit => {
            match head.iter().rposition(|&byte| byte == b'/') {
                Some(slash) => &head[..=slash],
                None => b"",
            }
        }
        _ => directory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_cut_at_a_slash() {
        assert_eq!(cut_directory(b"/ab/cd/", 8), b"/ab/cd/");
        assert_eq!(cut_directory(b"/ab/cd/", 7), b"/ab/cd/");
        assert_eq!(cut_directory(b"/ab/cd", 6), b"/ab/cd");
        assert_eq!(cut_directory(b"/ab/cd/", 6), b"/ab/");
        assert_eq!(cut_directory(b"/ab/cd/", 3), b"/");
        assert_eq!(cut_directory(b"ab/cd/", 2), b"");
    }
}
