//! Contact sheets: several titled figures in one picture.

use super::bitmap_font::{LETTER, fitting, width, write};
use super::figure::{Figure, grid};
use super::overlay::Overlay;
use super::paint::paint;
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

/// Length of a figure's longer side on a sheet, in pixels.
const SIDE: u32 = 256;
/// Gap between figures in pixels.
const GAP: u32 = 8;
const PAPER: Rgb<u8> = Rgb([24, 24, 24]);
const INK: Rgb<u8> = Rgb([230, 230, 230]);

/// Collects figures and arranges them side by side with their titles.
#[derive(Default)]
pub struct ContactSheet {
    /// Title and picture of each figure; the pictures are scaled to their cells.
    pictures: Vec<(String, RgbImage)>,
}

impl ContactSheet {
    /// Creates a sheet of the figures that can be drawn as pictures, omitting the others.
    pub fn of(figures: &[Figure], overlay: impl Into<Overlay>) -> Self {
        let (mut sheet, overlay) = (Self::default(), overlay.into());
        for figure in figures {
            paint(figure, overlay).iter().for_each(|picture| sheet.add(figure, picture));
        }
        sheet
    }

    /// Adds a figure with its rendered picture.
    pub fn add(&mut self, figure: &Figure, picture: &RgbImage) {
        let title = figure.part().map_or(figure.title.clone(), |part| format!("{}, {part}", figure.title));
        self.pictures.push((title, fitted(picture)));
    }

    /// Whether no figure is on the sheet.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Draws the heading and, below it, the figures with their titles; `None` if the sheet is empty.
    pub fn paint(&self, heading: &str) -> Option<RgbImage> {
        let painted = &self.pictures;
        let (columns, rows) = grid(painted.len(), 0);
        let cell = (SIDE + GAP, SIDE + GAP + LETTER + 4);
        let head = if heading.is_empty() { 0 } else { LETTER + GAP };
        let size = (columns as u32 * cell.0 + GAP, rows as u32 * cell.1 + GAP + head);
        let mut sheet = RgbImage::from_pixel(size.0.max(width(heading) + 2 * GAP), size.1, PAPER);
        write(&mut sheet, (i64::from(GAP), i64::from(GAP)), heading, INK);
        for (at, (title, image)) in painted.iter().enumerate() {
            let corner = (at % columns, at / columns);
            let x = i64::from(GAP + corner.0 as u32 * cell.0 + (SIDE - image.width()) / 2);
            let y = i64::from(GAP + head + corner.1 as u32 * cell.1 + (SIDE - image.height()) / 2);
            replace(&mut sheet, image, x, y);
            let below = i64::from(GAP + head + corner.1 as u32 * cell.1 + SIDE + 4);
            let title = fitting(title, (SIDE / LETTER) as usize);
            write(&mut sheet, (i64::from(GAP + corner.0 as u32 * cell.0), below), &title, INK);
        }
        (!painted.is_empty()).then_some(sheet)
    }
}

/// Scales a picture to its cell. Enlarged pictures keep sharp pixel edges.
fn fitted(image: &RgbImage) -> RgbImage {
    let (w, h) = image.dimensions();
    let longest = w.max(h).max(1);
    let side = |size: u32| (size * SIDE / longest).max(1);
    let filter = if longest < SIDE { FilterType::Nearest } else { FilterType::Triangle };
    resize(image, side(w), side(h), filter)
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Array, Body};
    use super::*;
    use crate::render::Colormap;

    fn picture(value: f32, h: usize, w: usize) -> Figure {
        let pixels = Array::new(vec![1, h, w], vec![value; h * w]).unwrap();
        Figure::new("gray", Body::Image { pixels })
    }

    #[test]
    fn figures_are_placed_side_by_side_under_a_heading() {
        let words = Figure::new("words", Body::Text { text: "none".into() });
        let figures = [picture(1.0, 10, 10), words.clone(), picture(0.5, 300, 150)];
        let sheet = ContactSheet::of(&figures, Colormap::Gray).paint("step 3").unwrap();
        assert_eq!(sheet.dimensions(), (2 * 264 + 8, 276 + 8 + 16));
        assert_eq!(sheet.get_pixel(136, 150).0, [255; 3]);
        assert_eq!(sheet.get_pixel(264 + 8 + 128, 150).0, [128; 3]);
        assert_eq!(sheet.get_pixel(264 + 12, 150).0, PAPER.0, "a narrow picture is centered");
        assert_eq!(ContactSheet::of(&[words], Colormap::Gray).paint(""), None);
    }
}
