//! gradscope: an oscilloscope for neural networks that lives in the terminal.
//!
//! One trip is all there is to know:
//!
//! ```text
//! picture ──model──▶ input ──graph──▶ trace ──explain──▶ relevance ──render──▶ figure ──tui / cli──▶ terminal, files
//! ```
//!
//! A *method* (a script in `plugins/`) decides which stations to visit; an *architecture* (a script in `models/`)
//! says what the graph is. The modules below stand in reading order, and that order is the floor plan: each uses
//! only those above it.

// Whatever is printed is escaped, whatever is opened is a file: clippy.toml says by whom.
#![cfg_attr(not(test), warn(clippy::disallowed_macros, clippy::disallowed_methods))]

pub mod sync;
pub mod words;
pub mod panics;
// It reads what the system says of itself.
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
pub mod render;
pub mod model;
pub mod train;
pub mod script;
pub mod worker;
pub mod selftest;
pub mod tui;
pub mod cli;

/// Tests are held to the memory that there is, too.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
