//! Outlines inflated to solids: the slopes of their surfaces and the shapes of their shadows.

use super::fill::coverage;
use super::outline::{KINDS, outlines};
use super::pen::PenPoint;
use std::sync::OnceLock;

/// Half the side length of the grid, in units of the outline's radius; a shadow's soft edge fits in between.
const REACH: f32 = 1.5;
/// Height at which the surface becomes as steep as a sphere's edge, in units of the radius squared.
const RIM: f32 = 0.015;

/// A surface over an outline within the unit circle, sampled on a square grid. The surface over a circle is a hemisphere.
pub struct Solid {
    side: usize,
    /// The surface's slopes along x and y.
    slopes: Vec<[f32; 2]>,
    /// The outline's coverage, blurred.
    shadow: Vec<[f32; 1]>,
}

impl Solid {
    /// The solid of class `kind`; computed once.
    pub fn of(kind: usize) -> &'static Self {
        static SOLIDS: [OnceLock<Solid>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];
        SOLIDS[kind].get_or_init(|| Self::new(&outlines(kind), 96))
    }

    /// Inflates outlines within the unit circle on a grid of `side` x `side` cells.
    pub fn new(outlines: &[Vec<PenPoint>], side: usize) -> Self {
        let scale = side as f32 / (2.0 * REACH);
        let on_grid = |[x, y]: &PenPoint| [(x + REACH) * scale, (y + REACH) * scale];
        let outlines: Vec<Vec<_>> = outlines.iter().map(|o| o.iter().map(on_grid).collect()).collect();
        let inside = coverage(&outlines, [side, side]);
        let height = inflated(&inside, side, 1.0 / scale);
        let shadow = blurred(&inside, side, (0.11 * scale).round() as usize);
        let slope = |i: usize, step: usize| match (i.checked_sub(step), height.get(i + step)) {
            (Some(before), Some(after)) => (after - height[before]) * scale / 2.0,
            _ => 0.0,
        };
        let slopes = (0..side * side).map(|i| [slope(i, 1), slope(i, side)]).collect();
        Self { side, slopes, shadow: shadow.into_iter().map(|v| [v]).collect() }
    }

    /// The surface's slopes along x and y at a point.
    pub fn slope(&self, at: PenPoint) -> [f32; 2] {
        self.sample(&self.slopes, at)
    }

    /// How much of a point is in the shadow, in `[0, 1]`, if the light shines from above.
    pub fn shadow(&self, at: PenPoint) -> f32 {
        self.sample(&self.shadow, at)[0]
    }

    /// Values at a point, interpolated between the cells; 0 outside the grid.
    fn sample<const K: usize>(&self, cells: &[[f32; K]], [x, y]: PenPoint) -> [f32; K] {
        let scale = self.side as f32 / (2.0 * REACH);
        let [x, y] = [x, y].map(|v| (v + REACH) * scale - 0.5);
        let end = (self.side - 1) as f32;
        if !(x >= 0.0 && y >= 0.0 && x < end && y < end) {
            return [0.0; K];
        }
        let (i, j) = (x as usize, y as usize);
        let (s, t) = (x - i as f32, y - j as f32);
        let [above, below] = [j, j + 1].map(|j| &cells[j * self.side + i..][..2]);
        std::array::from_fn(|k| {
            let [top, bottom] = [above, below].map(|row| row[0][k] + s * (row[1][k] - row[0][k]));
            top + t * (bottom - top)
        })
    }
}

/// The heights `√u` with `Δu = -4` inside and `u = 0` outside, by successive overrelaxation; `cell` is the width of a cell.
fn inflated(inside: &[f32], side: usize, cell: f32) -> Vec<f32> {
    const RELAXATION: f32 = 1.88;
    let mut u = vec![0f32; side * side];
    let cells: Vec<_> = (side..side * (side - 1)).filter(|&i| inside[i] > 0.0).collect();
    for _ in 0..side {
        for &i in &cells {
            let mean = (u[i - 1] + u[i + 1] + u[i - side] + u[i + side]) / 4.0;
            u[i] += RELAXATION * (inside[i].min(1.0) * (mean + cell * cell) - u[i]);
        }
    }
    u.into_iter().map(|u| (u.max(0.0) + RIM).sqrt()).collect()
}

/// `values` after three box blurs of `2 * radius + 1` cells in each direction, which approximate a Gaussian blur.
fn blurred(values: &[f32], side: usize, radius: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    for _ in 0..3 {
        // Blurring rows and transposing, twice, blurs both directions.
        for _ in 0..2 {
            values = transposed_blur(&values, side, radius);
        }
    }
    values
}

/// The transpose of `values` with blurred rows.
fn transposed_blur(values: &[f32], side: usize, radius: usize) -> Vec<f32> {
    let mut blurred = vec![0.0; values.len()];
    for (y, row) in values.chunks_exact(side).enumerate() {
        let mut sum: f32 = row.iter().take(radius).sum();
        for x in 0..side {
            sum += row.get(x + radius).unwrap_or(&0.0);
            blurred[x * side + y] = sum / (2 * radius + 1) as f32;
            sum -= x.checked_sub(radius).map_or(0.0, |x| row[x]);
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surface_over_a_disc_is_a_hemisphere() {
        let (disc, radius) = (Solid::of(0), 0.92f32);
        for [x, y] in [[0.0, 0.0], [0.4, 0.0], [0.0, -0.6], [-0.5, 0.5], [0.2, 0.7]] {
            let height = (radius * radius - x * x - y * y).sqrt();
            for (slope, expected) in disc.slope([x, y]).into_iter().zip([-x / height, -y / height]) {
                assert!(
                    (slope - expected).abs() < 0.06 + 0.06 * expected.abs(),
                    "at {x}, {y}: {slope}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn a_surface_is_flat_outside_the_outline_and_its_shadow_fades_there() {
        for (kind, name) in KINDS.iter().enumerate() {
            let solid = Solid::of(kind);
            let around = [[1.2, 0.0], [0.0, 1.2], [-1.2, 0.0], [-0.9, -0.9]];
            assert!(around.iter().all(|&p| solid.slope(p) == [0.0; 2] && solid.shadow(p) < 0.15), "{name}");
            assert!(solid.shadow([1.45, 1.45]) < 1e-6);
        }
        assert!(Solid::of(0).shadow([0.0, 0.0]) > 0.98 && (0.3..0.7).contains(&Solid::of(0).shadow([0.92, 0.0])));
    }
}
