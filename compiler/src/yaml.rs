//! YAML as rules are written in it: text, numbers, lists and maps, each with its place in the file. Aliases and tags
//! are refused, and a key that a map has twice.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::diagnostic::Located;

/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// In bytes.
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, and as it was written.
    Number(i64, String),
    /// Anything else that is neither list nor map, and whatever is quoted.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// An error at this place.
    pub(crate) fn error(&self, message: impl Into<String>) -> Located {
        Located::new(self.span.clone(), message)
    }

    /// Its text, a number's as it was written.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) => Some(text),
            _ => None,
        }
    }

    /// What a key of a map leads to.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find_map(|(name, value)| (name.text() == Some(key)).then_some(value)),
            _ => None,
        }
    }
}

/// The documents of a file, up to the first error.
pub(crate) fn documents(text: &str) -> Vec<Result<Node, Located>> {
    let places = Places::of(text);
    let mut documents = Vec::new();
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, places.range(span)),
            Err(error) => {
                let at = places.byte(*error.marker());
                Err(Located::new(at..at, error.info()))
            }
        };
        match step {
            Ok(Some(document)) => documents.push(Ok(document)),
            Ok(None) => {}
            Err(error) => {
                documents.push(Err(error));
                break;
            }
        }
    }
    documents
}

/// The byte of each character: the parser counts characters.
struct Places<'t> {
    text: &'t str,
    bytes: Vec<usize>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        let bytes = text.char_indices().map(|(at, _)| at).collect();
        Self { text, bytes }
    }

    fn byte(&self, marker: Marker) -> usize {
        let byte = self.bytes.get(marker.index());
        byte.copied().unwrap_or(self.text.len())
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        let text = self.text.get(start..self.byte(span.end)).unwrap_or("");
        start..start + text.trim_end().len()
    }
}

/// Lists and maps that are not complete yet, the innermost last.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
}

struct Open {
    node: Node,
    /// A map's key whose value is still to come.
    key: Option<Node>,
}

impl Builder {
    /// Takes the next event; gives the document that it completes.
    fn take(&mut self, event: Event, span: Range<usize>) -> Result<Option<Node>, Located> {
        let refuse = |what: &str| {
            Err(Located::new(
                span.clone(),
                format!("{what} is not supported"),
            ))
        };
        let value = match event {
            Event::Alias(_) => return refuse("an alias"),
            Event::Scalar(.., Some(_)) => return refuse("a tag"),
            Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return refuse("a tag");
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => return self.open(Value::List(Vec::new()), span),
            Event::MappingStart(..) => return self.open(Value::Map(Vec::new()), span),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.open.pop() else {
                    return Ok(None);
                };
                open.node.span.end = span.end.max(open.node.span.start);
                return self.add(open.node);
            }
            _ => return Ok(None),
        };
        self.add(Node { value, span })
    }

    fn open(&mut self, value: Value, span: Range<usize>) -> Result<Option<Node>, Located> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and maps nested deeper than {MAX_DEPTH}");
            return Err(Located::new(span, message));
        }
        let node = Node { value, span };
        self.open.push(Open { node, key: None });
        Ok(None)
    }

    fn add(&mut self, node: Node) -> Result<Option<Node>, Located> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some(key)) => entries.push((key, node)),
            (Value::Map(entries), None) => {
                if entries.iter().any(|(key, _)| key.value == node.value) {
                    let name = node.text().unwrap_or("this one");
                    return Err(node.error(format!("a second key `{name}`")));
                }
                open.key = Some(node);
            }
            _ => {}
        }
        Ok(None)
    }
}

/// A value without quotes (YAML 1.2, core schema; only decimal numbers are numbers).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => match text.parse::<i64>() {
            Ok(number) => Value::Number(number, text.to_owned()),
            Err(_) => Value::Text(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let text = "é: 'x'\nlist:\n  - 7\n  - ~\n---\nb: yes\n";
        let documents = documents(text);
        assert_eq!(documents.len(), 2);
        let first = documents[0].clone().expect("a map");
        let x = first.get("é").expect("a key");
        assert_eq!((x.text(), &text[x.span.clone()]), (Some("x"), "'x'"));
        let Value::List(items) = &first.get("list").expect("a key").value else {
            panic!("a list");
        };
        assert_eq!(items[0].value, Value::Number(7, "7".into()));
        assert_eq!(items[0].span, 18..19);
        assert_eq!(items[1].value, Value::Null);
        let second = documents[1].clone().expect("a map");
        assert_eq!(second.get("b").and_then(Node::text), Some("yes"));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for (text, message) in [
            ("a: 1\na: 2", "a second key `a`"),
            ("a: &x 1\nb: *x", "an alias is not supported"),
            ("a: !!str 1", "a tag is not supported"),
            (&"[".repeat(40), "lists and maps nested deeper than 32"),
        ] {
            let documents = documents(text);
            let error = documents.last().expect("a result").clone().expect_err(text);
            assert_eq!(error.message, message, "{text}");
        }
        assert!(documents("a: [").last().expect("a result").is_err());
    }
}
