//! Opens files that hold the graph of a network: ONNX and `.pt2`.

use super::Architectures;
use crate::data::read_whole;
use crate::exec::RunOptions;
use crate::model::onnx::{self, ReadOptions};
use crate::model::{Card, Model, pt2};
use crate::words;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Mean and standard deviation of ImageNet per channel, with which most networks normalize their inputs.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// Endings of files that hold a graph.
pub(super) const GRAPHS: [&str; 2] = [".onnx", ".pt2"];
/// Maximum size of an ONNX file in bytes. The format ends at 2 GiB; larger weights are in files beside it.
const MAX_BYTES: u64 = 2 << 30;

impl Architectures {
    /// Opens the network in an ONNX or `.pt2` file.
    ///
    /// Errors if the file is damaged, if it contains operators that are not supported, or if its input is not a picture.
    pub(super) fn open_graph(&self, path: &Path) -> Result<Model> {
        let what = || format!("opening \"{}\"", words::path(&path));
        read(path, self.guard.options()).with_context(what)
    }
}

fn read(path: &Path, options: &RunOptions) -> Result<Model> {
    let asked = ReadOptions { normalize: Some((IMAGENET.0.to_vec(), IMAGENET.1.to_vec())), ..ReadOptions::default() };
    let network = match path.extension().is_some_and(|end| end == "pt2") {
        true => pt2::read(path, &asked)?,
        false => onnx::read(read_whole(path, MAX_BYTES)?, path.parent(), &asked)?,
    };
    let mut hash = Sha256::new();
    for (name, weight) in network.graph.weights() {
        hash.update(name);
        hash.update(weight.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    }
    let shape = network.graph.nodes[0].shape[1..].to_vec();
    let [c, h, w] = shape[..] else { anyhow::bail!("its input is {shape:?}, not a picture (C, H, W)") };
    ensure!(c > 0 && h > 0 && w > 0, "its input is {shape:?}, not a picture");
    let (mean, std) = match network.normalizes || c != 3 {
        true => (vec![0.0; c], vec![1.0; c]),
        false => (IMAGENET.0.to_vec(), IMAGENET.1.to_vec()),
    };
    let card = Card {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        summary: "a network from an exported graph".into(),
        input: [c, h, w],
        // Networks with large inputs usually expect a center crop of 7/8 of the resized picture, such as 224 of 256.
        resize: (h == w && h >= 128).then_some(h * 8 / 7),
        mean,
        std,
        labels: [].into(),
        synonyms: [].into(),
        picture: "made:shapes[0]".into(),
    };
    let graph = network.graph.placed(options)?;
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(Model { card: card.into(), graph: graph.into(), hash: hash.into(), taken: "".into() })
}
