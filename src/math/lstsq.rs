//! Least squares in f64, by Householder reflections.

use crate::interrupt::{InterruptProbe, now_and_then, pass};
use crate::{memory, tensor};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use rayon::prelude::*;

/// Maximum number of unknowns.
const UNKNOWNS: usize = 8192;
/// Number of columns in a [`Tile`].
const LANES: usize = 8;
/// Minimum number of rows reflected by one task.
const GRAIN: usize = 1 << 12;
/// A column is considered linearly dependent on the previous ones if its remaining norm is at most this fraction of its original
/// norm.
const DEPENDENT: f64 = 1e-12;

/// The solution of a least-squares problem.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The solution `x`, of shape `(n, k)`, or `(n)` if `b` has shape `(m)`; in the dtype of `b`.
    pub solution: Tensor,
    /// The sum of squares `Σ w (b − A x)²` for each of the `k` columns of `b`.
    pub residuals: Vec<f64>,
}

/// Finds the `x` that minimizes `Σᵢ wᵢ (bᵢ − Aᵢ x)² + ridge ‖x‖²`, for `A` of shape `(m, n)`, `b` of shape `(m)` or `(m, k)` and
/// weights `w ≥ 0` of shape `(m)` [default: ones].
///
/// Errors if the shapes do not match, if there are more than 8,192 unknowns, if a value is not finite, if there is not enough
/// memory, or if `ridge` is 0 and the rows do not determine `x`.
pub fn lstsq(a: &Tensor, b: &Tensor, weights: Option<&Tensor>, ridge: f64) -> Result<Solution> {
    let ([m, n], true) = (<[usize; 2]>::try_from(a.dims()).unwrap_or([0, 0]), a.rank() == 2) else {
        bail!("least squares needs a matrix of shape (m, n), got {:?}", a.dims());
    };
    ensure!(
        m > 0 && (1..=UNKNOWNS).contains(&n),
        "least squares needs a matrix with at least one row and 1 to {UNKNOWNS} columns, got {m}x{n}"
    );
    ensure!(
        [1, 2].contains(&b.rank()) && b.dims()[0] == m,
        "a matrix with {m} rows needs a right-hand side of shape ({m}) or ({m}, k), got {:?}",
        b.dims()
    );
    ensure!(ridge >= 0.0 && ridge.is_finite(), "the ridge penalty must be nonnegative, got {ridge}");
    let w = match weights {
        Some(w) => numbers(w)?,
        None => vec![1.0; m],
    };
    ensure!(w.len() == m && w.iter().all(|&w| w >= 0.0), "expected {m} nonnegative weights, one per row");
    let k = b.elem_count() / m;
    let (rows, right) = (numbers(a)?, numbers(b)?);
    // A ridge adds n rows for the equations `√ridge x = 0`.
    let height = if ridge > 0.0 { m + n } else { m };
    let bytes = height.saturating_mul((n + k).next_multiple_of(LANES)).saturating_mul(size_of::<f64>());
    memory::reserve(bytes, || format!("least squares with {m} rows and {n} unknowns"))?;
    let mut left = tiles(height, n, |i, j| match i.checked_sub(m) {
        None => w[i].sqrt() * rows[i * n + j],
        Some(unknown) if unknown == j => ridge.sqrt(),
        Some(_) => 0.0,
    });
    let mut reflected = tiles(height, k, |i, j| if i < m { w[i].sqrt() * right[i * k + j] } else { 0.0 });
    triangular(&mut left, n, &mut reflected)?;
    let x: Vec<_> = (0..k).map(|j| back(&left, n, &reflected, j)).collect();
    let residual = |j: usize| -> f64 {
        let of = |i: usize| {
            now_and_then();
            right[i * k + j] - (0..n).map(|c| rows[i * n + c] * x[j][c]).sum::<f64>()
        };
        (0..m).map(|i| w[i] * of(i).powi(2)).sum()
    };
    let residuals = (0..k).map(residual).collect();
    let flat = (0..n).flat_map(|i| x.iter().map(move |x| x[i])).collect::<Vec<_>>();
    let shape = [&[n][..], &b.dims()[1..]].concat();
    Ok(Solution { solution: tensor::like(flat, shape, b)?, residuals })
}

fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    let x = tensor::numbers(x)?;
    ensure!(x.iter().all(|v| v.is_finite()), "least squares needs finite values");
    Ok(x)
}

/// Eight columns of a matrix, stored row by row. The columns are summed in row order, all eight in parallel.
type Tile = Vec<[f64; LANES]>;

