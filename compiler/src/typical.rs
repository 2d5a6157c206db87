//! What is usual on a device: from it the compiler estimates how often a pattern matches. Nothing but speed depends on it.

use std::sync::LazyLock;

use peewit_core::event::{Reading, base_name};
use peewit_core::field::Field;
use peewit_core::glob::{self, Token};

use crate::expr::{Pattern, encode};

/// Programs that most devices start all the time, and that most rules name among others.
const PROGRAMS: [&str; 26] = [
    "/bin/bash",
    "/bin/sh",
    "/usr/bin/awk",
    "/usr/bin/base64",
    "/usr/bin/bash",
    "/usr/bin/cat",
    "/usr/bin/chmod",
    "/usr/bin/cp",
    "/usr/bin/curl",
    "/usr/bin/dash",
    "/usr/bin/find",
    "/usr/bin/grep",
    "/usr/bin/id",
    "/usr/bin/ls",
    "/usr/bin/perl",
    "/usr/bin/ps",
    "/usr/bin/python3",
    "/usr/bin/rm",
    "/usr/bin/sed",
    "/usr/bin/sh",
    "/usr/bin/sudo",
    "/usr/bin/systemctl",
    "/usr/bin/wget",
    "/usr/bin/xargs",
    "/usr/lib/systemd/systemd",
    "/usr/sbin/cron",
];
/// The same of arguments.
const ARGS: [&str; 12] = [
    "-a", "-c", "-e", "-f", "-i", "-l", "-n", "-p", "-r", "/etc", "/tmp", "bash",
];
/// The same of command lines.
const COMMAND_LINES: [&str; 44] = [
    "awk '{print $1}' /proc/loadavg",
    "/bin/sh -c 'test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily'",
    "/bin/sh /etc/init.d/network start",
    "basename /usr/share/doc/readme.txt",
    "bash -c cd /opt/app && ./start.sh --verbose",
    "cat /etc/resolv.conf",
    "chmod 644 /var/lib/app/state.json",
    "cp -a /etc/config /tmp/config.old",
    "curl -sS -o /tmp/update.json https://updates.example.com/v1/latest",
    "cut -d: -f2",
    "date +%s",
    "/usr/bin/dbus-daemon --system --nofork",
    "dpkg --print-architecture",
    "find /var/log -name *.gz -mtime +7 -delete",
    "grep -q -F enabled /sys/class/net/eth0/operstate",
    "hostname -f",
    "ip -4 addr show dev eth0",
    "/usr/sbin/logrotate /etc/logrotate.conf",
    "ls -la /home/user",
    "mkdir -p /run/lock/app",
    "mount -o remount,ro /",
    "ping -c 1 -w 2 192.168.1.1",
    "ps aux",
    "python3 /usr/lib/app/main.py --config /etc/app.yaml",
    "rm -rf /tmp/build.tmp",
    "sed -i s/old/new/g /etc/hosts",
    "sh -c uname -a; sleep 10",
    "sudo -n systemctl restart app.service",
    "tar -xzf /tmp/update.tar.gz -C /opt",
    "tr -d '\\n'",
    "/usr/sbin/sshd -D -R",
    "wget -q -O - http://localhost:8080/health",
    "/bin/echo done",
    "/home/user/bin/report --json data.json",
    "/opt/app/bin/agent --verbose --config /opt/app/config.ini",
    "/sbin/modprobe -q nf_tables",
    "/usr/lib/systemd/systemd-udevd --daemon",
    "/usr/local/bin/backup -v -o /data/local.bin /home/user/file.txt",
    "docker run --rm -v /srv/data:/data app:latest",
    "java -jar /opt/app/lib/server.jar",
    "kubectl get pods -n kube-system",
    "node /srv/app/index.js --port 8080",
    "openssl x509 -in /etc/ssl/certs/server.pem -noout",
    "vi /home/user/notes.txt",
];
/// About how often each of them is seen.
const SHARE: f64 = 0.03;

/// The usual values of a field; of one that nothing is known about, all.
fn values(field: Option<Field>) -> Vec<&'static [u8]> {
    let bytes = |list: &[&'static str]| -> Vec<&'static [u8]> {
        list.iter().map(|value| value.as_bytes()).collect()
    };
    match field {
        Some(Field::ProcessExecutable | Field::ParentExecutable) => bytes(&PROGRAMS),
        Some(Field::ProcessName | Field::ParentName) => {
            bytes(&PROGRAMS).into_iter().map(base_name).collect()
        }
        Some(Field::ProcessArgs | Field::ParentArgs) => bytes(&ARGS),
        Some(Field::ProcessCommandLine | Field::ParentCommandLine) => bytes(&COMMAND_LINES),
        Some(_) => Vec::new(),
        None => [bytes(&PROGRAMS), bytes(&ARGS), bytes(&COMMAND_LINES)].concat(),
    }
}

/// About how often a value of a field, or of any, matches a pattern: by the bytes it has, and by the usual values.
pub fn breadth(field: Option<Field>, pattern: &Pattern) -> f64 {
    let text = encode(&pattern.tokens);
    let reading = Reading {
        fold: pattern.fold,
        joined: false,
    };
    let values = values(field);
    let matching = values
        .iter()
        .filter(|value| glob::matches(&text, value, reading));
    let floats = pattern.tokens.first() == Some(&Token::Run);
    let bytes = pattern.tokens.iter().filter_map(|token| match token {
        Token::Byte(byte) => Some(self::byte(*byte)),
        Token::Run | Token::One => None,
    });
    let by_chance: f64 = bytes.product();
    let places = if floats { PLACES } else { 1.0 };
    (by_chance * places).clamp(LEAST, 1.0) + SHARE * matching.count() as f64
}

/// About so many places has a value at which something can be.
const PLACES: f64 = 20.0;
/// What matches no usual value is taken to match as often as this.
const LEAST: f64 = 0.001;

/// All usual values, in lower case.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| values(None).join(&0).to_ascii_lowercase());

/// How often each byte is seen in it.
static SHARES: LazyLock<[f64; 256]> = LazyLock::new(|| {
    let mut shares = [0.1; 256];
    TEXT.iter()
        .for_each(|&byte| shares[usize::from(byte)] += 1.0);
    shares.map(|count| count / TEXT.len() as f64)
});

/// How often a byte is seen, of all.
pub fn byte(byte: u8) -> f64 {
    SHARES[usize::from(byte.to_ascii_lowercase())]
}

/// How often a few bytes are seen in the text of all usual values, in lower case.
pub fn occurrences(part: &[u8]) -> usize {
    memchr::memmem::find_iter(&TEXT, part).count()
}

/// About how often a few bytes are seen in a text of that length: what was not seen may be made of bytes that often are.
pub fn expected(part: &[u8]) -> f64 {
    let by_chance: f64 = part.iter().map(|&byte| self::byte(byte)).product();
    occurrences(part) as f64 + by_chance * TEXT.len() as f64
}
