//! The detection core of peewit.
//!
//! 1. No operating system: events come in as values, alerts go out as bytes.
//! 2. `no_std`, no `alloc`, no `unsafe`: every capacity is fixed where it is used.
//! 3. No panic on any input, no recursion on input, bounded work for each byte.
//! 4. A pack is validated once; afterwards every access is in bounds by construction and
//!    checked all the same.
//! 5. When in doubt, alert: what is lost, evicted or truncated is counted, and costs at
//!    most an extra alert, never a missed one. Only what is pending of sequences and
//!    thresholds cannot be made up for, and is counted.
//!
//! It will not: read rule text (`peewit-compiler` does), read `/proc` (`peewit` does), keep
//! anything on a disk.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod alert;
pub mod automaton;
mod crc;
pub mod dfa;
pub mod ecs;
pub mod engine;
pub mod event;
pub mod exception;
pub mod field;
pub mod frame;
pub mod glob;
pub mod lineage;
pub mod pack;
pub mod packed;
mod parts;
pub mod sequence;
pub mod store;
pub mod terms;
pub mod threshold;

pub use parts::{Parts, parts};

/// Bytes as text, if all of them are. `core::str::from_utf8` would be linked for this alone:
/// what shows text needs `utf8_chunks` anyway.
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    match bytes.utf8_chunks().next() {
        None => Some(""),
        Some(chunk) => Some(chunk.valid()).filter(|text| text.len() == bytes.len()),
    }
}
