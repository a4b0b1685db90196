//! Laws: what holds for every operation, network, method and thread count, and how the source is laid out.
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
mod relevance;
mod same_bits;
mod walk;
