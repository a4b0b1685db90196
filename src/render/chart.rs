//! Draws line, bar and scatter charts as pictures for export. The terminal app does not use these charts.

use super::bitmap_font::{LETTER, fitting, width, write};
use super::colormap::{Colormap, NOT_FINITE, category};
use super::figure::{Body, ClassRow, Figure, Points, Series};
use image::{Rgb, RgbImage};

const SIZE: (u32, u32) = (640, 400);
/// Left margin in pixels, wide enough for tick labels.
const LEFT: f32 = 72.0;
/// Margin at the top, bottom and right in pixels.
const MARGIN: f32 = 40.0;
/// Right margin in pixels of a chart that lists its groups on the right.
const NAMES: f32 = 128.0;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([40, 40, 40]);
const AXIS: Rgb<u8> = Rgb([120, 120, 120]);
const GRID: Rgb<u8> = Rgb([228, 228, 228]);

/// Draws a chart with its title, axes and legend. If the figure is not a chart, draws only the title.
pub(super) fn draw(figure: &Figure) -> RgbImage {
    let mut image = RgbImage::from_pixel(SIZE.0, SIZE.1, PAPER);
    write(&mut image, (LEFT as i64, 14), &figure.title, INK);
    if let Some(warning) = figure.warning() {
        write(&mut image, (LEFT as i64, 14 + i64::from(LETTER) + 4), &warning, NOT_FINITE);
    }
    match &figure.body {
        Body::Line { axis, series } => curves(&mut image, axis, series),
        Body::Scatter { points } => scatter(&mut image, points),
        Body::Bars { bars } => amounts(&mut image, bars.iter().map(|b| (b.label.clone(), b.value)).collect()),
        Body::Classes { rows, .. } => amounts(&mut image, rows.iter().map(share).collect()),
        _ => {}
    }
    image
}

fn share(row: &ClassRow) -> (String, f32) {
    (row.label.clone(), row.probability)
}

fn curves(image: &mut RgbImage, axis: &str, series: &[Series]) {
    let frame = Frame::around(series.iter().flat_map(|s| s.points.iter().copied()));
    frame.axes(image, axis);
    for (i, s) in series.iter().enumerate() {
        let color = color(i, series.len());
        s.points.windows(2).for_each(|pair| line(image, frame.place(pair[0]), frame.place(pair[1]), color));
        for &point in s.points.iter().filter(|p| s.points.len() <= 30 && p.1.is_finite()) {
            let (x, y) = frame.place(point);
            rectangle(image, (x - 2.0, y - 2.0), (x + 3.0, y + 3.0), color);
        }
        for &(x, _) in s.points.iter().filter(|p| p.0.is_finite() && !p.1.is_finite()) {
            let (x, y) = frame.foot(x);
            rectangle(image, (x - 2.0, y - 2.0), (x + 3.0, y + 3.0), NOT_FINITE);
        }
    }
    legend(image, series);
}

/// Draws the legend of the curves at the top right.
fn legend(image: &mut RgbImage, series: &[Series]) {
    let widest = series.iter().map(|s| width(&s.label)).max().unwrap_or(0);
    let left = i64::from(SIZE.0) - MARGIN as i64 - i64::from(widest);
    for (i, s) in series.iter().enumerate() {
        let top = 14 + i as i64 * (i64::from(LETTER) + 4);
        rectangle(
            image,
            (left as f32 - 20.0, top as f32 + 3.0),
            (left as f32 - 6.0, top as f32 + 6.0),
            color(i, series.len()),
        );
        write(image, (left, top), &s.label, INK);
    }
}

fn scatter(image: &mut RgbImage, points: &Points) {
    let names = if points.groups.is_empty() || !points.colors.is_empty() { MARGIN } else { NAMES };
    let frame = Frame { right: names, ..Frame::around((0..points.count()).map(|i| points.place(i))) };
    frame.axes(image, "");
    for i in (0..points.count()).filter(|&i| points.is_finite(i)) {
        let (x, y) = frame.place(points.place(i));
        let small = points.count() > 3000;
        let (from, to) = if small { (0.0, 1.5) } else { (1.0, 2.0) };
        rectangle(image, (x - from, y - from), (x + to, y + to), color_of(points, i));
    }
    groups(image, points);
}

/// The color of point `i`: its individual color if it has one, otherwise the color of its group.
fn color_of(points: &Points, i: usize) -> Rgb<u8> {
    points.colors.get(i).map_or_else(|| category(points.group(i)), |&own| Rgb(own))
}

