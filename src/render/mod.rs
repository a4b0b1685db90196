//! Renders raw values as figures, pictures and text.
//!
//! This module works on plain data and depends on neither tensors nor terminals.

mod bitmap_font;
mod cells;
mod chart;
mod colormap;
mod contact;
mod figure;
mod group_labels;
mod number;
mod overlay;
mod paint;
mod point_plot;
mod quantity;
mod raster;
mod reading;
mod rescale;
mod scale;
mod sheet;
mod signal;
mod text;
mod tile_grid;

pub use colormap::{Colormap, NOT_FINITE, category};
pub use contact::ContactSheet;
pub use figure::{Array, Bar, Body, Cells, ClassRow, Figure, Points, Scale, Series, grid};
pub use group_labels::{GroupLabel, group_labels};
pub use number::brief;
pub use overlay::Overlay;
pub use paint::{colorbar, paint, paint_in};
pub use point_plot::PointPlot;
pub use quantity::{Channels, Quantity, Unit};
pub use reading::{Reading, cell, read};
pub use rescale::{Rescale, rescale};
pub use scale::{Range, range};
pub use sheet::{csv, metadata, vectors};
pub(crate) use signal::aspect;
pub use text::{caption, short, text};
