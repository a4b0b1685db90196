//! An output format: which files of a figure it makes.

use crate::render::Figure;
use anyhow::Result;
use image::RgbImage;

/// A figure with its picture.
pub(super) struct Drawn<'a> {
    pub figure: &'a Figure,
    /// The figure as painted; none: it is words.
    pub picture: Option<RgbImage>,
}

/// One format of a figure's files.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// What names of its files end with.
    pub ending: &'static str,
    /// Whether it is for people: its files are numbered in the order of the figures.
    pub shown: bool,
    /// The bytes of a file; none: the format has nothing of this figure.
    pub bytes: fn(&Drawn) -> Result<Option<Vec<u8>>>,
}
