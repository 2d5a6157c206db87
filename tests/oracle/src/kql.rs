//! KQL.

use crate::event::{Event, is_bool, is_number};
use crate::text::{Cursor, Error};
use crate::tree::Tree;
use crate::wild::{self, Piece};

/// A query.
pub type Query = Tree<Clause>;

/// A test of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Clause {
    /// `field: values`
    Is(String, Tree<Vec<Piece>>),
    /// `field >= 2`: the operator and the number.
    Range(String, String, f64),
}

/// Whether a query holds for an event.
pub fn holds(query: &Query, event: &Event) -> bool {
    query.holds(&mut |clause| match clause {
        Clause::Is(field, values) => {
            let texts = event.texts(field);
            values.holds(&mut |pattern| texts.iter().any(|text| is(field, pattern, text)))
        }
        Clause::Range(field, operator, limit) => event
            .numbers(field)
            .iter()
            .any(|&value| compare(value, operator, *limit)),
    })
}

fn is(field: &str, pattern: &[Piece], text: &str) -> bool {
    if (is_number(field) || is_bool(field)) && !pattern.contains(&Piece::Any) {
        let number = |text: &str| match text {
            "true" => Some(1.0),
            "false" => Some(0.0),
            other => other.parse::<f64>().ok(),
        };
        let value = number(text);
        return value.is_some() && value == number(&plain(pattern));
    }
    wild::matches(pattern, text, false)
}

/// Compares two numbers.
pub fn compare(value: f64, operator: &str, limit: f64) -> bool {
    match operator {
        "<" => value < limit,
        "<=" => value <= limit,
        ">" => value > limit,
        ">=" => value >= limit,
        _ => false,
    }
}

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, Error> {
    let mut cursor = Cursor::new(text);
    let query = either(&mut cursor, &clause)?;
    cursor.blanks();
    if cursor.rest().is_empty() {
        Ok(query)
    } else {
        Err(cursor.error("the end expected"))
    }
}

type Leaf<'a, L> = &'a dyn Fn(&mut Cursor) -> Result<Tree<L>, Error>;

fn either<L>(cursor: &mut Cursor, leaf: Leaf<L>) -> Result<Tree<L>, Error> {
    let mut parts = vec![both(cursor, leaf)?];
    while keyword(cursor, "or") {
        parts.push(both(cursor, leaf)?);
    }
    Ok(one_or(parts, Tree::Or))
}

fn both<L>(cursor: &mut Cursor, leaf: Leaf<L>) -> Result<Tree<L>, Error> {
    let mut parts = vec![unary(cursor, leaf)?];
    while keyword(cursor, "and") {
        parts.push(unary(cursor, leaf)?);
    }
    Ok(one_or(parts, Tree::And))
}

fn unary<L>(cursor: &mut Cursor, leaf: Leaf<L>) -> Result<Tree<L>, Error> {
    if keyword(cursor, "not") {
        return Ok(Tree::Not(Box::new(unary(cursor, leaf)?)));
    }
    cursor.blanks();
    if cursor.eat("(") {
        let inner = either(cursor, leaf)?;
        cursor.blanks();
        cursor.expect(")")?;
        return Ok(inner);
    }
    leaf(cursor)
}

