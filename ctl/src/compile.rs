//! `peewitctl compile`

mod select;
mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};

use peewit_compiler::assemble;
use peewit_core::pack::Pack;

use crate::error::Error;
use crate::rules;
use select::Select;
use summary::Summary;

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
    /// The pack's build number: devices refuse to go back to a smaller one (default: the time in seconds since 1970, or
    /// SOURCE_DATE_EPOCH)
    #[arg(long, value_name = "NUMBER")]
    build: Option<u32>,
    /// Take only rules with this tag or ATT&CK id (tag:T1059), of this level or a higher one (level:high), with this id
    /// (id:ID). Of several choices of one kind one is enough; all kinds have to agree
    #[arg(long, value_name = "CHOICE")]
    select: Vec<Select>,
    /// Which fields Sigma's names stand for: a TOML file in place of the built-in table
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
    /// Fail if the pack is larger
    #[arg(long, value_name = "BYTES")]
    max_pack: Option<usize>,
}

/// The time, or what is to be taken for it where the same sources are to give the same bytes.
fn now() -> u32 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let given = given.and_then(|seconds| seconds.parse().ok());
    given.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        })
    })
}

pub fn run(options: &Options) -> Result<(), Error> {
    let mut sources = rules::sources(&options.rules, &rules::mapping(options.fields.as_ref())?)?;
    sources
        .rules
        .retain(|(_, rule)| select::chosen(&options.select, rule));
    if sources.rules.is_empty() {
        return Err(Error::new("--select: no rule is left"));
    }
    let mut never = 0;
    for (path, rule, why) in sources.never_on_a_device() {
        never += 1;
        eprintln!(
            "never on a device: {}: {} ({}) {why}",
            path.display(),
            rule.name,
            rule.id,
        );
    }
    let refused = sources.refused.len();
    if options.strict && refused + never > 0 {
        return Err(Error::new(format_args!(
            "--strict: {refused} not taken, {never} that can never match on a device; nothing was written"
        )));
    }
    let rules: Vec<_> = sources.rules.iter().map(|(_, rule)| rule.clone()).collect();
    let bytes = assemble(&rules, options.build.unwrap_or_else(now)).map_err(Error::new)?;
    if let Some(most) = options.max_pack.filter(|&most| bytes.len() > most) {
        return Err(Error::new(format_args!(
            "--max-pack: the pack has {} bytes, {most} are allowed; nothing was written",
            bytes.len()
        )));
    }
    let pack = Pack::parse(&bytes).map_err(Error::new)?;
    let summary = Summary::new(&rules, &bytes, &pack);
    write_whole(&options.output, &bytes)?;
    let (path, count, bytes) = (options.output.display(), rules.len(), bytes.len());
    eprintln!("{path}: {count} rules, {bytes} bytes\n{summary}");
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
