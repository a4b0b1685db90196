//! The types of number in weight files, and tensors from their bytes.

use crate::kernel::in_large_pages;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor, WithDType};
use half::{bf16, f16};
use std::io::Read;

/// A type of number, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Number {
    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// A tensor of this shape from the bytes of all its values; signed whole numbers become i64.
    pub fn tensor(self, bytes: &[u8], shape: &[usize]) -> Result<Tensor> {
        self.read(&mut &bytes[..], bytes.len(), shape)
    }

    /// The same from the next `len` bytes of a file.
    pub fn read(self, file: &mut impl Read, len: usize, shape: &[usize]) -> Result<Tensor> {
        ensure!(count(shape)?.checked_mul(self.size()) == Some(len), "{len} bytes for shape {shape:?}");
        match self {
            Self::F64 => from(file, shape, f64::from_le_bytes),
            Self::F32 => from(file, shape, f32::from_le_bytes),
            Self::F16 => from(file, shape, f16::from_le_bytes),
            Self::Bf16 => from(file, shape, bf16::from_le_bytes),
            Self::I64 => from(file, shape, i64::from_le_bytes),
            Self::I32 => from(file, shape, |b| i64::from(i32::from_le_bytes(b))),
            Self::I16 => from(file, shape, |b| i64::from(i16::from_le_bytes(b))),
            Self::I8 => from(file, shape, |b| i64::from(i8::from_le_bytes(b))),
            Self::U8 => from(file, shape, u8::from_le_bytes),
            Self::Bool => from(file, shape, |[b]| u8::from(b != 0)),
        }
    }
}

/// How many values a shape has; a shape that no memory holds is an error, even where a size is 0.
pub fn count(shape: &[usize]) -> Result<usize> {
    let most = shape.iter().try_fold(8usize, |product, &n| product.checked_mul(n.max(1)));
    most.with_context(|| format!("a tensor of shape {shape:?} is too large"))?;
    Ok(shape.iter().product())
}

/// Some thousands of values at a time.
fn from<const N: usize, T: WithDType>(
    file: &mut impl Read,
    shape: &[usize],
    value: impl Fn([u8; N]) -> T,
) -> Result<Tensor> {
    let count = count(shape)?;
    let mut values: Vec<T> = Vec::with_capacity(count);
    in_large_pages(&mut values);
    let mut bytes = vec![0u8; N * count.min(1 << 14)];
    while values.len() < count {
        let some = &mut bytes[..N * (count - values.len()).min(1 << 14)];
        file.read_exact(some).context("it ends before its numbers do")?;
        values.extend(some.as_chunks().0.iter().map(|&b| value(b)));
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}
