//! EQL: single events and sequences.

use crate::event::{Event, is_number};
use crate::kql::compare;
use crate::lucene::{self, Regex};
use crate::text::{Cursor, Error};
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

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, Error> {
    let mut cursor = Cursor::new(text);
    blanks(&mut cursor);
    let query = if word(&mut cursor, "sequence") {
        sequence(&mut cursor)?
    } else {
        Query::Single(event_query(&mut cursor)?)
    };
    blanks(&mut cursor);
    if cursor.rest().is_empty() {
        Ok(query)
    } else {
        Err(cursor.error("the end expected"))
    }
}

fn sequence(cursor: &mut Cursor) -> Result<Query, Error> {
    let by = keys(cursor)?;
    let mut maxspan = None;
    blanks(cursor);
    if word(cursor, "with") {
        blanks(cursor);
        cursor.expect("maxspan")?;
        blanks(cursor);
        cursor.expect("=")?;
        blanks(cursor);
        let amount: i64 = number(cursor)?
            .parse()
            .map_err(|_| cursor.error("a time expected"))?;
        maxspan = Some(
            amount
                * match cursor.take_while(char::is_alphabetic) {
                    "ms" => 1,
                    "s" => 1000,
                    "m" => 60_000,
                    "h" => 3_600_000,
                    "d" => 86_400_000,
                    _ => return Err(cursor.error("a unit of time expected")),
                },
        );
    }
    let mut stages = Vec::new();
    loop {
        blanks(cursor);
        if !cursor.eat("[") {
            break;
        }
        let condition = event_query(cursor)?;
        blanks(cursor);
        cursor.expect("]")?;
        let mut key = by.clone();
        key.extend(keys(cursor)?);
        blanks(cursor);
        let mut runs = 1;
        if word(cursor, "with") {
            blanks(cursor);
            cursor.expect("runs")?;
            blanks(cursor);
            cursor.expect("=")?;
            blanks(cursor);
            runs = number(cursor)?
                .parse()
                .map_err(|_| cursor.error("a count expected"))?;
        }
        stages.extend(vec![Stage { condition, key }; runs]);
    }
    if stages.len() < 2 {
        return Err(cursor.error("a stage expected"));
    }
    Ok(Query::Sequence { maxspan, stages })
}

fn keys(cursor: &mut Cursor) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    blanks(cursor);
    if word(cursor, "by") {
        loop {
            blanks(cursor);
            cursor.eat("?");
            keys.push(name(cursor)?);
            blanks(cursor);
            if !cursor.eat(",") {
                break;
            }
        }
    }
    Ok(keys)
}

fn event_query(cursor: &mut Cursor) -> Result<Condition, Error> {
    blanks(cursor);
    cursor.expect("process")?;
    blanks(cursor);
    if !word(cursor, "where") {
        return Err(cursor.error("where expected"));
    }
    either(cursor)
}

fn blanks(cursor: &mut Cursor) {
    loop {
        cursor.blanks();
        if cursor.eat("//") {
            cursor.take_while(|next| next != '\n');
        } else if cursor.eat("/*") {
            while !cursor.eat("*/") && cursor.next().is_some() {}
        } else {
            break;
        }
    }
}

fn is_name(next: char) -> bool {
    next.is_alphanumeric() || "._@".contains(next)
}

fn word(cursor: &mut Cursor, word: &str) -> bool {
    let rest = cursor.rest();
    let own = rest.strip_prefix(word);
    let found = own.is_some_and(|after| !after.starts_with(is_name));
    if found {
        cursor.at += word.len();
    }
    found
}

fn name(cursor: &mut Cursor) -> Result<String, Error> {
    match cursor.take_while(is_name) {
        "" => Err(cursor.error("a field expected")),
        name => Ok(name.to_owned()),
    }
}

fn number(cursor: &mut Cursor) -> Result<String, Error> {
    match cursor.take_while(|next| next.is_ascii_digit() || "-.".contains(next)) {
        "" => Err(cursor.error("a value expected")),
        digits => Ok(digits.to_owned()),
    }
}

fn either(cursor: &mut Cursor) -> Result<Condition, Error> {
    let mut parts = vec![both(cursor)?];
    blanks(cursor);
    while word(cursor, "or") {
        parts.push(both(cursor)?);
        blanks(cursor);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tree::Or(parts)
    })
}

fn both(cursor: &mut Cursor) -> Result<Condition, Error> {
    let mut parts = vec![unary(cursor)?];
    blanks(cursor);
    while word(cursor, "and") {
        parts.push(unary(cursor)?);
        blanks(cursor);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tree::And(parts)
    })
}

fn unary(cursor: &mut Cursor) -> Result<Condition, Error> {
    blanks(cursor);
    if word(cursor, "not") {
        return Ok(Tree::Not(Box::new(unary(cursor)?)));
    }
    if cursor.eat("(") {
        let inner = either(cursor)?;
        blanks(cursor);
        cursor.expect(")")?;
        return Ok(inner);
    }
    test(cursor).map(Tree::Leaf)
}

