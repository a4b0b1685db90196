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
    /// The purpose of files in this format.
    pub purpose: Purpose,
    /// Encodes a figure as a file; `None` if the format does not apply to it.
    pub bytes: fn(&Drawn) -> Result<Option<Vec<u8>>>,
}

/// The purpose of files in a format.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    /// Files for viewing. Their names start with the number of the figure, and `result.json` lists them as `file`.
    Viewing,
    /// Files with raw values for other programs. `result.json` lists them as `raw`.
    RawValues,
    /// Files with other data for other programs.
    Other,
}