/// Builds a tiled matrix of the given height and width. Columns of the last tile beyond the width are 0.
fn tiles(height: usize, width: usize, value: impl Fn(usize, usize) -> f64) -> Vec<Tile> {
    let cell = |i: usize, j: usize| if j < width { value(i, j) } else { 0.0 };
    let tile = |first: usize| (0..height).map(|i| std::array::from_fn(|lane| cell(i, first + lane))).collect();
    (0..width).step_by(LANES).map(tile).collect()
}

/// The Householder reflection `x − 2 v (v·x) / (v·v)`, applied to the rows of `x` starting at `top`.
struct Reflection {
    top: usize,
    v: Vec<f64>,
    square: f64,
}

impl Reflection {
    /// Reflects the columns of a tile starting at lane `first`.
    fn apply(&self, tile: &mut Tile, first: usize) {
        let rows = &mut tile[self.top..];
        let mut along = [0.0; LANES];
        for (v, row) in self.v.iter().zip(&*rows) {
            for lane in 0..LANES {
                along[lane] += v * row[lane];
            }
        }
        let along: [f64; LANES] =
            std::array::from_fn(|lane| if lane < first { 0.0 } else { 2.0 * along[lane] / self.square });
        for (v, row) in self.v.iter().zip(rows) {
            for lane in 0..LANES {
                row[lane] -= along[lane] * v;
            }
        }
    }
}

/// Reduces `a`, with `n` columns, to upper triangular form by Householder reflections, which are also applied to `b` (Golub & Van
/// Loan 2013, 5.2). All reflections of a tile are applied to a later tile while it is in the cache.
fn triangular(a: &mut [Tile], n: usize, b: &mut [Tile]) -> Result<()> {
    let probe = InterruptProbe::here();
    for at in 0..a.len() {
        let (tile, later) = a[at..].split_first_mut().expect("`at` is the index of a tile");
        let reflections = reflect(tile, at * LANES, n)?;
        let least = 1 + GRAIN / tile.len();
        later.par_iter_mut().chain(b.par_iter_mut()).with_min_len(least).for_each(|tile| {
            probe.pass();
            reflections.iter().for_each(|reflection| reflection.apply(tile, 0));
        });
    }
    Ok(())
}

/// Computes the reflections for a tile that starts at column `first` of `n`, and applies them to the tile.
fn reflect(tile: &mut Tile, first: usize, n: usize) -> Result<Vec<Reflection>> {
    let mut reflections = vec![];
    for (lane, j) in (first..n).take(LANES).enumerate() {
        pass();
        let square = |rows: &[[f64; LANES]]| rows.iter().map(|row| row[lane] * row[lane]).sum::<f64>();
        let norm = square(&tile[j..]).sqrt();
        let whole = (norm.powi(2) + square(&tile[..j])).sqrt();
        ensure!(
            norm > DEPENDENT * whole,
            "the rows determine only {j} of {n} unknowns; add rows or set a ridge penalty"
        );
        let mut v: Vec<_> = tile[j..].iter().map(|row| row[lane]).collect();
        v[0] += norm.copysign(v[0]);
        let square = v.iter().map(|v| v * v).sum::<f64>();
        let reflection = Reflection { top: j, v, square };
        reflection.apply(tile, lane);
        reflections.push(reflection);
    }
    Ok(reflections)
}

