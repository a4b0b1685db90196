//! The interface that every output format implements.

use crate::render::Figure;
use anyhow::Result;
use image::RgbImage;

/// A figure to export and its painted picture.
pub(super) struct Drawn<'a> {
    pub figure: &'a Figure,
    /// The painted figure; `None` if the figure is text.
    pub picture: Option<RgbImage>,
}

/// One output format for figures.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// The file name extension of the format, without the dot.
    pub ending: &'static str,
    /// What files of this format are for.
    pub purpose: Purpose,
    /// Encodes a figure as a file; `None` if the format does not apply to it.
    pub bytes: fn(&Drawn) -> Result<Option<Vec<u8>>>,
}

/// What files of a format are for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    /// Viewing. File names start with the number of the figure, and `result.json` lists the files as `file`.
    Viewing,
    /// Raw values for other programs. `result.json` lists the files as `raw`.
    RawValues,
    /// Any other data for other programs.
    Other,
}
