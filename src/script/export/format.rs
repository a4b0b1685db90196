//! The interface of an output format.

use crate::render::Figure;
use anyhow::Result;
use image::RgbImage;

/// A figure with its painted picture.
pub(super) struct Drawn<'a> {
    pub figure: &'a Figure,
    /// The painted figure; `None` for text.
    pub picture: Option<RgbImage>,
}

/// One output format for figures.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// The file name extension, without the dot.
    pub ending: &'static str,
    /// Whether its files are for viewing; these are numbered in the order of the figures.
    pub shown: bool,
    /// The bytes of a figure's file; `None` if the format does not apply to the figure.
    pub bytes: fn(&Drawn) -> Result<Option<Vec<u8>>>,
}
