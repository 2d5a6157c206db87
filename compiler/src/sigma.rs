//! Rule files in the form of Sigma (YAML), for `product: linux`, `category: process_creation`.
//!
//! What they mean is taken from Sigma's specification: `docs/rules.md` has it in full.

mod condition;
mod detection;
pub mod mapping;
mod regex;

use std::collections::BTreeSet;

use peewit_core::alert::{Severity, TEXT_LIMIT};
use peewit_core::pack::Kinds;

use crate::diagnostic::Located;
use crate::expr::{self, Expr};
use crate::rule::{Kind, Query, Rule};
use crate::syntax::join;
use crate::yaml::{self, Node, Value};
use mapping::Mapping;

/// Reads a file: one rule or more, as many as it has documents. Spans of errors are byte offsets within its text.
///
/// For each document: a rule, or why there is none: bad YAML, a missing or unusable key, a log source other than
/// process creation on Linux, a field or modifier without a counterpart, errors of the condition.
pub fn parse(text: &str, mapping: &Mapping) -> Vec<Result<Rule, Located>> {
    let documents = yaml::documents(text);
    if documents.is_empty() {
        return vec![Err(Located::new(0..0, "a file without a rule"))];
    }
    let rule = |document: Result<Node, Located>| rule(text, &document?, mapping);
    documents.into_iter().map(rule).collect()
}

fn rule(text: &str, document: &Node, mapping: &Mapping) -> Result<Rule, Located> {
    let Value::Map(_) = document.value else {
        return Err(document.error("a rule is a map of keys"));
    };
    for (key, what) in [
        ("correlation", "correlations are"),
        ("filter", "filters are"),
        ("action", "collections are"),
    ] {
        if let Some(node) = document.get(key) {
            return Err(node.error(format!("{what} not supported")));
        }
    }
    source(document)?;
    let id = required(document, "id")?;
    if id.is_empty() || id.len() > TEXT_LIMIT {
        let node = document.get("id").unwrap_or(document);
        return Err(node.error(format!("id has 1 to {TEXT_LIMIT} bytes")));
    }
    let (severity, risk_score) = level(document)?;
    let tags = texts(document, "tags")?;
    Ok(Rule {
        id: id.to_owned(),
        name: required(document, "title")?.to_owned(),
        author: texts(document, "author")?.join(", "),
        attack: attack(&tags),
        severity,
        risk_score,
        tags,
        references: texts(document, "references")?,
        // The category `process_creation`: a copy of its parent runs nothing new, and an end is none.
        kinds: Kinds(Kinds::ANY.0 | Kinds::EXEC.0),
        kind: Kind::Query,
        queries: vec![Query {
            condition: expr::Node::new(&detection(text, document, mapping)?),
            keys: Vec::new(),
        }],
        lookback_s: crate::elastic::DEFAULT_LOOKBACK_S,
        interval_s: crate::elastic::DEFAULT_INTERVAL_S,
    })
}

/// Only events of processes on Linux are there to be matched.
fn source(document: &Node) -> Result<(), Located> {
    let Some(source) = document.get("logsource") else {
        return Err(start_of(document, "the rule has no logsource"));
    };
    let part = |key: &str| source.get(key).and_then(Node::text);
    let named = [part("product"), part("category"), part("service")];
    match named {
        [Some("linux"), Some("process_creation"), None] => Ok(()),
        _ => {
            let named: Vec<&str> = named.into_iter().flatten().collect();
            let message = format!(
                "logsource {}: only linux/process_creation is there",
                named.join("/")
            );
            Err(source.error(message))
        }
    }
}

/// Severity and Elastic's risk score for it. `informational` is low, and counts for less.
fn level(document: &Node) -> Result<(Severity, u8), Located> {
    let Some(node) = document.get("level") else {
        return Err(start_of(document, "the rule has no level"));
    };
    match node.text() {
        Some("informational") => Ok((Severity::Low, 1)),
        Some("low") => Ok((Severity::Low, 21)),
        Some("medium") => Ok((Severity::Medium, 47)),
        Some("high") => Ok((Severity::High, 73)),
        Some("critical") => Ok((Severity::Critical, 99)),
        _ => Err(node.error("level is informational, low, medium, high or critical")),
    }
}

