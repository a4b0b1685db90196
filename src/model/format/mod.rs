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

use crate::data::read_whole;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use pieces::{Pieces, Stored};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
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
    let weights = match Format::of(&file) {
        Some(Format::Safetensors) => summed(&file, safetensors::read),
        Some(Format::Zip) => summed(&file, pth::read_zip),
        _ => parse(&read_whole(path, LIMIT)?),
    };
    weights.with_context(|| format!("reading the weights \"{}\"", path.display()))
}

/// Reads the bytes of a weight file.
pub fn parse(bytes: &[u8]) -> Result<Weights> {
    match Format::of(bytes) {
        Some(Format::Safetensors) => summed(bytes, safetensors::read),
        Some(Format::Zip) => summed(bytes, pth::read_zip),
        Some(Format::Legacy) => summed(bytes, pth::read_legacy),
        None => bail!("{}; .safetensors and PyTorch files with a state_dict are read", kind(bytes)),
    }
}

/// What a weight file's beginning tells.
enum Format {
    Safetensors,
    Zip,
    Legacy,
}

impl Format {
    fn of(file: &(impl Pieces + ?Sized)) -> Option<Self> {
        match file.bytes(0, file.length().min(9)).ok()?[..] {
            [_, _, _, _, _, _, _, _, b'{'] => Some(Self::Safetensors),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [0x80, ..] => Some(Self::Legacy),
            _ => None,
        }
    }
}

/// Reads a file on all cores, one of which sums over it.
fn summed<P: Pieces + ?Sized>(file: &P, read: fn(&P) -> Result<Tensors>) -> Result<Weights> {
    let (hash, tensors) = rayon::join(|| sum(file.beginning(0)), || read(file));
    Ok(Weights { tensors: without_prefix(tensors?), hash: hash? })
}

/// SHA-256 of all bytes, in hexadecimal.
fn sum(mut bytes: impl Read) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    let mut some = vec![0; 1 << 18];
    loop {
        match bytes.read(&mut some) {
            Ok(0) => return Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            Ok(count) => sum.update(&some[..count]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// What a file that is no weight file is.
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
        None if std::str::from_utf8(&bytes[..bytes.len().min(256)]).is_ok() => "it is text",
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
