//! The figures panel: pictures side by side, charts and texts below.

mod arrangement;
mod caption;
mod chart;
mod panel;
mod scatter;
mod table;

pub use panel::PANEL;
