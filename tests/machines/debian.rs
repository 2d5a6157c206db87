//! Debian with systemd as its first process: the package, started by its hardened unit, through its whole life.

use std::fs;
use std::path::Path;

use peewit_tests::{alone, debian_packages, program, root};
use serde_json::Value;

use crate::guest::{Guest, Kind};
use crate::initramfs::Initramfs;

/// Lets the guest's script run when all is up, with what it says on the console.
const UNIT: &[u8] = b"[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /case
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
";

const SCRIPT: &[u8] = br#"
# Waits until it is watched, and says how it stands.
state() {
    tries=200
    until peewit status >/dev/null 2>&1 || [ $tries -eq 0 ]; do tries=$((tries - 1)); sleep 0.1; done
    echo "$1: $(systemctl is-active peewit), $(systemctl is-enabled peewit)"
}

export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin
dpkg -i /peewit.deb >/dev/null
state installed
peewit status | head -n 1
cp /dropper /implant /tmp
/tmp/dropper /tmp/implant id
sleep 1
peewit alerts --json | sed -n 's/^/own: /p'
first=$(systemctl show -p MainPID --value peewit)
kill -9 "$first"
sleep 2
state killed
second=$(systemctl show -p MainPID --value peewit)
echo '# mine' >>/etc/default/peewit
dpkg -i /upgrade.deb >/dev/null
state upgraded
third=$(systemctl show -p MainPID --value peewit)
[ "$first" != "$second" ] && [ "$second" != "$third" ] && echo each time another process
dpkg -s peewit | grep ^Version
tail -n 1 /etc/default/peewit
systemctl disable --quiet --now peewit
dpkg -i /peewit.deb >/dev/null 2>&1
echo "disabled: $(systemctl is-active peewit), $(systemctl is-enabled peewit)"
systemctl enable --quiet --now peewit
state enabled
dpkg -r peewit >/dev/null
echo "removed: $(systemctl is-active peewit)"
ls -1 /etc/default/peewit /var/lib/peewit/alerts/alerts.log
dpkg -P peewit >/dev/null
ls -d /etc/default/peewit /etc/peewit /var/lib/peewit /usr/sbin/peewit 2>/dev/null
find /etc/systemd /var/lib/systemd -name '*peewit*'
echo the case is done
poweroff -ff
"#;

#[test]
fn a_package_lives_under_systemd() {
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
    let mut initramfs = Initramfs::default();
    let read = |path: &Path| fs::read(path).expect("it can be read");
    initramfs
        .tree(&system)
        .file("case", SCRIPT)
        .file("etc/systemd/system/case.service", UNIT)
        .directory("etc/systemd/system/default.target.wants")
        .link(
            "etc/systemd/system/default.target.wants/case.service",
            "../case.service",
        )
        .file("peewit.deb", &read(&package))
        .file("upgrade.deb", &read(&upgrade));
    for (name, built) in [("dropper", "dropper"), ("implant", "nop")] {
        let Some(path) = program(&format!("{}/release/{built}", Kind::X86_64.target())) else {
            return;
        };
        initramfs.program(name, &read(&path));
    }
    let guest = Guest {
        kind: Kind::X86_64,
        cpus: 2,
        memory: 1024,
        kernel: "rdinit=/lib/systemd/systemd systemd.show_status=0 systemd.mask=getty@tty1.service \
                 systemd.mask=serial-getty@ttyS0.service",
    };
    let Some(shown) = guest.boot(&initramfs.finish()) else {
        return;
    };
    let alerts: Vec<Value> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("own: "))
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|record| record["event.kind"] == "alert")
        .collect();
    assert_eq!(alerts.len(), 1, "{shown}");
    assert_eq!(alerts[0]["process.executable"], "/tmp/dropper", "{shown}");
    let (_, story) = shown.split_once("installed: ").expect("the script's");
    let story: Vec<&str> = story
        .lines()
        .filter(|line| !line.starts_with("own: ") && !line.starts_with('['))
        .map(|line| {
            line.split_once("health, status: ")
                .map_or(line, |part| part.1)
        })
        .collect();
    let expected = [
        "active, enabled",
        "source connector, complete",
        "killed: active, enabled",
        "upgraded: active, enabled",
        "each time another process",
        "Version: 0.1.0-2",
        "# mine",
        "disabled: inactive, disabled",
        "enabled: active, enabled",
        "removed: inactive",
        "/etc/default/peewit",
        "/var/lib/peewit/alerts/alerts.log",
        "the case is done",
    ];
    assert_eq!(
        story[..expected.len().min(story.len())],
        expected,
        "{shown}"
    );
}
