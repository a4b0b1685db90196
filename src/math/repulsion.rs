//! The repulsive forces of t-SNE: sums over all pairs of points, computed exactly for few points and by interpolation on a grid
//! for many.
//!
//! The sums are `Z = Σ_{i≠j} q_ij` and `F_i = Σ_j q_ij² (y_i − y_j)` with `q = 1 / (1 + d²)`.

use super::fourier::{Fourier, Lines};
use rayon::prelude::*;

/// Maximum number of points for which all pairs are summed exactly.
const FEW: usize = 1500;
/// Grid nodes per interval, for interpolation by polynomials of degree 2.
const NODES: usize = 3;
/// Minimum number of grid intervals along a side.
const INTERVALS: f64 = 50.0;

/// A point in the plane, `[x, y]`.
pub type Point = [f64; 2];

/// Computes the repulsive forces of t-SNE. The Fourier transforms of the kernels are cached between calls.
#[derive(Clone, Debug, Default)]
pub struct Repulsion {
    kernels: Option<Kernels>,
}

impl Repulsion {
    /// Computes the normalization `Z = Σ_{i≠j} q_ij`, and the force `F_i = Σ_j q_ij² (y_i − y_j)` on each of the points `y`,
    /// with `q = 1 / (1 + d²)`.
    pub fn of(&mut self, y: &[Point]) -> (f64, Vec<Point>) {
        if y.len() <= FEW { exact(y) } else { self.on_grid(y) }
    }

    /// Computes `Z` and `F_i` by interpolation on a grid, where convolutions are products of Fourier transforms (Linderman et al.
    /// 2019, arXiv:1712.09005).
    ///
    /// The force uses the kernel `d / (1 + d²)²` along each axis, so one forward transform of the points' weights and one inverse
    /// transform suffice for both components. Z is a sum over the squared transform.
    fn on_grid(&mut self, y: &[Point]) -> (f64, Vec<Point>) {
        let grid = Grid::around(y);
        let plan = Fourier::at_least(2 * grid.side);
        let fits = |k: &&Kernels| k.plan.length == plan.length && k.step == grid.step;
        if self.kernels.as_ref().filter(fits).is_none() {
            self.kernels = Some(Kernels::new(plan, grid.step));
        }
        match &self.kernels {
            Some(kernels) => kernels.sums(&grid, y),
            None => exact(y),
        }
    }
}

/// Like [`Repulsion::of`], but summed exactly over all pairs.
pub fn exact(y: &[Point]) -> (f64, Vec<Point>) {
    let one = |a: &Point| {
        let (mut z, mut f) = (0.0, [0.0; 2]);
        for b in y {
            let d = [a[0] - b[0], a[1] - b[1]];
            let q = 1.0 / (1.0 + d[0] * d[0] + d[1] * d[1]);
            z += q;
            f = [f[0] + q * q * d[0], f[1] + q * q * d[1]];
        }
        (z - 1.0, f)
    };
    let sums: Vec<_> = y.par_iter().map(one).collect();
    (sums.iter().map(|s| s.0).sum(), sums.into_iter().map(|s| s.1).collect())
}

/// A square grid of equidistant nodes that covers all points.
struct Grid {
    low: Point,
    /// Distance between adjacent nodes.
    step: f64,
    /// Number of nodes along a side.
    side: usize,
}

impl Grid {
    /// Chooses a grid around the points. Its intervals have length 1, or less if the points lie close together. Lengths are
    /// rounded so that cached kernels can be reused.
    fn around(y: &[Point]) -> Self {
        let bound = |k: usize, f: fn(f64, f64) -> f64, from: f64| y.iter().map(|p| p[k]).fold(from, f);
        let low = [0, 1].map(|k| bound(k, f64::min, f64::INFINITY));
        let high = [0, 1].map(|k| bound(k, f64::max, f64::NEG_INFINITY));
        let span = (high[0] - low[0]).max(high[1] - low[1]).max(1e-9);
        let width = (span / INTERVALS).log2().mul_add(4.0, 0.0).floor().min(0.0);
        let width = (width / 4.0).exp2();
        Self { low, step: width / NODES as f64, side: NODES * ((span / width).floor() as usize + 1) }
    }

