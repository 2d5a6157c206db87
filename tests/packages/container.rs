//! The image: an OCI layout made without a daemon, and run as a container would be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use peewit_tests::{Attack, PATIENCE, alone, root};
use serde_json::{Value, json};

use crate::{checkout, run};

/// Makes the image; gives its folder.
fn image() -> Option<PathBuf> {
    run::<&str>("targets/packages/oci", &[])?;
    Some(checkout().join("target/packages/oci"))
}

/// Files by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let content = fs::read(&path).expect("a file");
                files.insert(path, content);
            }
        }
    }
    files
}

/// What a descriptor points to.
#[track_caller]
fn blob(image: &Path, descriptor: &Value) -> (PathBuf, Vec<u8>) {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let hash = digest.strip_prefix("sha256:").expect("SHA-256");
    let path = image.join("blobs/sha256").join(hash);
    let content = fs::read(&path).expect("the blob is there");
    assert_eq!(descriptor["size"], content.len());
    (path, content)
}

#[track_caller]
fn parsed(image: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&blob(image, descriptor).1).expect("JSON")
}

#[test]
fn the_image_is_whole_and_reproducible() {
    let _turn = alone();
    let Some(image) = image() else { return };
    let first = files(&image);
    self::image();
    assert!(first == files(&image), "two runs differ");

    let index: Value = serde_json::from_slice(&first[&image.join("index.json")]).expect("JSON");
    let all = parsed(&image, &index["manifests"][0]);
    let manifests = all["manifests"].as_array().expect("a list");
    let machines: Vec<_> = manifests
        .iter()
        .map(|manifest| manifest["platform"]["architecture"].clone())
        .collect();
    assert_eq!(machines, [json!("amd64"), json!("arm64"), json!("arm")]);
    let mut blobs = 1;
    for manifest in manifests {
        let manifest = parsed(&image, manifest);
        let config = parsed(&image, &manifest["config"]);
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/sbin/peewit"]));
        let (layer, bytes) = blob(&image, &manifest["layers"][0]);
        assert!(bytes.len() < 128 << 10, "{} bytes", bytes.len());
        let layer = layer.to_str().expect("UTF-8");
        let sum = run("sh", &["-c", "gzip -dc $1 | sha256sum", "sh", layer]).expect("a shell");
        let diff = config["rootfs"]["diff_ids"][0].as_str().expect("an id");
        assert!(
            diff.ends_with(sum.split(' ').next().expect("a sum")),
            "{diff}"
        );
        blobs += 3;
    }
    // Nothing else, and each is what its name says.
    let sums = run(
        "sh",
        &["-c", "cd target/packages/oci/blobs/sha256 && sha256sum *"],
    );
    let sums = sums.expect("a shell");
    assert_eq!(sums.lines().count(), blobs);
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("a sum and a name");
        assert_eq!(sum, name);
    }
}

/// A container with the host's pid and network namespace, the image as its read-only root, a volume for alerts, and the capabilities that
/// docs/deploy names.
const CONTAINER: &str = r#"
mount --bind $1 $1
mount -o remount,bind,ro $1
mount --bind $2 $1/var/lib/peewit
mount -t tmpfs run $1/run
mount -t proc proc $1/proc
cd $1
exec setpriv --no-new-privs --bounding-set=-all,+net_admin,+perfmon,+sys_ptrace,+dac_read_search,+sys_nice,+sys_chroot \
    chroot . /usr/sbin/peewit run
"#;

#[test]
fn the_image_runs_as_a_container() {
    let _turn = alone();
    if !root() {
        return;
    }
    let (Some(image), Some(attack)) = (image(), Attack::new()) else {
        return;
    };
    let index: Value =
        serde_json::from_slice(&fs::read(image.join("index.json")).expect("it is there"))
            .expect("JSON");
    let manifest = parsed(
        &image,
        &parsed(&image, &index["manifests"][0])["manifests"][0],
    );
    let (layer, _) = blob(&image, &manifest["layers"][0]);
    let folder = tempfile::tempdir().expect("a folder");
    let (system, volume) = (folder.path().join("root"), folder.path().join("volume"));
    for path in [&system, &volume] {
        fs::create_dir(path).expect("a folder");
    }
    let (layer, system) = (
        layer.to_str().expect("UTF-8"),
        system.to_str().expect("UTF-8"),
    );
    run("tar", &["-C", system, "-xzf", layer]);
    let container = Command::new("unshare")
        .args([
            "--mount", "--uts", "--ipc", "--", "/bin/sh", "-ec", CONTAINER, "sh", system,
        ])
        .arg(&volume)
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare is there");
    let log = volume.join("alerts/alerts.log");
    let sensor = format!("{system}/usr/sbin/peewit");
    let alerts = || -> Vec<Value> {
        let Ok(output) = Command::new(&sensor)
            .args(["alerts", "--json"])
            .arg(&log)
            .output()
        else {
            return Vec::new();
        };
        let lines = output.stdout.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    };
    let wait_for = |key: &str, value: &str| {
        let start = std::time::Instant::now();
        loop {
            let found = alerts().into_iter().find(|record| record[key] == value);
            if found.is_some() || start.elapsed() > PATIENCE {
                return found;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    let state = wait_for("event.kind", "state");
    attack.shell("$X/dropper $X/implant id");
    // By the path that the host knows it by.
    let alert = wait_for("process.executable", &attack.path("dropper"));
    // SAFETY: sends a signal to a child that has not been waited for.
    unsafe { libc::kill(container.id().cast_signed(), libc::SIGTERM) };
    let output = container.wait_with_output().expect("it was started");
    let said = String::from_utf8_lossy(&output.stderr);
    let state = state.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(state["peewit.health.limits"], json!([]), "{said}");
    assert_eq!(state["peewit.health.source"], "connector", "{said}");
    let alert = alert.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(alert["event.kind"], "alert", "{said}");
    assert!(output.status.success(), "{said}");
}