/// The selections, and what the condition says of them.
fn detection(text: &str, document: &Node, mapping: &Mapping) -> Result<Expr, Located> {
    let Some(detection) = document.get("detection") else {
        return Err(start_of(document, "the rule has no detection"));
    };
    let Value::Map(entries) = &detection.value else {
        return Err(detection.error("detection is a map of selections"));
    };
    let (mut selections, mut conditions) = (Vec::new(), None);
    for (key, value) in entries {
        match key.text() {
            Some("condition") => conditions = Some(value),
            Some("timeframe") => return Err(key.error("a timeframe is not supported")),
            Some(name) => selections.push((name.to_owned(), detection::selection(value, mapping)?)),
            None => return Err(key.error("a selection has a name")),
        }
    }
    let Some(conditions) = conditions else {
        return Err(start_of(detection, "the detection has no condition"));
    };
    // A list of conditions: one of them has to hold.
    let conditions = match &conditions.value {
        Value::List(items) if !items.is_empty() => items.as_slice(),
        _ => std::slice::from_ref(conditions),
    };
    let condition = |node: &Node| {
        let Some(written) = node.text() else {
            return Err(node.error("a condition is text"));
        };
        condition::parse(written, &selections).map_err(|error| within(text, node, written, error))
    };
    let alternatives = conditions.iter().map(condition);
    Ok(join(alternatives.collect::<Result<_, _>>()?, false))
}

/// Moves an error from a condition into its file. One that is folded over lines does not stand in the file as it is; its
/// errors then point at the whole.
fn within(text: &str, node: &Node, condition: &str, error: Located) -> Located {
    let raw = text.get(node.span.clone()).unwrap_or("");
    match raw.find(condition) {
        Some(start) => {
            let start = node.span.start + start;
            Located {
                span: start + error.span.start..start + error.span.end,
                ..error
            }
        }
        None => node.error(error.message),
    }
}

/// An error at the beginning of a map: the whole would be many lines.
fn start_of(node: &Node, message: &str) -> Located {
    Located::new(node.span.start..node.span.start, message)
}

fn required<'d>(document: &'d Node, key: &str) -> Result<&'d str, Located> {
    match document.get(key) {
        Some(node) => node
            .text()
            .ok_or_else(|| node.error(format!("{key} is text"))),
        None => Err(start_of(document, &format!("the rule has no {key}"))),
    }
}

/// One text or a list of them; none if the key is not there.
fn texts(document: &Node, key: &str) -> Result<Vec<String>, Located> {
    let Some(node) = document.get(key) else {
        return Ok(Vec::new());
    };
    let items = match &node.value {
        Value::Null => &[],
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let text = |item: &Node| {
        let text = item.text().map(str::to_owned);
        text.ok_or_else(|| item.error(format!("{key} is text, or a list of texts")))
    };
    items.iter().map(text).collect()
}

/// ATT&CK's tactics, as tags name them. Newer versions of ATT&CK have two in place of `defense-evasion`.
const TACTICS: [(&str, &str); 16] = [
    ("reconnaissance", "TA0043"),
    ("resource-development", "TA0042"),
    ("initial-access", "TA0001"),
    ("execution", "TA0002"),
    ("persistence", "TA0003"),
    ("privilege-escalation", "TA0004"),
    ("defense-evasion", "TA0005"),
    ("stealth", "TA0005"),
    ("defense-impairment", "TA0112"),
    ("credential-access", "TA0006"),
    ("discovery", "TA0007"),
    ("lateral-movement", "TA0008"),
    ("collection", "TA0009"),
    ("command-and-control", "TA0011"),
    ("exfiltration", "TA0010"),
    ("impact", "TA0040"),
];

/// Ids of tactics, techniques and subtechniques among the tags.
fn attack(tags: &[String]) -> String {
    let id = |tag: &String| {
        let name = tag
            .strip_prefix("attack.")?
            .to_ascii_lowercase()
            .replace('_', "-");
        if let Some((_, id)) = TACTICS.iter().find(|(tactic, _)| *tactic == name) {
            return Some((*id).to_owned());
        }
        let digits = name.strip_prefix('t').or(name.strip_prefix("ta"))?;
        let number = digits.trim_start_matches('a');
        number
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| name.to_ascii_uppercase())
    };
    let mut seen = BTreeSet::new();
    let mut ids: Vec<String> = tags.iter().filter_map(id).collect();
    ids.retain(|id| seen.insert(id.clone()));
    ids.join(" ")
}
