//! Functions used by attacks, applied to each row of a batch: norms, projections onto norm balls, and masks of the largest entries.

use super::{number, out};
use crate::backend;
use crate::tensor::{like, numbers};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Dynamic, Engine, INT};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("lengths", |x: &mut Tensor, norm: &str| out(lengths(x, norm)));
    engine.register_fn("normalize", |x: &mut Tensor, norm: &str| out(normalize(x, norm)));
    engine.register_fn("top_mask", |x: &mut Tensor, k: INT| out(top_mask(x, k)));
    engine.register_fn("project", |x: Tensor, norm: &str, radius: Dynamic| {
        out(number(&radius).and_then(|r| project(&x, norm, r)))
    });
}

/// The norm of each row of a batch, `(N, 1, …)`: `l0` (the number of nonzero values), `l1`, `l2` or `linf` (the largest
/// magnitude).
fn lengths(x: &Tensor, norm: &str) -> Result<Tensor> {
    let a = backend::abs(&rows(x)?)?;
    let lengths = match norm {
        "l0" => a.ne(0.0)?.to_dtype(x.dtype())?.sum_keepdim(1)?,
        "l1" => a.sum_keepdim(1)?,
        "l2" => euclidean(&a)?,
        "linf" => backend::extreme_keepdim(&a, 1, true)?,
        _ => return unknown(norm),
    };
    shaped(&lengths, x)
}

/// The Euclidean norm of each row of `a`, `(N, 1)`, given absolute values `(N, values)`. If necessary, the values are scaled so that their
/// squares neither overflow nor underflow.
fn euclidean(a: &Tensor) -> Result<Tensor> {
    let length = |a: &Tensor| -> Result<Tensor> { Ok(backend::square(a)?.sum_keepdim(1)?.sqrt()?) };
    let plain = length(a)?;
    let safe = |&v: &f64| (1e-15..=1e15).contains(&v) || v.is_nan();
    if numbers(&plain)?.iter().all(safe) {
        return Ok(plain);
    }
    let most = backend::extreme_keepdim(a, 1, true)?;
    Ok((length(&backend::divide_no_nan(a, &most)?)? * most)?)
}

/// Scales each row of a batch to norm 1, like PyTorch's `functional.normalize`; a row of zeros stays zero.
fn normalize(x: &Tensor, norm: &str) -> Result<Tensor> {
    backend::divide_no_nan(x, &lengths(x, norm)?)
}

fn unknown<T>(norm: &str) -> Result<T> {
    bail!("no norm named \"{norm}\"; use linf, l2, l1 or l0")
}

/// Flattens `(N, …)` to `(N, values)`.
fn rows(x: &Tensor) -> Result<Tensor> {
    ensure!(x.rank() >= 2 && x.elem_count() > 0, "a batch must have shape (N, …), got {:?}", x.dims());
    Ok(x.flatten_from(1)?)
}

/// Reshapes `(N, 1)` to `(N, 1, …)`, with the rank of `like`.
fn shaped(x: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; like.rank()];
    shape[0] = like.dims()[0];
    Ok(x.reshape(shape)?)
}

/// A mask with 1 at the `k` largest values of each row of a batch and 0 elsewhere; among equal values, those with lower indices are chosen.
///
/// Errors if a value is NaN, which cannot be ordered.
fn top_mask(x: &Tensor, k: INT) -> Result<Tensor> {
    ensure!(k >= 0, "cannot take the {k} largest values; the number must be 0 or more");
    let nan = backend::not_finite(x)?.nan;
    ensure!(nan == 0, "cannot take the {k} largest values: {nan} are NaN");
    let (values, size) = (numbers(x)?, rows(x)?.dims()[1]);
    let mut mask = vec![0.0; values.len()];
    for (row, mask) in values.chunks_exact(size).zip(mask.chunks_exact_mut(size)) {
        largest(row, k as usize).for_each(|i| mask[i] = 1.0);
    }
    like(mask, x.shape(), x)
}

/// The indices of the `k` largest values of a row.
fn largest(row: &[f64], k: usize) -> impl Iterator<Item = usize> {
    let mut places: Vec<_> = (0..row.len()).collect();
    let order = |&a: &usize, &b: &usize| row[b].total_cmp(&row[a]).then(a.cmp(&b));
    if k < places.len() {
        places.select_nth_unstable_by(k, order);
        places.truncate(k);
    }
    places.into_iter()
}

/// Projects each row onto the ball of radius `radius` around zero: `linf` clamps, `l2` rescales, `l1` soft-thresholds (Duchi et
/// al. 2008, doi:10.1145/1390156.1390191), `l0` keeps the largest magnitudes.
fn project(x: &Tensor, norm: &str, radius: f64) -> Result<Tensor> {
    ensure!(radius >= 0.0, "a ball's radius must be 0 or more, got {radius}");
    Ok(match norm {
        "linf" => backend::clamp(x, -radius, radius)?,
        "l2" => {
            let length = lengths(x, "l2")?;
            let scale = backend::divide_no_nan(
                &(length.ones_like()? * radius)?,
                &backend::maximum(&length, &like([radius], (), &length)?)?,
            )?;
            x.broadcast_mul(&scale)?
        }
        "l1" => {
            let level = levels(x, radius)?;
            (backend::relu(&x.abs()?.broadcast_sub(&level)?)? * backend::sign(x)?)?
        }
        "l0" => (x * top_mask(&x.abs()?, radius as INT)?)?,
        _ => return unknown(norm),
    })
}

