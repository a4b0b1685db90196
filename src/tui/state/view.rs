//! Views and their figures.

use crate::render::{self, Figure, Range, Rescale};

/// Which figures of a method are shown, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// All figures, side by side.
    #[default]
    All,
    /// The figure with this index.
    One(usize),
    /// The figure with this index, without the picture that the heatmap is drawn over.
    Bare(usize),
    /// The input of the model.
    Input,
}

/// A figure on screen, with the value range and warning required to draw it.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibleFigure {
    /// The figure, with the user's scale.
    pub figure: Figure,
    /// ID of the figure, which changes with its values.
    pub id: u64,
    /// Color range of the figure, if it has one.
    pub range: Option<Range>,
    /// Warning about non-finite values, if any.
    pub warning: Option<String>,
}

impl VisibleFigure {
    /// Computes the color range and the warning of a figure.
    pub fn new(figure: Figure, id: u64) -> Self {
        Self { id, range: render::range(&figure), warning: figure.warning(), figure }
    }
}

/// The figures on screen, cached until their dependencies change.
#[derive(Debug, Default)]
pub struct Visible {
    /// The dependencies of the cached figures.
    pub key: ViewKey,
    /// The figures on screen.
    pub figures: Vec<VisibleFigure>,
}

/// The dependencies of the figures on screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewKey {
    /// ID of the latest frame.
    pub frame: Option<u64>,
    /// ID of the open picture.
    pub picture: Option<u64>,
    /// The view selected by the user.
    pub view: View,
    /// The scale selected by the user.
    pub scale: Rescale,
    /// ID of the open gallery, and the number of its results.
    pub gallery: Option<(u64, usize)>,
    /// The compared branches: index, and ID of the frame.
    pub compared: Vec<(usize, u64)>,
}
