//! An event as the sensor has it: its fields in memory.

use peewit_core::event::{Event, Values};
use peewit_core::field::{Cost, Field, Type};
use peewit_core::packed::Packer;
use serde_json::Value;

/// Whether a sensor knows what holds of a field before the event.
pub fn is_known(field: Field) -> bool {
    matches!(field.cost(), Cost::Constant | Cost::Lineage)
}

/// The fields of one event.
pub struct Captured {
    fields: Vec<Stored>,
    facts: Option<Packer<1024>>,
}

enum Stored {
    Missing,
    Number(i64),
    /// Strings, each ended by NUL.
    Block(Vec<u8>),
    One(Vec<u8>),
    /// The strings of another field, joined.
    Joined(Field),
}

impl Captured {
    /// Takes an event apart.
    pub fn new(ecs: &Value) -> Self {
        Self {
            fields: Field::ALL
                .iter()
                .map(|&field| Stored::new(ecs, field))
                .collect(),
            facts: None,
        }
    }

    /// From now on it is known what holds of the constant fields and of the parent.
    pub fn know(&mut self, facts: Packer<1024>) {
        self.facts = Some(facts);
    }

    fn stored(&self, field: Field) -> &Stored {
        &self.fields[usize::from(field.number())]
    }
}

impl Stored {
    fn new(ecs: &Value, field: Field) -> Self {
        // A command line is the arguments joined: a sensor has no other copy of it.
        let args = match field {
            Field::ProcessCommandLine => Some(Field::ProcessArgs),
            Field::ParentCommandLine => Some(Field::ParentArgs),
            _ => None,
        };
        if let Some(args) = args.filter(|args| matches!(lookup(ecs, *args), Some(Value::Array(_))))
        {
            return Self::Joined(args);
        }
        match lookup(ecs, field) {
            None | Some(Value::Null) => Self::Missing,
            Some(Value::Bool(flag)) => Self::Number(i64::from(*flag)),
            Some(Value::Number(number)) if field.ty() == Type::Number => {
                Self::Number(number.as_i64().expect("a whole number"))
            }
            Some(Value::Array(values)) => {
                let mut block = Vec::new();
                for value in values {
                    block.extend(text(value).bytes());
                    block.push(0);
                }
                Self::Block(block)
            }
            Some(value) => Self::One(text(value).into_bytes()),
        }
    }
}

fn lookup(ecs: &Value, field: Field) -> Option<&Value> {
    field
        .name()
        .split('.')
        .try_fold(ecs, |value, part| value.get(part))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Event for Captured {
    fn values(&mut self, field: Field) -> Values<'_> {
        match &self.facts {
            Some(facts) if is_known(field) => Values::Facts(facts.list()),
            _ => self.term(field),
        }
    }

    fn term(&self, field: Field) -> Values<'_> {
        match self.stored(field) {
            Stored::Missing => Values::Missing,
            Stored::Number(number) => Values::Number(*number),
            Stored::Block(block) => Values::Block(block),
            Stored::One(value) => Values::One(value),
            Stored::Joined(args) => match self.stored(*args) {
                Stored::Block(block) => Values::Joined(block),
                _ => Values::Missing,
            },
        }
    }
}
