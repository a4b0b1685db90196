//! gradscope: an oscilloscope for neural networks, in the terminal.
//!
//! A single path runs through the whole crate:
//!
//! ```text
//! picture ──model──▶ input ──graph──▶ trace ──explain──▶ relevance ──render──▶ figure ──tui / cli──▶ terminal, files
//! ```
//!
//! A *method* (a script in `plugins/`) chooses which of these steps to run; an *architecture* (a script in `models/`) defines the
//! graph. The modules below are listed from the bottom layer to the top; each may use only the modules above it, as
//! `tests/laws/floor_plan.rs` checks.

// All output is escaped, and only regular files are opened: clippy.toml disallows the functions that would bypass this.
#![cfg_attr(not(test), warn(clippy::disallowed_macros, clippy::disallowed_methods))]

pub mod sync;
pub mod words;
pub mod panics;
// Reads limits and usage from /proc and /sys.
#[allow(clippy::disallowed_methods)]
pub mod memory;
pub mod interrupt;
pub mod tensor;
pub mod backend;
pub mod math;
pub mod graph;
pub mod exec;
pub mod explain;
pub mod data;
pub mod hub;
pub mod render;
pub mod model;
pub mod train;
pub mod script;
pub mod worker;
pub mod selftest;
pub mod tui;
pub mod cli;

/// Unit tests run under the same memory budget as the program.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
