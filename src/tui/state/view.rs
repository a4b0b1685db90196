//! The views, and the figures that a view contains.

use crate::render::{self, Figure, Range, Rescale};

/// Which figures of a method are shown, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// All figures, side by side.
    #[default]
    All,
    /// The figure with this index.
    One(usize),
    /// The figure with this index, without the picture behind its map.
    Bare(usize),
    /// The input of the model.
    Input,
}

/// A figure on screen, with the value range and warning needed to draw it.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibleFigure {
    /// The figure, with the scale that the user chose.
    pub figure: Figure,
    /// Id of the figure, which changes when its values do.
    pub id: u64,
    /// Color range of the figure, if it has one.
    pub range: Option<Range>,
    /// Warning about values that are not finite, if there are any.
    pub warning: Option<String>,
}

impl VisibleFigure {
    /// Computes the color range and the warning of a figure.
    pub fn new(figure: Figure, id: u64) -> Self {
        Self { id, range: render::range(&figure), warning: figure.warning(), figure }
    }
}

/// The figures on screen, cached until something that they depend on changes.
#[derive(Debug, Default)]
pub struct Visible {
    /// What the cached figures were computed from.
    pub key: ViewKey,
    /// The figures on screen.
    pub figures: Vec<VisibleFigure>,
}

/// Everything that the figures on screen depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewKey {
    /// Id of the latest frame.
    pub frame: Option<u64>,
    /// Id of the open picture.
    pub picture: Option<u64>,
    /// The view that the user chose.
    pub view: View,
    /// The scale that the user chose.
    pub scale: Rescale,
    /// Id of the frame of the branch being compared, and the captions of both branches.
    pub beside: Option<(u64, [String; 2])>,
}
