//! Every public rule for Linux processes compiles. The rules are not part of the project: `PEEWIT_CORPORA` names a
//! folder that has them.

use std::path::PathBuf;

use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;

/// The folder of a collection; without it the test is skipped, and fails in CI.
fn collection(name: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("PEEWIT_CORPORA").map(|corpora| PathBuf::from(corpora).join(name));
    if folder.as_ref().is_some_and(|folder| folder.is_dir()) {
        return folder;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "PEEWIT_CORPORA names no folder of rules"
    );
    eprintln!("skipped: PEEWIT_CORPORA is not set: it names a folder of public rules");
    None
}

fn all_compile(name: &str, count: usize) {
    let Some(folder) = collection(name) else {
        return;
    };
    let sources = Sources::read(&[folder], &Mapping::default());
    let refused: Vec<String> = sources
        .refused
        .iter()
        .map(|refused| refused.diagnostic.line())
        .collect();
    assert!(
        refused.is_empty(),
        "{} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    assert_eq!(sources.rules.len(), count);
}

#[test]
fn all_of_elastic() {
    all_compile("elastic", 256);
}

#[test]
fn all_of_sigma() {
    all_compile("sigma", 144);
}
