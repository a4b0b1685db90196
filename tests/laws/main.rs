//! Laws: properties of every operation, network, method and thread count, and of the source layout.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod edits;
mod every_method;
mod floor_plan;
mod fused;
mod licences;
mod ops;
mod portable;
mod precision;
mod relevance;
mod same_bits;
mod tokens;
mod walk;
