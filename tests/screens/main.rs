//! The terminal app, without a terminal: its state, its screens, its pictures.
#![allow(clippy::unwrap_used)]

mod cloud;
mod drawing;
mod keys;
mod lens;
mod session;
mod stage;