fn test(cursor: &mut Cursor) -> Result<Test, Error> {
    let optional = cursor.eat("?");
    let field = name(cursor)?;
    let fold = field == "startsWith" && cursor.eat("~");
    blanks(cursor);
    let of = match field.as_str() {
        "length" if cursor.eat("(") => {
            blanks(cursor);
            cursor.eat("?");
            let field = name(cursor)?;
            blanks(cursor);
            cursor.expect(")")?;
            Operand::Length(field)
        }
        "startsWith" if cursor.eat("(") => {
            let whole = argument(cursor)?;
            cursor.expect(",")?;
            let start = argument(cursor)?;
            cursor.expect(")")?;
            return Ok(Test {
                of: Operand::StartsWith(whole, start, fold),
                operator: Operator::Holds,
                values: vec![],
            });
        }
        _ => Operand::Field(field, optional),
    };
    blanks(cursor);
    let not = word(cursor, "not");
    blanks(cursor);
    let words = [
        (
            "in",
            if not { Operator::NotIn } else { Operator::In },
            if not {
                Operator::NotInFold
            } else {
                Operator::InFold
            },
        ),
        ("like", Operator::Like, Operator::LikeFold),
        ("regex", Operator::Regex, Operator::RegexFold),
    ];
    let mut operator = None;
    for (text, sensitive, folding) in words {
        if word(cursor, text) {
            operator = Some(if cursor.eat("~") { folding } else { sensitive });
            break;
        }
    }
    let signs = [
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        (":", Operator::Colon),
    ];
    for (text, sign) in signs {
        if operator.is_none() && cursor.eat(text) {
            operator = Some(sign);
        }
    }
    let operator = operator.ok_or_else(|| cursor.error("an operator expected"))?;
    blanks(cursor);
    let mut values = Vec::new();
    if cursor.eat("(") {
        loop {
            values.push(literal(cursor)?);
            blanks(cursor);
            if !cursor.eat(",") {
                break;
            }
        }
        cursor.expect(")")?;
    } else {
        values.push(literal(cursor)?);
    }
    Ok(Test {
        of,
        operator,
        values,
    })
}

fn argument(cursor: &mut Cursor) -> Result<Argument, Error> {
    blanks(cursor);
    let argument = if cursor.rest().starts_with('"') {
        match literal(cursor)? {
            Literal::Text(text) => Argument::Text(text),
            _ => return Err(cursor.error("a text expected")),
        }
    } else {
        cursor.eat("?");
        Argument::Field(name(cursor)?)
    };
    blanks(cursor);
    Ok(argument)
}

fn literal(cursor: &mut Cursor) -> Result<Literal, Error> {
    blanks(cursor);
    for (text, literal) in [
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
        ("null", Literal::Null),
    ] {
        if word(cursor, text) {
            return Ok(literal);
        }
    }
    if cursor.eat("\"\"\"") {
        let end = cursor.rest().find("\"\"\"").ok_or("a text without end")?;
        let text = cursor.rest()[..end].to_owned();
        cursor.at += end + 3;
        return Ok(Literal::Text(text));
    }
    if !cursor.eat("\"") {
        return number(cursor).map(Literal::Number);
    }
    let mut text = String::new();
    loop {
        text.push(match cursor.next().ok_or("a text without end")? {
            '"' => return Ok(Literal::Text(text)),
            '\\' => match cursor.next().ok_or("a text without end")? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                same @ ('"' | '\\') => same,
                _ => return Err(cursor.error("an unknown escape")),
            },
            other => other,
        });
    }
}

/// A condition as text.
pub fn print_condition(condition: &Condition) -> String {
    format!("process where {}", condition.print(&print_test))
}

fn print_test(test: &Test) -> String {
    let of = match &test.of {
        Operand::Field(field, optional) => format!("{}{field}", if *optional { "?" } else { "" }),
        Operand::Length(field) => format!("length({field})"),
        Operand::StartsWith(whole, start, fold) => {
            let print = |argument: &Argument| match argument {
                Argument::Field(field) => field.clone(),
                Argument::Text(text) => print_text(text),
            };
            let fold = if *fold { "~" } else { "" };
            return format!("startsWith{fold}({}, {})", print(whole), print(start));
        }
    };
    let values: Vec<_> = test.values.iter().map(print_literal).collect();
    let list = matches!(
        test.operator,
        Operator::In | Operator::InFold | Operator::NotIn | Operator::NotInFold
    );
    let values = if values.len() == 1 && !list {
        values[0].clone()
    } else {
        format!("({})", values.join(", "))
    };
    format!("{of} {} {values}", test.operator.text())
}

fn print_literal(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) => print_text(text),
        Literal::Number(number) => number.clone(),
        Literal::Bool(value) => value.to_string(),
        Literal::Null => "null".to_owned(),
    }
}

/// Raw where that is possible and the length is odd: both forms are to be tested.
fn print_text(text: &str) -> String {
    if text.len() % 2 == 1 && !text.contains('"') {
        return format!("\"\"\"{text}\"\"\"");
    }
    let mut quoted = String::from('"');
    for next in text.chars() {
        match next {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// A query as text.
pub fn print(query: &Query) -> String {
    match query {
        Query::Single(condition) => print_condition(condition),
        Query::Sequence { maxspan, stages } => {
            let mut text = String::from("sequence");
            if let Some(maxspan) = maxspan {
                text += &format!(" with maxspan={maxspan}ms");
            }
            for stage in stages {
                text += &format!("\n  [{}]", print_condition(&stage.condition));
                if !stage.key.is_empty() {
                    text += &format!(" by {}", stage.key.join(", "));
                }
            }
            text
        }
    }
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
