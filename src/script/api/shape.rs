//! Functions that reshape, index and concatenate tensors.

use super::{Guard, Out, Variable, dim, integers, one_type, out, promoted, size};
use crate::backend;
use crate::tensor::numbers;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, FLOAT, INT};
use std::ops::Range;
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    facts(engine);
    engine.register_fn("reshape", |x: &mut Tensor, shape: Array| out(reshape(x, &shape)));
    engine.register_fn("view", |x: &mut Tensor, shape: Array| out(reshape(x, &shape)));
    engine.register_fn("flatten", |x: &mut Tensor| -> Out<Tensor> { out(x.flatten_all().map_err(Into::into)) });
    engine.register_fn("flatten", |x: &mut Tensor, from: INT| out(dim(x, from).and_then(|d| Ok(x.flatten_from(d)?))));
    engine.register_fn("squeeze", |x: &mut Tensor| out(squeeze(x)));
    engine.register_fn("squeeze", |x: &mut Tensor, d: INT| out(dim(x, d).and_then(|d| Ok(x.squeeze(d)?))));
    engine.register_fn("unsqueeze", |x: &mut Tensor, d: INT| out(unsqueeze(x, d)));
    engine.register_fn("permute", |x: &mut Tensor, order: Array| out(permute(x, &order)));
    engine.register_fn("transpose", |x: &mut Tensor, a: INT, b: INT| {
        out(dim(x, a).and_then(|a| Ok(x.transpose(a, dim(x, b)?)?)))
    });
    engine.register_fn("t", |x: &mut Tensor| -> Out<Tensor> { out(x.t().map_err(Into::into)) });
    let g = guard.clone();
    engine.register_fn("expand", move |x: &mut Tensor, shape: Array| out(expand(&g, x, &shape)));
    engine.register_fn("narrow", |x: &mut Tensor, d: INT, start: INT, count: INT| out(narrow(x, d, start, count)));
    engine.register_fn("select", |x: &mut Tensor, d: INT, i: INT| out(select(x, d, i)));
    engine.register_fn("index_select", |x: &mut Tensor, d: INT, indices: Array| out(index_select(x, d, &indices)));
    let g = guard.clone();
    engine.register_fn("index_select", move |x: &mut Tensor, d: INT, indices: Tensor| out(gather(&g, x, d, &indices)));
    engine.register_indexer_get(|x: &mut Tensor, i: INT| out(select(x, 0, i)));
    engine.register_indexer_get(|x: &mut Tensor, r: Range<INT>| {
        let end = if r.end < 0 { r.end + x.dims().first().copied().unwrap_or(0) as INT } else { r.end };
        out(narrow(x, 0, r.start, end.saturating_sub(r.start)))
    });
    for (name, stack) in [("cat", false), ("stack", true)] {
        let g = guard.clone();
        engine.register_fn(name, move |parts: Array, d: INT| out(join(&g, &parts, d, stack)));
    }
    let g = guard.clone();
    engine.register_fn("matmul", move |a: Tensor, b: Tensor| out(matmul(&g, &a, &b)));
    let g = guard.clone();
    engine.register_fn("repeat", move |x: &mut Tensor, times: Array| out(repeat(&g, x, &times)));
}

fn facts(engine: &mut Engine) {
    engine.register_get("shape", |x: &mut Tensor| -> Array {
        x.dims().iter().map(|&n| Dynamic::from(n as INT)).collect()
    });
    engine.register_get("rank", |x: &mut Tensor| x.rank() as INT);
    engine.register_get("dtype", |x: &mut Tensor| x.dtype().as_str().to_string());
    engine.register_fn("numel", |x: &mut Tensor| x.elem_count() as INT);
    engine.register_fn("size", |x: &mut Tensor, d: INT| out(dim(x, d).map(|d| x.dims()[d] as INT)));
    engine.register_fn("to_string", |x: &mut Tensor| text(x));
    engine.register_fn("to_debug", |x: &mut Tensor| text(x));
    engine.register_fn("to_float", |x: &mut Tensor| -> Out<FLOAT> { out(super::reduce::item(x)) });
}

fn text(x: &mut Tensor) -> String {
    format!("Tensor({})", crate::tensor::shape_text(x.dims()))
}

