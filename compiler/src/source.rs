//! Rule files and folders.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::assemble::assemble;
use crate::diagnostic::{Diagnostic, Located};
use crate::estimate::Never;
use crate::rule::Rule;
use crate::sigma::mapping::Mapping;
use crate::{elastic, sigma};

/// What came of a number of files.
#[derive(Debug, Default)]
pub struct Sources {
    /// The rules, each with its file, in the order of their ids.
    pub rules: Vec<(PathBuf, Rule)>,
    /// What gave no rule, in the order they were read.
    pub refused: Vec<Refused>,
}

/// A file, or one of the documents in it, that gave no rule.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub diagnostic: Diagnostic,
    /// Whether the file itself was asked for, not a folder that holds it.
    pub named: bool,
}

/// What a file's name says of its form.
#[derive(Clone, Copy)]
enum Format {
    Elastic,
    Sigma,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "toml" => Some(Self::Elastic),
            "yml" | "yaml" => Some(Self::Sigma),
            _ => None,
        }
    }
}

impl Sources {
    /// Reads rule files, and those of folders and of the folders in them: Elastic's `.toml`, Sigma's `.yml` and
    /// `.yaml`. `mapping` says what Sigma's fields are.
    ///
    /// The order of `paths` does not matter to the pack that comes of it: rules are ordered by id.
    pub fn read(paths: &[impl AsRef<Path>], mapping: &Mapping) -> Self {
        let mut sources = Self::default();
        for path in paths {
            sources.read_path(path.as_ref(), mapping);
        }
        sources
            .rules
            .sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        sources
    }

    fn read_path(&mut self, path: &Path, mapping: &Mapping) {
        if !path.is_dir() {
            return self.read_file(path, true, mapping);
        }
        // Not followed: a link back to a folder above would be read for ever.
        let mut folders = vec![path.to_path_buf()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    self.refuse(
                        &folder,
                        String::new(),
                        Located::new(0..0, error.to_string()),
                        true,
                    );
                    continue;
                }
            };
            for entry in entries {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ if Format::of(&entry.path()).is_some() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        files.sort();
        for file in &files {
            self.read_file(file, false, mapping);
        }
    }

    fn read_file(&mut self, path: &Path, named: bool, mapping: &Mapping) {
        let text = match fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    return self.refuse(path, text, Located::new(at..at + 1, "not UTF-8"), named);
                }
            },
            Err(error) => {
                return self.refuse(
                    path,
                    String::new(),
                    Located::new(0..0, error.to_string()),
                    named,
                );
            }
        };
        let rules = match Format::of(path) {
            Some(Format::Sigma) => sigma::parse(&text, mapping),
            _ => vec![elastic::parse(&text)],
        };
        for rule in rules {
            let error = match rule {
                Ok(rule) => match self.rules.iter().find(|(_, other)| other.id == rule.id) {
                    Some((other, _)) => {
                        let message = format!(
                            "the id {} is that of a rule in {} too",
                            rule.id,
                            other.display()
                        );
                        let at = text.find(&rule.id).unwrap_or(0);
                        Located::new(at..at + rule.id.len(), message)
                    }
                    // One that a pack has no room for would refuse all others too.
                    None => match assemble(std::slice::from_ref(&rule), 0) {
                        Ok(_) => {
                            self.rules.push((path.to_path_buf(), rule));
                            continue;
                        }
                        Err(error) => Located::new(0..0, error.to_string()),
                    },
                },
                Err(error) => error,
            };
            self.refuse(path, text.clone(), error, named);
        }
    }

    fn refuse(&mut self, path: &Path, text: String, error: Located, named: bool) {
        let diagnostic = Diagnostic {
            path: path.to_path_buf(),
            text,
            error,
        };
        self.refused.push(Refused { diagnostic, named });
    }

    /// Rules that no event of a device makes hold, each with the reason.
    pub fn never_on_a_device(&self) -> impl Iterator<Item = (&Path, &Rule, Never)> {
        self.rules
            .iter()
            .filter_map(|(path, rule)| Some((path.as_path(), rule, Never::of(rule)?)))
    }
}
