//! The engines that are compared.

use crate::engine::{Loaded, RuleFile};
use crate::{peewit, rsigma, sigma_rust, tau};

/// An engine's kind.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is given.
    pub given: &'static str,
    /// Loads rules, from text to ready.
    pub load: fn(&[RuleFile]) -> Loaded,
}

/// All of them.
pub const KINDS: [Kind; 5] = [
    Kind {
        name: "peewit",
        given: "ECS fields as bytes, arguments as one block; every field evaluated anew for each event",
        load: peewit::load,
    },
    Kind {
        name: "peewit, as on a device",
        given: "the same, but what holds of the parent and of constant fields was found before, as its sensor does",
        load: peewit::load_knowing,
    },
    Kind {
        name: "rsigma-eval",
        given: "flat serde_json object with Sigma's names; default settings, one Engine::evaluate",
        load: rsigma::load,
    },
    Kind {
        name: "tau-engine",
        given: "flat serde_json object with Sigma's names; rules translated to tau's form, all optimisations, one after the other",
        load: tau::load,
    },
    Kind {
        name: "sigma-rust",
        given: "its own Event with Sigma's names; Rule::is_match one after the other",
        load: sigma_rust::load,
    },
];
