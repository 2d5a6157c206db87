//! What is installed on devices, as far as it can be tried without booting one. (`machines` boots the Debian package, and the init script
//! of Buildroot and Yocto.)

#[path = "packages/container.rs"]
mod container;
#[path = "packages/debian.rs"]
mod debian;
#[path = "packages/recipes.rs"]
mod recipes;
#[path = "packages/reproducible.rs"]
mod reproducible;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use peewit_tests::missing;

/// The checkout.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a program in the checkout and gives what it said, on both channels; `None` if it is not installed. It has to succeed.
#[track_caller]
fn run<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Option<String> {
    let output = Command::new(name)
        .args(arguments)
        .current_dir(checkout())
        .output();
    let Ok(output) = output else {
        missing(&format!("{name} is not installed"));
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{name}: {}\n{said}", output.status);
    Some(said)
}
