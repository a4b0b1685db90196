//! Views of the figures, and the figures that a view shows.

use crate::render::{self, Figure, Range, Rescale};

/// Which figures are shown, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// All of them, side by side.
    #[default]
    All,
    /// The one with this index.
    One(usize),
    /// The one with this index, without the picture below its map.
    Bare(usize),
    /// The model's input.
    Input,
}

/// A figure on screen, with what drawing needs to know of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibleFigure {
    /// The figure, in the scale that the user chose.
    pub figure: Figure,
    /// A number that changes when its values do.
    pub id: u64,
    /// The range of its colors.
    pub range: Option<Range>,
    /// How many of its values are not finite, if any.
    pub warning: Option<String>,
}

impl VisibleFigure {
    /// Measures a figure.
    pub fn new(figure: Figure, id: u64) -> Self {
        Self { id, range: render::range(&figure), warning: figure.warning(), figure }
    }
}

/// The figures on screen, kept until something that they depend on changes.
#[derive(Debug, Default)]
pub struct Visible {
    /// What they depend on.
    pub key: ViewKey,
    /// The figures.
    pub figures: Vec<VisibleFigure>,
}

/// Everything that the figures on screen depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewKey {
    /// The number of the frame.
    pub frame: Option<u64>,
    /// The number of the picture.
    pub picture: Option<u64>,
    /// The view that the user chose.
    pub view: View,
    /// The scale that the user chose.
    pub scale: Rescale,
    /// The frame of the branch next to it, and the captions of both.
    pub beside: Option<(u64, [String; 2])>,
}
