//! Compiles the rules that ship with peewit to the pack that is built into the sensor, and squeezes its texts.

mod squeeze;
mod texts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use peewit_compiler::assemble;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;

/// The build number of the pack: raised with each release whose rules differ.
const BUILD: u32 = 1;

/// What the sensor says at length.
const TEXTS: &str = "texts.txt";

fn main() -> ExitCode {
    let rules = PathBuf::from("../rules");
    println!("cargo::rerun-if-changed={}", rules.display());
    println!("cargo::rerun-if-changed={TEXTS}");
    without_unwinding();
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    if let Err(error) = texts::write(Path::new(TEXTS), &out) {
        return fail(&format!("{TEXTS}: {error}"));
    }
    let out = out.join("default.pack");
    match compile(&rules) {
        Ok(pack) => match write(&pack, &out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("{}: {error}", out.display())),
        },
        Err(error) => fail(&error),
    }
}

/// Writes the pack in a shorter form, its length in front.
fn write(pack: &[u8], out: &Path) -> io::Result<()> {
    let length = u32::try_from(pack.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(squeeze::squeeze(pack));
    fs::write(out, bytes)
}

/// A panic ends the sensor: nobody unwinds its stack, and the tables for it would be an eighth of the binary. Only the
/// linker can leave out those of the precompiled libraries.
fn without_unwinding() {
    println!("cargo::rerun-if-changed=link.ld");
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "musl") {
        let script = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .unwrap_or_default()
            .join("link.ld");
        println!("cargo::rustc-link-arg-bins=--strip-all");
        println!("cargo::rustc-link-arg-bins=-znosectionheader");
        // `peewit::entry` begins, not the C library: nothing of it but what copies and compares memory.
        println!("cargo::rustc-link-arg-bins=--entry=peewit_start");
        // Functions of the same code are one.
        println!("cargo::rustc-link-arg-bins=--icf=all");
        println!("cargo::rustc-link-arg-bins=--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=--build-id=none");
        println!("cargo::rustc-link-arg-bins={}", script.display());
    }
}

fn fail(error: &str) -> ExitCode {
    for line in error.lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

/// The rules of the folder itself: those in folders below it are for other packs.
fn compile(rules: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: io::Error| format!("{}: {error}", rules.display());
    let entries = fs::read_dir(rules).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(fail)?.into_iter();
    let paths = entries.map(|entry| entry.path());
    let files: Vec<_> = paths
        .filter(|path| path.is_file() && path.extension().is_none_or(|kind| kind != "ndjson"))
        .collect();
    let sources = Sources::read(&files, &Mapping::default());
    if let Some(refused) = sources.refused.first() {
        return Err(refused.diagnostic.to_string());
    }
    let rules: Vec<_> = sources.rules.into_iter().map(|(_, rule)| rule).collect();
    assemble(&rules, BUILD).map_err(|error| error.to_string())
}