/// The soft threshold that reduces the L1 norm of each row to the radius; 0 for rows inside the ball.
fn levels(x: &Tensor, radius: f64) -> Result<Tensor> {
    let level = |mut row: Vec<f64>| {
        row.sort_by(|a, b| b.total_cmp(a));
        let whole = row.iter().sum::<f64>();
        if whole <= radius || radius.is_infinite() {
            return 0.0;
        }
        if !whole.is_finite() {
            return f64::NAN;
        }
        let mut sum = 0.0;
        let fall = row.iter().enumerate().map_while(|(i, v)| {
            sum += v;
            let fall = (sum - radius) / (i + 1) as f64;
            (*v > fall).then_some(fall)
        });
        fall.last().unwrap_or(row[0])
    };
    let (values, size) = (numbers(&x.abs()?)?, rows(x)?.dims()[1]);
    let levels: Vec<_> = values.chunks_exact(size).map(|row| level(row.to_vec())).collect();
    shaped(&like(levels, x.dims()[0], x)?, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[[f64; 4]]) -> Tensor {
        Tensor::from_vec(values.concat(), (values.len(), 4), &Device::Cpu).unwrap()
    }

    /// The projection of a point lies in the ball, and no other point in the ball is closer to the original point.
    #[test]
    fn projections_lie_in_the_ball_and_are_nearest() {
        let x = tensor(&[[0.9, -0.4, 0.05, 0.0], [3.0, 2.0, -1.0, 0.5]]);
        let mut seed = 7u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
        };
        for norm in ["linf", "l2", "l1"] {
            let near = project(&x, norm, 0.7).unwrap();
            let far = |p: &Tensor| lengths(&(&x - p).unwrap(), "l2").unwrap().flatten_all().unwrap();
            let own = far(&near).to_vec1::<f64>().unwrap();
            let size = lengths(&near, norm).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert!(size.iter().all(|s| *s <= 0.7 + 1e-12), "{norm}: {size:?}");
            for _ in 0..500 {
                let other = tensor(&[std::array::from_fn(|_| draw()), std::array::from_fn(|_| draw())]);
                let other = project(&other, norm, 0.7).unwrap();
                let other = far(&other).to_vec1::<f64>().unwrap();
                assert!(own.iter().zip(&other).all(|(a, b)| *a <= b + 1e-12), "{norm}: {own:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero_and_no_norm_overflows() {
        let x = tensor(&[[0.0; 4], [3.0, -4.0, 0.0, 0.0]]);
        for norm in ["l0", "l1", "l2", "linf"] {
            assert_eq!(normalize(&x, norm).unwrap().to_vec2::<f64>().unwrap()[0], [0.0; 4], "{norm}");
        }
        for factor in [1.0, 1e-30, 1e-42, 1e25, 1e37] {
            let x = (&x * factor).unwrap().to_dtype(candle_core::DType::F32).unwrap();
            let y = normalize(&x, "l2").unwrap().to_vec2::<f32>().unwrap();
            assert!((y[1][0] - 0.6).abs() < 1e-3 && (y[1][1] + 0.8).abs() < 1e-3, "{factor}: {y:?}");
            assert_eq!(y[0], [0.0; 4], "{factor}");
            let at_zero = numbers(&project(&x, "l2", 0.0).unwrap()).unwrap();
            assert!(at_zero.iter().all(|v| *v == 0.0), "{factor}: {at_zero:?}");
        }
        assert!(numbers(&normalize(&tensor(&[[f64::NAN, 0.0, 0.0, 0.0]]), "l2").unwrap()).unwrap()[0].is_nan());
    }

    #[test]
    fn points_in_the_ball_stay_where_they_are() {
        let x = tensor(&[[0.1, -0.2, 0.0, 0.05]]);
        for (norm, radius) in [("linf", 0.2), ("l2", 0.3), ("l1", 0.35), ("l0", 3.0)] {
            let same = project(&x, norm, radius).unwrap();
            assert!(
                lengths(&(same - &x).unwrap(), "l1").unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap() < 1e-15
            );
        }
        let zero = project(&x, "l2", 0.0).unwrap();
        assert_eq!(lengths(&zero, "l0").unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
    }

    #[test]
    fn l0_keeps_the_largest_magnitudes_and_the_first_of_equal_ones() {
        let x = tensor(&[[1.0, -3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]]);
        let kept = project(&x, "l0", 2.0).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(kept, [[0.0, -3.0, 3.0, 0.0], [5.0, 5.0, 0.0, 0.0]]);
        assert_eq!(lengths(&x, "l0").unwrap().to_vec2::<f64>().unwrap(), [[4.0], [4.0]]);
    }
}
