//! Tensor arithmetic shared by several modules.

use anyhow::{Context, Result, ensure};
use candle_core::{D, DType, Device, DeviceLocation, Shape, Tensor};
use std::collections::BTreeMap;

/// The compute dtype for values stored as `storage`: f32 for bf16 and f16, which are used for storage only, and otherwise the dtype itself.
pub fn compute_dtype(storage: DType) -> DType {
    if matches!(storage, DType::BF16 | DType::F16) { DType::F32 } else { storage }
}

/// Formats a device: `cpu`, `cuda:0`, `metal`.
pub fn device_text(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { .. } => "metal".into(),
    }
}

/// Creates a tensor from `numbers` with the dtype and device of `other`.
pub fn like(numbers: impl Into<Vec<f64>>, shape: impl Into<Shape>, other: &Tensor) -> Result<Tensor> {
    let here = Tensor::from_vec(numbers.into(), shape.into(), &Device::Cpu)?;
    Ok(here.to_dtype(other.dtype())?.to_device(other.device())?)
}

/// Converts `x` to f64 on its own device, or on the CPU if the device has no f64 (Metal).
pub fn wide(x: &Tensor) -> Result<Tensor> {
    let x = if x.device().is_metal() { &x.to_device(&Device::Cpu)? } else { x };
    Ok(x.to_dtype(DType::F64)?)
}

/// All values of `x` in row-major order as f64, copied from any device.
pub fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// `x + ε·sign(x)` with `sign(0) = +1`: a denominator that is never zero (Bach et al. 2015).
pub fn stabilize(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    // If ε were rounded to 0 in the dtype of `x`, the denominator could be zero.
    let least = if x.dtype() == DType::F64 { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    let epsilon = if epsilon > 0.0 { epsilon.max(least) } else { epsilon };
    let sign = ((x.ge(0.0)?.to_dtype(x.dtype())? * 2.0)? - 1.0)?;
    Ok((x + (sign * epsilon)?)?)
}

/// A tensor with 1 where `x > 0` and 0 elsewhere, in the dtype of `x`.
pub fn positive(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.to_dtype(x.dtype())?)
}

/// Log-softmax over the last dimension, computed without overflow.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    Ok(x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

/// Adds `value` to the tensor stored under `key`, or inserts it if there is none.
pub fn add_to<K: Ord>(all: &mut BTreeMap<K, Tensor>, key: K, value: Tensor) -> Result<()> {
    let sum = match all.remove(&key) {
        Some(before) => (before + value)?,
        None => value,
    };
    all.insert(key, sum);
    Ok(())
}

/// `x` tiled to a batch of `batch` rows; a single row is broadcast without a copy.
pub fn repeated(x: Tensor, batch: usize) -> Result<Tensor> {
    let (own, rest) = (x.dims()[0], x.dims()[1..].to_vec());
    if own == batch {
        return Ok(x);
    }
    ensure!(
        own > 0 && batch.is_multiple_of(own),
        "a layer cannot combine batches of {own} and {batch} rows: {batch} is not a multiple of {own}"
    );
    let times = x.unsqueeze(0)?.broadcast_as([&[batch / own, own][..], &rest].concat())?;
    Ok(if own == 1 { times.squeeze(1)? } else { times.reshape([&[batch][..], &rest].concat())? })
}

/// The shape of one sample of a batch, such as `[C, H, W]` for `(N, C, H, W)`.
pub fn row_dims(x: &Tensor) -> &[usize] {
    x.dims().get(1..).unwrap_or_default()
}

/// Maximum number of elements of an activation or a parameter.
const MOST_ELEMENTS: usize = 1 << 40;

/// The number of elements of a tensor of shape `shape`.
///
/// Errors if there are more than 2⁴⁰ elements.
pub fn elements(shape: &[usize]) -> Result<usize> {
    let product = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= MOST_ELEMENTS);
    product.with_context(|| format!("a tensor of shape {} has more than 2^40 elements", shape_text(shape)))
}

/// Formats a shape: `1x3x224x224`.
pub fn shape_text(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
