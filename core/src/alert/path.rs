//! A path in two pieces.

/// A path split behind its last slash.
///
/// Processes that have to do with each other often lie in the same directory, and a base
/// name is worth more than the directories before it: so an alert says a shared directory
/// once, and bounds both pieces on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'a> {
    /// Up to and including the last slash; empty if there is none.
    pub directory: &'a [u8],
    /// The base name.
    pub name: &'a [u8],
}

impl<'a> Path<'a> {
    /// Splits a path.
    pub fn new(path: &'a [u8]) -> Self {
        let name = crate::event::base_name(path);
        let (directory, name) = path.split_at(path.len() - name.len());
        Self { directory, name }
    }

    /// The path again.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + Clone + 'a {
        self.directory.iter().chain(self.name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_behind_its_last_slash() {
        for (path, directory, name) in [
            (&b"/usr/bin/id"[..], &b"/usr/bin/"[..], &b"id"[..]),
            (b"id", b"", b"id"),
            (b"/", b"/", b""),
            (b"", b"", b""),
            (b"/memfd:a/b", b"/memfd:a/", b"b"),
        ] {
            let split = Path::new(path);
            assert_eq!(split, Path { directory, name });
            assert!(split.bytes().eq(path.iter().copied()));
        }
    }
}
