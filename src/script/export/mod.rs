//! Results as files.

pub mod save;
pub mod sheet_and_film;
