//! How pictures are shown: colors, scale, zoom and mark. All pictures on screen share one lens, so that compared pictures show
//! the same part.

use crate::render::{Overlay, Rescale, cell};
use image::RgbImage;

/// How pictures are shown: colors, scale, zoom and mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lens {
    /// Colormap of heatmaps, and their opacity over pictures.
    pub overlay: Overlay,
    /// The user's color scale for heatmaps.
    pub scale: Rescale,
    /// Zoom factor, at least 1.
    pub zoom: f32,
    /// Center of the visible part, as fractions of the picture's width and height.
    pub center: (f32, f32),
    /// Position at which values are read, if any, as fractions of the picture's width and height.
    pub mark: Option<(f32, f32)>,
}

/// Maximum zoom factor.
const MOST: f32 = 64.0;
/// Zoom factor per notch.
const NOTCH: f32 = std::f32::consts::SQRT_2;
/// Number of steps for the mark to cross the visible part, unless the picture's pixels are larger than such a step.
const STEPS: f32 = 64.0;

impl Default for Lens {
    fn default() -> Self {
        Self { overlay: Overlay::default(), scale: Rescale::default(), zoom: 1.0, center: (0.5, 0.5), mark: None }
    }
}

impl Lens {
    /// Zooms in by `notches`, or out if negative. The position `about` in the visible part, as fractions in `[0, 1]`, stays
    /// fixed.
    pub fn enlarge(&mut self, notches: i32, about: (f32, f32)) {
        let fixed = self.place(about);
        self.zoom = (self.zoom * NOTCH.powi(notches)).clamp(1.0, MOST);
        if (self.zoom - 1.0).abs() < 0.01 {
            self.zoom = 1.0;
        }
        let center = |fixed: f32, about: f32| fixed - (about - 0.5) / self.zoom;
        self.look_at((center(fixed.0, about.0), center(fixed.1, about.1)));
    }

    /// Pans by fractions of the visible part.
    pub fn pan(&mut self, (x, y): (f32, f32)) {
        self.look_at((self.center.0 + x / self.zoom, self.center.1 + y / self.zoom));
    }

    /// Moves the mark by one pixel of a picture with this width and height, or by a larger step if pixels are small. The visible
    /// part follows the mark.
    pub fn move_mark(&mut self, (x, y): (i32, i32), (width, height): (usize, usize)) {
        let Some(mark) = self.mark else { return };
        let moved = |at: f32, by: i32, pixels: usize| {
            let pixel = 1.0 / pixels.max(1) as f32;
            let step = (1.0 / (STEPS * self.zoom) / pixel).round().max(1.0) * pixel;
            // The mark stays at the center of a pixel, so that rounding does not skip pixels.
            let at = ((at + by as f32 * step) / pixel).floor() * pixel + pixel / 2.0;
            at.clamp(pixel / 2.0, 1.0 - pixel / 2.0)
        };
        let mark = (moved(mark.0, x, width), moved(mark.1, y, height));
        self.mark = Some(mark);
        if self.seen(mark).is_none() {
            self.look_at(mark);
        }
    }

    /// Shows the whole picture and removes the mark.
    pub fn reset(&mut self) {
        (self.zoom, self.center, self.mark) = (1.0, (0.5, 0.5), None);
    }

    /// Converts a position in the visible part to a position in the picture, both as fractions.
    pub fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let of = |center: f32, part: f32| (center + (part - 0.5) / self.zoom).clamp(0.0, 1.0);
        (of(self.center.0, x), of(self.center.1, y))
    }

    /// Converts a position in the picture to a position relative to the visible part, both as fractions; outside `[0, 1)` if it is not
    /// visible.
    pub fn in_view(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let of = |center: f32, place: f32| (place - center) * self.zoom + 0.5;
        (of(self.center.0, x), of(self.center.1, y))
    }

    /// Converts a position in the picture to a position in the visible part, both as fractions; `None` if it is not visible.
    pub fn seen(&self, (x, y): (f32, f32)) -> Option<(f32, f32)> {
        let (x, y) = self.in_view((x, y));
        ((0.0..1.0).contains(&x) && (0.0..1.0).contains(&y)).then_some((x, y))
    }

    /// The visible part of a picture, resampled to the size of the whole picture.
    pub fn cut(&self, image: RgbImage) -> RgbImage {
        if self.zoom <= 1.0 {
            return image;
        }
        let (width, height) = image.dimensions();
        let pixel = |part: f32, size: u32| cell(part, size as usize) as u32;
        RgbImage::from_fn(width, height, |x, y| {
            let seen = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
            let place = self.place(seen);
            *image.get_pixel(pixel(place.0, width), pixel(place.1, height))
        })
    }

    fn look_at(&mut self, (x, y): (f32, f32)) {
        let half = 0.5 / self.zoom;
        self.center = (x.clamp(half, 1.0 - half), y.clamp(half, 1.0 - half));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn zooming_keeps_the_point_under_the_pointer() {
        let mut lens = Lens::default();
        let before = lens.place((0.25, 0.75));
        lens.enlarge(4, (0.25, 0.75));
        assert_eq!((lens.zoom.round(), lens.place((0.25, 0.75))), (4.0, before));
        lens.enlarge(-9, (0.5, 0.5));
        assert_eq!((lens.zoom, lens.center), (1.0, (0.5, 0.5)));
    }

    #[test]
    fn the_visible_part_stays_inside_the_picture() {
        let mut lens = Lens::default();
        lens.enlarge(2, (0.5, 0.5));
        (0..20).for_each(|_| lens.pan((0.25, -0.25)));
        let near = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0).abs() + (a.1 - b.1).abs() < 1e-5;
        assert!(near(lens.place((0.0, 0.0)), (0.5, 0.0)) && near(lens.place((1.0, 1.0)), (1.0, 0.5)));
    }

    #[test]
    fn a_zoomed_picture_is_cropped_to_the_visible_part() {
        let image = RgbImage::from_fn(4, 4, |x, y| Rgb([x as u8, y as u8, 0]));
        let mut lens = Lens::default();
        lens.enlarge(2, (1.0, 1.0));
        let cut = lens.cut(image);
        assert_eq!([cut.get_pixel(0, 0).0, cut.get_pixel(3, 3).0], [[2, 2, 0], [3, 3, 0]]);
    }

    #[test]
    fn the_mark_moves_by_pixels_and_the_visible_part_follows() {
        let mut lens = Lens { mark: Some((0.5, 0.5)), ..Lens::default() };
        let pixel = |lens: &Lens| lens.mark.map(|m| ((m.0 * 10.0) as i32, (m.1 * 10.0) as i32));
        (0..3).for_each(|_| lens.move_mark((1, 0), (10, 10)));
        assert_eq!(pixel(&lens), Some((8, 5)));
        lens.enlarge(6, (0.0, 0.0));
        (0..9).for_each(|_| lens.move_mark((1, -1), (10, 10)));
        assert_eq!(pixel(&lens), Some((9, 0)));
        assert!(lens.mark.and_then(|m| lens.seen(m)).is_some());
    }
}
