//! Functions for reductions (sums, extrema, norms) and sorting.

use super::{dim, dims, out};
use crate::backend::{self, sum_keepdim};
use crate::interrupt::now_and_then;
use crate::script::sandbox::limits;
use crate::tensor::{self, like, wide};
use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};
use rhai::{Array, Dynamic, Engine, FLOAT, INT, Map};

type Reduce = fn(&Tensor, &[usize], bool) -> Result<Tensor>;
type Total = fn(&Tensor) -> Result<f64>;

/// The reductions that scripts can call: the name of each, its implementation along dimensions, and its implementation over all
/// elements, which accumulates in f64.
const REDUCTIONS: [(&str, Reduce, Total); 6] = [
    ("sum", sum, backend::sum),
    ("mean", mean, |x| Ok(backend::sum(x)? / x.elem_count() as f64)),
    ("variance", var, variance),
    ("std", std, |x| Ok(variance(x)?.sqrt())),
    ("max", |x, d, k| extreme(x, d, k, true), backend::greatest),
    ("min", |x, d, k| extreme(x, d, k, false), backend::least),
];

pub(super) fn register(engine: &mut Engine) {
    for (name, f, total) in REDUCTIONS {
        let over = move |x: &Tensor, d: &Dynamic, keep| out(over((f, total), x, d, keep));
        engine.register_fn(name, move |x: Tensor| over(&x, &Dynamic::UNIT, false));
        engine.register_fn(name, move |x: Tensor, d: Dynamic| over(&x, &d, false));
        engine.register_fn(name, move |x: Tensor, d: Dynamic, keep: bool| over(&x, &d, keep));
    }
    engine.register_fn("norm", |x: Tensor| out(norm(&x, 2.0)));
    engine.register_fn("norm", |x: Tensor, p: FLOAT| out(norm(&x, p)));
    engine.register_fn("norm", |x: Tensor, p: INT| out(norm(&x, p as FLOAT)));
    engine.register_fn("norm", |x: Tensor, p: &str| {
        out(if p == "inf" {
            norm(&x, f64::INFINITY)
        } else {
            Err(anyhow::anyhow!("a norm must be a number or \"inf\", got \"{p}\""))
        })
    });
    for (name, greatest) in [("argmax", true), ("argmin", false)] {
        engine.register_fn(name, move |x: Tensor| out(arg(&x, greatest)));
        engine.register_fn(name, move |x: Tensor, d: INT| out(arg_along(&x, d, greatest)));
    }
    engine.register_fn("item", |x: &mut Tensor| out(item(x)));
    engine.register_fn("to_array", |x: &mut Tensor| out(numbers(x)));
    engine.register_fn("any", |x: &mut Tensor| out(values(x).map(|v| v.iter().any(|&v| v != 0.0))));
    engine.register_fn("all", |x: &mut Tensor| out(values(x).map(|v| v.iter().all(|&v| v != 0.0))));
    engine.register_fn("topk", |x: &mut Tensor, k: INT| out(topk(x, k)));
    engine.register_fn("sort", |x: &mut Tensor| out(sorted(x)));
    engine.register_fn("argsort", |x: &mut Tensor| out(argsort(x, -1, false)));
    engine.register_fn("argsort", |x: &mut Tensor, d: INT| out(argsort(x, d, false)));
    engine.register_fn("argsort", |x: &mut Tensor, d: INT, descending: bool| out(argsort(x, d, descending)));
    engine.register_fn("ranks", |x: &mut Tensor| out(ranks(x)));
    engine.register_fn("quantile", |x: &mut Tensor, q: FLOAT| out(quantile(x, q)));
}

/// Reduces over the dimensions `d` to a tensor or, if `d` is `()`, over all elements to a number, accumulating in f64.
fn over((f, total): (Reduce, Total), x: &Tensor, d: &Dynamic, keep: bool) -> Result<Dynamic> {
    ensure!(x.elem_count() > 0, "cannot reduce an empty tensor of shape {:?}", x.dims());
    if d.is_unit() && !keep {
        let floats = matches!(x.dtype(), DType::F32 | DType::F64);
        return Ok(if floats { total(x) } else { total(&wide(x)?) }?.into());
    }
    Ok(Dynamic::from(f(x, &dims(x, d)?, keep)?))
}

