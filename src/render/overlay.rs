//! How heatmaps are drawn over pictures: colormap and opacity.

use super::colormap::Colormap;

/// How heatmaps are drawn over pictures: colormap and opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlay {
    /// Colormap for non-symmetric scales; symmetric scales always use coolwarm.
    pub colors: Colormap,
    /// Opacity of a heatmap over its picture, 0 to 1.
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