    /// The index of the first node used to interpolate at coordinate `k` of a point, and the weights of three consecutive nodes.
    fn weights(&self, p: &Point, k: usize) -> (usize, [f64; NODES]) {
        let place = (p[k] - self.low[k]) / (self.step * NODES as f64);
        let interval = (place as usize).min(self.side / NODES - 1);
        // `t` is in units of the node distance: the middle node is at 0, and the others are at -1 and 1.
        let t = (place - interval as f64 - 0.5) * NODES as f64;
        (interval * NODES, [0.5 * t * (t - 1.0), 1.0 - t * t, 0.5 * t * (t + 1.0)])
    }
}

/// Fourier transforms of the kernels `1 / (1 + d²)` and `d / (1 + d²)²`, for one grid.
#[derive(Clone, Debug)]
struct Kernels {
    plan: Fourier,
    step: f64,
    /// Transform of the kernel `1 / (1 + d²)`, which is real and even: `[row][column]`.
    even: Vec<f32>,
    /// Negated imaginary part of the transform of the kernel `d / (1 + d²)²` along columns; its transpose is used for rows.
    odd: Vec<f32>,
}

impl Kernels {
    fn new(plan: Fourier, step: f64) -> Self {
        let n = plan.length;
        let away = |i: usize| step * if i <= n / 2 { i as f64 } else { i as f64 - n as f64 };
        // At half the period, both directions are equally far, so the forces cancel.
        let along = |i: usize| if 2 * i == n { 0.0 } else { away(i) };
        let q = |r: usize, c: usize| 1.0 / (1.0 + away(r).powi(2) + away(c).powi(2));
        let even = plane(&plan, |r, c| q(r, c) as f32).map(|(re, _)| re);
        let odd = plane(&plan, |r, c| (q(r, c).powi(2) * along(c)) as f32).map(|(_, im)| -im);
        Self { even: even.collect(), odd: odd.collect(), plan, step }
    }

    fn sums(&self, grid: &Grid, y: &[Point]) -> (f64, Vec<Point>) {
        let spread = self.transformed(&weights(grid, y), grid.side);
        let n = self.plan.length;
        let energy = |r: usize| -> f64 {
            let of = |c: usize| {
                let (re, im) = spread.get(r, c);
                f64::from(self.even[r * n + c]) * (f64::from(re).powi(2) + f64::from(im).powi(2))
            };
            let both = if r == 0 || 2 * r == n { 1.0 } else { 2.0 };
            both * (0..n).map(of).sum::<f64>()
        };
        let parts: Vec<f64> = (0..=n / 2).into_par_iter().map(energy).collect();
        let z = parts.iter().sum::<f64>() / (n * n) as f64 - own(grid, y);
        let forces = self.back(&spread, grid.side);
        let at = |p: &Point| {
            let ((c, wx), (r, wy)) = (grid.weights(p, 0), grid.weights(p, 1));
            let mut f = [0.0; 2];
            for (i, wy) in wy.iter().enumerate() {
                for (j, wx) in wx.iter().enumerate() {
                    let (fy, fx) = forces.get(c + j, r + i);
                    f = [f[0] + wx * wy * f64::from(fx), f[1] + wx * wy * f64::from(fy)];
                }
            }
            f
        };
        (z, y.par_iter().map(at).collect())
    }

    /// Rows 0 to n / 2 of the Fourier transform of `side` x `side` values padded with zeros. The other rows are their conjugates.
    fn transformed(&self, w: &[f32], side: usize) -> Lines {
        let n = self.plan.length;
        let columns = self.plan.lines(side, n / 2 + 1, |first, count, block| {
            for (r, row) in w.chunks_exact(side).enumerate() {
                row[first..first + count].iter().enumerate().for_each(|(lane, &v)| block.set(lane, r, (v, 0.0)));
            }
        });
        self.plan.lines(n / 2 + 1, n, |first, count, block| {
            for c in 0..side {
                (0..count).for_each(|lane| block.set(lane, c, columns.get(c, first + lane)));
            }
        })
    }

    /// The forces `F_y` (real part) and `F_x` (imaginary part) at the nodes, one line per column: the product of `spread` and the
    /// combined transform `Y − iX` of both kernels, inverted by swapping real and imaginary parts.
    fn back(&self, spread: &Lines, side: usize) -> Lines {
        let n = self.plan.length;
        let scale = 1.0 / (n * n) as f32;
        let rows = self.plan.lines(n, side, |first, count, block| {
            for lane in 0..count {
                let r = first + lane;
                for c in 0..n {
                    let (re, im) = match r <= n / 2 {
                        true => spread.get(r, c),
                        false => conjugate(spread.get(n - r, (n - c) % n)),
                    };
                    let (x, y) = (self.odd[r * n + c] * scale, self.odd[c * n + r] * scale);
                    block.set(lane, c, (im * y - re * x, re * y + im * x));
                }
            }
        });
        self.plan.lines(side, side, |first, count, block| {
            for r in 0..n {
                (0..count).for_each(|lane| block.set(lane, r, rows.get(r, first + lane)));
            }
        })
    }
}

