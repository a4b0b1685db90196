//! From raw values to what a person sees: figures, colours, pictures, files.
//!
//! Everything here is plain data: no tensors come in, no terminal goes out.

mod figure;

pub use figure::{Array, Bar, Body, ClassRow, Figure, Scale, Series};
