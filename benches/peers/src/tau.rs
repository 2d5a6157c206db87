//! tau-engine. It has a rule form of its own: Sigma rules are translated to it.

use std::collections::HashMap;

use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SelectorPattern, SigmaRule,
    SigmaString, SigmaValue, SpecialChar, StringPart, detection_name_matches,
};
use serde_json::Value;
use serde_yaml::{Mapping, Value as Yaml};
use tau_engine::{Optimisations, Rule};

use crate::data::sigma_names;
use crate::engine::{Engine, Loaded, Refused, RuleFile};
use crate::rsigma::parse;

struct Tau {
    rules: Vec<(String, Rule)>,
    events: Vec<Value>,
}

/// Translates the rules and loads them.
pub fn load(rules: &[RuleFile]) -> Loaded {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for rule in rules {
        match parse(rule).and_then(|rule| Ok((rule.id.clone().unwrap_or_default(), tau(&rule)?))) {
            Ok(rule) => taken.push(rule),
            Err(error) => refused.push(Refused::new(rule, error)),
        }
    }
    let engine = Tau {
        rules: taken,
        events: Vec::new(),
    };
    (Box::new(engine), refused)
}

impl Engine for Tau {
    fn rules(&self) -> usize {
        self.rules.len()
    }

    fn give(&mut self, events: &[Value]) {
        self.events = events.iter().map(sigma_names).collect();
    }

    fn evaluate(&mut self, event: usize) -> usize {
        let event = &self.events[event];
        let matching = self.rules.iter().filter(|(_, rule)| rule.matches(event));
        matching.count()
    }

    fn matches(&mut self, event: usize) -> Vec<String> {
        let event = &self.events[event];
        let matching = self.rules.iter().filter(|(_, rule)| rule.matches(event));
        matching.map(|(id, _)| id.clone()).collect()
    }
}

fn tau(rule: &SigmaRule) -> Result<Rule, String> {
    let mut writer = Writer::default();
    let named = &rule.detection.named;
    let condition = rule.detection.conditions.iter();
    let condition = condition.map(|condition| writer.condition(condition, named));
    let condition = join(" or ", condition.collect::<Result<_, _>>()?);
    writer
        .identifiers
        .insert("condition".into(), condition.into());
    let mut document = Mapping::new();
    document.insert("detection".into(), Yaml::Mapping(writer.identifiers));
    document.insert("true_positives".into(), Yaml::Sequence(Vec::new()));
    document.insert("true_negatives".into(), Yaml::Sequence(Vec::new()));
    let rule = Rule::from_value(Yaml::Mapping(document)).map_err(|error| error.to_string())?;
    Ok(rule.optimise(Optimisations::default()))
}

/// Collects tau's identifiers, one for each item of the Sigma rule.
#[derive(Default)]
struct Writer {
    identifiers: Mapping,
}

impl Writer {
    fn condition(
        &mut self,
        condition: &ConditionExpr,
        named: &HashMap<String, Detection>,
    ) -> Result<String, String> {
        let mut all = |parts: &[ConditionExpr]| {
            let parts = parts.iter().map(|part| self.condition(part, named));
            parts.collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            ConditionExpr::And(parts) => join(" and ", all(parts)?),
            ConditionExpr::Or(parts) => join(" or ", all(parts)?),
            ConditionExpr::Not(part) => format!("(not {})", self.condition(part, named)?),
            ConditionExpr::Identifier(name) => {
                let detection = named.get(name).ok_or_else(|| format!("no {name}"))?;
                self.detection(detection)?
            }
            ConditionExpr::Selector {
                quantifier,
                pattern,
            } => {
                let mut names: Vec<&String> =
                    named.keys().filter(|name| selects(pattern, name)).collect();
                names.sort();
                let parts = names.into_iter().map(|name| self.detection(&named[name]));
                let parts = parts.collect::<Result<_, _>>()?;
                match quantifier {
                    Quantifier::Any | Quantifier::Count(1) => join(" or ", parts),
                    Quantifier::All => join(" and ", parts),
                    Quantifier::Count(_) => return Err("more than 1 of".into()),
                }
            }
        })
    }

    fn detection(&mut self, detection: &Detection) -> Result<String, String> {
        Ok(match detection {
            Detection::AllOf(items) => {
                let items = items.iter().map(|item| self.item(item));
                join(" and ", items.collect::<Result<_, _>>()?)
            }
            Detection::AnyOf(parts) => {
                let parts = parts.iter().map(|part| self.detection(part));
                join(" or ", parts.collect::<Result<_, _>>()?)
            }
            Detection::And(parts) => {
                let parts = parts.iter().map(|part| self.detection(part));
                join(" and ", parts.collect::<Result<_, _>>()?)
            }
            _ => return Err("a selection without fields".into()),
        })
    }

    fn item(&mut self, item: &DetectionItem) -> Result<String, String> {
        let field = item.field.name.as_deref().ok_or("a keyword")?;
        let values = item.values.iter();
        let values = values.map(|value| tau_value(value, &item.field.modifiers));
        let mut values: Vec<Yaml> = values.collect::<Result<_, _>>()?;
        let all = item.field.has_modifier(Modifier::All) && values.len() > 1;
        let key = if all {
            format!("all({field})")
        } else {
            field.to_owned()
        };
        let value = match values.len() {
            1 => values.remove(0),
            _ => Yaml::Sequence(values),
        };
        let name = format!("i{}", self.identifiers.len());
        let mapping = Mapping::from_iter([(Yaml::from(key), value)]);
        self.identifiers
            .insert(name.clone().into(), Yaml::Mapping(mapping));
        Ok(name)
    }
}

