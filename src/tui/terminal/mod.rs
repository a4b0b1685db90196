//! The terminal itself: taking it over and giving it back, what it can do, its input, its line.

pub mod bandwidth;
pub mod bounds;
pub mod caps;
pub mod input;
#[allow(clippy::disallowed_methods)]
pub mod probe;
pub mod rescue;
#[allow(clippy::disallowed_methods)]
pub(super) mod screen;
pub mod signals;
