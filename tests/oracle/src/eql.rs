//! EQL: single events and sequences.

mod parse;
mod print;

pub use parse::parse;
pub use print::print;

use crate::event::{Event, is_number};
use crate::kql::compare;
use crate::lucene::{self, Regex};
use crate::tree::Tree;
use crate::wild;

/// A condition.
pub type Condition = Tree<Test>;

/// A query over single events or a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// `process where ...`
    Single(Condition),
    /// `sequence by ...`
    Sequence {
        /// Milliseconds from the first event to the last.
        maxspan: Option<i64>,
        /// The stages; one that is repeated is there several times.
        stages: Vec<Stage>,
    },
}

/// A stage of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Which events.
    pub condition: Condition,
    /// The fields of the key: the sequence's own first.
    pub key: Vec<String>,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

/// A test.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is tested.
    pub of: Operand,
    /// How.
    pub operator: Operator,
    /// With what.
    pub values: Vec<Literal>,
}

/// The left side of a test, or a function that is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A field, and whether it is written with a question mark.
    Field(String, bool),
    /// `length(field)`
    Length(String),
    /// `startsWith(a, b)`, by fields or texts; ignoring case if `true`.
    StartsWith(Argument, Argument, bool),
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A field.
    Field(String),
    /// A text.
    Text(String),
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `in`
    In,
    /// `in~`
    InFold,
    /// `not in`
    NotIn,
    /// `not in~`
    NotInFold,
    /// `:`
    Colon,
    /// `like`
    Like,
    /// `like~`
    LikeFold,
    /// `regex`
    Regex,
    /// `regex~`
    RegexFold,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// None: the operand is a function that is true or false.
    Holds,
}

impl Operator {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::Unequal => "!=",
            Operator::In => "in",
            Operator::InFold => "in~",
            Operator::NotIn => "not in",
            Operator::NotInFold => "not in~",
            Operator::Colon => ":",
            Operator::Like => "like",
            Operator::LikeFold => "like~",
            Operator::Regex => "regex",
            Operator::RegexFold => "regex~",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Holds => "",
        }
    }
}

/// Whether a condition holds for an event of any category.
pub fn condition_holds(condition: &Condition, event: &Event) -> bool {
    match condition {
        Tree::And(parts) => parts.iter().all(|part| condition_holds(part, event)),
        Tree::Or(parts) => parts.iter().any(|part| condition_holds(part, event)),
        Tree::Not(part) => match &**part {
            // Over a function a missing argument gives no match, whatever the sign.
            Tree::Leaf(test) if !is_field(test) => test_holds(test, event) == Some(false),
            other => !condition_holds(other, event),
        },
        Tree::Leaf(test) => test_holds(test, event) == Some(true),
    }
}

fn is_field(test: &Test) -> bool {
    matches!(test.of, Operand::Field(..))
}

/// `None`: the argument of a function is missing.
fn test_holds(test: &Test, event: &Event) -> Option<bool> {
    match &test.of {
        Operand::Field(field, _) => Some(field_holds(field, test, event)),
        Operand::Length(field) => {
            let lengths: Vec<f64> = event
                .texts(field)
                .iter()
                .map(|text| text.encode_utf16().count() as f64)
                .collect();
            let holds = |&length: &f64| {
                test.values
                    .iter()
                    .any(|value| number_is(length, test.operator, value))
            };
            (!lengths.is_empty()).then(|| lengths.iter().any(holds))
        }
        Operand::StartsWith(whole, start, fold) => {
            let texts = |argument: &Argument| match argument {
                Argument::Field(field) => event.texts(field),
                Argument::Text(text) => vec![text.clone()],
            };
            let (wholes, starts) = (texts(whole), texts(start));
            if wholes.is_empty() || starts.is_empty() {
                return None;
            }
            let lower = |text: &str| {
                if *fold {
                    text.to_ascii_lowercase()
                } else {
                    text.to_owned()
                }
            };
            Some(wholes.iter().any(|whole| {
                starts
                    .iter()
                    .any(|start| lower(whole).starts_with(&lower(start)))
            }))
        }
    }
}

