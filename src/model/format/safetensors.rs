//! The safetensors format: a JSON header with names, types, shapes and places, then the numbers.

use super::Tensors;
use super::number::Number;
use anyhow::{Context, Result, bail, ensure};
use safetensors::{Dtype, SafeTensors};

/// The tensors of a safetensors file.
pub fn read(bytes: &[u8]) -> Result<Tensors> {
    let file = SafeTensors::deserialize(bytes).context("the safetensors file is damaged or cut short")?;
    ensure!(!file.is_empty(), "there are no tensors in it");
    let one = |(name, view): (String, safetensors::tensor::TensorView)| {
        let tensor = number(view.dtype()).and_then(|number| number.tensor(view.data(), view.shape()));
        Ok((name.clone(), tensor.with_context(|| format!("tensor \"{name}\""))?))
    };
    file.tensors().into_iter().map(one).collect()
}

fn number(dtype: Dtype) -> Result<Number> {
    Ok(match dtype {
        Dtype::F64 => Number::F64,
        Dtype::F32 => Number::F32,
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::Bf16,
        Dtype::I64 => Number::I64,
        Dtype::I32 => Number::I32,
        Dtype::I16 => Number::I16,
        Dtype::I8 => Number::I8,
        Dtype::U8 => Number::U8,
        Dtype::BOOL => Number::Bool,
        other => bail!("numbers of type {other:?} are not read; F64, F32, F16, BF16 and whole numbers are"),
    })
}