fn finish(mut y: Tensor, d: &[usize], keep: bool) -> Result<Tensor> {
    let mut d = d.to_vec();
    d.sort_unstable();
    for &d in d.iter().rev().filter(|_| !keep) {
        y = y.squeeze(d)?;
    }
    Ok(y)
}

fn sum(x: &Tensor, d: &[usize], keep: bool) -> Result<Tensor> {
    finish(sum_keepdim(x, d)?, d, keep)
}

fn mean(x: &Tensor, d: &[usize], keep: bool) -> Result<Tensor> {
    let count: usize = d.iter().map(|&d| x.dims()[d]).product();
    finish((sum_keepdim(x, d)? / count as f64)?, d, keep)
}

/// The variance along the dimensions `d` with Bessel's correction, as in PyTorch.
fn var(x: &Tensor, d: &[usize], keep: bool) -> Result<Tensor> {
    let count: usize = d.iter().map(|&d| x.dims()[d]).product();
    let centered = x.broadcast_sub(&x.mean_keepdim(d.to_vec())?)?;
    finish((centered.sqr()?.sum_keepdim(d.to_vec())? / (count as f64 - 1.0))?, d, keep)
}

fn variance(x: &Tensor) -> Result<f64> {
    let all: Vec<_> = (0..x.rank()).collect();
    item(&var(&wide(x)?, &all, false)?)
}

fn std(x: &Tensor, d: &[usize], keep: bool) -> Result<Tensor> {
    Ok(var(x, d, keep)?.sqrt()?)
}

fn extreme(x: &Tensor, d: &[usize], keep: bool, greatest: bool) -> Result<Tensor> {
    let mut y = x.clone();
    for &d in d {
        y = backend::extreme_keepdim(&y, d, greatest)?;
    }
    finish(y, d, keep)
}

/// The norm `(Σ |x|ᵖ)^(1/p)` over all elements. For p = 0 it is the number of nonzero values, for p = ∞ the largest magnitude.
fn norm(x: &Tensor, p: f64) -> Result<f64> {
    Ok(match p {
        0.0 => item(&wide(&x.ne(0.0)?)?.sum_all()?)?,
        1.0 => backend::sum_of_magnitudes(x)?,
        2.0 => backend::sum_of_squares(x)?.sqrt(),
        p if p.is_infinite() => backend::greatest_magnitude(x)?,
        p => item(&wide(&x.abs()?)?.powf(p)?.sum_all()?)?.powf(1.0 / p),
    })
}

/// The value of a tensor with exactly one element. Errors for any other number of elements.
pub(super) fn item(x: &Tensor) -> Result<f64> {
    ensure!(
        x.elem_count() == 1,
        "item() needs a tensor with one element, got shape {:?} with {} elements",
        x.dims(),
        x.elem_count()
    );
    Ok(values(x)?[0])
}

fn values(x: &Tensor) -> Result<Vec<f64>> {
    tensor::numbers(x)
}

fn numbers(x: &Tensor) -> Result<Array> {
    ensure!(x.elem_count() <= limits::ARRAY, "a tensor of {} elements is too large for an array", x.elem_count());
    Ok(values(x)?.into_iter().map(Dynamic::from).collect())
}

/// Errors if the tensor is empty or contains NaN, which cannot be ordered (PyTorch treats NaN as the largest value). `what` names
/// the operation in the message.
fn comparable(x: &Tensor, what: &str) -> Result<()> {
    let nan = backend::not_finite(x)?.nan;
    ensure!(
        nan == 0,
        "cannot compute {what} of a tensor of shape {:?}: {nan} of {} values are NaN",
        x.dims(),
        x.elem_count()
    );
    ensure!(x.elem_count() > 0, "cannot compute {what} of an empty tensor of shape {:?}", x.dims());
    Ok(())
}

fn arg(x: &Tensor, greatest: bool) -> Result<INT> {
    comparable(x, if greatest { "the argmax" } else { "the argmin" })?;
    let x = x.flatten_all()?;
    let place = if greatest { x.argmax(0)? } else { x.argmin(0)? };
    Ok(place.to_scalar::<u32>()? as INT)
}

