//! The element types of weight files, and the conversion of bytes to tensors.

use super::random_access::RandomAccess;
use crate::backend::in_large_pages;
use crate::interrupt::InterruptProbe;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor, WithDType};
use half::{bf16, f16};
use rayon::prelude::*;
use std::io::Read;

/// Number of values read by one task.
const PART: usize = 1 << 20;
/// Number of values read at a time.
const SOME: usize = 1 << 14;

/// An element type in a weight file; values are little-endian.
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
    /// An unsupported type, with its name and size in bytes.
    Unread(&'static str, u8),
}

impl Number {
    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Unread(_, size) => size.into(),
        }
    }

    /// Creates a tensor of shape `shape` from the bytes of its values; signed integers become i64.
    ///
    /// Errors if the number of bytes does not match or the type is not supported.
    pub fn tensor(self, bytes: &[u8], shape: &[usize]) -> Result<Tensor> {
        self.read(bytes, 0, bytes.len(), shape)
    }

    /// Like [`tensor`](Self::tensor), but reads the values from `len` bytes of a file at offset `start`.
    pub fn read(self, file: &(impl RandomAccess + ?Sized), start: u64, len: usize, shape: &[usize]) -> Result<Tensor> {
        let fits = matches!(self, Self::Unread(..)) || count(shape)?.checked_mul(self.size()) == Some(len);
        ensure!(fits, "got {len} bytes for a tensor of shape {shape:?}");
        let file = |at: usize| file.beginning(start + at as u64);
        match self {
            Self::F64 => from(&file, shape, f64::from_le_bytes),
            Self::F32 => from(&file, shape, f32::from_le_bytes),
            Self::F16 => from(&file, shape, f16::from_le_bytes),
            Self::Bf16 => from(&file, shape, bf16::from_le_bytes),
            Self::I64 => from(&file, shape, i64::from_le_bytes),
            Self::I32 => from(&file, shape, |b| i64::from(i32::from_le_bytes(b))),
            Self::I16 => from(&file, shape, |b| i64::from(i16::from_le_bytes(b))),
            Self::I8 => from(&file, shape, |b| i64::from(i8::from_le_bytes(b))),
            Self::U8 => from(&file, shape, u8::from_le_bytes),
            Self::Bool => from(&file, shape, |[b]| u8::from(b != 0)),
            Self::Unread(name, _) => {
                bail!("values of type {name} are not supported; use F64, F32, F16, BF16 or integers")
            }
        }
    }
}

/// Number of elements of a shape. Errors if a tensor of this shape is too large to be addressed. For this check, a size of 0 counts as 1.
pub fn count(shape: &[usize]) -> Result<usize> {
    let most = shape.iter().try_fold(8usize, |product, &n| product.checked_mul(n.max(1)));
    most.with_context(|| format!("a tensor of shape {shape:?} is too large"))?;
    Ok(shape.iter().product())
}

/// Reads the values in chunks on all cores, because most of the time is spent on page faults in newly allocated memory.
fn from<const N: usize, T: WithDType, R: Read>(
    file: &(impl Fn(usize) -> R + Sync),
    shape: &[usize],
    value: impl Fn([u8; N]) -> T + Sync,
) -> Result<Tensor> {
    let mut values = vec![T::zero(); count(shape)?];
    in_large_pages(&mut values);
    let probe = InterruptProbe::here();
    let part = |bytes: &mut Vec<u8>, (i, part): (usize, &mut [T])| -> Result<()> {
        let mut file = file(i * PART * N);
        for some in part.chunks_mut(SOME) {
            probe.check()?;
            bytes.resize(N * some.len(), 0);
            file.read_exact(bytes).context("the file ends before the last value of the tensor")?;
            for (to, from) in some.iter_mut().zip(bytes.as_chunks().0) {
                *to = value(*from);
            }
        }
        Ok(())
    };
    values.par_chunks_mut(PART).enumerate().try_for_each_init(Vec::new, part)?;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}