/// Reshapes a tensor; one size may be -1, which is inferred.
pub(super) fn reshape(x: &Tensor, shape: &Array) -> Result<Tensor> {
    let shape = integers(shape)?;
    let product = |of: &[INT]| of.iter().filter(|&&n| n >= 0).try_fold(1, |all: INT, &n| all.checked_mul(n));
    let known = product(&shape).unwrap_or(INT::MAX);
    let total = x.elem_count() as INT;
    let rest = if known > 0 { total / known } else { 0 };
    let resolved: Vec<usize> = shape.iter().map(|&n| if n == -1 { rest } else { n }.max(0) as usize).collect();
    ensure!(
        shape.iter().all(|&n| n >= -1)
            && shape.iter().filter(|&&n| n == -1).count() <= 1
            && resolved.iter().try_fold(1, |all: usize, &n| all.checked_mul(n.max(1))).is_some_and(|n| n < 1 << 40)
            && resolved.iter().product::<usize>() == x.elem_count(),
        "cannot reshape {:?} to {shape:?}",
        x.dims()
    );
    Ok(x.reshape(resolved)?)
}

/// Removes all dimensions of size 1 from a tensor.
pub(super) fn squeeze(x: &Tensor) -> Result<Tensor> {
    let shape: Vec<_> = x.dims().iter().copied().filter(|&n| n != 1).collect();
    Ok(x.reshape(shape)?)
}

pub(super) fn unsqueeze(x: &Tensor, d: INT) -> Result<Tensor> {
    let rank = x.rank() as INT;
    let place = if d < 0 { d + rank + 1 } else { d };
    ensure!((0..=rank).contains(&place), "cannot unsqueeze dimension {d} of a tensor of shape {:?}", x.dims());
    Ok(x.unsqueeze(place as usize)?)
}

pub(super) fn permute(x: &Tensor, order: &Array) -> Result<Tensor> {
    let order = integers(order)?.into_iter().map(|d| dim(x, d)).collect::<Result<Vec<_>>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    ensure!(
        sorted.iter().copied().eq(0..x.rank()),
        "permute of a tensor of shape {:?} must list each dimension once, got {order:?}",
        x.dims()
    );
    Ok(x.permute(order)?)
}

/// Broadcasts a tensor to a larger shape; -1 keeps the size of a dimension.
pub(super) fn expand(guard: &Guard, x: &Tensor, shape: &Array) -> Result<Tensor> {
    let shape = integers(shape)?;
    ensure!(shape.len() >= x.rank(), "cannot expand {:?} to {shape:?}, which has fewer dimensions", x.dims());
    let new = shape.len() - x.rank();
    let keep = |(i, &n): (usize, &INT)| if n == -1 && i >= new { Ok(x.dims()[i - new]) } else { size(n, "a size") };
    let resolved = shape.iter().enumerate().map(keep).collect::<Result<Vec<_>>>()?;
    guard.reserve(&resolved, x.dtype().size_in_bytes())?;
    x.broadcast_as(resolved.as_slice()).with_context(|| format!("expanding shape {:?} to {shape:?}", x.dims()))
}

/// Repeats a tensor along each dimension. `times` contains the number of repetitions for each dimension.
fn repeat(guard: &Guard, x: &Tensor, times: &Array) -> Result<Tensor> {
    let times = super::sizes(times)?;
    ensure!(
        times.len() == x.rank(),
        "repeat of a tensor of shape {:?} needs {} counts, got {times:?}",
        x.dims(),
        x.rank()
    );
    let shape: Vec<_> = x.dims().iter().zip(&times).map(|(n, t)| n.saturating_mul(*t)).collect();
    guard.reserve(&shape, x.dtype().size_in_bytes())?;
    if shape.contains(&0) {
        return Ok(Tensor::zeros(shape, x.dtype(), x.device())?);
    }
    Ok(x.repeat(times)?)
}

pub(super) fn matmul(guard: &Guard, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let [a, b] = &promoted([a, b])?;
    let shapes = || format!("matmul of shapes {:?} and {:?}", a.dims(), b.dims());
    let (rows, columns) = (a.dims().iter().rev().nth(1), b.dims().last());
    let batch = a.elem_count() / a.dims().iter().rev().take(2).product::<usize>().max(1);
    let size = [batch, rows.copied().unwrap_or(1), columns.copied().unwrap_or(1)];
    guard.reserve(&size, a.dtype().size_in_bytes())?;
    // Devices other than the CPU only multiply contiguous or transposed tensors.
    let dense = |t: &Tensor| if t.device().is_cpu() { Ok(t.clone()) } else { t.contiguous() };
    backend::matmul(&dense(a)?, &dense(b)?).with_context(shapes)
}

