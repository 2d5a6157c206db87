//! What rules cost on a device, and which of them can never hold there: estimates, and facts.

use std::collections::BTreeSet;
use std::fmt;

use peewit_core::field::{Cost, Field};
use peewit_core::pack::Kinds;

use crate::expr::Node;
use crate::plan;
use crate::rule::Rule;

/// What a pack of rules costs for an exec, about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Conditions that are looked at, because one of their triggers holds or they have none.
    pub conditions: f64,
    /// Fields that are read from `/proc` for every exec, because some rule has no other trigger.
    pub reads: BTreeSet<Field>,
}

impl Estimate {
    /// Of these rules.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Self {
        let mut estimate = Self::default();
        for rule in rules {
            // Of every process that may be a parent, as it execs.
            let mut of_parents = rule.keys().any(Field::is_invoked);
            for query in &rule.queries {
                query.condition.atoms(&mut |atom| {
                    of_parents |= atom.field.cost() == Cost::Lineage && atom.field.is_invoked();
                });
            }
            if of_parents {
                estimate.reads.insert(Field::ProcessInvokedPath);
            }
            for query in &rule.queries {
                let kinds = plan::kinds(&query.condition).0 & rule.kinds.0;
                if !Kinds(kinds).meets(Kinds::EXEC) {
                    continue;
                }
                let triggers = plan::triggers(&query.condition);
                let share = |triggers: &Vec<_>| triggers.iter().map(plan::breadth).sum::<f64>();
                estimate.conditions += triggers.as_ref().map_or(1.0, share).min(1.0);
                let fields = triggers.into_iter().flatten().map(|atom| atom.field);
                estimate
                    .reads
                    .extend(fields.filter(|field| field.cost() == Cost::Read));
            }
        }
        estimate
    }
}

/// Why no event of a device makes a rule hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// It needs a field that no device has.
    Absent(Field),
    /// It asks a field that is the same for all events of a kind for something else.
    Constant(Field),
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(field) => write!(f, "needs {}", field.name()),
            Self::Constant(field) => write!(f, "needs another {}", field.name()),
        }
    }
}

impl Never {
    /// Whether a rule can never hold, and why.
    pub fn of(rule: &Rule) -> Option<Self> {
        let absent = |field: Field| (field.cost() == Cost::Absent).then_some(field);
        let conditions = || rule.queries.iter().map(|query| &query.condition);
        conditions()
            .find_map(needs_absent)
            .or_else(|| rule.keys().find_map(absent))
            .map(Self::Absent)
            .or_else(|| {
                conditions()
                    .find(|condition| plan::kinds(condition).0 & rule.kinds.0 == Kinds::ANY.0)
                    .map(|condition| Self::Constant(asked(condition)))
            })
    }
}

/// A field that no device has and without which a condition cannot hold.
fn needs_absent(node: &Node) -> Option<Field> {
    match node {
        Node::Atom { negated: true, .. } => None,
        Node::Atom {
            atom,
            negated: false,
        } => (atom.field.cost() == Cost::Absent).then_some(atom.field),
        Node::And(children) => children.iter().find_map(needs_absent),
        Node::Or(children) => {
            let fields: Option<Vec<Field>> = children.iter().map(needs_absent).collect();
            fields?.first().copied()
        }
    }
}

/// The constant field that a condition asks for and that says most: the last of them.
fn asked(node: &Node) -> Field {
    let mut fields = BTreeSet::new();
    node.atoms(&mut |atom| {
        fields.extend((atom.field.cost() == Cost::Constant).then_some(atom.field));
    });
    fields.last().copied().unwrap_or(Field::EventAction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic;

    fn rule(query: &str) -> Rule {
        let text = format!(
            "[rule]\nrule_id = \"r\"\nname = \"n\"\ntype = \"query\"\nrisk_score = 1\nseverity = \"low\"\nquery = '{query}'"
        );
        elastic::parse(&text).unwrap()
    }

    #[test]
    fn why_a_rule_never_holds() {
        for (query, never) in [
            ("process.name:x", None),
            ("process.name:x and not event.outcome:y", None),
            (
                "process.name:x and event.outcome:y",
                Some("needs event.outcome"),
            ),
            (
                "process.name:x and event.action:already_running",
                Some("needs another event.action"),
            ),
            ("process.name:x and event.action:(exec or end)", None),
        ] {
            let found = Never::of(&rule(query)).map(|never| never.to_string());
            assert_eq!(found.as_deref(), never, "{query}");
        }
    }

    #[test]
    fn what_is_read_for_every_exec() {
        let rules = [
            rule("event.action:exec and user.id:0"),
            rule("process.name:never_seen and process.working_directory:x"),
            rule("not process.name:x"),
        ];
        let estimate = Estimate::of(&rules);
        assert!(estimate.reads.iter().eq(&[Field::UserId]));
        let reads = |query| Estimate::of(&[rule(query)]).reads;
        let of_parents = reads("process.name:never_seen and process.parent.invoked.name:x");
        assert!(of_parents.iter().eq(&[Field::ProcessInvokedPath]));
        assert!(reads("process.name:never_seen and process.invoked.name:x").is_empty());
        assert!((1.0..1.1).contains(&estimate.conditions), "{estimate:?}");
    }
}
