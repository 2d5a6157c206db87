//! Sigma's selections: which values fields have to have.

use peewit_core::field::{Field, Type};

use crate::diagnostic::Located;
use crate::expr::{Expr, Pattern, Test, Token};
use crate::sigma::mapping::Mapping;
use crate::sigma::regex::{self, Mode};
use crate::syntax::join;
use crate::yaml::{Node, Value};

/// A selection: a map, all of whose entries have to hold, or a list of maps, one of which has to.
pub(super) fn selection(node: &Node, mapping: &Mapping) -> Result<Expr, Located> {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            let tests = entries
                .iter()
                .map(|(key, value)| entry(key, value, mapping));
            Ok(join(tests.collect::<Result<_, _>>()?, true))
        }
        Value::List(items) if !items.is_empty() => {
            let one = |item: &Node| match &item.value {
                Value::Map(_) => selection(item, mapping),
                _ => Err(keyword(item)),
            };
            let alternatives = items.iter().map(one);
            Ok(join(alternatives.collect::<Result<_, _>>()?, false))
        }
        Value::Map(_) | Value::List(_) | Value::Null => Err(node.error("an empty selection")),
        _ => Err(keyword(node)),
    }
}

fn keyword(node: &Node) -> Located {
    node.error(
        "a keyword without a field: it is looked for in a log's text, which events do not have",
    )
}

/// How the values of an entry are to be taken.
#[derive(Clone, Copy, Default)]
struct Modifiers {
    /// Anything may stand in front of the value, or behind it.
    before: bool,
    after: bool,
    /// All of the values have to hold, not one of them.
    all: bool,
    cased: bool,
    regex: Option<Mode>,
    exists: bool,
    compare: Option<Compare>,
}

#[derive(Clone, Copy)]
enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Modifiers {
    fn parse(names: &str, key: &Node) -> Result<Self, Located> {
        let mut modifiers = Self::default();
        for name in names.split('|').skip(1) {
            match (name, &mut modifiers.regex) {
                ("i", Some(mode)) => mode.fold = true,
                ("m", Some(mode)) => mode.lines = true,
                ("s", Some(mode)) => mode.dot_all = true,
                ("i" | "m" | "s", None) => {
                    return Err(key.error(format!("the modifier `{name}` belongs behind `re`")));
                }
                ("contains", _) => (modifiers.before, modifiers.after) = (true, true),
                ("startswith", _) => modifiers.after = true,
                ("endswith", _) => modifiers.before = true,
                ("all", _) => modifiers.all = true,
                ("cased", _) => modifiers.cased = true,
                ("re", _) => modifiers.regex = Some(Mode::default()),
                ("exists", _) => modifiers.exists = true,
                ("lt", _) => modifiers.compare = Some(Compare::Less),
                ("lte", _) => modifiers.compare = Some(Compare::LessOrEqual),
                ("gt", _) => modifiers.compare = Some(Compare::Greater),
                ("gte", _) => modifiers.compare = Some(Compare::GreaterOrEqual),
                _ => return Err(key.error(format!("the modifier `{name}` is not supported"))),
            }
        }
        let kinds = [
            modifiers.before || modifiers.after || modifiers.cased,
            modifiers.regex.is_some(),
            modifiers.exists,
            modifiers.compare.is_some(),
        ];
        if kinds.into_iter().filter(|kind| *kind).count() > 1 {
            return Err(key.error("these modifiers do not fit together"));
        }
        Ok(modifiers)
    }
}

/// `FIELD|MODIFIERS: VALUES`.
fn entry(key: &Node, values: &Node, mapping: &Mapping) -> Result<Expr, Located> {
    let Some(text) = key.text().filter(|text| !text.starts_with('|')) else {
        return Err(keyword(key));
    };
    let name = text.split('|').next().unwrap_or(text);
    let Some(field) = mapping.field(name) else {
        return Err(key.error(format!(
            "the field {name} has no counterpart in process events"
        )));
    };
    let modifiers = Modifiers::parse(text, key)?;
    let values = match &values.value {
        Value::List(items) if items.is_empty() => return Err(values.error("a list without values")),
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(values),
    };
    let tests = values.iter().map(|value| test(field, value, modifiers));
    Ok(join(tests.collect::<Result<_, _>>()?, modifiers.all))
}

/// What one value asks of a field.
fn test(field: Field, value: &Node, modifiers: Modifiers) -> Result<Expr, Located> {
    let exists = match field.ty() {
        Type::Number => Test::Range(i64::MIN, i64::MAX),
        _ => Test::Pattern(Pattern::exists()),
    };
    let absent = Expr::Not(Box::new(Expr::Is(field, exists.clone())));
    if modifiers.exists {
        return match value.value {
            Value::Bool(true) => Ok(Expr::Is(field, exists)),
            Value::Bool(false) => Ok(absent),
            _ => Err(value.error("`exists` is true or false")),
        };
    }
    if value.value == Value::Null {
        return Ok(absent);
    }
    if field.ty() == Type::Number {
        return Ok(Expr::Is(field, number(field, value, modifiers)?));
    }
    if modifiers.compare.is_some() {
        return Err(value.error(format!("{} is text: it has no range", field.name())));
    }
    let text = match &value.value {
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        _ => value
            .text()
            .ok_or_else(|| value.error("a value is text or a number"))?,
    };
    let test = match modifiers.regex {
        Some(mode) => {
            let pattern = regex::translate(text, mode);
            Test::Regex(pattern.map_err(|message| value.error(message))?)
        }
        None => {
            let run = |there: bool| there.then_some(Token::Run);
            let tokens = run(modifiers.before)
                .into_iter()
                .chain(wildcards(text))
                .chain(run(modifiers.after));
            Test::glob(tokens, !modifiers.cased)
        }
    };
    Ok(Expr::Is(field, test))
}

fn number(field: Field, value: &Node, modifiers: Modifiers) -> Result<Test, Located> {
    if modifiers.before || modifiers.after || modifiers.regex.is_some() {
        return Err(value.error(format!("{} is a number: it has no parts", field.name())));
    }
    let number = match &value.value {
        Value::Bool(set) => Some(i64::from(*set)),
        _ => value.text().and_then(|text| text.parse().ok()),
    };
    let Some(number) = number else {
        return Err(value.error(format!("{} takes whole numbers", field.name())));
    };
    const NOTHING: Test = Test::Range(1, 0);
    Ok(match modifiers.compare {
        None => Test::Range(number, number),
        Some(Compare::LessOrEqual) => Test::Range(i64::MIN, number),
        Some(Compare::GreaterOrEqual) => Test::Range(number, i64::MAX),
        Some(Compare::Less) => number
            .checked_sub(1)
            .map_or(NOTHING, |high| Test::Range(i64::MIN, high)),
        Some(Compare::Greater) => number
            .checked_add(1)
            .map_or(NOTHING, |low| Test::Range(low, i64::MAX)),
    })
}

/// The elements of a value: `*` and `?` are wildcards, unless a backslash stands in front of them; two backslashes
/// are one, and one in front of anything else is itself.
fn wildcards(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'*' => Token::Run,
            b'?' => Token::One,
            b'\\' => {
                let escaped = bytes.next_if(|next| matches!(next, b'*' | b'?' | b'\\'));
                Token::Byte(escaped.unwrap_or(b'\\'))
            }
            byte => Token::Byte(byte),
        });
    }
    tokens
}
