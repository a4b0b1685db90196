//! Conversion of script values: numbers, sizes, dimensions, classes, and tensors, which are promoted and broadcast.

use crate::backend::not_finite;
use crate::script::report::raise;
use crate::script::sandbox::guard::Guard;
use crate::tensor;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Shape, Tensor};
use rhai::{Array, Dynamic, EvalAltResult, FLOAT, INT};

/// The result of a native function that scripts call.
pub type Out<T> = Result<T, Box<EvalAltResult>>;

/// Converts a result for scripts.
pub fn out<T>(result: Result<T>) -> Out<T> {
    result.map_err(raise)
}

/// Errors if a value is NaN or infinite; `what` names the operation that needs finite values.
pub fn finite(x: &Tensor, what: &str) -> Result<()> {
    let bad = not_finite(x)?;
    anyhow::ensure!(bad.count() == 0, "{what} needs finite values: {bad}");
    Ok(())
}

/// A number, integer or float.
pub fn number(value: &Dynamic) -> Result<f64> {
    match (value.as_float(), value.as_int()) {
        (Ok(v), _) => Ok(v),
        (_, Ok(v)) => Ok(v as FLOAT),
        _ => bail!("expected a number, got {}", value.type_name()),
    }
}

/// An array of whole numbers.
pub fn integers(values: &Array) -> Result<Vec<INT>> {
    let integer = |v: &Dynamic| v.as_int().map_err(|t| anyhow::anyhow!("expected a whole number, got {t}"));
    values.iter().map(integer).collect()
}

/// A size: a whole number of 0 or more.
pub fn size(value: INT, what: &str) -> Result<usize> {
    usize::try_from(value).map_err(|_| anyhow::anyhow!("{what} must be 0 or more, got {value}"))
}

/// A class, or an array with one per picture of a batch.
pub fn classes(value: &Dynamic) -> Result<Vec<usize>> {
    let many = match value.read_lock::<Array>() {
        Some(many) => integers(&many)?,
        None => integers(&vec![value.clone()])
            .context("a class must be a whole number, or an array with one per picture")?,
    };
    many.into_iter().map(|class| size(class, "a class")).collect()
}

/// The class of a batch of one, or an array of classes for a larger batch.
pub fn one_or_many(classes: &[usize]) -> Dynamic {
    match classes {
        [class] => Dynamic::from(*class as INT),
        _ => classes.iter().map(|&c| Dynamic::from(c as INT)).collect::<Array>().into(),
    }
}

/// An array of sizes.
pub fn sizes(values: &Array) -> Result<Vec<usize>> {
    integers(values)?.into_iter().map(|v| size(v, "a size")).collect()
}

/// A dimension; negative ones count from the end.
pub fn dim(x: &Tensor, dim: INT) -> Result<usize> {
    let rank = x.rank() as INT;
    let place = if dim < 0 { dim + rank } else { dim };
    if !(0..rank).contains(&place) {
        bail!("no dimension {dim} in a tensor of shape {:?}", x.dims());
    }
    Ok(place as usize)
}

/// Dimensions given as a number or an array; `()` means all.
pub fn dims(x: &Tensor, value: &Dynamic) -> Result<Vec<usize>> {
    if value.is_unit() {
        return Ok((0..x.rank()).collect());
    }
    if let Ok(one) = value.as_int() {
        return Ok(vec![dim(x, one)?]);
    }
    let Some(many) = value.read_lock::<Array>() else {
        bail!("dimensions must be a whole number or an array of them, got {}", value.type_name());
    };
    let all: Vec<usize> = integers(&many)?.into_iter().map(|d| dim(x, d)).collect::<Result<_>>()?;
    let twice = all.iter().enumerate().find(|(i, d)| all[..*i].contains(d));
    anyhow::ensure!(twice.is_none(), "dimension {} appears twice", twice.map_or(0, |(_, d)| *d));
    Ok(all)
}

/// The shape that two tensors broadcast to, after reserving memory for it. Errors name the function and both shapes.
pub fn broadcast(guard: &Guard, name: &str, a: &Tensor, b: &Tensor) -> Result<Shape> {
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "broadcast");
    let Ok(shape) = shape else { bail!("{name}: cannot broadcast {:?} with {:?}", a.dims(), b.dims()) };
    guard.reserve(shape.dims(), a.dtype().size_in_bytes())?;
    Ok(shape)
}

/// Tensors in a common dtype: f64 if one of them is, as in PyTorch's type promotion. Tensors on the CPU are moved to the
/// device of the others.
pub fn one_type(mut tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let wide = tensors.iter().any(|t| t.dtype() == DType::F64);
    for t in tensors.iter_mut().filter(|t| wide && t.dtype() != DType::F64) {
        *t = t.to_dtype(DType::F64)?;
    }
    if let Some(device) = tensors.iter().map(Tensor::device).find(|d| !d.is_cpu()).cloned() {
        tensors.iter_mut().try_for_each(|t| t.to_device(&device).map(|moved| *t = moved))?;
    }
    Ok(tensors)
}

/// [`one_type`] for a fixed number of tensors.
pub fn promoted<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let tensors = one_type(tensors.map(Tensor::clone).into())?;
    Ok(tensors.try_into().unwrap_or_else(|_| unreachable!("as many as before")))
}

/// A tensor in the dtype of another.
pub fn in_type_of(like: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(like.dtype())?)
}

/// A tensor, or a number as a tensor of rank 0.
pub fn tensor_or_number(value: &Dynamic, like: &Tensor) -> Result<Tensor> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(tensor.clone());
    }
    scalar(number(value)?, like)
}

/// A number as a tensor of rank 0, with the dtype and device of `like`.
pub fn scalar(value: f64, like: &Tensor) -> Result<Tensor> {
    tensor::like([value], (), like)
}

/// A tensor inside an objective, differentiated by candle.
#[derive(Clone)]
pub struct Variable(pub Tensor);
