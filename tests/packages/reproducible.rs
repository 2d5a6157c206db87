//! The same source gives the same bytes, wherever it is built.

use std::fs;
use std::path::Path;
use std::process::Command;

use peewit_tests::{TARGETS, ctl, program};

use crate::{checkout, run};

/// The form in which a pack stands in the sensor.
#[path = "../../sensor/build/squeeze.rs"]
mod squeeze;

/// In a folder whose name has a space.
#[test]
fn another_folder_gives_the_same_binaries() {
    let folder = tempfile::Builder::new()
        .prefix("another folder ")
        .tempdir()
        .expect("a folder");
    let copy = "git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -C \"$1\" -xf -";
    let folder_name = folder.path().as_os_str();
    if run(
        "sh",
        &["-ec".as_ref(), copy.as_ref(), "sh".as_ref(), folder_name],
    )
    .is_none()
    {
        return;
    }
    // What was fetched for armv7 is taken from here.
    let debian = checkout().join("target/debian");
    if debian.exists() {
        fs::create_dir(folder.path().join("target")).expect("a folder");
        std::os::unix::fs::symlink(
            debian.canonicalize().expect("it is there"),
            folder.path().join("target/debian"),
        )
        .expect("a link");
    }
    for target in TARGETS {
        let Some(here) = program(&format!("{target}/release/peewit")) else {
            continue;
        };
        let output = Command::new(folder.path().join("targets/build"))
            .arg(target)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let there = folder
            .path()
            .join(format!("target/{target}/release/peewit"));
        assert!(
            fs::read(here).expect("it is built") == fs::read(there).expect("it is built"),
            "{target}"
        );
    }
}

/// One pack is in all of them: what the workstation's tool makes of the rules in rules/, without those in folders below it.
#[test]
fn all_targets_hold_the_same_pack() {
    let Some(ctl) = ctl() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pack");
    let ctl = ctl.to_str().expect("UTF-8").to_owned();
    let output = path.to_str().expect("UTF-8");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let files = fs::read_dir(rules).expect("a folder");
    let files = files.map(|entry| entry.expect("an entry").path());
    let rules: Vec<String> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|file| file.to_str().expect("UTF-8").to_owned())
        .collect();
    let mut arguments = vec!["compile", "--build", "1", "-o", output];
    arguments.extend(rules.iter().map(String::as_str));
    run(&ctl, &arguments);
    let pack = squeeze::squeeze(&fs::read(path).expect("it was written"));
    for target in TARGETS {
        let Some(binary) = program(&format!("{target}/release/peewit")) else {
            continue;
        };
        let binary = fs::read(binary).expect("it is built");
        let holds = binary.windows(pack.len()).any(|part| part == pack);
        assert!(holds, "{target}");
    }
}

/// The report by crate and module accounts for all code, and a comparison with itself finds nothing.
#[test]
fn sizes_are_told_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let saved = folder.path().join("sizes");
    let saved = saved.to_str().expect("UTF-8");
    for target in TARGETS {
        if program(&format!("{target}/release/peewit.map")).is_none() {
            continue;
        }
        let sizes = |options: &[&str]| {
            run("targets/sizes", &[&[target], options].concat()).expect("it is there")
        };
        sizes(&["--save", saved]);
        assert_eq!(sizes(&["--compare", saved]).trim(), "+0 in all");
        let report = sizes(&[]);
        let bytes = |row: &str| -> u64 {
            let figure = row.split_whitespace().next().expect("a figure");
            figure.parse().expect("a number")
        };
        let code: u64 = report
            .lines()
            .filter(|row| !row.ends_with("(bss)"))
            .map(bytes)
            .sum();
        let sections = sizes(&["--sections"]);
        let text: u64 = sections
            .split(", ")
            .filter_map(|section| section.strip_prefix(".text"))
            .filter_map(|section| section.rsplit(' ').next())
            .map(bytes)
            .sum();
        assert!(
            text > 0 && code > text && code < text * 13 / 10,
            "{code}, {sections}"
        );
        assert!(report.contains(" peewit_core::engine\n"), "{report}");
    }
}
