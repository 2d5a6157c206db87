//! Configuration, exceptions, a supervisor: what an operator writes and hears.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use peewit_tests::{Attack, PATIENCE, Sensor, alone, compile, root, sensor};

/// What `peewit` says with these arguments, on both streams, and its exit status.
fn said(arguments: &[&str]) -> Option<(i32, String)> {
    let output = Command::new(sensor()?)
        .args(arguments)
        .output()
        .expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.code().expect("it ends by itself"),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[test]
fn mistakes_are_named_with_their_place_and_nothing_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (config, exceptions, log) = (path("peewit.conf"), path("exceptions"), path("log"));
    let options = format!("alerts = {log}\nexceptions = {exceptions}\n");
    let state = path("state");
    let bad_key = format!("{config}:3:1: there is no such key");
    let bad_value = format!("{config}:3:14: this cannot be the value of that key");
    let bad_field = format!("{exceptions}:2:3: there is no such field");
    let everything = format!("{exceptions}:1:1: this excepts every alert that has these fields");
    for (last, text, status, checked, expected) in [
        ("rate_limit = 1/2", "", 2, 1, &bad_key),
        ("rate-limit = 100", "", 2, 1, &bad_value),
        (
            "health = 60",
            "rule.id : x\n  process.nmae : x",
            1,
            1,
            &bad_field,
        ),
        ("health = 60", "process.name : *", 0, 0, &everything),
    ] {
        fs::write(&config, format!("{options}{last}")).expect("a file");
        fs::write(&exceptions, text).expect("a file");
        let Some((code, text)) = said(&["check", "--config", &config, "--state", &state]) else {
            return;
        };
        assert!(text.contains(expected), "{text}");
        // Where it cannot capture, that is a failure too.
        assert!(code == checked || !root(), "{text}");
        let _ = fs::remove_file(&log);
        if status > 0 {
            let (code, text) =
                said(&["run", "--config", &config, "--state", &state]).expect("it is there");
            assert_eq!(code, status, "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(!Path::new(&log).exists(), "nothing was done");
        }
    }
    let (code, text) = said(&["run", "--config", &path("none")]).expect("it is there");
    assert_eq!(
        (code, text.contains("none: not found")),
        (2, true),
        "{text}"
    );
    let (code, text) = said(&["run", "--health", "often"]).expect("it is there");
    assert_eq!((code, text.contains("often")), (2, true), "{text}");
}

#[test]
fn the_configuration_is_obeyed_and_the_command_line_wins() {
    let _turn = alone();
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("peewit.conf");
    let events = folder.path().join("events");
    let text = format!(
        "source = perf\nevents = {}\nbuffer = 65536",
        events.display()
    );
    fs::write(&config, text).expect("a file");
    let config = config.display().to_string();
    let Some(sensor) = Sensor::start(&["--config", &config, "--source", "connector"]) else {
        return;
    };
    assert_eq!(sensor.status()["peewit.health.source"], "connector");
    sensor.stop(libc::SIGTERM);
    assert!(events.exists());
}

/// A supervisor's socket, and what comes to it.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn new(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a timeout");
        Self(socket)
    }

    /// The next message, if one comes soon.
    fn next(&self) -> Option<String> {
        let mut buffer = [0; 256];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// What comes within some time.
    fn hear(&self, time: Duration) -> Vec<String> {
        let start = Instant::now();
        let messages = std::iter::from_fn(|| Some(self.next()));
        messages
            .take_while(|_| start.elapsed() < time)
            .flatten()
            .collect()
    }

    /// Waits for a message that begins so, and gives it.
    #[track_caller]
    fn wait(&self, begin: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(message) = self.next().filter(|message| message.starts_with(begin)) {
                return message;
            }
            assert!(start.elapsed() < PATIENCE, "no {begin}");
        }
    }
}

