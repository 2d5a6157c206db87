//! Compiles published detection rules to packs that `peewit-core` evaluates.
//!
//! A host library: it reads rule text, which no device ever does. The way of a rule:
//!
//! `source` (files) -> `elastic` or `sigma` (a `rule`) -> `kql` or `eql` (an Elastic rule's query; `lucene` its regular
//! expressions) -> `expr` (a condition in normal form) -> `plan` (triggers, order, jumps; `typical` says what is seen often), `automata` (the patterns of each field), `dfa` and `guard` (regular expressions) -> `assemble`
//! (the pack).

mod assemble;
mod automata;
mod dfa;
pub mod diagnostic;
pub mod elastic;
pub mod eql;
pub mod estimate;
pub mod expr;
mod guard;
pub mod kql;
mod lucene;
mod plan;
pub mod rule;
pub mod sigma;
pub mod source;
mod syntax;
mod texts;
mod typical;
mod yaml;

pub use assemble::{TooLarge, assemble};
