//! sigma-rust.

use serde_json::Value;
use sigma_rust::{Event, Rule, event_from_json, rule_from_yaml};

use crate::data::sigma_names;
use crate::engine::{Engine, Loaded, Refused, RuleFile};

struct SigmaRust {
    rules: Vec<Rule>,
    events: Vec<Event>,
}

/// Parses the rules.
pub fn load(rules: &[RuleFile]) -> Loaded {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for rule in rules {
        match rule_from_yaml(&rule.text) {
            Ok(rule) => taken.push(rule),
            Err(error) => refused.push(Refused::new(rule, error)),
        }
    }
    let engine = SigmaRust {
        rules: taken,
        events: Vec::new(),
    };
    (Box::new(engine), refused)
}

impl Engine for SigmaRust {
    fn rules(&self) -> usize {
        self.rules.len()
    }

    fn give(&mut self, events: &[Value]) {
        let events = events.iter().map(|event| {
            event_from_json(&sigma_names(event).to_string()).expect("an event as JSON")
        });
        self.events = events.collect();
    }

    fn evaluate(&mut self, event: usize) -> usize {
        let event = &self.events[event];
        let matching = self.rules.iter().filter(|rule| rule.is_match(event));
        matching.count()
    }

    fn matches(&mut self, event: usize) -> Vec<String> {
        let event = &self.events[event];
        let matching = self.rules.iter().filter(|rule| rule.is_match(event));
        matching.filter_map(|rule| rule.id.clone()).collect()
    }
}
