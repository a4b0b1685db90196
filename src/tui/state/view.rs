//! The views, and the figures that a view shows.

use crate::render::{self, Figure, Range, Rescale};

/// Which figures are shown, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// All of them, side by side.
    #[default]
    All,
    /// The one with this index.
    One(usize),
    /// The one with this index, without the picture under its map.
    Bare(usize),
    /// The model's input.
    Input,
}

/// A figure on screen, with the value range and warning needed to draw it.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibleFigure {
    /// The figure, with the user's scale applied.
    pub figure: Figure,
    /// An id that changes when its values do.
    pub id: u64,
    /// The range of its colors.
    pub range: Option<Range>,
    /// A warning about non-finite values, if there are any.
    pub warning: Option<String>,
}

impl VisibleFigure {
    /// Computes the range and the warning of a figure.
    pub fn new(figure: Figure, id: u64) -> Self {
        Self { id, range: render::range(&figure), warning: figure.warning(), figure }
    }
}

/// The figures on screen, cached until something they depend on changes.
#[derive(Debug, Default)]
pub struct Visible {
    /// The cache key.
    pub key: ViewKey,
    /// The figures.
    pub figures: Vec<VisibleFigure>,
}

/// Everything the figures on screen depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewKey {
    /// The id of the frame.
    pub frame: Option<u64>,
    /// The id of the picture.
    pub picture: Option<u64>,
    /// The view that the user chose.
    pub view: View,
    /// The scale that the user chose.
    pub scale: Rescale,
    /// The frame of the branch next to it, and the captions of both.
    pub beside: Option<(u64, [String; 2])>,
}
