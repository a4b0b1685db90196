//! What several floors need of tensors: where they are made, and some arithmetic.

use crate::sync::ReadWriteUnpoisoned;
use anyhow::{Context, Result};
use candle_core::{D, DType, Device, DeviceLocation, Shape, Tensor};
use std::collections::BTreeMap;
use std::sync::RwLock;

static DEVICE: RwLock<Device> = RwLock::new(Device::Cpu);

/// Where networks, pictures and the tensors of scripts are made: the CPU, unless it was set; PyTorch's
/// `get_default_device`.
pub fn device() -> Device {
    DEVICE.read_unpoisoned().clone()
}

/// Says where tensors are made from now on; PyTorch's `set_default_device`.
pub fn set_device(device: Device) {
    *DEVICE.write_unpoisoned() = device;
}

/// A device as people write it: `cpu`, `cuda:0`, `metal`.
pub fn device_text(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { .. } => "metal".into(),
    }
}

/// These numbers in the type of another tensor, on its device.
pub fn like(numbers: impl Into<Vec<f64>>, shape: impl Into<Shape>, other: &Tensor) -> Result<Tensor> {
    let here = Tensor::from_vec(numbers.into(), shape.into(), &Device::Cpu)?;
    Ok(here.to_dtype(other.dtype())?.to_device(other.device())?)
}

/// The same in f64; of a device without (Metal) on the CPU.
pub fn wide(x: &Tensor) -> Result<Tensor> {
    let x = if x.device().is_metal() { &x.to_device(&Device::Cpu)? } else { x };
    Ok(x.to_dtype(DType::F64)?)
}

/// All numbers in row-major order, in f64, wherever they are.
pub fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// `x + ε·sign(x)` with `sign(0) = +1`: a denominator that cannot vanish (Bach et al. 2015).
pub fn stabilize(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    // An ε that the type of `x` rounds to 0 would leave a denominator that can vanish.
    let least = if x.dtype() == DType::F64 { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    let epsilon = if epsilon > 0.0 { epsilon.max(least) } else { epsilon };
    let sign = ((x.ge(0.0)?.to_dtype(x.dtype())? * 2.0)? - 1.0)?;
    Ok((x + (sign * epsilon)?)?)
}

/// 1 where `x > 0`, else 0, in the type of `x`.
pub fn positive(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.to_dtype(x.dtype())?)
}

/// `log softmax` over the last dimension, without overflow.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    Ok(x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

/// Adds a tensor to what a map has under a key.
pub fn add_to<K: Ord>(all: &mut BTreeMap<K, Tensor>, key: K, value: Tensor) -> Result<()> {
    let sum = match all.remove(&key) {
        Some(before) => (before + value)?,
        None => value,
    };
    all.insert(key, sum);
    Ok(())
}

/// The sizes of one row of a batch: `[C, H, W]` of `(N, C, H, W)`.
pub fn row_dims(x: &Tensor) -> &[usize] {
    x.dims().get(1..).unwrap_or_default()
}

/// Most elements that a value or a parameter of a network may have.
const MOST_ELEMENTS: usize = 1 << 40;

/// The number of elements of a shape.
///
/// Errors beyond 2⁴⁰.
pub fn elements(shape: &[usize]) -> Result<usize> {
    let product = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= MOST_ELEMENTS);
    product.with_context(|| format!("{} are more elements than can be held", shape_text(shape)))
}

/// Shape as people write it: `1x3x224x224`.
pub fn shape_text(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
