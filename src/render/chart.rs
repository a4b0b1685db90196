//! Curves, bars and points as pictures for files; the terminal draws its own.

use super::colormap::Colormap;
use super::figure::{Body, Figure};
use image::{Rgb, RgbImage};

const SIZE: (u32, u32) = (480, 320);
const MARGIN: f32 = 16.0;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const AXIS: Rgb<u8> = Rgb([120, 120, 120]);

/// A chart of a figure that is no map; words are in the caption beside it.
pub(super) fn draw(figure: &Figure) -> RgbImage {
    let mut image = RgbImage::from_pixel(SIZE.0, SIZE.1, PAPER);
    match &figure.body {
        Body::Line { series, .. } => {
            let frame = Frame::around(series.iter().flat_map(|s| s.points.iter().copied()));
            for (i, s) in series.iter().enumerate() {
                for pair in s.points.windows(2) {
                    line(&mut image, frame.place(pair[0]), frame.place(pair[1]), color(i, series.len()));
                }
            }
        }
        Body::Scatter { points } => {
            let frame = Frame::around(points.iter().map(|p| (p.0, p.1)));
            let groups = points.iter().map(|p| p.2 + 1).max().unwrap_or(1);
            for &(x, y, group) in points {
                let (x, y) = frame.place((x, y));
                rectangle(&mut image, (x - 1.0, y - 1.0), (x + 2.0, y + 2.0), color(group, groups));
            }
        }
        Body::Bars { bars } => amounts(&mut image, &bars.iter().map(|b| b.value).collect::<Vec<_>>()),
        Body::Classes { rows } => amounts(&mut image, &rows.iter().map(|r| r.probability).collect::<Vec<_>>()),
        _ => {}
    }
    line(&mut image, (MARGIN, MARGIN), (MARGIN, SIZE.1 as f32 - MARGIN), AXIS);
    line(&mut image, (MARGIN, SIZE.1 as f32 - MARGIN), (SIZE.0 as f32 - MARGIN, SIZE.1 as f32 - MARGIN), AXIS);
    image
}

/// What part of the plane is shown.
struct Frame {
    low: (f32, f32),
    high: (f32, f32),
}

impl Frame {
    fn around(points: impl Iterator<Item = (f32, f32)>) -> Self {
        let all = points.filter(|p| p.0.is_finite() && p.1.is_finite());
        let far = (f32::INFINITY, f32::NEG_INFINITY);
        let grow = |((lx, hx), (ly, hy)): ((f32, f32), (f32, f32)), (x, y): (f32, f32)| {
            ((lx.min(x), hx.max(x)), (ly.min(y), hy.max(y)))
        };
        let (x, y) = all.fold((far, far), grow);
        Self { low: (x.0, y.0), high: (x.1, y.1) }
    }

    fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let part = |v: f32, low: f32, high: f32| if high > low { (v - low) / (high - low) } else { 0.5 };
        let (w, h) = (SIZE.0 as f32 - 2.0 * MARGIN, SIZE.1 as f32 - 2.0 * MARGIN);
        (MARGIN + part(x, self.low.0, self.high.0) * w, MARGIN + (1.0 - part(y, self.low.1, self.high.1)) * h)
    }
}

fn color(i: usize, of: usize) -> Rgb<u8> {
    Colormap::Viridis.color(i as f32 / of.max(2) as f32)
}

/// Bars from the left, the first on top.
fn amounts(image: &mut RgbImage, values: &[f32]) {
    let most = values.iter().filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let height = (SIZE.1 as f32 - 2.0 * MARGIN) / values.len().max(1) as f32;
    for (i, value) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        let top = MARGIN + i as f32 * height;
        let width = value.abs() / most * (SIZE.0 as f32 - 2.0 * MARGIN);
        let color = if *value < 0.0 { Colormap::Coolwarm.color(0.0) } else { Colormap::Viridis.color(0.4) };
        rectangle(image, (MARGIN, top + 1.0), (MARGIN + width, top + height - 1.0), color);
    }
}

fn rectangle(image: &mut RgbImage, from: (f32, f32), to: (f32, f32), color: Rgb<u8>) {
    for y in from.1.max(0.0) as u32..(to.1.max(0.0) as u32).min(image.height()) {
        for x in from.0.max(0.0) as u32..(to.0.max(0.0) as u32).min(image.width()) {
            image.put_pixel(x, y, color);
        }
    }
}

fn line(image: &mut RgbImage, from: (f32, f32), to: (f32, f32), color: Rgb<u8>) {
    if ![from.0, from.1, to.0, to.1].iter().all(|v| v.is_finite()) {
        return;
    }
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
    for i in 0..=steps as u32 {
        let t = i as f32 / steps;
        let (x, y) = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
        rectangle(image, (x, y), (x + 1.5, y + 1.5), color);
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Bar;
    use super::*;

    #[test]
    fn the_longest_bar_reaches_the_right_side() {
        let bar = |value| Bar { label: String::new(), value };
        let image = draw(&Figure { title: "b".into(), body: Body::Bars { bars: vec![bar(1.0), bar(0.5)] } });
        assert_ne!(*image.get_pixel(460, 80), PAPER);
        assert_eq!(*image.get_pixel(460, 240), PAPER);
        assert_ne!(*image.get_pixel(200, 240), PAPER);
    }
}
