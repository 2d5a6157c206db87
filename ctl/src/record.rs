//! One recorded event: ECS JSON with nested or dotted keys.

use std::borrow::Cow;
use std::path::Path as FilePath;

use crate::error::Error;
use peewit_core::alert::{Action, Alert, Flags, MatchedArg, Parent, Path};
use peewit_core::event::{Event, Values};
use peewit_core::field::{Field, Type};
use peewit_core::pack::Rule;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is wrong with a line, and where.
pub struct Malformed {
    /// Column, from 1.
    pub column: usize,
    /// In words.
    pub message: String,
}

impl Malformed {
    /// The error, with its file and the number of its line from 0.
    pub fn at(self, path: &FilePath, number: usize) -> Error {
        let (path, line) = (path.display(), number + 1);
        Error::new(format_args!(
            "{path}:{line}:{}: {}",
            self.column, self.message
        ))
    }
}

/// An event.
pub struct Record {
    object: Map<String, Value>,
    fields: Vec<Option<Stored>>,
}

enum Stored {
    Strings(Vec<String>),
    Number(i64),
}

impl Record {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Self, Malformed> {
        let object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                return Err(Malformed {
                    column: 1,
                    message: "not a JSON object".into(),
                });
            }
            Err(error) => {
                let message = error.to_string();
                // The line and column of a text of one line are said by the caller.
                let message = message
                    .rsplit_once(" at line ")
                    .map_or(message.as_str(), |(message, _)| message);
                return Err(Malformed {
                    column: error.column(),
                    message: message.to_owned(),
                });
            }
        };
        let mut fields = Vec::with_capacity(Field::COUNT);
        for &field in Field::ALL {
            let stored = lookup(&object, field.name())
                .map(|value| store(field, value))
                .transpose();
            fields.push(
                stored
                    .map_err(|message| Malformed { column: 1, message })?
                    .flatten(),
            );
        }
        Ok(Self { object, fields })
    }

    fn stored(&self, field: Field) -> Option<&Stored> {
        self.fields.get(usize::from(field.number()))?.as_ref()
    }

    /// The values of a field of text.
    pub fn strings(&self, field: Field) -> Vec<&[u8]> {
        match self.stored(field) {
            Some(Stored::Strings(strings)) => strings.iter().map(String::as_bytes).collect(),
            _ => Vec::new(),
        }
    }

    fn first(&self, field: Field) -> Option<&[u8]> {
        self.strings(field).first().copied()
    }

    /// The value of a field of numbers.
    pub fn number(&self, field: Field) -> Option<i64> {
        match self.stored(field) {
            Some(Stored::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The values of a field, each ended by NUL.
    pub fn block(&self, field: Field) -> Vec<u8> {
        self.strings(field)
            .into_iter()
            .flat_map(|value| value.iter().copied().chain([0]))
            .collect()
    }

    /// Its `event.id`, or else the number of its line.
    pub fn id(&self, number: usize) -> Cow<'_, str> {
        match lookup(&self.object, "event.id") {
            Some(Value::String(id)) => Cow::Borrowed(id),
            _ => Cow::Owned(format!("line {}", number + 1)),
        }
    }

    /// What `labels.NAME` says: how the event is to be used, no rule reads it.
    pub fn label(&self, name: &str) -> Option<&str> {
        lookup(&self.object, "labels")?.get(name)?.as_str()
    }

    /// `event.ingested`, else `@timestamp`, in milliseconds since 1970.
    pub fn time_ms(&self) -> Result<u64, Malformed> {
        let fail = |message: String| Malformed { column: 1, message };
        let (name, value) = ["event.ingested", "@timestamp"]
            .into_iter()
            .find_map(|name| Some((name, lookup(&self.object, name)?)))
            .ok_or_else(|| fail("neither event.ingested nor @timestamp".into()))?;
        let milliseconds = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => OffsetDateTime::parse(text, &Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()),
            _ => None,
        };
        milliseconds.ok_or_else(|| fail(format!("{name} is not a time since 1970: {value}")))
    }

    /// The event as the engine wants it.
    pub fn view(&self) -> View<'_> {
        let values = self.fields.iter().map(|stored| match stored {
            Some(Stored::Strings(strings)) => strings.iter().map(String::as_bytes).collect(),
            _ => Vec::new(),
        });
        View {
            record: self,
            values: values.collect(),
        }
    }

    /// An alert for a rule that holds for it.
    pub fn alert<'a>(
        &'a self,
        rule: &Rule<'a>,
        terms: &'a [Vec<u8>],
        matched_arg: Option<(usize, &'a [u8])>,
        args: &'a [u8],
        time_ms: u64,
    ) -> Alert<'a> {
        let pid = |field| {
            self.number(field)
                .and_then(|pid| u32::try_from(pid).ok())
                .unwrap_or(0)
        };
        let text = |field| {
            self.first(field)
                .and_then(|value| std::str::from_utf8(value).ok())
        };
        Alert {
            sequence: 0,
            rule: rule.id,
            severity: rule.severity,
            risk_score: rule.risk_score,
            terms: terms.iter().map(Vec::as_slice).collect(),
            action: match text(Field::EventAction) {
                Some("fork" | "fork_event") => Action::Fork,
                Some("end") => Action::End,
                _ => Action::Exec,
            },
            matched_arg: matched_arg.map(|(index, bytes)| MatchedArg {
                index: index as u32,
                bytes,
            }),
            time_ms,
            boot_ms: 0,
            pid: pid(Field::ProcessPid),
            tid: 0,
            uid: text(Field::UserId).and_then(|id| id.parse().ok()),
            executable: self.first(Field::ProcessExecutable).map(Path::new),
            args,
            args_len: args.len() as u32,
            cwd: self.first(Field::ProcessWorkingDirectory),
            parent: Parent {
                pid: pid(Field::ParentPid),
                executable: self.first(Field::ParentExecutable).map(Path::new),
            },
            ancestors: Default::default(),
            flags: Flags::NONE,
            stages: Default::default(),
        }
    }
}

/// An event's values as slices.
pub struct View<'r> {
    record: &'r Record,
    values: Vec<Vec<&'r [u8]>>,
}

impl Event for View<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        match (
            self.record.number(field),
            self.values.get(usize::from(field.number())),
        ) {
            (Some(number), _) => Values::Number(number),
            (None, Some(values)) if !values.is_empty() => Values::Many(values),
            _ => Values::Missing,
        }
    }
}

/// What `name` leads to, its parts nested or joined by dots at any place.
fn lookup<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(name) {
        return Some(value);
    }
    name.match_indices('.')
        .find_map(|(dot, _)| match object.get(&name[..dot])? {
            Value::Object(inner) => lookup(inner, &name[dot + 1..]),
            _ => None,
        })
}

/// A JSON value as the field's type has it: `None` for null, for an empty list, and for what a
/// number's mapping does not take.
fn store(field: Field, value: &Value) -> Result<Option<Stored>, String> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    if field.ty() == Type::Number {
        let number = values.first().and_then(|value| match value {
            Value::Number(number) => number.as_i64(),
            Value::Bool(set) => Some(i64::from(*set)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        return Ok(number.map(Stored::Number));
    }
    let text = |value: &&Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(set) => Ok(set.to_string()),
        other => Err(format!("{} is not text: {other}", field.name())),
    };
    let strings = values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    Ok((!strings.is_empty()).then_some(Stored::Strings(strings)))
}
