//! Least squares in f64, by Householder reflections.

use crate::interrupt::{now_and_then, pass};
use crate::tensor;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

/// Maximum number of unknowns.
const UNKNOWNS: usize = 2048;
/// A column whose remaining norm falls below this fraction of the original depends linearly on those before it.
const DEPENDENT: f64 = 1e-12;

/// The solution of a least-squares problem.
#[derive(Clone, Debug)]
pub struct Solution {
    /// `(n, k)`, or `(n)` if `b` is `(m)`; in the dtype of `b`.
    pub solution: Tensor,
    /// `Σ w (b − A x)²` for each of the `k` columns of `b`.
    pub residuals: Vec<f64>,
}

/// The `x` that minimizes `Σᵢ wᵢ (bᵢ − Aᵢ x)² + ridge ‖x‖²`, for `A` of shape `(m, n)`, `b` of `(m)` or `(m, k)` and weights
/// `w ≥ 0` of `(m)` [default: ones].
///
/// Errors: shapes that do not match, more than 2,048 unknowns, values that are not finite, or rows that do not determine `x`
/// when `ridge` is 0.
pub fn lstsq(a: &Tensor, b: &Tensor, weights: Option<&Tensor>, ridge: f64) -> Result<Solution> {
    let ([m, n], true) = (<[usize; 2]>::try_from(a.dims()).unwrap_or([0, 0]), a.rank() == 2) else {
        bail!("least squares takes a matrix (m, n), got {:?}", a.dims());
    };
    ensure!(
        m > 0 && (1..=UNKNOWNS).contains(&n),
        "least squares takes a matrix with rows and 1 to {UNKNOWNS} columns, got {m}x{n}"
    );
    ensure!(
        [1, 2].contains(&b.rank()) && b.dims()[0] == m,
        "{m} rows need a right-hand side ({m}) or ({m}, k), got {:?}",
        b.dims()
    );
    ensure!(ridge >= 0.0 && ridge.is_finite(), "the ridge must be 0 or more, got {ridge}");
    let w = match weights {
        Some(w) => numbers(w)?,
        None => vec![1.0; m],
    };
    ensure!(w.len() == m && w.iter().all(|&w| w >= 0.0), "{m} rows need {m} weights of 0 or more");
    let k = b.elem_count() / m;
    let (rows, right) = (numbers(a)?, numbers(b)?);
    let column = |data: &[f64], width: usize, j: usize, tail: Option<usize>| -> Vec<f64> {
        let head = (0..m).map(|i| w[i].sqrt() * data[i * width + j]);
        head.chain((0..n).map(|i| if tail == Some(i) { ridge.sqrt() } else { 0.0 })).collect()
    };
    let mut left: Vec<_> = (0..n).map(|j| column(&rows, n, j, Some(j))).collect();
    let mut right_columns: Vec<_> = (0..k).map(|j| column(&right, k, j, None)).collect();
    triangular(&mut left, &mut right_columns)?;
    let x: Vec<_> = right_columns.iter().map(|b| back(&left, b)).collect();
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

/// Reduces `a` to upper triangular form by Householder reflections and applies them to `b` (Golub & Van Loan 2013, 5.2).
fn triangular(a: &mut [Vec<f64>], b: &mut [Vec<f64>]) -> Result<()> {
    let n = a.len();
    for j in 0..n {
        pass();
        let (done, rest) = a.split_at_mut(j);
        let (column, later) = rest.split_first_mut().expect("j is a column");
        let norm = column[j..].iter().map(|v| v * v).sum::<f64>().sqrt();
        let whole = (norm.powi(2) + column[..j].iter().map(|v| v * v).sum::<f64>()).sqrt();
        ensure!(
            norm > DEPENDENT * whole,
            "the rows determine only {} of {n} unknowns; add rows or set a ridge",
            done.len()
        );
        let mut v = column[j..].to_vec();
        v[0] += norm.copysign(v[0]);
        let length = v.iter().map(|v| v * v).sum::<f64>();
        for other in std::iter::once(&mut *column).chain(later).chain(&mut *b) {
            pass();
            let other = &mut other[j..];
            let along = 2.0 * v.iter().zip(&*other).map(|(v, o)| v * o).sum::<f64>() / length;
            other.iter_mut().zip(&v).for_each(|(o, v)| *o -= along * v);
        }
    }
    Ok(())
}

/// Back substitution: the `x` with `R x = b` for upper triangular `R`.
fn back(r: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = r.len();
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        pass();
        let rest: f64 = (i + 1..n).map(|j| r[j][i] * x[j]).sum();
        x[i] = (b[i] - rest) / r[i][i];
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
        // One unknown: x = Σab / (Σa² + ridge).
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
