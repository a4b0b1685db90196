//! Draws the points of a scatter plot in pixels for the app: discs in the colors of their groups, and the names of the groups.

use super::bitmap_font::{LETTER, write};
use super::figure::Points;
use super::group_labels::group_labels;
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

/// How a scatter plot is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct PointPlot {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Width and height of a character in pixels.
    pub letter: (u32, u32),
    /// Color of the background.
    pub ground: [u8; 3],
    /// Color of rings and lines.
    pub ink: [u8; 3],
    /// Colors of the groups, repeated with hollow discs after the last one.
    pub colors: Vec<[u8; 3]>,
    /// Positions of a lasso, as fractions of width and height; empty for none.
    pub lasso: Vec<(f32, f32)>,
    /// Index of the point that is open, if any.
    pub open: Option<usize>,
    /// Index of the point under the mark, if any.
    pub near: Option<usize>,
}

impl PointPlot {
    /// Draws the points. `place` returns the position of a point as fractions of width and height.
    pub fn paint(&self, points: &Points, place: impl Fn(usize) -> (f32, f32)) -> RgbImage {
        let mut image = RgbImage::from_pixel(self.size.0.max(1), self.size.1.max(1), Rgb(self.ground));
        let finite = || (0..points.count()).filter(|&i| points.is_finite(i));
        let radius = self.radius(points.count());
        let at = |i: usize| self.pixel(place(i));
        for i in finite() {
            let group = points.group(i);
            let color = points.colors.get(i).copied().or_else(|| self.color(group)).unwrap_or(self.ink);
            let hollow = points.colors.is_empty() && group / self.colors.len().max(1) % 2 == 1;
            let inner = if hollow { radius * 0.5 } else { -1.0 };
            ring(&mut image, at(i), (inner, radius), color);
        }
        for pair in self.lasso.iter().zip(self.lasso.iter().cycle().skip(1)).filter(|_| self.lasso.len() > 2) {
            line(&mut image, self.pixel(*pair.0), self.pixel(*pair.1), self.ink);
        }
        self.names(&mut image, points, &place);
        for (i, size) in [(self.near, 2.2), (self.open, 3.2)].into_iter().filter_map(|(i, size)| Some((i?, size))) {
            if i < points.count() && points.is_finite(i) {
                ring(&mut image, at(i), (size * radius - 1.0, size * radius + 3.0), self.ground);
                ring(&mut image, at(i), (size * radius, size * radius + 1.5), self.ink);
            }
        }
        image
    }

    /// Radius of the discs in pixels: smaller if there are many.
    fn radius(&self, count: usize) -> f32 {
        let unit = self.letter.1 as f32 / 16.0;
        unit * match count {
            ..400 => 4.0,
            400..1500 => 3.0,
            1500..6000 => 2.2,
            _ => 1.4,
        }
    }

    fn color(&self, group: usize) -> Option<[u8; 3]> {
        self.colors.get(group % self.colors.len().max(1)).copied()
    }

    fn pixel(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (x * self.size.0 as f32, y * self.size.1 as f32)
    }

    /// Writes the names of the groups on their colors.
    fn names(&self, image: &mut RgbImage, points: &Points, place: impl Fn(usize) -> (f32, f32)) {
        let (width, height) = (self.letter.0.max(1), self.letter.1.max(1));
        let cells = ((self.size.0 / width) as usize, (self.size.1 / height) as usize);
        for label in group_labels(points, cells, place) {
            let ground = self.color(label.group).unwrap_or(self.ink);
            let count = label.text.chars().count() as u32;
            let mut tag = RgbImage::from_pixel(count * LETTER, LETTER + 2, Rgb(ground));
            write(&mut tag, (0, 1), &label.text.replace('…', "~"), Rgb(readable(ground)));
            let tag = resize(&tag, count * width, height, FilterType::Nearest);
            // A border separates the tag from points of the same color.
            let border = RgbImage::from_pixel(tag.width() + 4, tag.height() + 4, Rgb(self.ground));
            let (x, y) = (label.at.0 as i64 * i64::from(width), label.at.1 as i64 * i64::from(height));
            replace(image, &border, x - 2, y - 2);
            replace(image, &tag, x, y);
        }
    }
}

/// Black or white, whichever is easier to read on a color.
fn readable([r, g, b]: [u8; 3]) -> [u8; 3] {
    let brightness = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    if brightness > 120.0 { [0; 3] } else { [255; 3] }
}

