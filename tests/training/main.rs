//! Training and measuring: what a network learns, and how well it knows a data set.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod adversary;
mod dropout;
mod evaluate;
mod train;
mod welcome;
