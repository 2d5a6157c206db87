//! `peewitctl compile`

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::rules;

#[derive(clap::Args)]
pub struct Options {
    /// Rule files, and folders of them
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<PathBuf>,
    /// The pack to write
    #[arg(short, long, value_name = "PACK")]
    output: PathBuf,
    /// Fail if a rule was not taken or can never match on a device
    #[arg(long)]
    strict: bool,
    /// The pack's build number: devices refuse to go back to a smaller one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    build: u32,
}

pub fn run(options: &Options) -> Result<(), Error> {
    let loaded = rules::compile(&options.rules, options.build)?;
    let mut never = 0;
    for (path, rule, field) in loaded.sources.never_on_a_device() {
        never += 1;
        eprintln!(
            "never on a device: {}: {} ({}) needs {}",
            path.display(),
            rule.name,
            rule.id,
            field.name()
        );
    }
    let refused = loaded.sources.refused.len();
    if options.strict && refused + never > 0 {
        return Err(Error::new(format_args!(
            "--strict: {refused} not taken, {never} that can never match on a device; nothing was written"
        )));
    }
    write_whole(&options.output, &loaded.pack)?;
    eprintln!(
        "{}: {} rules, {} bytes",
        options.output.display(),
        loaded.sources.rules.len(),
        loaded.pack.len()
    );
    Ok(())
}

/// Writes a file whole or not at all: beside it first, then renamed.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || {
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|error| Error::file(path, error))
}
