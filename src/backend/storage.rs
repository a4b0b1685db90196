//! Access to the elements of candle tensors.

use anyhow::{Result, bail};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor, WithDType};

/// An element type that kernels support.
pub trait Real: WithDType + Send + Sync {
    /// The elements of a storage; `None` if they have another type.
    fn of(storage: &CpuStorage) -> Option<&[Self]>;
}

impl Real for f32 {
    fn of(storage: &CpuStorage) -> Option<&[Self]> {
        match storage {
            CpuStorage::F32(v) => Some(v),
            _ => None,
        }
    }
}

impl Real for f64 {
    fn of(storage: &CpuStorage) -> Option<&[Self]> {
        match storage {
            CpuStorage::F64(v) => Some(v),
            _ => None,
        }
    }
}

/// Calls `f` with the elements of `x` in row-major order. The elements are copied to the CPU if necessary.
///
/// Errors if the elements of `x` have another type, or if `f` fails.
pub fn read<T: Real, O>(x: &Tensor, f: impl FnOnce(&[T]) -> Result<O>) -> Result<O> {
    let x = x.contiguous()?.to_device(&Device::Cpu)?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else { bail!("could not copy the elements from {:?}", x.device().location()) };
    let Some(all) = T::of(cpu) else {
        bail!("this kernel expects elements of type {:?}, got {:?}", T::DTYPE, x.dtype());
    };
    let start = layout.start_offset();
    f(&all[start..start + x.elem_count()])
}

/// Like [`read`], for an `f` that cannot fail.
pub fn with<T: Real, O>(x: &Tensor, f: impl FnOnce(&[T]) -> O) -> Result<O> {
    read::<T, _>(x, |numbers| Ok(f(numbers)))
}

/// A CPU tensor with these elements and this shape.
pub fn tensor<T: Real>(data: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

/// Calls a generic kernel with the element type of a tensor.
macro_rules! by_type {
    ($x:expr, $f:ident($($arg:expr),*)) => {
        match $x.dtype() {
            candle_core::DType::F32 => $f::<f32>($($arg),*),
            candle_core::DType::F64 => $f::<f64>($($arg),*),
            other => $crate::backend::unsupported(other),
        }
    };
}
pub(crate) use by_type;

/// The error for an element type `dtype` that no kernel supports.
pub(crate) fn unsupported<O>(dtype: DType) -> Result<O> {
    bail!("kernels expect elements of type F32 or F64, got {dtype:?}; convert with to_dtype first")
}