/// Draws the legend of the groups on the right, unless points are colored individually.
fn groups(image: &mut RgbImage, points: &Points) {
    let count = if points.groups.is_empty() || !points.colors.is_empty() { 0 } else { points.group_count() };
    let left = i64::from(SIZE.0) - NAMES as i64 + 22;
    const MOST: usize = 30;
    if count > MOST {
        let below = MARGIN as i64 + MOST as i64 * (i64::from(LETTER) + 3);
        write(image, (left, below), &format!("{} more", count - MOST), INK);
    }
    for group in 0..count.min(MOST) {
        let top = MARGIN as i64 + group as i64 * (i64::from(LETTER) + 3);
        rectangle(image, (left as f32 - 10.0, top as f32), (left as f32 - 3.0, top as f32 + 7.0), category(group));
        write(image, (left, top), &fitting(&points.name(group), 13), INK);
    }
}

/// The visible range of coordinates, from `low` to `high`.
struct Frame {
    low: (f32, f32),
    high: (f32, f32),
    /// Margin on the right in pixels.
    right: f32,
}

impl Frame {
    fn around(points: impl Iterator<Item = (f32, f32)>) -> Self {
        let far = (f32::INFINITY, f32::NEG_INFINITY);
        let grow =
            |(low, high): (f32, f32), v: f32| if v.is_finite() { (low.min(v), high.max(v)) } else { (low, high) };
        let (x, y) = points.fold((far, far), |(x, y), p| (grow(x, p.0), grow(y, p.1)));
        Self { low: (x.0, y.0), high: (x.1, y.1), right: MARGIN }
    }

    /// Pixel position of the marker for a non-finite value at `x`: the bottom of the chart.
    fn foot(&self, x: f32) -> (f32, f32) {
        (self.place((x, self.low.1)).0, SIZE.1 as f32 - MARGIN)
    }

    fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let part = |v: f32, low: f32, high: f32| {
            let [v, low, high] = [v, low, high].map(f64::from);
            if high > low { ((v - low) / (high - low)) as f32 } else { 0.5 }
        };
        let (w, h) = (SIZE.0 as f32 - LEFT - self.right, SIZE.1 as f32 - 2.0 * MARGIN);
        (LEFT + part(x, self.low.0, self.high.0) * w, MARGIN + (1.0 - part(y, self.low.1, self.high.1)) * h)
    }

    /// Draws the axes, ticks at round values, and the label of the horizontal axis.
    fn axes(&self, image: &mut RgbImage, name: &str) {
        let (right, bottom) = (SIZE.0 as f32 - self.right, SIZE.1 as f32 - MARGIN);
        for value in ticks(self.low.1, self.high.1) {
            let (_, y) = self.place((self.low.0, value));
            line(image, (LEFT, y), (right, y), GRID);
            let text = number(value);
            write(image, (LEFT as i64 - 6 - i64::from(width(&text)), y as i64 - 4), &text, INK);
        }
        for value in ticks(self.low.0, self.high.0) {
            let (x, _) = self.place((value, self.low.1));
            line(image, (x, bottom), (x, bottom + 4.0), AXIS);
            let text = number(value);
            write(image, (x as i64 - i64::from(width(&text)) / 2, bottom as i64 + 8), &text, INK);
        }
        line(image, (LEFT, MARGIN), (LEFT, bottom), AXIS);
        line(image, (LEFT, bottom), (right, bottom), AXIS);
        write(image, (right as i64 - i64::from(width(name)), bottom as i64 + 22), name, INK);
    }
}

/// Roughly five round values between `low` and `high`.
fn ticks(low: f32, high: f32) -> Vec<f32> {
    let span = f64::from(high) - f64::from(low);
    if !span.is_finite() || span <= 0.0 {
        return if low.is_finite() { vec![low] } else { vec![] };
    }
    let rough = span / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(rough);
    let first = (f64::from(low) / step - 1e-6).ceil() as i64;
    let last = (f64::from(high) / step + 1e-6).floor() as i64;
    (first..=last).map(|i| (i as f64 * step) as f32).collect()
}

/// Formats a number with up to four decimals, or in scientific notation if it is very small or large.
fn number(value: f32) -> String {
    match value.abs() {
        0.0 => "0".into(),
        a if !(1e-3..1e5).contains(&a) => format!("{value:.1e}"),
        _ => format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').into(),
    }
}

fn color(i: usize, of: usize) -> Rgb<u8> {
    Colormap::Viridis.color(i as f32 / of.max(2) as f32)
}