/// Draws a ring between two radii around a position, or a disc if the inner one is negative, with smooth edges.
fn ring(image: &mut RgbImage, (x, y): (f32, f32), (inner, outer): (f32, f32), color: [u8; 3]) {
    if !(x.is_finite() && y.is_finite()) {
        return;
    }
    let (width, height) = (image.width() as f32, image.height() as f32);
    let range = |at: f32, end: f32| ((at - outer - 1.0).max(0.0) as u32)..((at + outer + 2.0).clamp(0.0, end) as u32);
    for py in range(y, height) {
        for px in range(x, width) {
            let far = (px as f32 + 0.5 - x).hypot(py as f32 + 0.5 - y);
            let cover = (outer + 0.5 - far).clamp(0.0, 1.0) * (far - inner + 0.5).clamp(0.0, 1.0);
            let pixel = image.get_pixel_mut(px, py);
            for (below, over) in pixel.0.iter_mut().zip(color) {
                *below = (f32::from(over) * cover + f32::from(*below) * (1.0 - cover)).round() as u8;
            }
        }
    }
}

fn line(image: &mut RgbImage, from: (f32, f32), to: (f32, f32), color: [u8; 3]) {
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().clamp(1.0, 1e4);
    for i in 0..=steps as u32 {
        let t = i as f32 / steps;
        ring(image, (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)), (-1.0, 0.7), color);
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Array;
    use super::*;

    const RED: [u8; 3] = [200, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 200];

    fn plot() -> PointPlot {
        PointPlot {
            size: (200, 100),
            letter: (8, 16),
            ground: [0; 3],
            ink: [255; 3],
            colors: vec![RED, BLUE],
            lasso: vec![],
            open: None,
            near: None,
        }
    }

    fn points(groups: &[u32]) -> Points {
        let numbers: Vec<f32> = (0..groups.len()).flat_map(|i| [0.1 + 0.2 * i as f32, 0.25]).collect();
        Points {
            values: Array::new(vec![groups.len(), 2], numbers).unwrap(),
            groups: groups.iter().copied().collect(),
            names: ["one".to_owned(), "two".to_owned()].into(),
            pictures: [].into(),
            files: [].into(),
            colors: [].into(),
        }
    }

    fn painted(plot: &PointPlot, points: &Points) -> RgbImage {
        plot.paint(points, |i| points.place(i))
    }

    #[test]
    fn points_are_discs_in_the_colors_of_their_groups_and_hollow_when_colors_repeat() {
        // Without names, nothing covers the points.
        let all = Points { groups: (0..50).collect(), ..points(&[0; 50]) };
        let image = painted(&plot(), &all);
        assert_eq!([image.get_pixel(20, 25).0, image.get_pixel(60, 25).0], [RED, BLUE]);
        assert_eq!(image.get_pixel(100, 25).0, [0; 3], "the third group has the first color, but is hollow");
        assert_eq!(image.get_pixel(97, 25).0[1..], [0, 0]);
    }

    #[test]
    fn names_of_groups_are_on_their_color_at_the_points() {
        let image = painted(&plot(), &points(&[0, 1]));
        let of = |color: [u8; 3]| image.enumerate_pixels().filter(|(.., p)| p.0 == color).count();
        assert!(of(RED) > 200 && of(BLUE) > 200 && of([255; 3]) > 40);
    }

    #[test]
    fn the_open_point_has_a_ring_in_the_ink() {
        let (all, plain) = (points(&[0]), plot());
        let bare = Points { groups: [].into(), ..all };
        let white = |plot: &PointPlot| painted(plot, &bare).pixels().filter(|p| p.0 == [255; 3]).count();
        assert_eq!(white(&plain), 0);
        assert!(white(&PointPlot { open: Some(0), ..plain.clone() }) > 20);
        assert!(white(&PointPlot { near: Some(0), ..plain.clone() }) > 10);
        assert_eq!(white(&PointPlot { open: Some(7), ..plain }), 0, "there is no such point");
    }

    #[test]
    fn points_outside_or_without_coordinates_are_not_drawn_and_sizes_may_be_zero() {
        let all = points(&[0, 0]);
        let image = plot().paint(&all, |i| if i == 0 { (-5.0, 9.0) } else { (f32::NAN, 0.5) });
        assert!(image.pixels().all(|p| p.0 == [0; 3]));
        let nothing = PointPlot { size: (0, 0), letter: (0, 0), colors: vec![], ..plot() };
        assert_eq!(painted(&nothing, &all).dimensions(), (1, 1));
    }
}
