//! Queries as EQL's text.

use super::{Argument, Condition, Literal, Operand, Operator, Query, Test};

/// A condition as text.
fn print_condition(condition: &Condition) -> String {
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
