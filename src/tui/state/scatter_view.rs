//! A scatter plot seen through the lens: its visible part, and the points at a position or inside a lasso.

use super::lens::Lens;
use crate::render::Points;

/// A scatter plot: its points and the bounds of its axes.
#[derive(Debug)]
pub struct ScatterView<'a> {
    points: &'a Points,
    /// Bounds of the horizontal axis, lower bound first.
    x: [f64; 2],
    /// Bounds of the vertical axis, lower bound first.
    y: [f64; 2],
}

impl<'a> ScatterView<'a> {
    /// Creates a plot whose axes extend slightly beyond the points.
    pub fn new(points: &'a Points) -> Self {
        let all = || (0..points.count()).map(|i| points.place(i)).filter(|(x, y)| x.is_finite() && y.is_finite());
        Self { points, x: bounds(all().map(|p| p.0)), y: bounds(all().map(|p| p.1)) }
    }

    /// Bounds of the visible part along the `x` and `y` axes.
    pub fn seen(&self, lens: &Lens) -> ([f64; 2], [f64; 2]) {
        let (from, to) = (self.at(lens.place((0.0, 0.0))), self.at(lens.place((1.0, 1.0))));
        ([from.0, to.0], [to.1, from.1])
    }

    /// Position of a point, as fractions in `[0, 1]` of the plot's width and height.
    pub fn place(&self, i: usize) -> (f32, f32) {
        let (x, y) = self.points.place(i);
        let part = |[low, high]: [f64; 2], v: f32| ((f64::from(v) - low) / (high - low)) as f32;
        (part(self.x, x), 1.0 - part(self.y, y))
    }

    /// Position of a point in the visible part, as fractions of its width and height; outside `[0, 1)` if it is not visible.
    pub fn place_in(&self, i: usize, lens: &Lens) -> (f32, f32) {
        lens.in_view(self.place(i))
    }

    /// The coordinates at a position in the plot, given as fractions of the plot's width and height.
    pub fn at(&self, (x, y): (f32, f32)) -> (f64, f64) {
        let at = |[low, high]: [f64; 2], part: f32| low + (high - low) * f64::from(part);
        (at(self.x, x), at(self.y, 1.0 - y))
    }

    /// Indices of the points inside a closed lasso. A lasso with fewer than three positions contains no points.
    pub fn within(&self, line: &[(f32, f32)]) -> Vec<usize> {
        let sides = || line.iter().zip(line.iter().cycle().skip(1));
        // From a point inside the lasso, a ray to the right crosses the lasso an odd number of times.
        let inside = |(x, y): (f32, f32)| {
            let crosses = |(a, b): &(&(f32, f32), &(f32, f32))| {
                (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0)
            };
            sides().filter(crosses).count() % 2 == 1
        };
        (0..self.points.count()).filter(|&i| line.len() > 2 && inside(self.place(i))).collect()
    }

    /// Index of the point nearest to a position in the plot, given as fractions of the plot's width and height; `None` if there are
    /// no points.
    pub fn nearest(&self, (x, y): (f32, f32)) -> Option<usize> {
        let far = |i: usize| {
            let place = self.place(i);
            (place.0 - x).powi(2) + (place.1 - y).powi(2)
        };
        let all = (0..self.points.count()).map(|i| (i, far(i))).filter(|(_, far)| !far.is_nan());
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
    }
}

/// Minimum and maximum of `values`, each moved outward by 1/50 of the range.
fn bounds(values: impl Iterator<Item = f32>) -> [f64; 2] {
    let (low, high) = values.map(f64::from).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return [0.0, 1.0];
    }
    let beside = if low < high { (high - low) / 50.0 } else { 0.5 };
    [low - beside, high + beside]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Array;

    fn points(numbers: Vec<f32>) -> Points {
        let values = Array::new(vec![numbers.len() / 2, 2], numbers).expect("sizes agree");
        Points { values, groups: [].into(), names: [].into(), pictures: [].into(), files: [].into(), colors: [].into() }
    }

    #[test]
    fn the_nearest_point_is_found_at_its_position() {
        let points = points(vec![0.0, 0.0, 10.0, 0.0, 10.0, -4.0, f32::NAN, 1.0]);
        let view = ScatterView::new(&points);
        for i in 0..3 {
            assert_eq!(view.nearest(view.place(i)), Some(i));
        }
        assert_eq!([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)].map(|at| view.nearest(at)), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn the_visible_part_is_the_whole_plane_or_that_of_the_lens() {
        let points = points(vec![0.0, 0.0, 50.0, 100.0]);
        let view = ScatterView::new(&points);
        let mut lens = Lens::default();
        assert_eq!(view.seen(&lens), ([-1.0, 51.0], [-2.0, 102.0]));
        lens.enlarge(2, (0.0, 1.0));
        let (x, y) = view.seen(&lens);
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-3;
        assert!(near(x, [-1.0, 25.0]) && near(y, [-2.0, 50.0]), "{x:?} {y:?}");
    }

    #[test]
    fn a_lasso_contains_the_points_inside() {
        let points = points(vec![0.0, 0.0, 10.0, 0.0, 10.0, 10.0, 0.0, 10.0, 5.0, 5.0]);
        let view = ScatterView::new(&points);
        assert_eq!(view.within(&[(0.3, 0.3), (0.3, 0.7), (0.7, 0.7), (0.7, 0.3)]), [4]);
        assert_eq!(view.within(&[(0.0, 0.0), (0.0, 1.0), (0.4, 1.0), (0.4, 0.0)]), [0, 3]);
        assert!(view.within(&[(0.0, 0.0), (1.0, 1.0)]).is_empty() && view.within(&[]).is_empty());
    }

    #[test]
    fn the_plane_is_defined_for_no_points_and_for_one() {
        assert_eq!(ScatterView::new(&points(vec![])).nearest((0.5, 0.5)), None);
        assert_eq!(ScatterView::new(&points(vec![3.0, 3.0])).seen(&Lens::default()), ([2.5, 3.5], [2.5, 3.5]));
    }
}
