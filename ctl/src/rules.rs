//! Rules from the command line: rule files and folders, or a pack.

use std::fs;
use std::path::{Path, PathBuf};

use peewit_compiler::assemble;
use peewit_compiler::diagnostic::Diagnostic;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::pack::MAGIC;

use crate::error::Error;

/// The fields that Sigma's names stand for: those of a mapping file, or the usual ones.
pub fn mapping(path: Option<&PathBuf>) -> Result<Mapping, Error> {
    let Some(path) = path else {
        return Ok(Mapping::default());
    };
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    Mapping::parse(&text).map_err(|error| {
        Error::whole(Diagnostic {
            path: path.clone(),
            text,
            error,
        })
    })
}

/// Reads rule files and folders. A file that was named itself has to be a rule; in a folder, others are
/// reported on standard error, one a line, and passed over.
pub fn sources(paths: &[PathBuf], mapping: &Mapping) -> Result<Sources, Error> {
    let sources = Sources::read(paths, mapping);
    if let Some(refused) = sources.refused.iter().find(|refused| refused.named) {
        return Err(Error::whole(&refused.diagnostic));
    }
    for refused in &sources.refused {
        eprintln!("not taken: {}", refused.diagnostic.line());
    }
    if sources.rules.is_empty() {
        return Err(Error::new("no rules: nothing to compile"));
    }
    Ok(sources)
}

/// The bytes of a pack, be it given as one or as rules.
pub fn load(paths: &[PathBuf], mapping: &Mapping) -> Result<Vec<u8>, Error> {
    if let [path] = paths
        && let Some(pack) = read_pack(path)?
    {
        return Ok(pack);
    }
    let rules: Vec<_> = sources(paths, mapping)?
        .rules
        .into_iter()
        .map(|(_, rule)| rule)
        .collect();
    assemble(&rules, 0).map_err(Error::new)
}

/// The bytes of a file that begins as a pack does.
fn read_pack(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if path.is_dir()
        || path.extension().is_some_and(|extension| {
            ["toml", "yml", "yaml"]
                .iter()
                .any(|known| extension == *known)
        })
    {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    Ok(bytes.starts_with(&MAGIC).then_some(bytes))
}
