//! What other systems build from: as far as it can be checked without them.

use std::fs;
use std::path::PathBuf;

use peewit_tests::program;

use crate::{checkout, run};

/// All files below `targets` and `tests` that a shell reads.
const SCRIPTS: [&str; 16] = [
    "targets/build",
    "targets/run",
    "targets/sizes",
    "targets/unpack",
    "targets/packages/deb",
    "targets/packages/oci",
    "targets/packages/alpine/APKBUILD",
    "targets/packages/alpine/peewit.initd",
    "targets/packages/debian/postinst",
    "targets/packages/debian/postrm",
    "targets/packages/debian/prerm",
    "targets/packages/init/peewit.init",
    "targets/packages/openwrt/peewit/files/peewit.init",
    "targets/packages/yocto/crates",
    "tests/machines/fetch",
    "tests/run",
];

#[test]
fn scripts_are_linted() {
    // Variables of an APKBUILD are its reader's.
    let options = ["--shell=dash", "--exclude=SC2034,SC2154"];
    run("shellcheck", &[&options[..], &SCRIPTS].concat());
}

#[test]
fn the_recipe_has_the_crates_of_the_lock_file() {
    let made = run::<&str>("targets/packages/yocto/crates", &[]);
    let path = checkout().join("targets/packages/yocto/recipes-security/peewit/peewit-crates.inc");
    let kept = fs::read_to_string(path).expect("the recipe's list");
    assert!(
        made.as_deref() == Some(&kept),
        "targets/packages/yocto/crates makes it anew"
    );
}

#[test]
fn all_packages_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (path, line) in [
        ("alpine/APKBUILD", format!("pkgver={version}\n")),
        (
            "buildroot/package/peewit/peewit.mk",
            format!("PEEWIT_VERSION = {version}\n"),
        ),
        ("debian/changelog", format!("peewit ({version}-1) ")),
        (
            "openwrt/peewit/Makefile",
            format!("PKG_VERSION:={version}\n"),
        ),
    ] {
        let path = checkout().join("targets/packages").join(path);
        let text = fs::read_to_string(&path).expect("the recipe");
        assert!(text.contains(&line), "{line} in {}", path.display());
    }
    let recipe = format!("targets/packages/yocto/recipes-security/peewit/peewit_{version}.bb");
    assert!(checkout().join(&recipe).exists(), "{recipe}");
}

/// Debian's kernels, on which each source works, have what the fragments ask for.
#[test]
fn kernels_that_work_have_what_the_fragments_ask_for() {
    let fragments: Vec<PathBuf> = fs::read_dir(checkout().join("targets/packages/kernel"))
        .expect("fragments")
        .map(|entry| entry.expect("a fragment").path())
        .collect();
    assert_eq!(fragments.len(), 3);
    for machine in ["x86_64", "aarch64", "armv7"] {
        let Some(config) = program(&format!("machines/{machine}/config")) else {
            return;
        };
        let config = fs::read_to_string(config).expect("a kernel's configuration");
        for fragment in &fragments {
            let text = fs::read_to_string(fragment).expect("a fragment");
            for option in text.lines().filter(|line| line.starts_with("CONFIG_")) {
                // The plain tracers are there in the place of these where the others are not.
                let met = config.lines().any(|line| line == option)
                    || option == "CONFIG_ENABLE_DEFAULT_TRACERS=y"
                        && config.contains("\nCONFIG_EVENT_TRACING=y\n");
                assert!(met, "{machine}: {option} of {}", fragment.display());
            }
        }
    }
}

/// procd's functions and those of its configuration, which say what they were told.
const PROCD: &str = r#"
config_load() { echo "load $1"; }
config_get() { eval "$1=\${option_$3:-}"; }
config_get_bool() { eval "$1=\${option_$3:-$4}"; }
procd_open_instance() { echo open; }
procd_set_param() { echo "set $*"; }
procd_append_param() { echo "append $*"; }
procd_close_instance() { echo close; }
option_alerts=/mnt/alerts/
. targets/packages/openwrt/peewit/files/peewit.init
start_service
option_enabled=0
start_service
"#;

#[test]
fn procd_is_told_what_is_configured() {
    let Some(said) = run("sh", &["-euc", PROCD]) else {
        return;
    };
    let expected = [
        "load peewit",
        "open",
        "set command /usr/sbin/peewit run",
        "append command --alerts /mnt/alerts/",
        "set respawn 3600 5 0",
        "set stderr 1",
        "set file /etc/peewit/rules.pack",
        "close",
        "load peewit",
    ];
    assert!(said.lines().eq(expected), "{said}");
}
