//! Everything about scripts, which are methods in `plugins/`, architectures in `models/`, and programs.
//!
//! A [`host::Host`] compiles and calls scripts within limits; a [`session::Session`] holds a model, a picture, a method and its
//! parameters, and keeps the steps of the run; a [`program`] is a script that runs on its own.

pub mod summary;
pub(crate) mod sandbox;
pub mod report;
pub mod group_folders;
pub mod folders;
pub mod method;
mod api;
mod engine;
pub mod architecture;
pub mod host;
pub mod session;
pub mod export;
pub mod program;

pub use sandbox::guard::Guard;
