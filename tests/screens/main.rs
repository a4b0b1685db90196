//! Tests of the terminal app without a terminal: state, screens, pictures.
#![allow(clippy::unwrap_used)]

mod cut;
mod drawing;
mod files;
mod help;
mod journeys;
mod keys;
mod lens;
mod readme;
mod scatter;
mod session;
mod stage;
mod units;
