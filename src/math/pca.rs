//! Principal component analysis by subspace iteration in f64.

use crate::backend::matmul;
use crate::interrupt::pass;
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Number of additional directions to iterate, for faster convergence.
const BESIDE: usize = 8;
/// Maximum number of iterations.
const ITERATIONS: usize = 1000;
/// Convergence tolerance: iteration stops when `1 − |cos|` of the angle between each direction and its predecessor is below this.
const SETTLED: f64 = 1e-12;
/// Maximum length of the shorter side for which the Gram matrix is computed (128 MiB). For larger matrices, each iteration
/// multiplies by `A` and `Aᵀ` instead.
const GRAM_SIDE: usize = 4096;

/// A truncated singular value decomposition, `A ≈ U diag(S) Vᵀ`.
#[derive(Clone, Debug)]
pub struct Components {
    /// Left singular vectors `(m, q)`, as unit columns.
    pub u: Tensor,
    /// Singular values `(q)`, in descending order.
    pub s: Tensor,
    /// Right singular vectors `(n, q)`, as unit columns: the principal directions.
    pub v: Tensor,
}

/// The `q` largest singular values of `a` `(m, n)` and their singular vectors; `center` subtracts each column's mean first.
/// PyTorch's `pca_lowrank` starts from random vectors and stops after two iterations; this function starts from fixed vectors and
/// iterates to convergence.
///
/// Errors if `a` is not a matrix or `q` is not in `1..=min(m, n)`.
pub fn pca_lowrank(a: &Tensor, q: usize, center: bool) -> Result<Components> {
    ensure!(a.rank() == 2, "principal components need a matrix of shape (m, n), got {:?}", a.dims());
    let (m, n) = a.dims2()?;
    ensure!(
        (1..=m.min(n)).contains(&q),
        "the number of components of a {m}x{n} matrix must be between 1 and {}, got {q}",
        m.min(n)
    );
    let mut x = a.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    if center {
        x = x.broadcast_sub(&x.mean_keepdim(0)?)?;
    }
    // The singular vectors of one side are the eigenvectors of the smaller of A Aᵀ and Aᵀ A. A maps them to the other side.
    let (tall, xt) = (m > n, x.t()?.contiguous()?);
    let (there, back) = if tall { (&x, &xt) } else { (&xt, &x) };
    let near = if m.min(n) <= GRAM_SIDE { leading(&matmul(back, there)?, q)? } else { leading_of(there, back, q)? };
    let far = there.matmul(&near)?;
    let s = far.sqr()?.sum(0)?.sqrt()?;
    let far = far.broadcast_div(&s.maximum(f64::MIN_POSITIVE)?)?;
    let (u, v) = if tall { (far, near) } else { (near, far) };
    let back = |t: Tensor| t.to_dtype(a.dtype())?.to_device(a.device());
    Ok(Components { u: back(u)?, s: back(s)?, v: back(v)? })
}

/// The eigenvectors `(n, q)` of the `q` largest eigenvalues of a symmetric positive semidefinite matrix `(n, n)`, in descending
/// order.
pub fn leading(gram: &Tensor, q: usize) -> Result<Tensor> {
    subspace(gram.dims()[0], q, |basis| Ok(gram.matmul(basis)?))
}

/// Like [`leading`], for the matrix product `back · there`, which is not materialized.
fn leading_of(there: &Tensor, back: &Tensor, q: usize) -> Result<Tensor> {
    subspace(back.dims()[0], q, |basis| matmul(back, &matmul(there, basis)?))
}

/// Finds the leading eigenvectors `(n, q)` of the matrix that `product` multiplies by, by subspace iteration.
fn subspace(n: usize, q: usize, product: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let p = (q + BESIDE).min(n);
    // Random columns, the same each time, are linearly independent; rows of a low-discrepancy sequence may not be.
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let start: Vec<f64> = (0..n * p).map(|_| random.random::<f64>() - 0.5).collect();
    let mut basis = orthonormal(&Tensor::from_vec(start, (n, p), &Device::Cpu)?)?;
    for _ in 0..ITERATIONS {
        pass();
        let turned = product(&basis)?;
        let ritz = rotation(&basis.t()?.matmul(&turned)?)?;
        let next = orthonormal(&turned.matmul(&ritz)?)?;
        let (before, after) = (basis.matmul(&ritz)?.narrow(1, 0, q)?, next.narrow(1, 0, q)?);
        basis = next;
        let cosines = (before * after)?.sum(0)?.to_vec1::<f64>()?;
        if cosines.iter().all(|c| 1.0 - c.abs() < SETTLED) {
            break;
        }
    }
    Ok(basis.narrow(1, 0, q)?.contiguous()?)
}

