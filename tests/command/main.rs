//! Tests of the program as a process: output and exit codes, damaged input, signals, disk faults, terminals that disappear.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod clever_hans;
mod cli;
mod decoders;
#[cfg(unix)]
mod ends;
mod exec;
#[cfg(unix)]
mod faults;
mod hostile_files;
#[cfg(feature = "hub")]
mod hub;
mod names;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod soak;
