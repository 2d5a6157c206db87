//! Rule files: Elastic's TOML and Sigma's YAML.

use std::fs;
use std::path::{Path, PathBuf};

use crate::eql;
use crate::event::Event;
use crate::kql;
use crate::sequence::{self, Schedule};
use crate::sigma;
use crate::text::Error;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What it looks for.
    pub body: Body,
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A KQL rule: of type query, threshold or, with the keys that this needs, `new_terms`.
    Kql(kql::Query, Option<NewTerms>),
    /// An EQL rule.
    Eql(eql::Query),
    /// A Sigma rule.
    Sigma(sigma::Detection),
}

/// The keys of a `new_terms` rule.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTerms {
    /// Whose values are new.
    pub fields: Vec<String>,
    /// `from`, `interval` and the begin of the history, as they are written.
    pub from: String,
    /// See `from`.
    pub interval: String,
    /// See `from`.
    pub history: String,
}

impl NewTerms {
    /// These times in milliseconds.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            interval: span(&self.interval),
            look_back: span(&self.from),
            window: span(&self.history),
        }
    }
}

/// Milliseconds of `now-9m`, `60m`, `5d`.
fn span(text: &str) -> i64 {
    let text = text.strip_prefix("now-").unwrap_or(text);
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 86_400_000,
    };
    digits.parse::<i64>().unwrap_or(0) * unit
}

impl Rule {
    /// Whether the rule's query holds for an event; never for a sequence, which takes several.
    pub fn holds(&self, event: &Event) -> bool {
        match &self.body {
            Body::Kql(query, _) => kql::holds(query, event),
            Body::Eql(eql::Query::Single(condition)) => eql::holds(condition, event),
            Body::Eql(eql::Query::Sequence { .. }) => false,
            Body::Sigma(detection) => sigma::holds(detection, event),
        }
    }

    /// Whether it looks for several events.
    pub fn is_sequence(&self) -> bool {
        matches!(self.body, Body::Eql(eql::Query::Sequence { .. }))
    }

    /// Whether its alerts depend on several events.
    pub fn is_over_events(&self) -> bool {
        self.is_sequence() || matches!(self.body, Body::Kql(_, Some(_)))
    }

    /// Whether an event can be part of what it looks for.
    pub fn is_of_it(&self, event: &Event) -> bool {
        match &self.body {
            Body::Eql(eql::Query::Sequence { stages, .. }) => stages
                .iter()
                .any(|stage| eql::holds(&stage.condition, event)),
            _ => self.holds(event),
        }
    }

    /// A new-terms rule's alerts, over events in the order of time. See [`sequence::new_terms`].
    pub fn new_terms(&self, events: &[Event], first_run: Option<i64>) -> Vec<(usize, Vec<String>)> {
        let Body::Kql(_, Some(terms)) = &self.body else {
            return Vec::new();
        };
        let matching: Vec<usize> = (0..events.len())
            .filter(|&number| self.holds(&events[number]))
            .collect();
        sequence::new_terms(
            events,
            &matching,
            &terms.fields,
            terms.schedule(),
            first_run,
        )
    }

    /// A sequence rule's completed sequences. See [`sequence::sequences`].
    pub fn sequences(&self, events: &[Event]) -> Vec<Vec<usize>> {
        match &self.body {
            Body::Eql(eql::Query::Sequence { maxspan, stages }) => {
                sequence::sequences(events, *maxspan, stages)
            }
            _ => Vec::new(),
        }
    }

    /// Reads a rule file's text.
    pub fn parse(name: &Path, text: &str) -> Result<Self, Error> {
        if name
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            return elastic(text);
        }
        let (id, detection) = sigma::parse(text)?;
        Ok(Self {
            id,
            body: Body::Sigma(detection),
        })
    }

    /// The rule's file name and text, which the same language has.
    pub fn print(&self) -> (String, String) {
        let (kind, language, query, more) = match &self.body {
            Body::Sigma(detection) => {
                return (
                    format!("{}.yml", self.id),
                    sigma::print(&self.id, detection),
                );
            }
            Body::Eql(query) => ("eql", "eql", eql::print(query), String::new()),
            Body::Kql(query, None) => ("query", "kuery", kql::print(query), String::new()),
            Body::Kql(query, Some(terms)) => {
                let more = format!(
                    "from = {}\ninterval = {}\n[rule.new_terms]\nfield = \"new_terms_fields\"\nvalue = {:?}\n[[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = {}\n",
                    toml_text(&terms.from),
                    toml_text(&terms.interval),
                    terms.fields,
                    toml_text(&terms.history),
                );
                ("new_terms", "kuery", kql::print(query), more)
            }
        };
        let text = format!(
            "[rule]\nauthor = [\"nobody\"]\nlanguage = \"{language}\"\nname = \"mutated\"\nrisk_score = 47\nrule_id = {}\nseverity = \"medium\"\ntype = \"{kind}\"\nquery = {}\n{more}",
            toml_text(&self.id),
            toml_text(&query),
        );
        (format!("{}.toml", self.id), text)
    }
}

/// A TOML string; JSON's is one, but for one character.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

fn elastic(text: &str) -> Result<Rule, Error> {
    let file: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    let rule = file.get("rule").ok_or("no rule")?;
    let key = |name: &str| rule.get(name).and_then(toml::Value::as_str);
    let required = |name: &str| key(name).ok_or(format!("no {name}"));
    let query = required("query")?;
    let terms = match rule.get("new_terms") {
        None => None,
        Some(terms) => {
            let fields = terms.get("value").and_then(toml::Value::as_array);
            let history = terms
                .get("history_window_start")
                .and_then(|list| list.get(0));
            Some(NewTerms {
                fields: fields
                    .ok_or("no fields")?
                    .iter()
                    .filter_map(|field| field.as_str().map(str::to_owned))
                    .collect(),
                from: key("from").unwrap_or("now-6m").to_owned(),
                interval: key("interval").unwrap_or("5m").to_owned(),
                history: history
                    .and_then(|history| history.get("value")?.as_str())
                    .ok_or("no history_window_start")?
                    .to_owned(),
            })
        }
    };
    let body = match key("language").unwrap_or("kuery") {
        "eql" => Body::Eql(eql::parse(query)?),
        _ => Body::Kql(kql::parse(query)?, terms),
    };
    Ok(Rule {
        id: required("rule_id")?.to_owned(),
        body,
    })
}

/// All rules of a folder and the folders in it, by their paths; all must be readable.
pub fn load(folder: &Path) -> Result<Vec<Rule>, Error> {
    let mut rules = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rules.extend(load(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml" || extension == "yml")
        {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let rule = Rule::parse(&path, &text);
            rules.push(rule.map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(rules)
}