/// Draws labeled bars, with the first one at the top.
fn amounts(image: &mut RgbImage, bars: Vec<(String, f32)>) {
    let most = bars.iter().map(|b| b.1).filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let names = bars.iter().map(|b| width(&b.0)).max().unwrap_or(0).min(SIZE.0 / 3) as f32;
    let left = MARGIN / 2.0 + names + 8.0;
    let height = ((SIZE.1 as f32 - 1.5 * MARGIN) / bars.len().max(1) as f32).min(40.0);
    for (i, (name, value)) in bars.iter().enumerate() {
        let top = MARGIN + i as f32 * height;
        let middle = (top + height / 2.0) as i64 - i64::from(LETTER) / 2;
        let end =
            left + if value.is_finite() { value.abs() } else { 0.0 } / most * (SIZE.0 as f32 - left - 2.0 * MARGIN);
        let color = if *value < 0.0 { Colormap::Coolwarm.color(0.0) } else { Colormap::Viridis.color(0.4) };
        let (end, color) = if value.is_finite() { (end, color) } else { (left + 4.0, NOT_FINITE) };
        rectangle(image, (left, top + 1.0), (end, top + height - 1.0), color);
        if height >= LETTER as f32 {
            let shown = fitting(name, (names as u32 / LETTER) as usize);
            write(image, (MARGIN as i64 / 2, middle), &shown, INK);
            write(image, (end as i64 + 6, middle), &number(*value), INK);
        }
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
    use super::super::figure::{Array, Bar};
    use super::*;

    #[test]
    fn bar_lengths_are_proportional_to_their_values() {
        let bar = |value| Bar { label: "b".into(), value };
        let image = draw(&Figure::new("b", Body::Bars { bars: vec![bar(1.0), bar(0.5)] }));
        let of = Colormap::Viridis.color(0.4);
        let length = |y| (0..SIZE.0).filter(|&x| *image.get_pixel(x, y) == of).count();
        let (whole, half) = (length(45), length(85));
        assert!(whole > 400 && whole.abs_diff(2 * half) <= 2, "{whole} and {half}");
    }

    #[test]
    fn tick_labels_are_round() {
        let texts = |low, high| ticks(low, high).into_iter().map(number).collect::<Vec<_>>();
        assert_eq!(texts(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(texts(-3.0, 11.0), ["0", "5", "10"]);
        assert_eq!(texts(0.0, 3e-5), ["0", "1.0e-5", "2.0e-5", "3.0e-5"]);
        assert_eq!(texts(2.0, 2.0), ["2"]);
        assert!(texts(f32::INFINITY, f32::NEG_INFINITY).is_empty());
    }

    #[test]
    fn empty_curves_and_curves_with_nan_are_drawn() {
        for points in [vec![], vec![(0.0, f32::NAN)], vec![(0.0, 1.0)], vec![(0.0, f32::INFINITY), (1.0, 2.0)]] {
            let series = vec![Series { label: "s".into(), points }];
            draw(&Figure::new("c", Body::Line { axis: "x".into(), series }));
        }
    }

    #[test]
    fn values_that_are_not_finite_are_marked_in_curves_and_bars_and_counted_above_points() {
        let marked = |body| {
            let image = draw(&Figure::new("t", body));
            image.enumerate_pixels().filter(|(_, y, p)| **p == NOT_FINITE && *y > 38).count()
        };
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let curve = |y| vec![Series { label: "s".into(), points: vec![(0.0, 1.0), (1.0, y), (2.0, 0.5)] }];
            assert_eq!([2.0, bad].map(|y| marked(Body::Line { axis: "x".into(), series: curve(y) })), [0, 25]);
            let bars = |value| vec![Bar { label: "a".into(), value: 1.0 }, Bar { label: "b".into(), value }];
            assert!(marked(Body::Bars { bars: bars(bad) }) > 20 && marked(Body::Bars { bars: bars(2.0) }) == 0);
            let values = Array::new(vec![3, 2], vec![0.0, 1.0, 2.0, bad, 3.0, 4.0]).unwrap();
            let points = Points {
                values,
                groups: [].into(),
                names: [].into(),
                pictures: [].into(),
                files: [].into(),
                colors: [].into(),
            };
            let figure = Figure::new("t", Body::Scatter { points });
            assert_eq!(figure.warning().unwrap(), "1 of 6 not finite");
            let dots = draw(&figure).pixels().filter(|p| **p == category(0)).count();
            assert_eq!(dots, 18, "two of three points");
        }
    }
}
