//! The colours of maps, and how much of them lies over a picture.

use super::colormap::Colormap;

/// How maps are coloured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tint {
    /// The colours, unless zero stands in the middle.
    pub colors: Colormap,
    /// How much of them lies over the picture below, 0 to 1.
    pub strength: f32,
}

impl Default for Tint {
    fn default() -> Self {
        Colormap::default().into()
    }
}

impl From<Colormap> for Tint {
    fn from(colors: Colormap) -> Self {
        Self { colors, strength: 0.6 }
    }
}