fn one_or<L>(mut parts: Vec<Tree<L>>, many: fn(Vec<Tree<L>>) -> Tree<L>) -> Tree<L> {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

/// The length of a keyword if it comes next, as a word of its own.
fn keyword_here(rest: &str, word: &str) -> Option<usize> {
    let found = rest.get(..word.len())?.eq_ignore_ascii_case(word);
    let after = rest[word.len()..].chars().next();
    (found && after.is_none_or(|next| next.is_whitespace() || next == '(')).then_some(word.len())
}

fn keyword(cursor: &mut Cursor, word: &str) -> bool {
    cursor.blanks();
    match keyword_here(cursor.rest(), word) {
        Some(length) => {
            cursor.at += length;
            true
        }
        None => false,
    }
}

fn clause(cursor: &mut Cursor) -> Result<Query, Error> {
    let field = cursor
        .take_while(|next| next.is_alphanumeric() || "._-@".contains(next))
        .to_owned();
    if field.is_empty() {
        return Err(cursor.error("a field expected"));
    }
    cursor.blanks();
    for operator in ["<=", ">=", "<", ">"] {
        if cursor.eat(operator) {
            let limit = plain(&value(cursor)?);
            let limit = limit
                .parse()
                .map_err(|_| cursor.error("a number expected"))?;
            return Ok(Tree::Leaf(Clause::Range(field, operator.to_owned(), limit)));
        }
    }
    cursor.expect(":")?;
    cursor.blanks();
    let leaf = |cursor: &mut Cursor| value(cursor).map(Tree::Leaf);
    let values = if cursor.eat("(") {
        let values = either(cursor, &leaf)?;
        cursor.blanks();
        cursor.expect(")")?;
        values
    } else {
        leaf(cursor)?
    };
    Ok(Tree::Leaf(Clause::Is(field, values)))
}

fn value(cursor: &mut Cursor) -> Result<Vec<Piece>, Error> {
    cursor.blanks();
    if cursor.eat("\"") {
        return quoted(cursor);
    }
    let mut pieces = Vec::new();
    let mut spaces = Vec::new();
    while let Some(next) = cursor.peek() {
        if next.is_whitespace() {
            spaces.push(Piece::Char(next));
            cursor.take();
            let rest = cursor.rest();
            if ["and", "or", "not"]
                .iter()
                .any(|word| keyword_here(rest, word).is_some())
            {
                break;
            }
            continue;
        }
        if "():<>\"{}".contains(next) {
            break;
        }
        pieces.append(&mut spaces);
        cursor.take();
        pieces.push(match next {
            '*' => Piece::Any,
            '\\' => Piece::Char(cursor.take().ok_or("nothing after a backslash")?),
            other => Piece::Char(other),
        });
    }
    if pieces.is_empty() {
        return Err(cursor.error("a value expected"));
    }
    Ok(pieces)
}

fn quoted(cursor: &mut Cursor) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    loop {
        let next = cursor.take().ok_or("a quote without end")?;
        let next = match next {
            '"' => return Ok(pieces),
            '\\' => match cursor.take().ok_or("a quote without end")? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same @ ('"' | '\\') => same,
                other => {
                    pieces.push(Piece::Char('\\'));
                    other
                }
            },
            other => other,
        };
        pieces.push(Piece::Char(next));
    }
}

/// A pattern's characters.
fn plain(pattern: &[Piece]) -> String {
    let char = |piece: &Piece| match piece {
        Piece::Char(own) => Some(*own),
        Piece::Any => Some('*'),
        Piece::One => None,
    };
    pattern.iter().filter_map(char).collect()
}

/// The query as text.
pub fn print(query: &Query) -> String {
    query.print(&|clause| match clause {
        Clause::Is(field, Tree::Leaf(pattern)) => format!("{field}:{}", print_value(pattern)),
        Clause::Is(field, values) => format!("{field}:({})", values.print(&|v| print_value(v))),
        Clause::Range(field, operator, limit) => format!("{field} {operator} {limit}"),
    })
}

/// Bare where it has a star, or where it is a plain word of an even length: both forms are to be tested.
fn print_value(pattern: &[Piece]) -> String {
    let word = |next: char| next.is_ascii_alphanumeric() || "/._-".contains(next);
    let text = plain(pattern);
    let keyword = ["and", "or", "not"].contains(&text.to_ascii_lowercase().as_str());
    let bare = pattern.contains(&Piece::Any)
        || (!text.is_empty() && text.len().is_multiple_of(2) && text.chars().all(word) && !keyword);
    if bare {
        let piece = |piece: &Piece| match piece {
            Piece::Any => "*".to_owned(),
            Piece::One => "?".to_owned(),
            Piece::Char(own) if r#"\():<>"*{}"#.contains(*own) => format!("\\{own}"),
            Piece::Char(own) => own.to_string(),
        };
        return pattern.iter().map(piece).collect();
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

/// Whether a pattern can be written: with a star only bare, where some texts mean something else.
pub fn can_print(pattern: &[Piece]) -> bool {
    if !pattern.contains(&Piece::Any) {
        return true;
    }
    let text = plain(pattern);
    let words = text.split_whitespace();
    let keyword = |word: &str| ["and", "or", "not"].contains(&word.to_ascii_lowercase().as_str());
    let edges = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    !edges && !words.into_iter().any(keyword) && !text.contains(['\n', '\r', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(query: &str, event: &str) -> bool {
        let query = parse(query).expect("a query");
        assert_eq!(parse(&print(&query)), Ok(query.clone()));
        holds(
            &query,
            &Event::new(&serde_json::from_str(event).expect("JSON")),
        )
    }

    #[test]
    fn clauses_are_satisfied_each_on_its_own() {
        let event = r#"{"process.args":["a","b c","\\"],"process.args_count":3}"#;
        for (query, expected) in [
            ("process.args:a and process.args:b c", true),
            ("process.args:(a and not (b or b*))", false),
            ("not process.args:d AND process.args_count >= 3", true),
            ("process.args_count:3.0", true),
            ("process.args:A or process.args:\"b*\"", false),
            ("process.args:\\\\", true),
            ("process.name:* or not process.args:*", false),
            (
                "not process.name:x or process.args:z and process.args:z",
                true,
            ),
        ] {
            assert_eq!(verdict(query, event), expected, "{query}");
        }
    }
}
