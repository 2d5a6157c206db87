//! Rules from the command line: rule files and folders, or a pack.

use std::fs;
use std::path::{Path, PathBuf};

use peewit_compiler::assemble;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::pack::MAGIC;

use crate::error::Error;

/// Rules read from files, and what was said about the others.
pub struct Loaded {
    /// The files.
    pub sources: Sources,
    /// The pack of their rules.
    pub pack: Vec<u8>,
}

/// Compiles rule files and folders. A file that was named itself has to be a rule; in a folder, others are
/// reported on standard error, one a line, and passed over.
pub fn compile(paths: &[PathBuf], build: u32) -> Result<Loaded, Error> {
    let sources = Sources::read(paths, &Mapping::default());
    if let Some(refused) = sources.refused.iter().find(|refused| refused.named) {
        return Err(Error::whole(&refused.diagnostic));
    }
    for refused in &sources.refused {
        eprintln!("not taken: {}", refused.diagnostic.line());
    }
    if sources.rules.is_empty() {
        return Err(Error::new("no rules: nothing to compile"));
    }
    let rules: Vec<_> = sources.rules.iter().map(|(_, rule)| rule.clone()).collect();
    let pack = assemble(&rules, build).map_err(Error::new)?;
    Ok(Loaded { sources, pack })
}

/// The bytes of a pack, be it given as one or as rules.
pub fn load(paths: &[PathBuf]) -> Result<Vec<u8>, Error> {
    if let [path] = paths
        && let Some(pack) = read_pack(path)?
    {
        return Ok(pack);
    }
    Ok(compile(paths, 0)?.pack)
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