fn number_is(value: f64, operator: Operator, literal: &Literal) -> bool {
    let Literal::Number(limit) = literal else {
        return false;
    };
    let Ok(limit) = limit.parse::<f64>() else {
        return false;
    };
    match operator {
        Operator::Equal => value == limit,
        Operator::Unequal => value != limit,
        other => compare(value, other.text(), limit),
    }
}

fn field_holds(field: &str, test: &Test, event: &Event) -> bool {
    let texts = event.texts(field);
    let any = |operator: Operator| {
        test.values.iter().any(|literal| match literal {
            Literal::Null => texts.is_empty(),
            literal => texts
                .iter()
                .any(|text| value_is(field, text, operator, literal)),
        })
    };
    match test.operator {
        Operator::Unequal => !any(Operator::Equal),
        Operator::NotIn => !any(Operator::In),
        Operator::NotInFold => !any(Operator::InFold),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let numbers = event.numbers(field);
            test.values.iter().any(|literal| {
                numbers
                    .iter()
                    .any(|&value| number_is(value, test.operator, literal))
            })
        }
        operator => any(operator),
    }
}

fn value_is(field: &str, text: &str, operator: Operator, literal: &Literal) -> bool {
    let wanted = match literal {
        Literal::Text(wanted) | Literal::Number(wanted) => wanted.clone(),
        Literal::Bool(wanted) => wanted.to_string(),
        Literal::Null => return false,
    };
    match operator {
        Operator::Equal | Operator::In if is_number(field) => text
            .parse::<f64>()
            .is_ok_and(|value| wanted.parse() == Ok(value)),
        Operator::Equal | Operator::In => text == wanted,
        Operator::InFold => text.eq_ignore_ascii_case(&wanted),
        Operator::Colon | Operator::LikeFold => {
            wild::matches(&wild::glob(&wanted, true), text, true)
        }
        Operator::Like => wild::matches(&wild::glob(&wanted, true), text, false),
        Operator::Regex => regex(&wanted).is_some_and(|regex| regex.matches(text, false)),
        Operator::RegexFold => regex(&wanted).is_some_and(|regex| regex.matches(text, true)),
        _ => false,
    }
}

fn regex(text: &str) -> Option<Regex> {
    lucene::parse(text).ok()
}

/// Whether a query over single events holds.
pub fn holds(condition: &Condition, event: &Event) -> bool {
    event
        .texts("event.category")
        .iter()
        .any(|value| value == "process")
        && condition_holds(condition, event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(condition: &str, event: &str) -> bool {
        let query = parse(&format!("process where {condition}")).expect("a query");
        assert_eq!(parse(&print(&query)), Ok(query.clone()));
        let Query::Single(condition) = query else {
            panic!("a sequence");
        };
        condition_holds(
            &condition,
            &Event::new(&serde_json::from_str(event).expect("JSON")),
        )
    }

    #[test]
    fn tests_of_one_field() {
        let event =
            r#"{"process":{"name":"Bash","args":["a\\b","-C"],"args_count":2,"interactive":true}}"#;
        for (condition, expected) in [
            (r#"process.name == "bash""#, false),
            (r#"process.name : "b?s*""#, true),
            (
                r#"process.name like "b*" or process.name like~ ("x", "b*")"#,
                true,
            ),
            (
                r#"process.name in~ ("BASH") and not process.name in ("BASH")"#,
                true,
            ),
            (r#"process.name not in ("a", "b") // a comment"#, true),
            (
                r#"process.args == "a\\b" and process.args : """A\B""""#,
                true,
            ),
            (r#"process.args != "-C" or ?process.x != null"#, false),
            (r#"process.x != "y" and not process.x : "*""#, true),
            ("process.args_count == 2 and process.args_count >= 2", true),
            ("process.interactive == true and process.x == null", true),
            (
                "length(process.name) > 3 and not length(process.x) > 3",
                false,
            ),
            (
                r#"startsWith(process.name, "Ba") and startsWith~(process.name, "bA")"#,
                true,
            ),
            ("not startsWith(process.x, process.name)", false),
            (
                r#"process.name regex~ "b[a]sh?" /* and */ and process.name regex "B.*""#,
                true,
            ),
        ] {
            assert_eq!(verdict(condition, event), expected, "{condition}");
        }
    }
}
