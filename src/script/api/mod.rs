//! What scripts can call, one file a noun. Names, argument order and meaning are PyTorch's where it has the function.

mod arithmetic;
mod backward;
mod ball;
pub(super) mod builder;
mod chance;
mod codec;
mod context;
mod ctc;
mod data;
pub(super) mod declare;
mod edit;
mod embed;
mod features;
mod elementwise;
mod figure;
#[cfg(test)]
mod attack;
#[cfg(test)]
mod laws;
mod ledger;
mod linalg;
mod make;
mod model;
mod objective;
pub(super) mod options;
mod points;
mod quadrature;
mod randomize;
mod reduce;
mod rules;
mod seed;
mod selector;
mod shape;
mod site;
mod spatial;
mod trainer;
pub(super) mod training;
mod variable;

pub(super) use figure::{class_rows, figures};
pub(super) use model::Run;

use super::guard::Guard;
use super::report::raise;
use crate::kernel::not_finite;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Shape, Tensor};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FLOAT, INT};
use std::sync::Arc;

/// What a native function gives to a script.
type Out<T> = Result<T, Box<EvalAltResult>>;

/// Registers everything.
pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_type_with_name::<Tensor>("Tensor");
    make::register(engine, guard);
    arithmetic::register(engine, guard);
    elementwise::register(engine, guard);
    reduce::register(engine);
    quadrature::register(engine);
    shape::register(engine, guard);
    spatial::register(engine, guard);
    linalg::register(engine, guard);
    model::register(engine, guard);
    randomize::register(engine, guard);
    edit::register(engine, guard);
    seed::register(engine);
    backward::register(engine, guard);
    objective::register(engine);
    variable::register(engine, guard);
    ball::register(engine);
    ctc::register(engine);
    codec::register(engine);
    chance::register(engine);
    rules::register(engine);
    site::register(engine);
    ledger::register(engine, guard);
    figure::register(engine);
    points::register(engine);
    declare::register(engine);
    context::register(engine, guard);
    data::register(engine, guard);
    features::register(engine, guard);
    trainer::register(engine, guard);
    embed::register(engine, guard);
    builder::register(engine);
}

/// A result as scripts take it.
fn out<T>(result: Result<T>) -> Out<T> {
    result.map_err(raise)
}

/// What only finite numbers have: an order, components, neighbours.
fn finite(x: &Tensor, what: &str) -> Result<()> {
    let bad = not_finite(x)?;
    anyhow::ensure!(bad.count() == 0, "{what} of numbers that are not finite: {bad}");
    Ok(())
}

/// A number, whole or not.
fn number(value: &Dynamic) -> Result<f64> {
    match (value.as_float(), value.as_int()) {
        (Ok(v), _) => Ok(v),
        (_, Ok(v)) => Ok(v as FLOAT),
        _ => bail!("expected a number, got {}", value.type_name()),
    }
}

/// Whole numbers.
fn integers(values: &Array) -> Result<Vec<INT>> {
    let integer = |v: &Dynamic| v.as_int().map_err(|t| anyhow::anyhow!("expected a whole number, got {t}"));
    values.iter().map(integer).collect()
}

/// A size: a whole number of 0 or more.
fn size(value: INT, what: &str) -> Result<usize> {
    usize::try_from(value).map_err(|_| anyhow::anyhow!("{what} must be 0 or more, got {value}"))
}

/// A class, or an array with one for each picture of a batch.
pub(super) fn classes(value: &Dynamic) -> Result<Vec<usize>> {
    let many = match value.read_lock::<Array>() {
        Some(many) => integers(&many)?,
        None => integers(&vec![value.clone()])
            .context("a class is a whole number, or an array with one for each picture")?,
    };
    many.into_iter().map(|class| size(class, "a class")).collect()
}

/// A batch of one has a class, a larger one an array of them.
fn one_or_many(classes: &[usize]) -> Dynamic {
    match classes {
        [class] => Dynamic::from(*class as INT),
        _ => classes.iter().map(|&c| Dynamic::from(c as INT)).collect::<Array>().into(),
    }
}

/// Sizes of a tensor.
fn sizes(values: &Array) -> Result<Vec<usize>> {
    integers(values)?.into_iter().map(|v| size(v, "a size")).collect()
}

/// A dimension; negative ones count from the end.
fn dim(x: &Tensor, dim: INT) -> Result<usize> {
    let rank = x.rank() as INT;
    let place = if dim < 0 { dim + rank } else { dim };
    if !(0..rank).contains(&place) {
        bail!("dimension {dim} of a tensor of shape {:?}", x.dims());
    }
    Ok(place as usize)
}

/// Dimensions given as one number or an array; none: all.
fn dims(x: &Tensor, value: &Dynamic) -> Result<Vec<usize>> {
    if value.is_unit() {
        return Ok((0..x.rank()).collect());
    }
    if let Ok(one) = value.as_int() {
        return Ok(vec![dim(x, one)?]);
    }
    let Some(many) = value.read_lock::<Array>() else {
        bail!("dimensions are a whole number or an array of them, got {}", value.type_name());
    };
    let all: Vec<usize> = integers(&many)?.into_iter().map(|d| dim(x, d)).collect::<Result<_>>()?;
    let twice = all.iter().enumerate().find(|(i, d)| all[..*i].contains(d));
    anyhow::ensure!(twice.is_none(), "dimension {} appears twice", twice.map_or(0, |(_, d)| *d));
    Ok(all)
}

/// Asks for the memory of what tensors broadcast to, and says its shape; errors name the function and the shapes.
fn broadcast(guard: &Guard, name: &str, a: &Tensor, b: &Tensor) -> Result<Shape> {
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "broadcast");
    let Ok(shape) = shape else { bail!("{:?} {name} {:?}: the shapes do not broadcast", a.dims(), b.dims()) };
    guard.reserve(shape.dims(), a.dtype().size_in_bytes())?;
    Ok(shape)
}

/// Tensors in one type: f64 where one of them is, as PyTorch promotes f32 with f64. Those left on the CPU go to the device
/// that others are on.
fn one_type(mut tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let wide = tensors.iter().any(|t| t.dtype() == DType::F64);
    for t in tensors.iter_mut().filter(|t| wide && t.dtype() != DType::F64) {
        *t = t.to_dtype(DType::F64)?;
    }
    if let Some(device) = tensors.iter().map(Tensor::device).find(|d| !d.is_cpu()).cloned() {
        tensors.iter_mut().try_for_each(|t| t.to_device(&device).map(|moved| *t = moved))?;
    }
    Ok(tensors)
}

/// The same of so many.
fn promoted<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let tensors = one_type(tensors.map(Tensor::clone).into())?;
    Ok(tensors.try_into().unwrap_or_else(|_| unreachable!("as many as before")))
}

/// A tensor in the type of another.
fn in_type_of(like: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(like.dtype())?)
}

/// A tensor, or a number as one that broadcasts.
fn tensor_or_number(value: &Dynamic, like: &Tensor) -> Result<Tensor> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(tensor.clone());
    }
    arithmetic::scalar(number(value)?, like)
}
