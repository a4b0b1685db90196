//! Points in the plane: the part of it that is seen, the point that is pointed at, and the picture behind that.

use super::lens::Lens;
use super::look;
use super::msg::Effect;
use super::state::State;
use crate::render::{Body, Points};
use crate::script::message::Frame;

/// Points and the plane that they lie in.
#[derive(Debug)]
pub struct Cloud<'a> {
    points: &'a Points,
    /// Least and greatest of both directions.
    x: [f64; 2],
    y: [f64; 2],
}

impl<'a> Cloud<'a> {
    /// In a plane a little larger than they are.
    pub fn new(points: &'a Points) -> Self {
        let all = || (0..points.count()).map(|i| points.place(i)).filter(|(x, y)| x.is_finite() && y.is_finite());
        Self { points, x: bounds(all().map(|p| p.0)), y: bounds(all().map(|p| p.1)) }
    }

    /// Bounds of what is seen, across and up.
    pub fn seen(&self, lens: &Lens) -> ([f64; 2], [f64; 2]) {
        let (from, to) = (self.at(lens.place((0.0, 0.0))), self.at(lens.place((1.0, 1.0))));
        ([from.0, to.0], [to.1, from.1])
    }

    /// Where a point lies, 0 to 1 from the left and from the top of the plane.
    pub fn place(&self, i: usize) -> (f32, f32) {
        let (x, y) = self.points.place(i);
        let part = |[low, high]: [f64; 2], v: f32| ((f64::from(v) - low) / (high - low)) as f32;
        (part(self.x, x), 1.0 - part(self.y, y))
    }

    /// What stands at a place, across and up.
    pub fn at(&self, (x, y): (f32, f32)) -> (f64, f64) {
        let at = |[low, high]: [f64; 2], part: f32| low + (high - low) * f64::from(part);
        (at(self.x, x), at(self.y, 1.0 - y))
    }

    /// The points within a line that was drawn round them; less than three places go round nothing.
    pub fn within(&self, line: &[(f32, f32)]) -> Vec<usize> {
        let sides = || line.iter().zip(line.iter().cycle().skip(1));
        // A ray to the right crosses the line an odd number of times.
        let inside = |(x, y): (f32, f32)| {
            let crosses = |(a, b): &(&(f32, f32), &(f32, f32))| {
                (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0)
            };
            sides().filter(crosses).count() % 2 == 1
        };
        (0..self.points.count()).filter(|&i| line.len() > 2 && inside(self.place(i))).collect()
    }

    /// The point nearest to a place.
    pub fn nearest(&self, (x, y): (f32, f32)) -> Option<usize> {
        let far = |i: usize| {
            let place = self.place(i);
            (place.0 - x).powi(2) + (place.1 - y).powi(2)
        };
        let all = (0..self.points.count()).map(|i| (i, far(i))).filter(|(_, far)| !far.is_nan());
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
    }
}

/// Pictures that are seen of points with a line round them.
const SHOWN: usize = 6;
/// A line is closed when its end is as near to its beginning, in parts of what is seen.
const CLOSED: f32 = 0.08;

/// Asks for the pictures of the points that are pointed at, when they are others than before.
pub fn follow_mark(state: &mut State) -> Vec<Effect> {
    if state.lens.mark.is_none() {
        state.lasso.clear();
        return come_near(state).into_iter().collect();
    }
    let names = pointed(state);
    if names.iter().eq(state.pointed.iter().map(|(name, _)| name)) {
        return vec![];
    }
    let before = std::mem::take(&mut state.pointed);
    let seen = |name: String| {
        let image = before.iter().find(|(n, _)| *n == name).and_then(|(_, image)| image.clone());
        (name, image)
    };
    state.pointed = names.into_iter().map(seen).collect();
    let new = state.pointed.iter().filter(|(_, image)| image.is_none());
    new.map(|(name, _)| Effect::Preview(name.clone())).collect()
}

