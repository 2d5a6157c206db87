//! Sigma rules of `linux/process_creation`.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
// Another YAML library than the compiler's.
use yaml_serde::Value;

use crate::event::Event;
use crate::text::{Cursor, Error};
use crate::tree::Tree;
use crate::wild::{self, Piece};

/// A rule's detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The selections by name.
    pub selections: Vec<(String, Selection)>,
    /// Which of them have to hold.
    pub condition: Tree<Pick>,
}

/// One of these maps has to hold.
pub type Selection = Vec<Vec<Item>>;

/// A line of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Sigma's name of the field.
    pub field: String,
    /// `contains`, `startswith`, `endswith`, `re`, `all`, `i`.
    pub modifiers: Vec<String>,
    /// The values.
    pub values: Vec<String>,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// A selection.
    Selection(String),
    /// So many (`None`: all) of those whose names match.
    Of(Option<usize>, String),
}

/// The ECS field of a Sigma field.
pub fn ecs(field: &str) -> Option<&'static str> {
    Some(match field {
        "Image" => "process.executable",
        "CommandLine" => "process.command_line",
        "ParentImage" => "process.parent.executable",
        "ParentCommandLine" => "process.parent.command_line",
        "CurrentDirectory" => "process.working_directory",
        "User" => "user.name",
        "LogonId" => "process.logon_id",
        _ => return None,
    })
}

/// Whether a detection holds for an event.
pub fn holds(detection: &Detection, event: &Event) -> bool {
    let selected = |selection: &Selection| {
        selection
            .iter()
            .any(|map| map.iter().all(|item| item_holds(item, event)))
    };
    detection.condition.holds(&mut |pick| match pick {
        Pick::Selection(name) => detection
            .selections
            .iter()
            .any(|(own, selection)| own == name && selected(selection)),
        Pick::Of(count, pattern) => {
            let named = named(detection, pattern);
            let held = named
                .iter()
                .filter(|(_, selection)| selected(selection))
                .count();
            held >= count.unwrap_or(named.len())
        }
    })
}

fn named<'a>(detection: &'a Detection, pattern: &str) -> Vec<&'a (String, Selection)> {
    let pattern = wild::glob(pattern, false);
    let all = detection.selections.iter();
    all.filter(|(name, _)| wild::matches(&pattern, name, false))
        .collect()
}

fn item_holds(item: &Item, event: &Event) -> bool {
    let has = |modifier: &str| item.modifiers.iter().any(|own| own == modifier);
    let texts = ecs(&item.field)
        .map(|field| event.texts(field))
        .unwrap_or_default();
    let mut values = item.values.iter().map(|value| {
        if has("re") {
            return texts
                .iter()
                .any(|text| regex_matches(value, has("i"), text));
        }
        let pattern = pattern(item, value);
        texts.iter().any(|text| wild::matches(&pattern, text, true))
    });
    if has("all") {
        values.all(|held| held)
    } else {
        values.any(|held| held)
    }
}

fn regex_matches(pattern: &str, fold: bool, text: &str) -> bool {
    thread_local! {
        // Building one takes longer than all the rest.
        static BUILT: RefCell<HashMap<(String, bool), Option<Regex>>> = RefCell::default();
    }
    BUILT.with_borrow_mut(|built| {
        let regex = built.entry((pattern.to_owned(), fold)).or_insert_with(|| {
            let builder = RegexBuilder::new(pattern).case_insensitive(fold).build();
            builder.ok()
        });
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    })
}

/// A value with what its item's modifiers put around it.
pub fn pattern(item: &Item, value: &str) -> Vec<Piece> {
    let has = |modifier: &str| item.modifiers.iter().any(|own| own == modifier);
    let mut pieces = Vec::new();
    if has("contains") || has("endswith") {
        pieces.push(Piece::Any);
    }
    pieces.extend(pieces_of(value));
    if has("contains") || has("startswith") {
        pieces.push(Piece::Any);
    }
    pieces
}

/// A value's pieces: a backslash escapes wildcards and itself, and is a character before all others.
fn pieces_of(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = value.chars().peekable();
    while let Some(next) = rest.next() {
        pieces.push(match next {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => match rest.next_if(|after| "*?\\".contains(*after)) {
                Some(escaped) => Piece::Char(escaped),
                None => Piece::Char('\\'),
            },
            other => Piece::Char(other),
        });
    }
    pieces
}

/// Reads a rule: its id and detection.
pub fn parse(text: &str) -> Result<(String, Detection), Error> {
    let rule: Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let member = |name: &str| rule.get(name).ok_or(format!("no {name}"));
    let id = scalar(member("id")?)?;
    let detection = member("detection")?
        .as_mapping()
        .ok_or("detection is no map")?;
    let mut selections = Vec::new();
    let mut condition = None;
    for (name, value) in detection {
        let name = scalar(name)?;
        if name == "condition" {
            condition = Some(parse_condition(&scalar(value)?)?);
        } else {
            selections.push((name, selection(value)?));
        }
    }
    let condition = condition.ok_or("no condition")?;
    Ok((
        id,
        Detection {
            selections,
            condition,
        },
    ))
}

fn scalar(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        Ok(text.to_owned())
    } else if let Some(number) = value.as_i64() {
        Ok(number.to_string())
    } else {
        Err(format!("a scalar expected: {value:?}"))
    }
}

fn selection(value: &Value) -> Result<Selection, Error> {
    match value.as_sequence() {
        Some(maps) => maps.iter().map(map).collect(),
        None => Ok(vec![map(value)?]),
    }
}

