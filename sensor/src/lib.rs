//! The sensor: watches every process that starts on a Linux device, and raises an alert where a rule says so.
//!
//! 1. No exec is lost: an event is handled on the CPU where it happened, before the new program's first instruction.
//! 2. No heap, no standard library: what a thread touches is fixed, and locked in memory.
//! 3. A real-time thread waits for no disk and for no ordinary thread.
//! 4. It knows no rule language: rules come compiled, and `peewit-core` evaluates them.
//! 5. What was lost is counted and said.
//!
//! It will not: stop or change anything on the device, speak to a network.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod age;
pub mod alerts;
pub mod capture;
pub mod check;
pub mod cli;
pub mod config;
pub mod demo;
pub mod exceptions;
pub mod file;
pub mod health;
pub mod host;
pub mod invoked;
pub mod judge;
pub mod late;
pub mod limits;
pub mod log;
pub mod netlink;
pub mod options;
pub mod outlet;
pub mod problem;
pub mod proc;
pub mod queue;
pub mod rate;
pub mod ring;
pub mod roots;
pub mod rule_book;
pub mod rules;
pub mod run;
pub mod source;
pub mod squeezed;
pub mod state;
pub mod status;
pub mod store;
pub mod subject;
pub mod sys;
pub mod terms;
pub mod text;
pub mod texts;
pub mod writer;
