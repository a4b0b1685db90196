//! The safetensors format: a JSON header with names, types, shapes and places, then the numbers.

use super::Tensors;
use super::number::Number;
use super::pieces::Pieces;
use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::io::Read;

/// Bytes of the largest header that is read; the format's own limit.
const HEADER: u64 = 100_000_000;

/// The tensors of a safetensors file, read one after the other: no more memory is held than theirs.
pub fn read(file: &(impl Pieces + ?Sized)) -> Result<Tensors> {
    let damaged = "the safetensors file is damaged or cut short";
    let len = file.length();
    let mut size = [0; 8];
    file.beginning(0).read_exact(&mut size).context(damaged)?;
    let size = u64::from_le_bytes(size);
    ensure!(size <= HEADER, damaged);
    let header = file.bytes(8, size).context(damaged)?;
    let header: Metadata = serde_json::from_slice(&header).context(damaged)?;
    ensure!(len - 8 - size == header.data_len() as u64, damaged);
    let names = header.offset_keys();
    ensure!(!names.is_empty(), "there are no tensors in it");
    let one = |name: String| {
        let info = header.info(&name).context(damaged)?;
        let (start, end) = info.data_offsets;
        let place = 8 + size + start as u64;
        let tensor = number(info.dtype).and_then(|number| number.read(file, place, end - start, &info.shape));
        let tensor = tensor.with_context(|| format!("tensor \"{name}\""))?;
        Ok((name, tensor))
    };
    names.into_iter().map(one).collect()
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
