//! A health record as a line of ECS JSON, and as text.

use core::fmt::{Result, Write};

use super::json::Object;
use super::sink::Sink;
use super::time::write_time;
use crate::alert::{COUNT_NAMES, Header, Health, Limits};

/// Writes a health record. `header` is that of its stream.
///
/// # Errors
///
/// Those of `out`.
pub fn write_health(out: &mut dyn Write, header: Option<&Header<'_>>, health: &Health) -> Result {
    let mut line = Object::begin(out);
    line.time("@timestamp", health.time_ms);
    line.text("event.kind", "state");
    line.only("event.category", "host");
    line.only("event.type", "info");
    line.text("event.dataset", "peewit.health");
    line.text("event.action", health.reason.name());
    line.text("host.os.type", "linux");
    super::whose(&mut line, header);
    line.text("peewit.health.source", health.source.name());
    line.text("peewit.health.capture", health.grade());
    line.list("peewit.health.limits");
    for (limit, name) in &Limits::NAMES {
        if health.limits.contains(*limit) {
            line.item(name.as_bytes());
        }
    }
    line.end_list();
    line.number("peewit.health.boot_ms", health.boot_ms);
    for (name, count) in COUNT_NAMES.iter().zip(health.counts) {
        line.count("peewit.health.", name, count);
    }
    line.end()
}

/// Writes a health record as text, without a line feed: when, why, from which source, and how well; then what was counted,
/// with `separator` in front of each figure.
///
/// # Errors
///
/// Those of `out`.
pub fn write_health_text(out: &mut dyn Write, health: &Health, separator: &str) -> Result {
    let mut line = Sink::new(out);
    write_time(&mut line, health.time_ms);
    line.text(" health, ").text(health.reason.name());
    line.text(": source ").text(health.source.name());
    line.text(", ").text(health.grade());
    let mut before = " (";
    for (limit, name) in &Limits::NAMES {
        if health.limits.contains(*limit) {
            line.text(core::mem::replace(&mut before, ", ")).text(name);
        }
    }
    if before == ", " {
        line.text(")");
    }
    for (name, count) in COUNT_NAMES.iter().zip(health.counts) {
        line.text(separator).text(name).text(" ").number(count);
    }
    line.end()
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::alert::samples::{header, health};

    #[test]
    fn as_json() {
        let mut line = String::new();
        write_health(&mut line, Some(&header()), &health()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (key, value) in [
            ("@timestamp", "2026-01-01T01:00:00.000Z"),
            ("event.kind", "state"),
            ("event.action", "loss"),
            ("host.name", "gateway"),
            ("peewit.health.source", "perf"),
            ("peewit.health.capture", "best effort"),
        ] {
            assert_eq!(json[key], value, "{key} in {line}");
        }
        assert_eq!(
            json["peewit.health.limits"],
            serde_json::json!(["no_realtime", "loss"])
        );
        assert_eq!(json["peewit.health.execs"], 7);
        assert_eq!(json["peewit.health.canaries_missed"], 26);
    }

    #[test]
    fn as_text() {
        let mut line = String::new();
        write_health_text(&mut line, &health(), "; ").unwrap();
        assert!(line.starts_with(
            "2026-01-01T01:00:00.000Z health, loss: source perf, best effort (no_realtime, loss); execs 7; complete 8; "
        ));
        assert!(line.ends_with("; reloads_refused 34"));
        let whole = Health {
            limits: Limits::NONE,
            ..health()
        };
        line.clear();
        write_health_text(&mut line, &whole, "\n").unwrap();
        assert!(line.starts_with(
            "2026-01-01T01:00:00.000Z health, loss: source perf, complete\nexecs 7\n"
        ));
    }
}
