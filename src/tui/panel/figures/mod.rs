//! The figures panel: pictures side by side, charts and texts below the pictures.

mod arrangement;
mod caption;
mod chart;
mod panel;
mod scatter;
mod table;

pub use panel::PANEL;
