//! What was held back, as a line of ECS JSON and as text.

use core::fmt::{Result, Write};

use super::json::Object;
use super::sink::{Form, Sink};
use super::time::write_time;
use crate::alert::{Header, HeldBack};

/// Writes what was held back. `header` is that of its stream.
///
/// # Errors
///
/// Those of `out`.
pub fn write_held_back(
    out: &mut dyn Write,
    header: Option<&Header<'_>>,
    held: &HeldBack<'_>,
) -> Result {
    let mut line = Object::begin(out);
    line.time("@timestamp", held.time_ms);
    line.text("event.kind", "metric");
    line.text("event.dataset", "peewit.held_back");
    line.time("event.start", held.time_ms.saturating_sub(held.lasted_ms));
    line.time("event.end", held.time_ms);
    super::whose(&mut line, header);
    line.number("peewit.held_back.count", held.count);
    line.objects("peewit.held_back.rules", &held.rules, |object, rule| {
        object.rule("id", &rule.rule);
        object.number("count", rule.count);
        let example = Some(rule.example).filter(|example| !example.is_empty());
        object.optional_string("example", example);
    });
    line.number("peewit.held_back.others", held.others());
    line.end()
}

/// Writes the same as a line of text, without a line feed.
///
/// # Errors
///
/// Those of `out`.
pub fn write_held_back_text(out: &mut dyn Write, held: &HeldBack<'_>) -> Result {
    let mut line = Sink::new(out);
    write_time(&mut line, held.time_ms);
    line.text(" held back: ").number(held.count);
    line.text(" alerts in ")
        .number(held.lasted_ms.div_ceil(1000));
    line.text(" s");
    for rule in &held.rules {
        line.text("; ").rule(&rule.rule, Form::Text);
        line.text(" ").number(rule.count);
        if !rule.example.is_empty() {
            line.text(" (last: ");
            super::text::word(&mut line, rule.example);
            line.text(")");
        }
    }
    if held.others() > 0 {
        line.text("; others ").number(held.others());
    }
    line.end()
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::alert::samples::{header, held_back};

    #[test]
    fn as_json() {
        let mut line = String::new();
        write_held_back(&mut line, Some(&header()), &held_back()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (key, value) in [
            ("@timestamp", "2026-01-01T00:05:00.000Z"),
            ("event.kind", "metric"),
            ("event.start", "2026-01-01T00:00:01.500Z"),
            ("host.name", "gateway"),
        ] {
            assert_eq!(json[key], value, "{key} in {line}");
        }
        assert_eq!(json["peewit.held_back.count"], 99_900);
        assert_eq!(json["peewit.held_back.others"], 10);
        assert_eq!(
            json["peewit.held_back.rules"],
            serde_json::json!([
                {"id": "e9001ee6-2d00-4d2f-849e-b8b1fb05234c", "count": 99_000, "example": "dropper"},
                {"id": "mine", "count": 890},
            ])
        );
    }

    #[test]
    fn as_text() {
        let mut line = String::new();
        write_held_back_text(&mut line, &held_back()).unwrap();
        assert_eq!(
            line,
            "2026-01-01T00:05:00.000Z held back: 99900 alerts in 299 s; \
             e9001ee6-2d00-4d2f-849e-b8b1fb05234c 99000 (last: dropper); mine 890; others 10"
        );
    }
}
