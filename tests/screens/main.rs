//! The terminal app, without a terminal: its state, its screens, its pictures.
#![allow(clippy::unwrap_used)]

mod drawing;
mod keys;
mod lens;
mod scatter;
mod session;
mod stage;
