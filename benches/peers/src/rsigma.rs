//! rsigma-eval.

use rsigma_eval::JsonEvent;
use rsigma_parser::{SigmaRule, parse_sigma_yaml};
use serde_json::Value;

use crate::data::sigma_names;
use crate::engine::{Engine, Loaded, Refused, RuleFile};

struct Rsigma {
    engine: rsigma_eval::Engine,
    events: Vec<Value>,
}

/// Parses one rule with rsigma's parser.
pub fn parse(rule: &RuleFile) -> Result<SigmaRule, String> {
    let mut parsed = parse_sigma_yaml(&rule.text).map_err(|error| error.to_string())?;
    match parsed.rules.pop() {
        Some(rule) if parsed.errors.is_empty() => Ok(rule),
        _ => Err(parsed.errors.join("; ")),
    }
}

/// Adds all rules in one batch.
pub fn load(rules: &[RuleFile]) -> Loaded {
    let (mut parsed, mut files, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        match parse(rule) {
            Ok(one) => {
                parsed.push(one);
                files.push(rule);
            }
            Err(error) => refused.push(Refused::new(rule, error)),
        }
    }
    let mut engine = rsigma_eval::Engine::new();
    let errors = engine.add_rules(&parsed).into_iter();
    refused.extend(errors.map(|(place, error)| Refused::new(files[place], error)));
    let events = Vec::new();
    (Box::new(Rsigma { engine, events }), refused)
}

impl Engine for Rsigma {
    fn rules(&self) -> usize {
        self.engine.rule_count()
    }

    fn give(&mut self, events: &[Value]) {
        self.events = events.iter().map(sigma_names).collect();
    }

    fn evaluate(&mut self, event: usize) -> usize {
        self.engine
            .evaluate(&JsonEvent::borrow(&self.events[event]))
            .len()
    }

    fn matches(&mut self, event: usize) -> Vec<String> {
        let found = self
            .engine
            .evaluate(&JsonEvent::borrow(&self.events[event]));
        let ids = found.into_iter().filter_map(|result| result.header.rule_id);
        ids.collect()
    }
}
