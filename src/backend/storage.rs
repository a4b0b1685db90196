//! From a candle tensor to the numbers it holds, and back.

use anyhow::{Result, bail};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor, WithDType};

/// The number types that kernels compute in.
pub trait Real: WithDType + Send + Sync {
    /// The numbers of a storage of this type.
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

/// Calls `f` with the numbers of `x` in row-major order; from another device they are copied.
pub fn read<T: Real, O>(x: &Tensor, f: impl FnOnce(&[T]) -> Result<O>) -> Result<O> {
    let x = x.contiguous()?.to_device(&Device::Cpu)?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else { bail!("the numbers of {:?} could not be copied", x.device().location()) };
    let Some(all) = T::of(cpu) else {
        bail!("this kernel computes in {:?}, got {:?}", T::DTYPE, x.dtype());
    };
    let start = layout.start_offset();
    f(&all[start..start + x.elem_count()])
}

/// The same for what cannot fail.
pub fn with<T: Real, O>(x: &Tensor, f: impl FnOnce(&[T]) -> O) -> Result<O> {
    read::<T, _>(x, |numbers| Ok(f(numbers)))
}

/// A tensor of these numbers, on the CPU.
pub fn tensor<T: Real>(data: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

/// Runs a generic kernel in the type of a tensor.
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

/// The error for a type that no kernel computes in.
pub(crate) fn unsupported<O>(dtype: DType) -> Result<O> {
    bail!("kernels compute in F32 or F64, got {dtype:?}; convert with to_dtype first")
}
