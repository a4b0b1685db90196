//! The host of scripts: methods in `plugins/`, architectures in `models/`.
//!
//! A [`host::Host`] compiles and calls them within limits; a [`session::Session`] asks one question (model, picture,
//! method, parameters) and keeps its steps; the [`worker`] does so on a thread of its own for the app.

pub mod message;
mod recent;
pub(crate) mod stack;
mod guard;
mod limits;
mod shown;
mod nesting;
mod advice;
pub mod report;
pub mod folders;
mod builtins;
mod engine;
pub mod params;
pub mod data;
mod used;
pub mod context;
mod api;
mod captured;
pub mod method;
mod compile;
mod fooled;
mod ask;
mod history;
pub mod sheet_and_film;
pub mod host;
mod normal;
pub mod reference;
pub mod architecture;
mod weights;
mod networks;
mod freeze;
pub mod session;
pub mod save;
pub mod keep;
pub mod keeper;
pub mod program;
mod watch;
pub mod resume;
pub mod worker;

pub use guard::Guard;
