//! Which of the rules are to go into a pack.

use std::str::FromStr;

use peewit_compiler::rule::Rule;
use peewit_core::alert::Severity;

/// A choice: `tag:TEXT`, `level:LEVEL` (or higher) or `id:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// It has this tag, or this ATT&CK tactic or technique.
    Tag(String),
    /// It is at least so severe.
    Level(Severity),
    /// It has this id.
    Id(String),
}

impl FromStr for Select {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("tag", tag)) if !tag.is_empty() => Ok(Self::Tag(tag.to_owned())),
            Some(("id", id)) if !id.is_empty() => Ok(Self::Id(id.to_owned())),
            Some(("level", level)) => Severity::ALL
                .into_iter()
                .find(|severity| severity.name() == level)
                .map(Self::Level)
                .ok_or_else(|| "a level is low, medium, high or critical".to_owned()),
            _ => Err("a choice is tag:TEXT, level:LEVEL or id:ID".to_owned()),
        }
    }
}

impl Select {
    fn takes(&self, rule: &Rule) -> bool {
        match self {
            Self::Tag(tag) => {
                let attack = rule
                    .attack
                    .split(' ')
                    .any(|id| id.eq_ignore_ascii_case(tag));
                attack || rule.tags.iter().any(|own| own.eq_ignore_ascii_case(tag))
            }
            Self::Level(level) => rule.severity >= *level,
            Self::Id(id) => rule.id == *id,
        }
    }

    fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Whether a rule is chosen: of each kind of choice that was made, by one.
pub fn chosen(choices: &[Select], rule: &Rule) -> bool {
    choices.iter().all(|choice| {
        choices
            .iter()
            .any(|other| other.same_kind(choice) && other.takes(rule))
    })
}