/// Solves `R x = b` by back substitution, for an upper triangular `R` with `n` columns and column `column` of `b`.
fn back(r: &[Tile], n: usize, b: &[Tile], column: usize) -> Vec<f64> {
    let cell = |tiles: &[Tile], i: usize, j: usize| tiles[j / LANES][i][j % LANES];
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        pass();
        let rest: f64 = (i + 1..n).map(|j| cell(r, i, j) * x[j]).sum();
        x[i] = (cell(b, i, column) - rest) / cell(r, i, i);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).expect("it fits")
    }

    fn solved(a: &Tensor, b: &Tensor, w: Option<&Tensor>, ridge: f64) -> (Vec<f64>, Vec<f64>) {
        let s = lstsq(a, b, w, ridge).expect("it is solved");
        (s.solution.flatten_all().expect("flat").to_vec1().expect("f64"), s.residuals)
    }

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} and {b:?}");
    }

    #[test]
    fn an_exact_linear_relation_is_recovered() {
        let a = tensor(&[1., 2., 3., -1., 0., 4., 2., 2., 1., 5.], &[5, 2]);
        let b = a.matmul(&tensor(&[3., -7., 0.5, 2.], &[2, 2])).expect("it fits");
        let (x, residuals) = solved(&a, &b, None, 0.0);
        close(&x, &[3., -7., 0.5, 2.]);
        close(&residuals, &[0., 0.]);
    }

    /// The textbook algorithm, which processes one column at a time.
    fn plain(a: &mut [Vec<f64>], b: &mut [f64]) -> Vec<f64> {
        for j in 0..a.len() {
            let norm = a[j][j..].iter().map(|v| v * v).sum::<f64>().sqrt();
            let mut v = a[j][j..].to_vec();
            v[0] += norm.copysign(v[0]);
            let square = v.iter().map(|v| v * v).sum::<f64>();
            for x in a[j..].iter_mut().map(|column| &mut column[j..]).chain([&mut b[j..]]) {
                let along = 2.0 * v.iter().zip(&*x).map(|(v, x)| v * x).sum::<f64>() / square;
                x.iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v);
            }
        }
        let mut x = vec![0.0; a.len()];
        for i in (0..a.len()).rev() {
            let rest: f64 = (i + 1..a.len()).map(|j| a[j][i] * x[j]).sum();
            x[i] = (b[i] - rest) / a[i][i];
        }
        x
    }

    #[test]
    fn tiles_of_columns_give_the_numbers_of_single_columns() {
        let drawn = |i: usize| (i as f64 * 0.754_877_666_2).fract() * (i as f64 * 0.569_840_290_9).fract() - 0.2;
        for (m, n, k) in [(3, 1, 1), (20, 8, 9), (40, 13, 3), (300, 70, 17)] {
            let columns: Vec<Vec<f64>> = (0..n).map(|j| (0..m).map(|i| drawn(i * n + j + 1)).collect()).collect();
            let right: Vec<Vec<f64>> = (0..k).map(|j| (0..m).map(|i| drawn(7000 + i * k + j)).collect()).collect();
            let (mut left, mut above) = (tiles(m, n, |i, j| columns[j][i]), tiles(m, k, |i, j| right[j][i]));
            triangular(&mut left, n, &mut above).expect("it is determined");
            for (j, b) in right.iter().enumerate() {
                let plain = plain(&mut columns.clone(), &mut b.clone());
                assert_eq!(back(&left, n, &above, j), plain, "{m}x{n}, column {j}");
            }
        }
    }

    #[test]
    fn the_weighted_residual_is_orthogonal_to_every_column() {
        let a = tensor(&[1., 2., 3., -1., 0., 4., 2., 2., 1., 5.], &[5, 2]);
        let (b, w) = (tensor(&[1., 0., 2., -1., 4.], &[5]), tensor(&[1., 2., 0.5, 3., 0.], &[5]));
        let (x, residuals) = solved(&a, &b, Some(&w), 0.0);
        let rows = a.to_vec2::<f64>().expect("f64");
        let (b, w) = (b.to_vec1::<f64>().expect("f64"), w.to_vec1::<f64>().expect("f64"));
        let gap = |i: usize| b[i] - rows[i][0] * x[0] - rows[i][1] * x[1];
        for column in [0, 1] {
            assert!((0..5).map(|i| w[i] * gap(i) * rows[i][column]).sum::<f64>().abs() < 1e-12);
        }
        close(&residuals, &[(0..5).map(|i| w[i] * gap(i).powi(2)).sum()]);
    }

    #[test]
    fn a_ridge_shrinks_by_its_formula_and_determines_an_underdetermined_system() {
        // With one unknown, x = Σab / (Σa² + ridge).
        let (x, _) = solved(&tensor(&[1., 2.], &[2, 1]), &tensor(&[3., 4.], &[2]), None, 5.0);
        close(&x, &[11. / 10.]);
        let twice = tensor(&[1., 1., 2., 2.], &[2, 2]);
        let error = lstsq(&twice, &tensor(&[1., 2.], &[2]), None, 0.0).expect_err("it is open");
        assert!(error.to_string().contains("1 of 2 unknowns"), "{error}");
        let (x, _) = solved(&twice, &tensor(&[1., 2.], &[2]), None, 1e-9);
        assert!((x[0] - 0.5).abs() < 1e-6 && (x[1] - 0.5).abs() < 1e-6, "{x:?}");
    }

    #[test]
    fn shapes_that_do_not_match_are_an_error() {
        let a = tensor(&[1., 2.], &[2, 1]);
        for (a, b) in [(&a, tensor(&[1.], &[1])), (&tensor(&[1., 2.], &[2]), tensor(&[1., 2.], &[2]))] {
            assert!(lstsq(a, &b, None, 0.0).is_err());
        }
        let b = tensor(&[1., 2.], &[2]);
        assert!(lstsq(&a, &b, Some(&tensor(&[1., -1.], &[2])), 0.0).is_err());
        assert!(lstsq(&a, &b, None, -1.0).is_err());
        assert!(lstsq(&a, &tensor(&[1., f64::NAN], &[2]), None, 0.0).is_err());
    }
}
