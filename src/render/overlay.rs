//! How maps are drawn over pictures: their colors and their opacity.

use super::colormap::Colormap;

/// How maps are drawn over pictures: colors and opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlay {
    /// The colormap, unless the scale is symmetric.
    pub colors: Colormap,
    /// The opacity over a picture, 0 to 1.
    pub strength: f32,
}

impl Default for Overlay {
    fn default() -> Self {
        Colormap::default().into()
    }
}

impl From<Colormap> for Overlay {
    fn from(colors: Colormap) -> Self {
        Self { colors, strength: 0.6 }
    }
}
