//! Events: ECS fields with their values, from nested objects or dotted keys.

use std::collections::BTreeMap;

use serde_json::Value;

/// An event's fields; each has at least one value, none of them `null`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Values by the field's dotted name, in order.
    pub fields: BTreeMap<String, Vec<Value>>,
}

/// Elasticsearch does not index keywords of more UTF-16 units.
const KEYWORD_LIMIT: usize = 1024;

/// The fields that hold numbers; all others are compared as text.
const NUMBERS: &[&str] = &[
    "process.args_count",
    "process.exit_code",
    "process.parent.args_count",
    "process.parent.pid",
    "process.pid",
];

/// Whether a field holds numbers.
pub fn is_number(field: &str) -> bool {
    NUMBERS.contains(&field)
}

/// Whether a field holds `true` or `false`.
pub fn is_bool(field: &str) -> bool {
    field.ends_with(".interactive")
}

/// Whether a field holds text.
pub fn is_text(field: &str) -> bool {
    !is_number(field) && !is_bool(field)
}

impl Event {
    /// Takes the fields of a JSON object.
    pub fn new(json: &Value) -> Self {
        let mut event = Self::default();
        event.add("", json);
        event
    }

    fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Array(values) => values.iter().for_each(|value| self.add(name, value)),
            Value::Object(members) => {
                for (key, value) in members {
                    if name.is_empty() {
                        self.add(key, value);
                    } else {
                        self.add(&format!("{name}.{key}"), value);
                    }
                }
            }
            value => self
                .fields
                .entry(name.to_owned())
                .or_default()
                .push(value.clone()),
        }
    }

    /// A field's values as text, those left out that are too long to be a keyword.
    pub fn texts(&self, field: &str) -> Vec<String> {
        let unlimited = field.ends_with("command_line");
        let values = self.fields.get(field).into_iter().flatten().map(text);
        values
            .filter(|value| unlimited || value.encode_utf16().count() <= KEYWORD_LIMIT)
            .collect()
    }

    /// A field's values as numbers, `true` being 1, where they are numbers.
    pub fn numbers(&self, field: &str) -> Vec<f64> {
        let values = self.fields.get(field).into_iter().flatten();
        values.filter_map(number).collect()
    }

    /// The only or first value of a field as text.
    pub fn text(&self, field: &str) -> Option<String> {
        self.fields.get(field)?.first().map(text)
    }

    /// The unique id.
    pub fn id(&self) -> String {
        self.text("event.id").unwrap_or_default()
    }

    /// Milliseconds since 1970: `event.ingested`, else `@timestamp`.
    pub fn time(&self) -> i64 {
        let text = self
            .text("event.ingested")
            .or_else(|| self.text("@timestamp"));
        text.and_then(|text| milliseconds(&text)).unwrap_or(0)
    }

    /// One line of NDJSON with dotted keys.
    pub fn json(&self) -> Value {
        let member = |(name, values): (&String, &Vec<Value>)| {
            let value = match values.as_slice() {
                [only] => only.clone(),
                many => Value::Array(many.to_vec()),
            };
            (name.clone(), value)
        };
        Value::Object(self.fields.iter().map(member).collect())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(*value)),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Milliseconds since 1970 of a time like `2026-01-10T00:14:08.454Z`.
pub fn milliseconds(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let rest = text.get(19..)?.strip_suffix('Z')?;
    let fraction: i64 = match rest.strip_prefix('.') {
        Some(digits) => format!("{digits:0<3}").get(..3)?.parse().ok()?,
        None => 0,
    };
    let mut days: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    days += (1..month).map(|month| month_days(year, month)).sum::<i64>();
    days += day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction)
}

/// The text of a time, as [`milliseconds`] reads it.
pub fn timestamp(milliseconds: i64) -> String {
    let (mut days, rest) = (
        milliseconds.div_euclid(86_400_000),
        milliseconds.rem_euclid(86_400_000),
    );
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let (seconds, fraction) = (rest / 1000, rest % 1000);
    format!(
        "{year}-{month:02}-{:02}T{:02}:{:02}:{:02}.{fraction:03}Z",
        days + 1,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_dotted_keys_are_the_same_fields() {
        let nested = r#"{"process":{"args":["a",null,"b"],"parent":{"name":"c"}},"x":null}"#;
        let dotted = r#"{"process.args":["a","b"],"process":{"parent.name":"c"}}"#;
        let read = |text| Event::new(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(read(nested), read(dotted));
        assert_eq!(read(nested).texts("process.args"), ["a", "b"]);
    }

    #[test]
    fn times() {
        assert_eq!(milliseconds("1970-01-02T00:00:00Z"), Some(86_400_000));
        assert_eq!(
            milliseconds("2024-03-01T00:00:01.5Z"),
            Some(1_709_251_201_500)
        );
        for time in [0, 86_400_000, 1_709_251_201_500, 1_767_225_599_999] {
            assert_eq!(milliseconds(&timestamp(time)), Some(time));
        }
    }
}
