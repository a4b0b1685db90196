//! The terminal: setup and restoration, capabilities, input, bandwidth.

pub mod bandwidth;
pub mod bounds;
pub mod caps;
#[allow(clippy::disallowed_methods)]
pub mod clipboard;
pub mod input;
#[allow(clippy::disallowed_methods)]
pub mod probe;
pub mod rescue;
#[allow(clippy::disallowed_methods)]
pub(super) mod screen;
pub mod signals;
