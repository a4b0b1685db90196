//! The terminal app. Data flows in one direction: an event becomes an action, the action changes the state, and the state is
//! drawn.
//!
//! [`update`] is the only place that changes the state, and [`draw`] only reads it. The modules below are listed in dependency
//! order: each uses only those above it.

pub mod palette;
pub mod theme;
pub mod files;
pub mod event;
pub mod effect;
pub mod keymap;
pub mod state;
pub mod terminal;
#[allow(clippy::disallowed_methods)]
pub mod picture;
pub mod view;
pub mod action;
pub mod command;
pub mod layer;
pub mod panel;
pub mod popup;
pub mod layout;
pub mod router;
pub mod update;
pub mod draw;
mod app;
mod run;
#[allow(clippy::disallowed_methods)]
mod inline;

pub use inline::Inline;
pub use keymap::Bindings;
pub use palette::Palette;
pub use picture::driver::Graphics;
pub use run::{AppOptions, run};
pub use theme::{Depth, Paint};