/// Orthonormalizes the columns of `x` with two passes of Gram-Schmidt. Linearly dependent columns become zero.
fn orthonormal(x: &Tensor) -> Result<Tensor> {
    let mut columns = x.t()?.to_vec2::<f64>()?;
    for j in 0..columns.len() {
        pass();
        let (before, rest) = columns.split_at_mut(j);
        let column = &mut rest[0];
        let whole = length(column);
        for other in before.iter().chain(before.iter()) {
            let along: f64 = other.iter().zip(&*column).map(|(a, b)| a * b).sum();
            column.iter_mut().zip(other).for_each(|(c, o)| *c -= along * o);
        }
        let left = length(column);
        let scale = if left > 1e-13 * whole { 1.0 / left } else { 0.0 };
        column.iter_mut().for_each(|c| *c *= scale);
    }
    Ok(Tensor::new(columns, x.device())?.t()?.contiguous()?)
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The eigenvectors of a small symmetric matrix as columns, in descending order of eigenvalues (Jacobi 1846).
fn rotation(x: &Tensor) -> Result<Tensor> {
    let mut a = x.to_vec2::<f64>()?;
    let n = a.len();
    let mut v: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..30 {
        for p in 0..n {
            pass();
            for q in p + 1..n {
                if a[p][q].abs() > 1e-300 {
                    rotate(&mut a, &mut v, p, q);
                }
            }
        }
    }
    let mut order: Vec<_> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    let rows: Vec<Vec<f64>> = v.iter().map(|row| order.iter().map(|&j| row[j]).collect()).collect();
    Ok(Tensor::new(rows, x.device())?)
}

/// Applies the Jacobi rotation in the plane of axes `p` and `q` that makes `a[p][q]` zero.
fn rotate(a: &mut [Vec<f64>], v: &mut [Vec<f64>], p: usize, q: usize) {
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = 1.0f64.copysign(theta) / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let turn = |row: &mut Vec<f64>| (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    a.iter_mut().for_each(turn);
    let (upper, lower) = a.split_at_mut(q);
    for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
    v.iter_mut().for_each(turn);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(m: usize, n: usize) -> Tensor {
        let values: Vec<f64> = (1..=m * n).map(|i| (i as f64 * 0.754_877_666).fract() - 0.4).collect();
        Tensor::from_vec(values, (m, n), &Device::Cpu).expect("it fits")
    }

    fn largest(x: &Tensor) -> f64 {
        x.abs().expect("abs").max_all().expect("max").to_scalar().expect("f64")
    }

    #[test]
    fn all_components_together_reconstruct_the_matrix() {
        for (m, n) in [(5, 3), (3, 5), (20, 12), (1, 4)] {
            let a = drawn(m, n);
            let c = pca_lowrank(&a, m.min(n), false).expect("components");
            let back = c.u.broadcast_mul(&c.s).expect("mul").matmul(&c.v.t().expect("t")).expect("matmul");
            assert!(largest(&(back - &a).expect("sub")) < 1e-10, "{m}x{n}");
            let s = c.s.to_vec1::<f64>().expect("f64");
            assert!(s.is_sorted_by(|a, b| *a >= b - 1e-12 * s[0]), "{s:?}");
        }
    }

    #[test]
    fn no_component_of_a_matrix_of_full_rank_is_missed() {
        for n in [4, 8, 14, 16, 17, 30, 64] {
            let mut values = vec![0.0; 2 * n * n];
            (0..n).for_each(|i| values[i * (n + 1)] = (i + 1) as f64);
            let a = Tensor::from_vec(values, (2 * n, n), &Device::Cpu).expect("it fits");
            for q in [n - n / 5, n] {
                let s = pca_lowrank(&a, q, false).expect("components").s.to_vec1::<f64>().expect("f64");
                let apart = s.iter().enumerate().map(|(i, s)| (s - (n - i) as f64).abs()).fold(0.0, f64::max);
                assert!(apart < 1e-9, "{q} of {n}: {s:?}");
            }
        }
    }

    #[test]
    fn the_first_direction_of_a_matrix_of_known_spectrum_is_found() {
        // A = Σ σᵢ uᵢ vᵢᵀ with axis-aligned unit vectors, so the principal directions are the axes.
        let mut values = vec![0.0; 60 * 40];
        (0..40).for_each(|i| values[((i * 7) % 60) * 40 + i] = 40.0 - i as f64);
        let a = Tensor::from_vec(values, (60, 40), &Device::Cpu).expect("it fits");
        let c = pca_lowrank(&a, 2, false).expect("components");
        let v = c.v.to_vec2::<f64>().expect("f64");
        assert!((v[0][0].abs() - 1.0).abs() < 1e-9 && (v[1][1].abs() - 1.0).abs() < 1e-9, "{v:?}");
        let s = c.s.to_vec1::<f64>().expect("f64");
        assert!((s[0] - 40.0).abs() < 1e-9 && (s[1] - 39.0).abs() < 1e-9, "{s:?}");
    }

    #[test]
    fn components_of_centered_columns_ignore_the_mean() {
        let a = drawn(30, 4);
        let shifted = a.broadcast_add(&Tensor::new(&[5f64, -3., 0., 100.], &Device::Cpu).expect("4")).expect("add");
        let of = |x: &Tensor| pca_lowrank(x, 1, true).expect("components").s.to_vec1::<f64>().expect("f64")[0];
        assert!((of(&a) - of(&shifted)).abs() < 1e-9);
    }

    #[test]
    fn directions_are_the_same_whether_or_not_the_gram_matrix_is_formed() {
        for (m, n) in [(40, 12), (9, 30)] {
            let (there, back) = (drawn(m, n), drawn(m, n).t().expect("t").contiguous().expect("contiguous"));
            let formed = leading(&back.matmul(&there).expect("matmul"), 3).expect("leading");
            let not = leading_of(&there, &back, 3).expect("leading");
            let cosines = (formed * not).expect("mul").sum(0).expect("sum").to_vec1::<f64>().expect("f64");
            assert!(cosines.iter().all(|c| (c.abs() - 1.0).abs() < 1e-10), "{m}x{n}: {cosines:?}");
        }
    }

    #[test]
    fn a_matrix_of_zeros_has_components_of_length_zero() {
        let zeros = Tensor::zeros((4, 3), DType::F32, &Device::Cpu).expect("zeros");
        let c = pca_lowrank(&zeros, 1, true).expect("components");
        assert_eq!(c.s.to_vec1::<f32>().expect("f32"), [0.0]);
        assert!(c.v.to_vec2::<f32>().expect("f32").iter().all(|r| r[0].is_finite()));
        assert!(pca_lowrank(&zeros, 4, true).is_err());
    }
}
