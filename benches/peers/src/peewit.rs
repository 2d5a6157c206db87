//! peewit.

use std::path::Path;

use peewit_peers_device::{Captured, Device, compile};
use serde_json::Value;

use crate::engine::{Engine, Loaded, Refused, RuleFile};

struct Peewit {
    device: Box<Device>,
    /// Whether what a sensor knows before an event is known.
    knowing: bool,
    events: Vec<Captured>,
}

/// Compiles the rules and loads the pack.
pub fn load(rules: &[RuleFile]) -> Loaded {
    let (pack, refused) = pack(rules);
    (load_pack(pack, false), refused)
}

/// The same, but the events come with what a sensor knows before them.
pub fn load_knowing(rules: &[RuleFile]) -> Loaded {
    let (pack, refused) = pack(rules);
    (load_pack(pack, true), refused)
}

/// Compiles the rules: a workstation's part.
pub fn pack(rules: &[RuleFile]) -> (Box<[u8]>, Vec<Refused>) {
    let files: Vec<&Path> = rules.iter().map(|rule| rule.path.as_path()).collect();
    let (pack, refused) = compile(&files);
    let refused = refused.into_iter();
    let refused = refused.map(|(path, reason)| Refused { path, reason });
    (pack.into_boxed_slice(), refused.collect())
}

/// Loads a pack: a device's part.
pub fn load_pack(pack: Box<[u8]>, knowing: bool) -> Box<dyn Engine> {
    Box::new(Peewit {
        device: Device::new(pack),
        knowing,
        events: Vec::new(),
    })
}

impl Engine for Peewit {
    fn rules(&self) -> usize {
        self.device.rules()
    }

    fn give(&mut self, events: &[Value]) {
        self.events = events.iter().map(Captured::new).collect();
        if self.knowing {
            let events = self.events.iter_mut();
            events.for_each(|event| self.device.know(event));
        }
    }

    fn evaluate(&mut self, event: usize) -> usize {
        let mut count = 0;
        self.device
            .evaluate(&mut self.events[event], &mut |_| count += 1);
        count
    }

    fn matches(&mut self, event: usize) -> Vec<String> {
        let mut rules = Vec::new();
        self.device
            .evaluate(&mut self.events[event], &mut |rule| rules.push(rule));
        let ids = rules.into_iter().map(|rule| self.device.id(rule));
        ids.collect()
    }
}
