//! The Debian package: linted by Debian's own tools, and in a chroot installed, upgraded, removed and purged.

use std::fs;

use peewit_tests::{alone, debian_packages, program, root};

use crate::run;

#[test]
fn packages_are_reproducible_and_clean() {
    let _turn = alone();
    let make = || run::<&str>("targets/packages/deb", &[]);
    let Some(said) = make() else { return };
    let made: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(made.len(), 3, "{said}");
    let sums = || run("sha256sum", &made);
    let first = sums();
    make();
    assert_eq!(first, sums());
    // As root it grumbles.
    let options = ["--allow-root", "--fail-on", "error,warning"];
    if let Some(said) = run("lintian", &[&options[..], &made].concat()) {
        assert_eq!(said.trim(), "");
    }
}

/// A package's life, and what the unit is worth by systemd's own tools.
const LIFE: &str = r#"
cd $1
chroot . dpkg -i /peewit.deb >/dev/null 2>&1
ls etc/systemd/system/sysinit.target.wants/peewit.service
chroot . dpkg --verify peewit
chroot . peewit --version
# Nobody here has its manual page's reader.
chroot . systemd-analyze verify --man=no /lib/systemd/system/peewit.service
chroot . systemd-analyze security --offline=true --threshold=32 --no-pager /lib/systemd/system/peewit.service | tail -n 1 | cut -c 4-
mkdir -p var/lib/peewit/alerts
echo '# mine' >>etc/default/peewit
chroot . dpkg -i /upgrade.deb >/dev/null
tail -n 1 etc/default/peewit
chroot . dpkg -r peewit >/dev/null
ls -d etc/default/peewit var/lib/peewit usr/sbin/peewit 2>/dev/null || true
chroot . dpkg -P peewit >/dev/null
find etc usr var/lib lib -name '*peewit*' -not -path '*/dpkg/*'
"#;

#[test]
fn a_package_lives_in_a_chroot() {
    let _turn = alone();
    if !root() {
        return;
    }
    let Some(system) = program("machines/debian") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let Some((package, upgrade)) = debian_packages(folder.path()) else {
        return;
    };
    let copy = folder.path().join("root");
    let (system, place) = (
        system.to_str().expect("UTF-8"),
        copy.to_str().expect("UTF-8"),
    );
    run("cp", &["-a", system, place]);
    fs::copy(package, copy.join("peewit.deb")).expect("it can be copied");
    fs::copy(upgrade, copy.join("upgrade.deb")).expect("it can be copied");
    let Some(said) = run("/bin/sh", &["-ec", LIFE, "sh", place]) else {
        return;
    };
    let version = concat!("peewit ", env!("CARGO_PKG_VERSION"));
    let expected = [
        "peewit.service",
        version,
        "Overall exposure level for peewit.service: 3.1 OK",
        "# mine",
        "etc/default/peewit",
        "var/lib/peewit",
    ];
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected}:\n{said}");
    }
}
