//! From raw values to what a person sees: figures, colours, pictures, words.
//!
//! Everything here is plain data: no tensors come in, no terminal goes out.

mod letters;
mod chart;
mod colormap;
mod contact;
mod figure;
mod paint;
mod reading;
mod rescale;
mod scale;
mod signal;
mod sheet;
mod text;
mod tint;
mod wall;

pub use colormap::{Colormap, NOT_FINITE, category};
pub use contact::contact;
pub use figure::{Array, Bar, Body, ClassRow, Figure, Points, Scale, Series, grid};
pub use paint::{colorbar, paint};
pub use reading::{Reading, read};
pub use rescale::{Rescale, rescale};
pub use scale::{Range, range};
pub use sheet::{csv, metadata, vectors};
pub(crate) use signal::aspect;
pub use text::{brief, caption, short, text};
pub use tint::Tint;
