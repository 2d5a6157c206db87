//! EQL's text, read by recursive descent.

use super::{Argument, Condition, Literal, Operand, Operator, Query, Stage, Test};
use crate::text::{Cursor, Error};
use crate::tree::Tree;

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
            while !cursor.eat("*/") && cursor.take().is_some() {}
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
        text.push(match cursor.take().ok_or("a text without end")? {
            '"' => return Ok(Literal::Text(text)),
            '\\' => match cursor.take().ok_or("a text without end")? {
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