pub(super) fn narrow(x: &Tensor, d: INT, start: INT, count: INT) -> Result<Tensor> {
    let d = dim(x, d)?;
    let total = x.dims()[d] as INT;
    let first = if start < 0 { start + total } else { start };
    ensure!(
        first >= 0 && count >= 0 && first.checked_add(count).is_some_and(|end| end <= total),
        "cannot take {count} elements from {start} along dimension {d} of a tensor of shape {:?}",
        x.dims()
    );
    part(x, d, first as usize, count as usize)
}

/// A slice of `count` elements from `start` along dimension `d`. An empty slice is a new tensor because candle's slice could start past the
/// end of its storage, and reading it would panic.
fn part(x: &Tensor, d: usize, start: usize, count: usize) -> Result<Tensor> {
    if x.elem_count() > 0 && count > 0 {
        return Ok(x.narrow(d, start, count)?);
    }
    let mut shape = x.dims().to_vec();
    shape[d] = count;
    Ok(Tensor::zeros(shape, x.dtype(), x.device())?)
}

pub(super) fn select(x: &Tensor, d: INT, i: INT) -> Result<Tensor> {
    ensure!(x.rank() > 0, "cannot index a tensor of rank 0");
    let d = dim(x, d)?;
    let total = x.dims()[d] as INT;
    let place = if i < 0 { i + total } else { i };
    ensure!(
        (0..total).contains(&place),
        "index {i} is out of range in dimension {d} of a tensor of shape {:?}",
        x.dims()
    );
    Ok(part(x, d, place as usize, 1)?.squeeze(d)?)
}

pub(super) fn index_select(x: &Tensor, d: INT, indices: &Array) -> Result<Tensor> {
    let d = dim(x, d)?;
    let total = x.dims()[d] as INT;
    let indices = integers(indices)?;
    ensure!(indices.iter().all(|i| (0..total).contains(i)), "indices {indices:?} out of range: expected 0..{total}");
    let indices: Vec<u32> = indices.into_iter().map(|i| i as u32).collect();
    Ok(x.contiguous()?.index_select(&Tensor::new(indices, x.device())?, d)?)
}

/// Selects entries along dimension `d` of `x` by index; the tensor `indices` is flattened.
fn gather(guard: &Guard, x: &Tensor, d: INT, indices: &Tensor) -> Result<Tensor> {
    let d = dim(x, d)?;
    let mut shape = x.dims().to_vec();
    shape[d] = indices.elem_count();
    guard.reserve(&shape, x.dtype().size_in_bytes())?;
    let indices = numbers(indices)?;
    let total = x.dims()[d];
    let whole = |&v: &f64| (v >= 0.0 && v < total as f64 && v.fract() == 0.0).then_some(v as u32);
    let indices = indices.iter().map(whole).collect::<Option<Vec<_>>>();
    let indices = indices.with_context(|| format!("indices must be integers in 0..{total}"))?;
    Ok(x.contiguous()?.index_select(&Tensor::new(indices, x.device())?, d)?)
}

/// Concatenates or stacks tensors along dimension `d`. The result is a variable of an objective if one of the tensors is such a
/// variable.
fn join(guard: &Guard, parts: &Array, d: INT, stack: bool) -> Result<Dynamic> {
    let tensor = |v: &Dynamic| match v.read_lock::<Variable>() {
        Some(variable) => Ok(variable.0.clone()),
        None => v.clone().try_cast::<Tensor>().with_context(|| format!("expected a tensor, got {}", v.type_name())),
    };
    let variable = parts.iter().any(Dynamic::is::<Variable>);
    let parts = parts.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    ensure!(!parts.is_empty(), "nothing to join: the array of tensors is empty");
    let parts = one_type(parts)?;
    guard.reserve(&[parts.iter().map(Tensor::elem_count).sum()], 4)?;
    let shapes = || format!("joining shapes {:?}", parts.iter().map(Tensor::dims).collect::<Vec<_>>());
    let joined = if stack {
        let d = if d < 0 { d + parts[0].rank() as INT + 1 } else { d };
        Tensor::stack(&parts, size(d, "a dimension")?).with_context(shapes)?
    } else {
        let d = dim(&parts[0], d)?;
        // Empty tensors contribute nothing, and they are on the CPU even if the other tensors are not.
        let full: Vec<_> = parts.iter().filter(|part| part.elem_count() > 0).collect();
        Tensor::cat(&if full.is_empty() { parts.iter().collect() } else { full }, d).with_context(shapes)?
    };
    Ok(if variable { Dynamic::from(Variable(joined)) } else { Dynamic::from(joined) })
}
