//! Scripts: methods in `plugins/`, architectures in `models/`, and programs.
//!
//! A [`host::Host`] compiles and calls scripts within limits. A [`session::Session`] holds a model, a picture, a method with its
//! parameters, and the steps of its run. A [`program`] is a stand-alone script.

pub mod summary;
pub(crate) mod sandbox;
pub mod report;
pub mod agreement;
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
