//! The terminal app, without a terminal: its state, its screens, its pictures.

mod drawing;
mod keys;
mod session;
mod stage;
