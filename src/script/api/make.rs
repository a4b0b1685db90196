//! Functions that create tensors: constants, ranges, values from arrays.

use super::{Guard, Out, number, out, size, sizes};
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    for (name, value) in [("zeros", 0.0), ("ones", 1.0)] {
        let guard = guard.clone();
        engine.register_fn(name, move |shape: Array| out(full(&guard, &shape, value)));
    }
    let g = guard.clone();
    engine
        .register_fn("full", move |shape: Array, value: Dynamic| out(number(&value).and_then(|v| full(&g, &shape, v))));
    engine.register_fn("zeros_like", |x: &mut Tensor| -> Out<Tensor> { out(x.zeros_like().map_err(Into::into)) });
    engine.register_fn("ones_like", |x: &mut Tensor| -> Out<Tensor> { out(x.ones_like().map_err(Into::into)) });
    let g = guard.clone();
    engine.register_fn("arange", move |end: INT| out(counted(&g, 0, end)));
    let g = guard.clone();
    engine.register_fn("arange", move |start: INT, end: INT| out(counted(&g, start, end)));
    let g = guard.clone();
    engine.register_fn("linspace", move |a: Dynamic, b: Dynamic, steps: INT| out(linspace(&g, &a, &b, steps)));
    let g = guard.clone();
    engine.register_fn("tensor", move |values: Array| out(nested(&values, DType::F32, g.device())));
    engine.register_fn("new_tensor", |x: &mut Tensor, values: Array| out(new_tensor(x, &values)));
    let g = guard.clone();
    engine.register_fn("eye", move |n: INT| out(eye(&g, n)));
    let g = guard.clone();
    engine.register_fn("one_hot", move |class: Dynamic, classes: INT| out(one_hot(&g, &class, classes)));
}

fn full(guard: &Guard, shape: &Array, value: f64) -> Result<Tensor> {
    let shape = sizes(shape)?;
    guard.reserve(&shape, 4)?;
    Ok(Tensor::full(value as f32, shape.as_slice(), &place(guard, shape.iter().product()))?)
}

/// The device for a tensor of `count` elements. An empty tensor is placed on the CPU, since a GPU cannot allocate 0 bytes.
fn place(guard: &Guard, count: usize) -> Device {
    if count == 0 { Device::Cpu } else { guard.device().clone() }
}

fn counted(guard: &Guard, start: INT, end: INT) -> Result<Tensor> {
    let count = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    guard.reserve(&[count], 4)?;
    Ok(Tensor::from_iter((start..end.max(start)).map(|v| v as f32), &place(guard, count))?)
}

fn linspace(guard: &Guard, a: &Dynamic, b: &Dynamic, steps: INT) -> Result<Tensor> {
    let (a, b) = (number(a)?, number(b)?);
    ensure!(steps > 0, "linspace needs at least 1 step, got {steps}");
    guard.reserve(&[steps as usize], 4)?;
    let at = |i: INT| if steps == 1 { a } else { a + (b - a) * i as f64 / (steps - 1) as f64 };
    Ok(Tensor::from_iter((0..steps).map(|i| at(i) as f32), guard.device())?)
}

/// The identity matrix `(n, n)`.
fn eye(guard: &Guard, n: INT) -> Result<Tensor> {
    let n = size(n, "the number of rows")?;
    guard.reserve(&[n, n], 4)?;
    let values = (0..n * n).map(|i| if i / n == i % n { 1f32 } else { 0.0 });
    Ok(Tensor::from_iter(values, &place(guard, n * n))?.reshape((n, n))?)
}

/// One-hot rows `(N, classes)`: a single row if `class` is one class, or a row for each class if it is an array.
fn one_hot(guard: &Guard, class: &Dynamic, classes: INT) -> Result<Tensor> {
    let chosen = super::classes(class)?;
    let count = size(classes, "the number of classes")?;
    guard.reserve(&[chosen.len(), count], 4)?;
    let mut rows = vec![0f32; chosen.len() * count];
    for (row, &class) in rows.chunks_exact_mut(count.max(1)).zip(&chosen) {
        *row.get_mut(class).with_context(|| format!("no class {class}; there are {count} classes"))? = 1.0;
    }
    Ok(Tensor::from_vec(rows, (chosen.len(), count), guard.device())?)
}

/// Creates a tensor from nested arrays of numbers, with the dtype and device of `like`, like PyTorch's `x.new_tensor`.
fn new_tensor(like: &Tensor, values: &Array) -> Result<Tensor> {
    Ok(nested(values, like.dtype(), like.device())?.to_dtype(like.dtype())?)
}

/// Creates a tensor from nested arrays of numbers, or of tensors with the same shape.
fn nested(values: &Array, dtype: DType, device: &Device) -> Result<Tensor> {
    let part = |value: &Dynamic| -> Result<Tensor> {
        if let Some(tensor) = value.read_lock::<Tensor>() {
            return Ok(tensor.clone());
        }
        match value.read_lock::<Array>() {
            Some(inner) => nested(&inner, dtype, device),
            None => scalar(number(value)?, dtype, device),
        }
    };
    ensure!(!values.is_empty(), "cannot make a tensor from an empty array; use zeros([…])");
    let parts = values.iter().map(part).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&super::one_type(parts)?, 0)?)
}

fn scalar(value: f64, dtype: DType, device: &Device) -> Result<Tensor> {
    Ok(if dtype == DType::F64 { Tensor::new(value, device)? } else { Tensor::new(value as f32, device)? })
}