fn arg_along(x: &Tensor, d: INT, greatest: bool) -> Result<Tensor> {
    comparable(x, if greatest { "the argmax" } else { "the argmin" })?;
    let d = dim(x, d)?;
    Ok(if greatest { x.argmax(d)? } else { x.argmin(d)? }.to_dtype(x.dtype())?)
}

/// Returns `order`, the result of a comparison. Periodically checks whether the script was cancelled.
fn asked<T>(order: T) -> T {
    now_and_then();
    order
}

/// The values of the flattened tensor, and the indices that sort these values in descending order.
fn order(x: &Tensor) -> Result<(Vec<f64>, Vec<usize>)> {
    let v = values(x)?;
    let mut places: Vec<_> = (0..v.len()).collect();
    places.sort_by(|&a, &b| asked(v[b].total_cmp(&v[a])));
    Ok((v, places))
}

/// The `k` largest values of the flattened tensor and their indices, as `#{ values, indices }`, largest first.
fn topk(x: &Tensor, k: INT) -> Result<Map> {
    comparable(x, "the order")?;
    let (v, places) = order(x)?;
    ensure!(k >= 0 && k as usize <= v.len().min(limits::ARRAY), "cannot take the {k} largest of {} values", v.len());
    let top = &places[..k as usize];
    let indices: Array = top.iter().map(|&i| Dynamic::from(i as INT)).collect();
    let values: Array = top.iter().map(|&i| Dynamic::from(v[i])).collect();
    Ok(Map::from([("values".into(), values.into()), ("indices".into(), indices.into())]))
}

/// The flattened values of a tensor in ascending order, with NaN last, as in PyTorch.
fn sorted(x: &Tensor) -> Result<Tensor> {
    let mut v = values(x)?;
    v.sort_by(|a, b| asked(a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b))));
    let count = v.len();
    like(v, count, x)
}

/// The indices that sort a tensor along dimension `d`, like PyTorch's `argsort(dim, descending, stable=True)`; equal values keep
/// their order.
fn argsort(x: &Tensor, d: INT, descending: bool) -> Result<Tensor> {
    comparable(x, "the order")?;
    let d = dim(x, d)?;
    let rows = x.transpose(d, x.rank() - 1)?.contiguous()?;
    let (shape, size) = (rows.dims().to_vec(), rows.dims()[rows.rank() - 1]);
    let mut places = Vec::with_capacity(x.elem_count());
    for row in values(&rows)?.chunks(size.max(1)) {
        let mut order: Vec<_> = (0..row.len()).collect();
        order.sort_by(|&a, &b| asked(if descending { row[b].total_cmp(&row[a]) } else { row[a].total_cmp(&row[b]) }));
        places.extend(order.into_iter().map(|i| i as f64));
    }
    Ok(like(places, shape, x)?.transpose(d, x.rank() - 1)?.contiguous()?)
}

/// The rank of each value among all values of the tensor, starting at 1; equal values share their mean rank, as in
/// `scipy.stats.rankdata`.
fn ranks(x: &Tensor) -> Result<Tensor> {
    comparable(x, "the ranks")?;
    let (v, mut places) = order(x)?;
    places.reverse();
    let (mut ranks, mut below) = (vec![0.0; v.len()], 0.0);
    for same in places.chunk_by(|&a, &b| v[a] == v[b]) {
        same.iter().for_each(|&i| ranks[i] = below + (same.len() as f64 + 1.0) / 2.0);
        below += same.len() as f64;
    }
    Ok(Tensor::from_vec(ranks, x.dims(), x.device())?)
}

/// The `q`-quantile of all values with linear interpolation, like PyTorch's `quantile`.
fn quantile(x: &Tensor, q: f64) -> Result<f64> {
    ensure!((0.0..=1.0).contains(&q), "a quantile must lie between 0 and 1, got {q}");
    let mut v = values(x)?;
    ensure!(!v.is_empty(), "cannot compute the quantile of an empty tensor");
    if v.iter().any(|v| v.is_nan()) {
        return Ok(f64::NAN);
    }
    v.sort_by(|a, b| asked(a.total_cmp(b)));
    let place = q * (v.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    // Two infinities of the same sign cannot be interpolated, because their difference is NaN.
    Ok(if part == 0.0 || v[low] == v[low + 1] { v[low] } else { v[low] + part * (v[low + 1] - v[low]) })
}
