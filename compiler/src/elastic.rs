//! Rule files in the form of Elastic's detection-rules repository (TOML).

use std::ops::Range;

use peewit_core::alert::{Severity, TEXT_LIMIT};
use peewit_core::field::Field;
use peewit_core::pack::{Kinds, MAX_TERM_FIELDS};
use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::Located;
use crate::expr::Node;
use crate::rule::{self, Kind, Rule};
use crate::{eql, kql};

#[derive(Deserialize)]
struct File {
    rule: Spanned<Keys>,
}

#[derive(Deserialize)]
struct Keys {
    rule_id: Spanned<String>,
    name: String,
    #[serde(default)]
    author: Vec<String>,
    #[serde(rename = "type")]
    kind: Spanned<String>,
    language: Option<Spanned<String>>,
    query: Option<Spanned<String>>,
    risk_score: Spanned<i64>,
    severity: Spanned<String>,
    from: Option<Spanned<String>>,
    interval: Option<Spanned<String>>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    threat: Vec<Threat>,
    new_terms: Option<Spanned<NewTerms>>,
    threshold: Option<Spanned<Threshold>>,
}

#[derive(Deserialize)]
struct Threat {
    tactic: Option<Attack>,
    #[serde(default)]
    technique: Vec<Attack>,
}

#[derive(Deserialize)]
struct Attack {
    id: String,
    #[serde(default)]
    subtechnique: Vec<Attack>,
}

#[derive(Deserialize)]
struct NewTerms {
    field: Option<Spanned<String>>,
    value: Vec<Spanned<String>>,
    history_window_start: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    value: Spanned<String>,
}

#[derive(Deserialize)]
struct Threshold {
    #[serde(default)]
    field: Vec<Spanned<String>>,
    value: Spanned<i64>,
    #[serde(default)]
    cardinality: Vec<Cardinality>,
}

#[derive(Deserialize)]
struct Cardinality {
    field: Spanned<String>,
    value: Spanned<i64>,
}

/// Kibana's defaults (`from`, `interval` of the detection engine's rule schema).
pub(crate) const DEFAULT_LOOKBACK_S: u32 = 6 * 60;
pub(crate) const DEFAULT_INTERVAL_S: u32 = 5 * 60;

/// Reads a rule file. Spans of errors are byte offsets within its text.
///
/// # Errors
/// Bad TOML, a missing or unusable key, a rule type or language that packs do not hold,
/// errors of the query.
pub fn parse(text: &str) -> Result<Rule, Located> {
    let file: File = toml::from_str(text).map_err(|error| {
        let message = error.message().trim();
        Located::new(error.span().unwrap_or(0..0), message)
    })?;
    let rule_span = file.rule.span();
    let keys = file.rule.into_inner();

    if keys.rule_id.get_ref().is_empty() || keys.rule_id.get_ref().len() > TEXT_LIMIT {
        let message = format!("rule_id has 1 to {TEXT_LIMIT} bytes");
        return Err(Located::new(keys.rule_id.span(), message));
    }
    let Some(query) = &keys.query else {
        return Err(Located::new(rule_span, "the rule has no query"));
    };
    let language = keys
        .language
        .as_ref()
        .map_or("kuery", |language| language.get_ref().as_str());
    let parsed = match language {
        "kuery" => kql::parse(query.get_ref()).map(eql::Query::Event),
        "eql" => eql::parse(query.get_ref()),
        other => {
            let message =
                format!("language \"{other}\" is not supported: \"kuery\" and \"eql\" are");
            return Err(Located::new(
                keys.language.map_or(0..0, |language| language.span()),
                message,
            ));
        }
    };
    let parsed = parsed.map_err(|error| within(text, query, error))?;
    let (kind, fields) = kind_of(&keys, language)?;
    let (kind, queries) = match parsed {
        eql::Query::Event(expr) => {
            let condition = Node::new(&expr);
            let keys = fields;
            (kind, vec![rule::Query { condition, keys }])
        }
        eql::Query::Sequence { stages, span_ms } => {
            let query = |stage: eql::Stage| rule::Query {
                condition: Node::new(&stage.expr),
                keys: stage.keys,
            };
            (
                Kind::Sequence { span_ms },
                stages.into_iter().map(query).collect(),
            )
        }
    };

    let severity = Severity::ALL
        .into_iter()
        .find(|severity| severity.name() == keys.severity.get_ref());
    let Some(severity) = severity else {
        return Err(Located::new(
            keys.severity.span(),
            "severity is low, medium, high or critical",
        ));
    };
    let Some(risk_score) = u8::try_from(*keys.risk_score.get_ref())
        .ok()
        .filter(|score| *score <= 100)
    else {
        return Err(Located::new(
            keys.risk_score.span(),
            "risk_score is a whole number from 0 to 100",
        ));
    };
    Ok(Rule {
        id: keys.rule_id.into_inner(),
        name: keys.name,
        author: keys.author.join(", "),
        attack: attack(&keys.threat),
        severity,
        risk_score,
        tags: keys.tags,
        references: keys.references,
        kinds: Kinds(u8::MAX),
        kind,
        queries,
        lookback_s: keys
            .from
            .map_or(Ok(DEFAULT_LOOKBACK_S), |from| ago(&from))?,
        interval_s: keys.interval.map_or(Ok(DEFAULT_INTERVAL_S), |interval| {
            duration(interval.get_ref())
                .filter(|&seconds| seconds > 0)
                .ok_or_else(|| {
                    Located::new(
                        interval.span(),
                        "interval is a number and a unit (s, m, h, d, w), like 5m",
                    )
                })
        })?,
    })
}

