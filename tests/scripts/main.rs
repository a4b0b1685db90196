//! The host of scripts: what wrong and hostile ones do, what steps keep, what the shipped ones answer.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod hostile;
mod numbers;
mod params;
mod plugins;
mod steps;
