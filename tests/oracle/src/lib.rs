//! A naive evaluator of detection rules, to test peewit against. It shares no code with peewit, parsers
//! included: rules are read by recursive descent into trees, and evaluated straight from what their languages
//! mean, over JSON. Slow is fine; obviously right is the aim.
//!
//! On top of it, [`mutate`] makes new rules from published ones and [`invent`] events that are near to them; the
//! program `differential` compares its verdicts with those of `peewitctl`.

pub mod differential;
pub mod eql;
pub mod event;
pub mod invent;
pub mod kql;
pub mod lucene;
pub mod minimise;
pub mod mutate;
pub mod product;
pub mod rng;
pub mod rule;
pub mod sequence;
pub mod sigma;
pub mod text;
pub mod tree;
pub mod wild;
