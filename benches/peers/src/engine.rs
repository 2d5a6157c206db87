//! What the comparison asks of an engine.

use std::path::PathBuf;

use serde_json::Value;

/// A rule file.
#[derive(Clone)]
pub struct RuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl RuleFile {
    /// The id of a Sigma rule.
    pub fn id(&self) -> &str {
        let mut lines = self.text.lines();
        lines
            .find_map(|line| line.strip_prefix("id: "))
            .unwrap_or("")
    }
}

/// An engine with its rules, and with events in the form that it is fastest with.
pub trait Engine {
    /// How many rules it took.
    fn rules(&self) -> usize;

    /// Takes these events in the place of those that it has. Not timed.
    fn give(&mut self, events: &[Value]);

    /// How many rules match an event, by its place. This is what is timed.
    fn evaluate(&mut self, event: usize) -> usize;

    /// The ids of the rules that match an event.
    fn matches(&mut self, event: usize) -> Vec<String>;
}

/// A rule file that an engine does not take, and why.
pub struct Refused {
    /// Which.
    pub path: PathBuf,
    /// In its words.
    pub reason: String,
}

impl Refused {
    /// `rule` is not taken.
    pub fn new(rule: &RuleFile, reason: impl ToString) -> Self {
        Self {
            path: rule.path.clone(),
            reason: reason.to_string(),
        }
    }
}

/// An engine that has loaded rules, and those that it left out.
pub type Loaded = (Box<dyn Engine>, Vec<Refused>);
