//! A device on which every command is busybox: what the appliance rule says of it, also after it was
//! started anew, and that the published rule says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use peewit_tests::{alone, ctl, program};
use serde_json::{Value, json};

use crate::appliance::{decoded, lines};
use crate::guest::{Guest, Kind};
use crate::initramfs::Initramfs;

/// Of rules/appliance.
const RULE: &str = "ea178cab-4a49-4cdd-84c4-8f9b8d88646f";

/// What happens on it. Its own business first: nobody is to hear of that.
///
/// Debian's busybox runs some applets within the shell and starts others as /proc/self/exe (`netstat`, `route`); most devices' shells
/// look for a file instead, as `exec -a` does here.
const SCRIPT: &str = r#"
alerts() { peewit alerts --json | grep '"event.kind":"alert"' | sed "s/^/$1: /"; }

/etc/init.d/peewit start
until peewit status >/dev/null 2>&1; do usleep 50000; done

/etc/init.d/S10device start >/dev/null
/usr/share/udhcpc/default.script bound >/dev/null
(exec -a -sh /bin/sh) </etc/typed >/dev/null
(cd /tmp; ./typed.sh) >/dev/null
sleep 1
alerts quiet
echo the quiet part is over

cp /bin/dropper /tmp/implant
cp /bin/dropper /tmp/second
/tmp/implant -s /bin/id 2>/dev/null
(cd /tmp; ./second -s ./holder.sh)
(cd /tmp; exec -a -sh /bin/sh -c ./caller.sh) >/dev/null
/tmp/looker.sh >/dev/null
(cd /tmp; exec -a another ./narrow -s /bin/id) 2>/dev/null
# Again: nothing is new.
/tmp/implant -s /bin/id 2>/dev/null
/tmp/looker.sh >/dev/null
sleep 1
$LAST
/etc/init.d/peewit stop
alerts loud
for file in /var/lib/peewit/state/*; do echo "kept ${file#/} $(base64 -w 0 $file)"; done
"#;

/// What it does last of all after it was started anew.
const NEWCOMER: &str = "cp /bin/dropper /tmp/third; /tmp/third -s /bin/id 2>/dev/null; sleep 1";

/// What a shell does that looks for its commands in files.
const LOOKS_AROUND: &[u8] =
    b"#!/bin/sh\n(exec -a id /bin/id)\n(exec -a ls /bin/ls /)\nroute -n\n:\n";

fn files(initramfs: &mut Initramfs, pack: &[u8]) {
    for folder in [
        "etc/peewit",
        "tmp",
        "usr/share",
        "usr/share/udhcpc",
        "scripts",
    ] {
        initramfs.directory(folder);
    }
    initramfs.file("etc/peewit/rules.pack", pack);
    for applet in ["id", "route"] {
        initramfs.link(&format!("bin/{applet}"), "busybox");
    }
    initramfs.program("etc/init.d/S10device", LOOKS_AROUND);
    initramfs.program("usr/share/udhcpc/default.script", LOOKS_AROUND);
    initramfs.file("etc/typed", LOOKS_AROUND);
    // What is in /tmp is copied there when that is mounted.
    initramfs.program("scripts/typed.sh", b"#!/bin/sh\necho nothing to see\n");
    initramfs.program("scripts/holder.sh", b"#!/bin/sh\n:\n");
    initramfs.program(
        "scripts/caller.sh",
        b"#!/bin/sh\n(exec -a id /bin/id)\n(exec -a ls /bin/ls /)\n:\n",
    );
    initramfs.program("scripts/looker.sh", b"#!/bin/sh\nroute -n\n:\n");
}

/// The appliance rule and all that are built in, in one pack.
fn pack() -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("appliance.pack");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let output = Command::new(ctl()?)
        .arg("compile")
        .arg(rules)
        .arg("-o")
        .arg(&path)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(fs::read(path).expect("a pack"))
}

#[track_caller]
fn is_told_apart(kind: Kind) {
    let _turn = alone();
    let guest = Guest {
        kind,
        memory: 128,
        cpus: 1,
        kernel: "",
    };
    let Some(pack) = pack() else { return };
    // What a kernel of 64 bits tells of a program of 32 is narrower too.
    let narrow = match kind {
        Kind::Aarch64 => Kind::Armv7,
        kind => kind,
    };
    let Some(narrow) = program(&format!("{}/release/dropper", narrow.target())) else {
        return;
    };
    let narrow = fs::read(narrow).expect("it is built");
    let script = |last| format!("cp /scripts/* /tmp\n{}", SCRIPT.replace("$LAST", last));
    let Some(shown) = guest.run_with(&script(""), |initramfs| {
        files(initramfs, &pack);
        initramfs.program("scripts/narrow", &narrow);
    }) else {
        return;
    };
    tells(
        &shown,
        &[
            ("implant", json!(["/bin/id", "id"])),
            ("second", json!(["/bin/sh", "./holder.sh", "id"])),
            ("caller.sh", json!(["id"])),
            ("looker.sh", json!(["route", "-n"])),
            ("narrow", json!(["/bin/id", "id"])),
        ],
    );
    let kept = lines(&shown, "kept ").into_iter();
    let kept: Vec<(&str, Vec<u8>)> = kept
        .map(|line| line.split_once(' ').expect("a path and what is in it"))
        .map(|(path, content)| (path, decoded(content)))
        .collect();
    assert_eq!(kept.len(), 2, "{shown}");
    let again = guest.run_with(&script(NEWCOMER), |initramfs| {
        files(initramfs, &pack);
        initramfs.program("scripts/narrow", &narrow);
        initramfs.directory("var/lib/peewit");
        initramfs.directory("var/lib/peewit/state");
        for (path, content) in &kept {
            initramfs.file(path, content);
        }
    });
    // All that was there before the restart is known.
    tells(
        &again.expect("it was there before"),
        &[("third", json!(["/bin/id", "id"]))],
    );
}

/// Whether these alerts were raised and no others: term and arguments of each.
#[track_caller]
fn tells(shown: &str, expected: &[(&str, Value)]) {
    println!("{shown}");
    assert!(shown.contains("the quiet part is over"), "{shown}");
    assert_eq!(lines(shown, "quiet: "), [""; 0], "{shown}");
    let loud = lines(shown, "loud: ").into_iter();
    let alerts = loud.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let told = |alert: Value| {
        [
            "rule.id",
            "kibana.alert.new_terms",
            "process.args",
            "process.executable",
        ]
        .map(|field| alert[field].clone())
    };
    let alerts: Vec<_> = alerts.map(told).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(term, args)| {
            let args = args.clone();
            [json!(RULE), json!([term]), args, json!("/bin/busybox")]
        })
        .collect();
    assert_eq!(alerts, expected, "{shown}");
}

#[test]
fn x86_64_of_one_file() {
    is_told_apart(Kind::X86_64);
}

#[test]
fn aarch64_of_one_file() {
    is_told_apart(Kind::Aarch64);
}

#[test]
fn armv7_of_one_file() {
    is_told_apart(Kind::Armv7);
}
