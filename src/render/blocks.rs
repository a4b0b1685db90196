//! A picture as lines of half blocks, for a terminal that shows no pictures.

use image::RgbImage;
use image::imageops::{FilterType, resize};
use std::fmt::Write;

/// Lines of `▀` in 24-bit colours that fit `columns` × `rows` cells, the picture's proportions kept.
pub fn half_blocks(image: &RgbImage, columns: u32, rows: u32) -> String {
    let (w, h) = image.dimensions();
    let scale = (f64::from(columns) / f64::from(w.max(1))).min(f64::from(rows * 2) / f64::from(h.max(1)));
    let width = ((f64::from(w) * scale).round() as u32).clamp(1, columns.max(1));
    let height = ((f64::from(h) * scale / 2.0).round() as u32).clamp(1, rows.max(1)) * 2;
    let small = resize(image, width, height, FilterType::Triangle);
    let mut text = String::new();
    for y in (0..height).step_by(2) {
        for x in 0..width {
            let ([r, g, b], [s, t, u]) = (small.get_pixel(x, y).0, small.get_pixel(x, y + 1).0);
            // Writing to a String does not fail.
            let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{s};{t};{u}m▀");
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn two_pixels_share_a_cell() {
        let image = RgbImage::from_fn(1, 2, |_, y| if y == 0 { Rgb([1, 2, 3]) } else { Rgb([4, 5, 6]) });
        assert_eq!(half_blocks(&image, 1, 1), "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m\n");
    }
}
