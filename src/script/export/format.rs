//! The interface that every output format implements.

use crate::render::Figure;
use anyhow::Result;
use image::RgbImage;

/// A figure to be exported, and its painted picture.
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
    /// Encodes a figure as the content of a file; returns `None` if the format does not apply to the figure.
    pub bytes: fn(&Drawn) -> Result<Option<Vec<u8>>>,
}

/// What files of a format are for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    /// Viewing; the names of the files start with the number of the figure, and `result.json` lists them as `file`.
    Viewing,
    /// The raw values, for other programs; `result.json` lists the files as `raw`.
    RawValues,
    /// Anything else that other programs read.
    Other,
}
