//! Antialiased filling of outlines.

use super::pen::PenPoint;

/// Number of sampled rows per pixel.
const ROWS: usize = 4;

/// For each pixel of a picture of `[width, height]` pixels, the fraction in `[0, 1]` that lies inside the outlines by the even-odd
/// rule.
pub fn coverage(outlines: &[Vec<PenPoint>], [width, height]: [usize; 2]) -> Vec<f32> {
    let mut covered = vec![0.0; width * height];
    let heights = outlines.iter().flatten().map(|p| p[1] * ROWS as f32);
    let (top, bottom) = heights.fold((f32::MAX, 0f32), |(top, bottom), y| (top.min(y), bottom.max(y)));
    for row in top.max(0.0) as usize..(bottom.ceil() as usize).min(height * ROWS) {
        let y = (row as f32 + 0.5) / ROWS as f32;
        let line = &mut covered[row / ROWS * width..][..width];
        for ends in crossings(outlines, y).chunks_exact(2) {
            span(line, ends[0], ends[1]);
        }
    }
    covered
}

/// The x coordinates at which the outlines cross the horizontal line at `y`, in ascending order.
fn crossings(outlines: &[Vec<PenPoint>], y: f32) -> Vec<f32> {
    let edges = outlines.iter().flat_map(|o| (0..o.len()).map(move |i| (o[i], o[(i + 1) % o.len()])));
    let across = edges.filter(|(a, b)| (a[1] <= y) != (b[1] <= y));
    let mut crossings: Vec<_> = across.map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])).collect();
    crossings.sort_by(f32::total_cmp);
    crossings
}

/// Adds the coverage of the span from `a` to `b` to the pixels of a row.
fn span(line: &mut [f32], a: f32, b: f32) {
    let (a, b) = (a.max(0.0), b.min(line.len() as f32));
    if a >= b {
        return;
    }
    let cells = line.iter_mut().enumerate().take(b.ceil() as usize).skip(a as usize);
    for (left, cell) in cells.map(|(x, cell)| (x as f32, cell)) {
        *cell += (b.min(left + 1.0) - a.max(left)).max(0.0) / ROWS as f32;
    }
}