/// Always in parentheses: with tau, `or` binds tighter than `and`.
fn join(operator: &str, parts: Vec<String>) -> String {
    format!("({})", parts.join(operator))
}

fn selects(pattern: &SelectorPattern, name: &str) -> bool {
    match pattern {
        SelectorPattern::Them => !name.starts_with('_'),
        SelectorPattern::Pattern(pattern) => detection_name_matches(pattern, name),
    }
}

fn tau_value(value: &SigmaValue, modifiers: &[Modifier]) -> Result<Yaml, String> {
    let text = match value {
        SigmaValue::String(text) => text,
        SigmaValue::Integer(number) => return Ok((*number).into()),
        SigmaValue::Float(number) => return Ok((*number).into()),
        SigmaValue::Bool(flag) => return Ok((*flag).into()),
        SigmaValue::Null => return Ok(Yaml::Null),
    };
    let (mut before, mut after) = (false, false);
    for modifier in modifiers {
        match modifier {
            Modifier::Contains => (before, after) = (true, true),
            Modifier::StartsWith => after = true,
            Modifier::EndsWith => before = true,
            Modifier::All => {}
            Modifier::Re => return Ok(format!("?{}", text.original).into()),
            other => return Err(format!("modifier {other:?}")),
        }
    }
    Ok(pattern(text, before, after).into())
}

/// A pattern without regard to case. tau knows a star at either end; what has others becomes a regex.
fn pattern(text: &SigmaString, mut before: bool, mut after: bool) -> String {
    let any = StringPart::Special(SpecialChar::WildcardMulti);
    let mut parts = text.parts.as_slice();
    while let [first, rest @ ..] = parts
        && *first == any
    {
        (before, parts) = (true, rest);
    }
    while let [rest @ .., last] = parts
        && *last == any
    {
        (after, parts) = (true, rest);
    }
    let star = |is: bool| if is { "*" } else { "" };
    match parts {
        [] if before || after => return "*".into(),
        // A star that is meant literally would be taken for one of tau's.
        [StringPart::Plain(plain)] if !plain.starts_with(['*', '?']) && !plain.ends_with('*') => {
            return match (before, after) {
                (false, false) => format!("i\"{plain}\""),
                _ => format!("i{}{plain}{}", star(before), star(after)),
            };
        }
        _ => {}
    }
    let mut regex = String::from("i?(?s)");
    regex.push_str(if before { "" } else { "^" });
    for part in parts {
        match part {
            StringPart::Special(SpecialChar::WildcardMulti) => regex.push_str(".*"),
            StringPart::Special(SpecialChar::WildcardSingle) => regex.push('.'),
            StringPart::Plain(plain) => plain.chars().for_each(|character| {
                if !character.is_alphanumeric() && character.is_ascii() {
                    regex.push('\\');
                }
                regex.push(character);
            }),
        }
    }
    regex.push_str(if after { "" } else { "$" });
    regex
}
