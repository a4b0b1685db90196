//! Weight files: safetensors, and PyTorch's two formats.
//!
//! Nothing in a file is executed, what a file claims is compared with what it has before memory is taken for it, and a
//! damaged file is an error.

mod number;
mod pieces;
mod safetensors;
mod pickle;
mod torch;
mod state;
mod pth;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use pieces::{Pieces, Stored};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

/// How the names of weight files end.
pub const ENDINGS: [&str; 6] = ["safetensors", "pt", "pth", "th", "bin", "ckpt"];

/// The largest weight file that is read.
const LIMIT: u64 = 16 << 30;

/// Tensors by the names that the network's author gave them.
pub type Tensors = BTreeMap<String, Tensor>;

/// A weight file, read.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Its tensors, in the types that the file has: f32, f16, bf16 or f64; counters as i64, bytes and truth values as u8.
    pub tensors: Tensors,
    /// SHA-256 of the file, in hexadecimal.
    pub hash: String,
}

/// Reads a weight file; its contents tell the format, not its name.
///
/// A checkpoint with a `state_dict`, `model_state_dict`, `model` or `net` gives that part of it; `module.` before all
/// names is left out, and so is whatever is no tensor. Errors: not a weight file, damaged or cut short, a Python
/// object other than tensors in it, no tensors at all.
pub fn read(path: &Path) -> Result<Weights> {
    let file = Stored::open(path, LIMIT)?;
    weights(&file).with_context(|| format!("reading the weights \"{}\"", path.display()))
}

/// Reads the bytes of a weight file.
pub fn parse(bytes: &[u8]) -> Result<Weights> {
    weights(bytes)
}

/// Reads a weight file on all cores, one of which sums over it.
fn weights<P: Pieces + ?Sized>(file: &P) -> Result<Weights> {
    let beginning = file.bytes(0, file.length().min(256))?;
    let read: fn(&P) -> Result<Tensors> = match beginning[..] {
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::read,
        [b'P', b'K', 3, 4, ..] => pth::read_zip,
        [0x80, ..] => pth::read_legacy,
        _ => bail!("{}; .safetensors and PyTorch files with a state_dict are read", kind(&beginning)),
    };
    let (hash, tensors) = rayon::join(|| sum(file.beginning(0)), || read(file));
    Ok(Weights { tensors: without_prefix(tensors?), hash: hash? })
}

/// SHA-256 of all bytes, in hexadecimal.
fn sum(bytes: impl Read) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    std::io::copy(&mut BufReader::with_capacity(1 << 18, bytes), &mut sum)?;
    Ok(format!("{:x}", sum.finalize()))
}

/// What a file that is no weight file is, by its beginning.
fn kind(bytes: &[u8]) -> &'static str {
    let beginnings: [(&[u8], &str); 6] = [
        (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself; fetch it with \"git lfs pull\""),
        (b"\x89HDF", "it is an HDF5 file, as Keras writes them"),
        (b"GGUF", "it is a GGUF file"),
        (b"\x93NUMPY", "it is a NumPy array"),
        (b"\x08", "it looks like an ONNX graph"),
        (b"<", "it is a web page, perhaps of a failed download"),
    ];
    let found = beginnings.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    match found {
        Some((_, kind)) => kind,
        None if bytes.is_empty() => "it is empty",
        None if std::str::from_utf8(bytes).is_ok() => "it is text",
        None => "it is not a weight file",
    }
}

/// Names without what `DataParallel` and `torch.compile` put before every one of them.
fn without_prefix(mut tensors: Tensors) -> Tensors {
    while let Some(prefix) = ["module.", "_orig_mod."].iter().find(|p| tensors.keys().all(|n| n.starts_with(**p))) {
        if tensors.is_empty() {
            break;
        }
        tensors = tensors.into_iter().map(|(name, t)| (name[prefix.len()..].to_string(), t)).collect();
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn names(given: &[&str]) -> Vec<String> {
        let one = |n: &&str| (n.to_string(), Tensor::new(1.0f32, &Device::Cpu).unwrap());
        without_prefix(given.iter().map(one).collect()).into_keys().collect()
    }

    #[test]
    fn a_prefix_goes_only_when_every_name_has_it() {
        assert_eq!(names(&["module.a.weight", "module.b.weight"]), ["a.weight", "b.weight"]);
        assert_eq!(names(&["module._orig_mod.a"]), ["a"]);
        assert_eq!(names(&["module.a", "b"]), ["b", "module.a"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn files_of_other_kinds_are_told_by_name() {
        let error = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"version https://git-lfs.github.com/spec/v1").contains("git lfs pull"));
        assert!(error(b"<!DOCTYPE html>").contains("web page"));
        assert!(error(b"\x08\x06\x12\x07pytorch").contains("ONNX"));
        assert!(error(b"hello, world").contains("it is text; .safetensors"));
        assert!(error(&[0xFF; 40]).contains("not a weight file"));
    }
}
