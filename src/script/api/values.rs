//! Conversion of script values to numbers, sizes, dimensions, classes and tensors; type promotion and broadcasting of tensors.

use crate::backend::not_finite;
use crate::script::report::raise;
use crate::script::sandbox::guard::Guard;
use crate::tensor;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Shape, Tensor};
use rhai::{Array, Dynamic, EvalAltResult, FLOAT, INT};

/// The result type of native functions that scripts can call.
pub type Out<T> = Result<T, Box<EvalAltResult>>;

/// Converts the error of a result to a script error.
pub fn out<T>(result: Result<T>) -> Out<T> {
    result.map_err(raise)
}

/// Errors if a value of the tensor is NaN or infinite; `what` names the operation that needs finite values.
pub fn finite(x: &Tensor, what: &str) -> Result<()> {
    let bad = not_finite(x)?;
    anyhow::ensure!(bad.count() == 0, "{what} needs finite values: {bad}");
    Ok(())
}

/// Converts a script value, an integer or a float, to `f64`. Errors for other types.
pub fn number(value: &Dynamic) -> Result<f64> {
    match (value.as_float(), value.as_int()) {
        (Ok(v), _) => Ok(v),
        (_, Ok(v)) => Ok(v as FLOAT),
        _ => bail!("expected a number, got {}", value.type_name()),
    }
}

/// Converts a script array to integers. Errors if a value is not an integer.
pub fn integers(values: &Array) -> Result<Vec<INT>> {
    let integer = |v: &Dynamic| v.as_int().map_err(|t| anyhow::anyhow!("expected an integer, got {t}"));
    values.iter().map(integer).collect()
}

/// Converts an integer to a size. Errors if it is negative; `what` names the size in the message.
pub fn size(value: INT, what: &str) -> Result<usize> {
    usize::try_from(value).map_err(|_| anyhow::anyhow!("{what} must be 0 or more, got {value}"))
}

/// Converts a class, or an array with one class per picture of a batch, to class indices.
pub fn classes(value: &Dynamic) -> Result<Vec<usize>> {
    let many = match value.read_lock::<Array>() {
        Some(many) => integers(&many)?,
        None => integers(&vec![value.clone()])
            .context("a class must be an integer, or an array with one integer per picture")?,
    };
    many.into_iter().map(|class| size(class, "a class")).collect()
}

/// Converts class indices to a script value: an integer for a batch of one picture, an array for a larger batch.
pub fn one_or_many(classes: &[usize]) -> Dynamic {
    match classes {
        [class] => Dynamic::from(*class as INT),
        _ => classes.iter().map(|&c| Dynamic::from(c as INT)).collect::<Array>().into(),
    }
}

/// Converts a script array to sizes. Errors if a value is not a nonnegative integer.
pub fn sizes(values: &Array) -> Result<Vec<usize>> {
    integers(values)?.into_iter().map(|v| size(v, "a size")).collect()
}

/// Converts the index of a dimension of `x`, which counts from the end if negative, to a non-negative index.
pub fn dim(x: &Tensor, dim: INT) -> Result<usize> {
    let rank = x.rank() as INT;
    let place = if dim < 0 { dim + rank } else { dim };
    if !(0..rank).contains(&place) {
        bail!("no dimension {dim} in a tensor of shape {:?}", x.dims());
    }
    Ok(place as usize)
}

/// Converts dimensions of `x`, given as an integer, an array or `()` for all, to non-negative indices.
pub fn dims(x: &Tensor, value: &Dynamic) -> Result<Vec<usize>> {
    if value.is_unit() {
        return Ok((0..x.rank()).collect());
    }
    if let Ok(one) = value.as_int() {
        return Ok(vec![dim(x, one)?]);
    }
    let Some(many) = value.read_lock::<Array>() else {
        bail!("dimensions must be an integer or an array of integers, got {}", value.type_name());
    };
    let all: Vec<usize> = integers(&many)?.into_iter().map(|d| dim(x, d)).collect::<Result<_>>()?;
    let twice = all.iter().enumerate().find(|(i, d)| all[..*i].contains(d));
    anyhow::ensure!(twice.is_none(), "dimension {} appears twice", twice.map_or(0, |(_, d)| *d));
    Ok(all)
}

/// Returns the shape to which two tensors broadcast, after reserving memory for a result of this shape. Errors if the shapes cannot be
/// broadcast. `name` is the name of the called function, for the message.
pub fn broadcast(guard: &Guard, name: &str, a: &Tensor, b: &Tensor) -> Result<Shape> {
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "broadcast");
    let Ok(shape) = shape else { bail!("{name}: cannot broadcast {:?} with {:?}", a.dims(), b.dims()) };
    guard.reserve(shape.dims(), a.dtype().size_in_bytes())?;
    Ok(shape)
}

/// Converts tensors to a common dtype, which is f64 if one of them is f64, as in PyTorch's type promotion. Tensors on the CPU are
/// moved to the device of the others.
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

/// Like [`one_type`], but for a fixed number of tensors.
pub fn promoted<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let tensors = one_type(tensors.map(Tensor::clone).into())?;
    Ok(tensors.try_into().unwrap_or_else(|_| unreachable!("the number of tensors does not change")))
}

/// Converts `x` to the dtype of `like`.
pub fn in_type_of(like: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(like.dtype())?)
}

/// Converts a script value to a tensor; a number becomes a tensor of rank 0 with the dtype and device of `like`.
pub fn tensor_or_number(value: &Dynamic, like: &Tensor) -> Result<Tensor> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(tensor.clone());
    }
    scalar(number(value)?, like)
}

/// Creates a tensor of rank 0 from a number, with the dtype and device of `like`.
pub fn scalar(value: f64, like: &Tensor) -> Result<Tensor> {
    tensor::like([value], (), like)
}

/// A tensor in the expression of an objective, which candle differentiates.
#[derive(Clone)]
pub struct Variable(pub Tensor);