fn conjugate((re, im): (f32, f32)) -> (f32, f32) {
    (re, -im)
}

/// The Fourier transform of an `n` x `n` array of real values, in row-major order.
fn plane(plan: &Fourier, value: impl Fn(usize, usize) -> f32 + Sync) -> impl Iterator<Item = (f32, f32)> {
    let n = plan.length;
    let columns = plan.lines(n, n, |first, count, block| {
        (0..count).for_each(|lane| (0..n).for_each(|r| block.set(lane, r, (value(r, first + lane), 0.0))));
    });
    let rows = plan.lines(n, n, |first, count, block| {
        (0..n).for_each(|c| (0..count).for_each(|lane| block.set(lane, c, columns.get(c, first + lane))));
    });
    (0..n * n).map(move |i| rows.get(i / n, i % n))
}

/// The sum of all points' self-interactions in `Z`, as interpolated on the grid: about 1 per point.
fn own(grid: &Grid, y: &[Point]) -> f64 {
    let q = |r: usize, c: usize| 1.0 / (1.0 + grid.step.powi(2) * (r * r + c * c) as f64);
    let table: [[f64; NODES]; NODES] = std::array::from_fn(|r| std::array::from_fn(|c| q(r, c)));
    // Products of interpolation weights, grouped by the distance between their nodes.
    let apart = |w: [f64; NODES]| {
        [w[0] * w[0] + w[1] * w[1] + w[2] * w[2], 2.0 * (w[0] * w[1] + w[1] * w[2]), 2.0 * w[0] * w[2]]
    };
    let of = |p: &Point| {
        let (x, y) = (apart(grid.weights(p, 0).1), apart(grid.weights(p, 1).1));
        table.iter().zip(y).map(|(row, y)| y * row.iter().zip(x).map(|(q, x)| q * x).sum::<f64>()).sum::<f64>()
    };
    y.iter().map(of).sum()
}

/// For each node, the sum of the interpolation weights of all points.
fn weights(grid: &Grid, y: &[Point]) -> Vec<f32> {
    let mut w = vec![0f32; grid.side * grid.side];
    for p in y {
        let ((c, wx), (r, wy)) = (grid.weights(p, 0), grid.weights(p, 1));
        for (i, wy) in wy.iter().enumerate() {
            for (j, wx) in wx.iter().enumerate() {
                w[(r + i) * grid.side + c + j] += (wx * wy) as f32;
            }
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(n: usize, size: f64) -> Vec<Point> {
        let part = |i: usize, g: f64| ((i * i) as f64 * g).fract() - 0.5;
        (1..=n).map(|i| [size * part(i, 0.754_877_666), 0.6 * size * part(i, 0.569_840_29)]).collect()
    }

    #[test]
    fn the_grid_approximates_the_sums_over_all_pairs() {
        for size in [1e-4, 0.1, 3.0, 20.0, 40.0] {
            let y = drawn(700, size);
            let ((z, f), (grid_z, grid_f)) = (exact(&y), Repulsion::default().on_grid(&y));
            assert!((z - grid_z).abs() < 2e-3 * z, "Z of {size}: {z} and {grid_z}");
            let length = |f: &[Point]| f.iter().map(|f| f[0] * f[0] + f[1] * f[1]).sum::<f64>().sqrt();
            let apart: Vec<Point> = f.iter().zip(&grid_f).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]).collect();
            assert!(length(&apart) < 3e-2 * length(&f), "forces of {size}: {} of {}", length(&apart), length(&f));
        }
    }

    #[test]
    fn cached_kernels_are_reused_while_the_map_grows_a_little() {
        let mut repulsion = Repulsion::default();
        repulsion.on_grid(&drawn(100, 100.0));
        let odd = repulsion.kernels.as_ref().map(|k| k.odd.as_ptr());
        repulsion.on_grid(&drawn(100, 101.0));
        assert_eq!(repulsion.kernels.as_ref().map(|k| k.odd.as_ptr()), odd);
    }
}
