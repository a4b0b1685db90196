//! Drawing with a round pen.

/// A point in pixels or glyph units: x to the right, y down.
pub type PenPoint = [f32; 2];

/// A densely sampled Catmull-Rom curve through `points`, with corners at repeated points.
pub fn curve(points: &[PenPoint]) -> Vec<PenPoint> {
    let corners = (1..points.len()).filter(|&i| points[i] == points[i - 1]);
    let (mut from, mut line) = (0, vec![]);
    for to in corners.chain([points.len()]) {
        line.extend(smooth(&points[from..to]));
        from = to;
    }
    line
}

/// Draws a line with soft edges into a picture of values in `[0, 1]`; `radius` maps the index of a line segment to the pen's
/// radius.
pub fn draw(picture: &mut [f32], width: usize, line: &[PenPoint], radius: impl Fn(usize) -> f32, softness: f32) {
    let sizes = [width, picture.len() / width];
    for (i, ends) in line.windows(2).enumerate() {
        let (radius, reach) = (radius(i), radius(i) + softness);
        let range = |axis: usize| {
            let (a, b) = (ends[0][axis].min(ends[1][axis]), ends[0][axis].max(ends[1][axis]));
            ((a - reach).floor().max(0.0) as usize)..((b + reach).ceil().clamp(0.0, sizes[axis] as f32) as usize)
        };
        for (y, x) in range(1).flat_map(|y| range(0).map(move |x| (y, x))) {
            let d = distance([x as f32 + 0.5, y as f32 + 0.5], ends[0], ends[1]);
            let ink = (0.5 + (radius - d) / softness).clamp(0.0, 1.0);
            let paper = &mut picture[y * width + x];
            *paper = paper.max(ink);
        }
    }
}

/// The Catmull-Rom curve through `points`, without corners.
fn smooth(points: &[PenPoint]) -> Vec<PenPoint> {
    const SAMPLES: usize = 6;
    let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let piece = |i: usize| {
        let p = [-1, 0, 1, 2].map(|k| at(i as isize + k));
        (0..SAMPLES).map(move |s| catmull_rom(&p, s as f32 / SAMPLES as f32))
    };
    (0..points.len().saturating_sub(1)).flat_map(piece).chain(points.last().copied()).collect()
}

/// The point at `t` in `[0, 1]` on the cubic from `p[1]` to `p[2]` (Catmull & Rom 1974).
fn catmull_rom(p: &[PenPoint; 4], t: f32) -> PenPoint {
    [0, 1].map(|k| {
        let [a, b, c, d] = p.map(|p| p[k]);
        b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
    })
}

/// Distance of `p` from the segment between `a` and `b`.
fn distance(p: PenPoint, a: PenPoint, b: PenPoint) -> f32 {
    let (along, from) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length = along[0] * along[0] + along[1] * along[1];
    let t = if length == 0.0 { 0.0 } else { (from[0] * along[0] + from[1] * along[1]) / length };
    let t = t.clamp(0.0, 1.0);
    (from[0] - t * along[0]).hypot(from[1] - t * along[1])
}