/// Has the data set opened before the first of its points is pointed at.
fn come_near(state: &mut State) -> Option<Effect> {
    state.pointed.clear();
    let frame = state.run.frame.as_ref()?;
    let data = frame.data.as_ref().filter(|data| state.near.as_ref() != Some(data))?;
    let first = has_points(frame).then(|| Effect::Preview(format!("{data}[0]")))?;
    state.near = Some(data.clone());
    Some(first)
}

fn has_points(frame: &Frame) -> bool {
    frame.figures.iter().any(|figure| matches!(figure.body, Body::Scatter { .. }))
}

/// What the pictures of the points that are pointed at are opened as: of the nearest one, or of some within a closed line.
fn pointed(state: &State) -> Vec<String> {
    let frame = state.run.frame.as_ref().filter(|frame| has_points(frame));
    let Some((mark, frame)) = state.lens.mark.zip(frame) else { return vec![] };
    let Some(data) = &frame.data else { return vec![] };
    let exhibits = look::exhibits(state);
    let of = |exhibit: &look::Exhibit| match &exhibit.figure.body {
        Body::Scatter { points } => Some(points.clone()),
        _ => None,
    };
    let Some(points) = exhibits.iter().find_map(of) else { return vec![] };
    let cloud = Cloud::new(&points);
    let around = if is_closed(&state.lasso, state.lens.zoom) { cloud.within(&state.lasso) } else { vec![] };
    let count = around.len().min(SHOWN);
    let mut which: Vec<_> = (0..count).map(|k| around[k * around.len() / count]).collect();
    if which.is_empty() {
        which.extend(cloud.nearest(mark));
    }
    which.into_iter().map(|i| format!("{data}[{}]", points.picture(i))).collect()
}

fn is_closed(line: &[(f32, f32)], zoom: f32) -> bool {
    let ends = line.first().zip(line.last()).filter(|_| line.len() > 7);
    ends.is_some_and(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1) * zoom < CLOSED)
}

/// Least and greatest, a fiftieth further out.
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
    fn the_nearest_point_is_found_where_it_is_seen() {
        let points = points(vec![0.0, 0.0, 10.0, 0.0, 10.0, -4.0, f32::NAN, 1.0]);
        let cloud = Cloud::new(&points);
        for i in 0..3 {
            assert_eq!(cloud.nearest(cloud.place(i)), Some(i));
        }
        assert_eq!([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)].map(|at| cloud.nearest(at)), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn what_is_seen_is_the_whole_plane_or_the_part_below_the_lens() {
        let points = points(vec![0.0, 0.0, 50.0, 100.0]);
        let cloud = Cloud::new(&points);
        let mut lens = Lens::default();
        assert_eq!(cloud.seen(&lens), ([-1.0, 51.0], [-2.0, 102.0]));
        lens.enlarge(2, (0.0, 1.0));
        let (x, y) = cloud.seen(&lens);
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-3;
        assert!(near(x, [-1.0, 25.0]) && near(y, [-2.0, 50.0]), "{x:?} {y:?}");
    }

    #[test]
    fn a_line_round_points_has_them_within() {
        let points = points(vec![0.0, 0.0, 10.0, 0.0, 10.0, 10.0, 0.0, 10.0, 5.0, 5.0]);
        let cloud = Cloud::new(&points);
        assert_eq!(cloud.within(&[(0.3, 0.3), (0.3, 0.7), (0.7, 0.7), (0.7, 0.3)]), [4]);
        assert_eq!(cloud.within(&[(0.0, 0.0), (0.0, 1.0), (0.4, 1.0), (0.4, 0.0)]), [0, 3]);
        assert!(cloud.within(&[(0.0, 0.0), (1.0, 1.0)]).is_empty() && cloud.within(&[]).is_empty());
    }

    #[test]
    fn no_points_and_one_point_have_a_plane() {
        assert_eq!(Cloud::new(&points(vec![])).nearest((0.5, 0.5)), None);
        assert_eq!(Cloud::new(&points(vec![3.0, 3.0])).seen(&Lens::default()), ([2.5, 3.5], [2.5, 3.5]));
    }
}