/// What is to be done with the events that match, and the fields that tell them apart.
fn kind_of(keys: &Keys, language: &str) -> Result<(Kind, Vec<Field>), Located> {
    let kind = keys.kind.get_ref().as_str();
    for (name, section) in [
        ("new_terms", keys.new_terms.as_ref().map(Spanned::span)),
        ("threshold", keys.threshold.as_ref().map(Spanned::span)),
    ] {
        match section {
            Some(span) if kind != name => {
                let message = format!("[rule.{name}] belongs to type = \"{name}\"");
                return Err(Located::new(span, message));
            }
            None if kind == name => {
                let message = format!("type = \"{name}\" needs [rule.{name}]");
                return Err(Located::new(keys.kind.span(), message));
            }
            _ => {}
        }
    }
    if (kind == "eql") != (language == "eql") {
        let message = "type = \"eql\" and language = \"eql\" belong together";
        return Err(Located::new(keys.kind.span(), message));
    }
    match (kind, &keys.new_terms, &keys.threshold) {
        ("query" | "eql", ..) => Ok((Kind::Query, Vec::new())),
        ("new_terms", Some(terms), _) => {
            let (fields, window_s) = terms_of(terms)?;
            Ok((Kind::NewTerms { window_s }, fields))
        }
        ("threshold", _, Some(threshold)) => threshold_of(threshold),
        _ => {
            let message = format!(
                "rules of type \"{kind}\" are not supported: \"query\", \"eql\", \"new_terms\" and \"threshold\" are"
            );
            Err(Located::new(keys.kind.span(), message))
        }
    }
}

fn field_of(name: &Spanned<String>) -> Result<Field, Located> {
    let message = || format!("no such process field: {}", name.get_ref());
    Field::from_name(name.get_ref()).ok_or_else(|| Located::new(name.span(), message()))
}

fn threshold_of(threshold: &Spanned<Threshold>) -> Result<(Kind, Vec<Field>), Located> {
    let keys = threshold.get_ref();
    let number = |value: &Spanned<i64>| {
        u32::try_from(*value.get_ref())
            .ok()
            .filter(|&number| number > 0)
            .ok_or_else(|| Located::new(value.span(), "value is a number from 1"))
    };
    if keys.field.len() > MAX_TERM_FIELDS {
        let message = format!("field is a list of at most {MAX_TERM_FIELDS} fields");
        return Err(Located::new(threshold.span(), message));
    }
    let fields = keys.field.iter().map(field_of).collect::<Result<_, _>>()?;
    let distinct = match keys.cardinality.as_slice() {
        [] => None,
        [cardinality] => Some((field_of(&cardinality.field)?, number(&cardinality.value)?)),
        _ => {
            return Err(Located::new(
                threshold.span(),
                "cardinality is of one field at most",
            ));
        }
    };
    let count = number(&keys.value)?;
    Ok((Kind::Threshold { count, distinct }, fields))
}

fn terms_of(terms: &Spanned<NewTerms>) -> Result<(Vec<Field>, u32), Located> {
    let keys = terms.get_ref();
    if let Some(field) = keys
        .field
        .as_ref()
        .filter(|field| field.get_ref() != "new_terms_fields")
    {
        return Err(Located::new(field.span(), "field is \"new_terms_fields\""));
    }
    if keys.value.is_empty() || keys.value.len() > MAX_TERM_FIELDS {
        let message = format!("value is a list of 1 to {MAX_TERM_FIELDS} fields");
        return Err(Located::new(terms.span(), message));
    }
    let fields = keys
        .value
        .iter()
        .map(field_of)
        .collect::<Result<Vec<_>, _>>()?;
    match keys.history_window_start.as_slice() {
        [window] => Ok((fields, ago(&window.value)?)),
        _ => Err(Located::new(
            terms.span(),
            "history_window_start is one entry",
        )),
    }
}

fn attack(threats: &[Threat]) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for threat in threats {
        let techniques = threat
            .technique
            .iter()
            .flat_map(|technique| std::iter::once(technique).chain(&technique.subtechnique));
        ids.extend(
            threat
                .tactic
                .iter()
                .chain(techniques)
                .map(|attack| attack.id.as_str()),
        );
    }
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    ids.join(" ")
}

/// `now-5d` in seconds.
fn ago(value: &Spanned<String>) -> Result<u32, Located> {
    value
        .get_ref()
        .strip_prefix("now-")
        .and_then(duration)
        .ok_or_else(|| {
            Located::new(
                value.span(),
                "a time is now- and a number and a unit (s, m, h, d, w), like now-5d",
            )
        })
}

/// `5d` in seconds.
fn duration(text: &str) -> Option<u32> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse::<u32>().ok()?.checked_mul(unit))?
}

/// Moves an error from a query into its file. A query with TOML escapes does not stand in the file as
/// it is; its errors then point at the whole.
fn within(text: &str, query: &Spanned<String>, error: Located) -> Located {
    let span: Range<usize> = query.span();
    match text
        .get(span.clone())
        .and_then(|raw| raw.find(query.get_ref().as_str()))
    {
        Some(start) => Located {
            span: span.start + start + error.span.start..span.start + start + error.span.end,
            ..error
        },
        None => Located::new(
            span,
            format!("{} (byte {} of the query)", error.message, error.span.start),
        ),
    }
}
