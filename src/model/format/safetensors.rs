//! The safetensors format: a JSON header with names, types, shapes and places, then the numbers.

use super::archive::{Archive, Entry, StateDict};
use super::number::Number;
use super::pieces::{Pieces, Source};
use anyhow::{Context, Result, ensure};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::io::Read;

/// Bytes of the largest header that is read; the format's own limit.
const HEADER: u64 = 100_000_000;

/// Reads the header of a safetensors file.
pub fn open(file: Source) -> Result<Archive> {
    let damaged = "the safetensors file is damaged or cut short";
    let len = file.length();
    let mut size = [0; 8];
    file.beginning(0).read_exact(&mut size).context(damaged)?;
    let size = u64::from_le_bytes(size);
    ensure!(size <= HEADER, damaged);
    let header = file.bytes(8, size).context(damaged)?;
    let header: Metadata = serde_json::from_slice(&header).context(damaged)?;
    ensure!(len - 8 - size == header.data_len() as u64, damaged);
    let one = |name: String| {
        let info = header.info(&name).context(damaged)?;
        let (start, end) = info.data_offsets;
        let place = (8 + size + start as u64, (end - start) as u64);
        Ok((name, Entry::whole(number(info.dtype), info.shape.clone(), place)))
    };
    let tensors = header.offset_keys().into_iter().map(one).collect::<Result<_>>()?;
    let dict = StateDict { tensors, ..StateDict::default() };
    ensure!(!dict.tensors.is_empty(), "there are no tensors in it");
    Ok(Archive::of(file, vec![dict], Vec::new()))
}

fn number(dtype: Dtype) -> Number {
    match dtype {
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
        Dtype::U16 => Number::Unread("U16", 2),
        Dtype::U32 => Number::Unread("U32", 4),
        Dtype::U64 => Number::Unread("U64", 8),
        Dtype::C64 => Number::Unread("C64", 8),
        Dtype::F8_E4M3 => Number::Unread("F8_E4M3", 1),
        Dtype::F8_E5M2 => Number::Unread("F8_E5M2", 1),
        Dtype::F8_E8M0 => Number::Unread("F8_E8M0", 1),
        _ => Number::Unread("of less than a byte", 1),
    }
}
