//! Scripts: errors, limits, steps, methods, architectures, and the worker thread.
#![allow(clippy::unwrap_used)]

/// As in the program: allocations are counted, so that hoarded tensors are noticed.
#[global_allocator]
static ALLOCATOR: gradscope::memory::Counting = gradscope::memory::Counting;

#[path = "../common/mod.rs"]
mod common;

mod ablation;
mod against;
mod architectures;
mod ask;
mod cam_layers;
mod closures;
mod errors;
mod export;
mod fidelity;
mod fooled;
mod gallery;
mod groups;
mod foes;
mod hostile;
mod nesting;
mod inside;
mod numbers;
mod objectives;
mod own;
mod params;
mod pieces;
mod plugins;
mod reference;
mod rules;
mod scale;
mod scores;
mod steps;
mod targets;
mod walks;
mod worker;
mod types;
mod units;