fn map(value: &Value) -> Result<Vec<Item>, Error> {
    let lines = value.as_mapping().ok_or("a map expected")?;
    let item = |(key, value): (&Value, &Value)| {
        let key = scalar(key)?;
        let mut parts = key.split('|').map(str::to_owned);
        let field = parts.next().unwrap_or_default();
        if ecs(&field).is_none() {
            return Err(format!("no such field: {field}"));
        }
        let values = match value.as_sequence() {
            Some(values) => values.iter().map(scalar).collect::<Result<_, _>>()?,
            None => vec![scalar(value)?],
        };
        Ok(Item {
            field,
            modifiers: parts.collect(),
            values,
        })
    };
    lines.iter().map(item).collect()
}

fn parse_condition(text: &str) -> Result<Tree<Pick>, Error> {
    let mut cursor = Cursor::new(text);
    let condition = either(&mut cursor)?;
    if cursor.rest().is_empty() {
        Ok(condition)
    } else {
        Err(cursor.error("the end expected"))
    }
}

/// Takes the next word, up to a blank or a parenthesis.
fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let word = cursor.take_while(|next| !next.is_whitespace() && next != '(' && next != ')');
    cursor.blanks();
    word
}

fn eat_word(cursor: &mut Cursor, wanted: &str) -> bool {
    let before = cursor.at;
    let found = word(cursor).eq_ignore_ascii_case(wanted);
    if !found {
        cursor.at = before;
    }
    found
}

fn either(cursor: &mut Cursor) -> Result<Tree<Pick>, Error> {
    let mut parts = vec![both(cursor)?];
    while eat_word(cursor, "or") {
        parts.push(both(cursor)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tree::Or(parts)
    })
}

fn both(cursor: &mut Cursor) -> Result<Tree<Pick>, Error> {
    let mut parts = vec![unary(cursor)?];
    while eat_word(cursor, "and") {
        parts.push(unary(cursor)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tree::And(parts)
    })
}

fn unary(cursor: &mut Cursor) -> Result<Tree<Pick>, Error> {
    cursor.blanks();
    if eat_word(cursor, "not") {
        return Ok(Tree::Not(Box::new(unary(cursor)?)));
    }
    if cursor.eat("(") {
        let inner = either(cursor)?;
        cursor.expect(")")?;
        cursor.blanks();
        return Ok(inner);
    }
    let first = word(cursor);
    if eat_word(cursor, "of") {
        let count = match first {
            "all" => None,
            count => Some(
                count
                    .parse()
                    .map_err(|_| cursor.error("a count expected"))?,
            ),
        };
        let pattern = match word(cursor) {
            "them" => "*",
            other => other,
        };
        return Ok(Tree::Leaf(Pick::Of(count, pattern.to_owned())));
    }
    if first.is_empty() {
        return Err(cursor.error("a selection expected"));
    }
    Ok(Tree::Leaf(Pick::Selection(first.to_owned())))
}

/// A rule as YAML.
pub fn print(id: &str, detection: &Detection) -> String {
    let condition = detection.condition.print(&|pick| match pick {
        Pick::Selection(name) => name.clone(),
        Pick::Of(count, pattern) => {
            let count = count.map_or("all".to_owned(), |count| count.to_string());
            format!(
                "{count} of {}",
                if pattern == "*" { "them" } else { pattern }
            )
        }
    });
    let mut text = format!(
        "title: mutated\nid: {id}\nstatus: test\nauthor: nobody\nlevel: low\nlogsource:\n    product: linux\n    category: process_creation\ndetection:\n"
    );
    for (name, selection) in &detection.selections {
        text += &format!("    {name}:\n");
        for map in selection {
            let mut dash = if selection.len() == 1 { "" } else { "- " };
            for item in map {
                let key = [vec![item.field.clone()], item.modifiers.clone()]
                    .concat()
                    .join("|");
                text += &format!("        {dash}{key}:");
                if !dash.is_empty() {
                    dash = "  ";
                }
                match item.values.as_slice() {
                    [only] => text += &format!(" {}\n", print_text(only)),
                    many => {
                        text.push('\n');
                        for value in many {
                            text += &format!("              - {}\n", print_text(value));
                        }
                    }
                }
            }
        }
    }
    text + &format!("    condition: {condition}\n")
}

/// In single quotes where that is possible and the length is odd: both forms are to be tested.
fn print_text(text: &str) -> String {
    if text.len() % 2 == 1 && !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from('"');
    for next in text.chars() {
        match next {
            '"' | '\\' => quoted.extend(['\\', next]),
            control if control.is_control() => quoted += &format!("\\x{:02x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r"
id: x
detection:
    selection_a.b:
        Image|endswith: ['\node', /sh]
        CommandLine|contains|all: [A, '/etc/*.conf']
    selection_b:
        - CommandLine|re: 'q[0-9]'
        - User: 0
    filter: {CommandLine: 'x\*?\\*'}
    condition: all of selection_* and not filter or 2 of them
";

    #[test]
    fn a_rule_holds() {
        let (id, detection) = parse(RULE).expect("a rule");
        assert_eq!(parse(&print(&id, &detection)), Ok((id, detection.clone())));
        for (executable, command_line, expected) in [
            ("/bin/SH", "a /ETC/x.conf q1", true),
            ("/bin/SH", "a /ETC/x.conf Q1", false),
            (r"c:\node", "a /etc/.conf q1", true),
            ("/bin/bash.", "a /etc/.conf q1", false),
            ("", r"x*q\1 q1", true),
            ("", r"x.q\1 q1", false),
            ("", "q1", false),
        ] {
            let event = Event::new(&serde_json::json!({
                "process.executable": executable, "process.command_line": command_line
            }));
            assert_eq!(
                holds(&detection, &event),
                expected,
                "{executable} {command_line}"
            );
        }
    }
}
