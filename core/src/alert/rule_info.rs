//! What a stream says of a rule.

use super::{RuleId, Severity};

/// A rule of which alerts follow: written once after each start, in front of its first alert, so that whoever has only
/// the stream can show the rule's name, and its author, as Sigma's licence asks for. Texts are cut to the limits named
/// with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RuleInfo<'a> {
    /// The id that its alerts carry.
    pub id: RuleId<'a>,
    /// The rule's severity.
    pub severity: Severity,
    /// Its title: [`NAME_LIMIT`].
    pub name: &'a str,
    /// Its authors, separated by `, `: [`AUTHOR_LIMIT`].
    pub author: &'a str,
    /// ATT&CK tactics, techniques and subtechniques, separated by a space: [`ATTACK_LIMIT`].
    pub attack: &'a str,
    /// Its tags, separated by `, `: [`TAGS_LIMIT`].
    pub tags: &'a str,
    /// URLs to read on, separated by a space: [`REFERENCES_LIMIT`].
    pub references: &'a str,
}

/// Longest copy of a rule's name, in bytes.
pub const NAME_LIMIT: usize = 128;
/// Longest copy of a rule's authors.
pub const AUTHOR_LIMIT: usize = 128;
/// Longest copy of a rule's ATT&CK ids.
pub const ATTACK_LIMIT: usize = 64;
/// Longest copy of a rule's tags.
pub const TAGS_LIMIT: usize = 128;
/// Longest copy of a rule's references.
pub const REFERENCES_LIMIT: usize = 256;
