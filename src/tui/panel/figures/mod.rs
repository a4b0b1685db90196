//! The figures panel: pictures side by side, charts and texts below.

mod arrangement;
mod caption;
mod caption_text;
mod chart;
mod panel;
mod scatter;
mod table;

pub use panel::PANEL;
