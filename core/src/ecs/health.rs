//! A health record as a line of ECS JSON, and as text.

use core::fmt::{Result, Write};

use super::digits::decimal;
use super::json::Object;
use super::time::write_time;
use crate::alert::{COUNT_NAMES, Header, Health, Limits};

/// Writes a health record. `header` is that of its stream.
///
/// # Errors
///
/// Those of `out`.
pub fn write_health(out: &mut dyn Write, header: Option<&Header<'_>>, health: &Health) -> Result {
    let mut line = Object::begin(out)?;
    line.time("@timestamp", health.time_ms)?;
    line.text("event.kind", "state")?;
    line.strings("event.category", [&b"host"[..]])?;
    line.strings("event.type", [&b"info"[..]])?;
    line.text("event.dataset", "peewit.health")?;
    line.text("event.action", health.reason.name())?;
    line.text("host.os.type", "linux")?;
    if let Some(header) = header {
        super::whose(&mut line, header)?;
    }
    line.text("peewit.health.source", health.source.name())?;
    line.text("peewit.health.capture", health.grade())?;
    let limits = Limits::NAMES
        .iter()
        .filter(|(limit, _)| health.limits.contains(*limit))
        .map(|(_, name)| name.as_bytes());
    line.strings("peewit.health.limits", limits)?;
    line.number("peewit.health.boot_ms", health.boot_ms)?;
    for (name, count) in COUNT_NAMES.iter().zip(health.counts) {
        line.count("peewit.health.", name, count)?;
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
    write_time(out, health.time_ms)?;
    out.write_str(" health, ")?;
    out.write_str(health.reason.name())?;
    out.write_str(": source ")?;
    out.write_str(health.source.name())?;
    out.write_str(", ")?;
    out.write_str(health.grade())?;
    let mut before = " (";
    for (limit, name) in &Limits::NAMES {
        if health.limits.contains(*limit) {
            out.write_str(before)?;
            out.write_str(name)?;
            before = ", ";
        }
    }
    if before == ", " {
        out.write_char(')')?;
    }
    for (name, count) in COUNT_NAMES.iter().zip(health.counts) {
        out.write_str(separator)?;
        out.write_str(name)?;
        out.write_char(' ')?;
        decimal(out, count, 1)?;
    }
    Ok(())
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
        assert!(line.ends_with("; canaries_missed 26"));
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