#[test]
fn a_supervisor_hears_how_it_is() {
    let _turn = alone();
    let (true, Some(path)) = (root(), sensor()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notify");
    let name = format!("peewit-test-{}", std::process::id());
    for (address, variable) in [
        (
            SocketAddr::from_pathname(&file).expect("short"),
            file.display().to_string(),
        ),
        (
            SocketAddr::from_abstract_name(&name).expect("short"),
            format!("@{name}"),
        ),
    ] {
        let supervisor = Supervisor::new(&address);
        let mut child = Command::new(&path)
            .args(["run", "--alerts"])
            .arg(folder.path().join("log"))
            .arg("--socket")
            .arg(folder.path().join("socket"))
            .arg("--state")
            .arg(folder.path().join("state"))
            .env("NOTIFY_SOCKET", &variable)
            .env("WATCHDOG_USEC", "600000")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let signal = |signal| {
            // SAFETY: sends a signal to a child that has not been waited for.
            unsafe { libc::kill(child.id().cast_signed(), signal) };
        };
        assert_eq!(supervisor.wait("READY=1"), "READY=1");
        let beats = supervisor.hear(Duration::from_millis(2000));
        assert!((4..=8).contains(&beats.len()), "{beats:?}");
        assert!(beats.iter().all(|beat| beat == "WATCHDOG=1"), "{beats:?}");
        signal(libc::SIGHUP);
        let message = supervisor.wait("RELOADING=1");
        let (_, time) = message.split_once("\nMONOTONIC_USEC=").expect("a time");
        assert!(time.parse::<u64>().expect("a number") > 0);
        assert_eq!(supervisor.wait("READY=1"), "READY=1");
        signal(libc::SIGTERM);
        assert_eq!(supervisor.wait("STOPPING=1"), "STOPPING=1");
        assert!(child.wait().expect("it was started").success());
    }
}

/// The log is a pipe that nobody reads: the writer comes to stand, and the supervisor has to hear no more of it.
#[test]
fn a_writer_that_stands_is_no_life() {
    let _turn = alone();
    let (true, Some(path), Some(attack)) = (root(), sensor(), Attack::new()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("rules.pack");
    let Some(()) = compile(
        &[("nop", "event.action : exec and process.name : nop")],
        1,
        &pack,
    ) else {
        return;
    };
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .is_ok_and(|status| status.success())
    );
    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&pipe)
        .expect("a pipe");
    // SAFETY: a descriptor of ours, and a number.
    let size = unsafe {
        libc::fcntl(
            std::os::fd::AsRawFd::as_raw_fd(&reader),
            libc::F_SETPIPE_SZ,
            4096,
        )
    };
    assert_eq!(size, 4096);
    let address = folder.path().join("notify");
    let supervisor = Supervisor::new(&SocketAddr::from_pathname(&address).expect("short"));
    let mut child = Command::new(&path)
        .args(["run", "--alerts"])
        .arg(&pipe)
        .arg("--socket")
        .arg(folder.path().join("socket"))
        .arg("--state")
        .arg(folder.path().join("state"))
        .arg("--rules")
        .arg(&pack)
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", "400000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    supervisor.wait("READY=1");
    supervisor.wait("WATCHDOG=1");
    attack.shell("$X/storm 100 $X/nop");
    // What was asked for before it stood may still come.
    supervisor.hear(Duration::from_millis(500));
    assert_eq!(supervisor.hear(Duration::from_secs(1)), [""; 0]);
    // Somebody reads: it goes on.
    let mut rest = fs::File::open(&pipe).expect("a pipe");
    let reading = std::thread::spawn(move || io::copy(&mut rest, &mut io::sink()));
    supervisor.wait("WATCHDOG=1");
    // SAFETY: sends a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    assert!(child.wait().expect("it was started").success());
    reading.join().expect("no panic").expect("it can be read");
}

/// The newest pack that was used is known over a restart; the built-in one and who means it are not held to that.
#[test]
fn an_older_pack_is_refused_over_a_restart() {
    let _turn = alone();
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (state, old, new) = (path("state/"), path("old.pack"), path("new.pack"));
    for (pack, build) in [(&old, 7), (&new, 8)] {
        let rules = [("one", "process.name : one")];
        let Some(()) = compile(&rules, build, Path::new(pack)) else {
            return;
        };
    }
    let run = |options: &[&str]| {
        let sensor = Sensor::start(&[&["--state", &state], options].concat());
        sensor.map(|sensor| sensor.stop(libc::SIGTERM))
    };
    for options in [&["--rules", &old][..], &["--rules", &new], &[]] {
        let Some(said) = run(options) else { return };
        assert!(said.contains("watches"), "{said}");
    }
    let (code, text) = said(&["run", "--state", &state, "--rules", &old]).expect("it is there");
    let expected = format!("rules {old}: older than the newest rule pack that was used");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("build number 7"), "{text}");
    let said = run(&["--rules", &old, "--allow-older-pack"]).expect("it is there");
    assert!(said.contains("watches"), "{said}");
}
