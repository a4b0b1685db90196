//! From an architecture to a model: its weights, and the architecture that a weight file's tensors tell.

use super::architecture::Architectures;
use crate::graph::Graph;
use crate::model::format::{self, ENDINGS, Weights};
use crate::model::{Card, Model};
use crate::tensor::device;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

impl Architectures {
    /// A network ready to run in float32: `name` is an architecture, a `.rhai` file with one, or a weight file whose
    /// tensors tell the architecture.
    ///
    /// Without `weights` the architecture's own are taken, `models/<name>.safetensors`. Errors list missing, surplus
    /// and misshapen tensors.
    pub fn open(&self, name: &str, weights: Option<&Path>) -> Result<Model> {
        if is_weight_file(name) {
            ensure!(
                weights.is_none(),
                "\"{name}\" is a weight file itself; name an architecture to give other weights"
            );
            return self.tell(Path::new(name));
        }
        ensure!(
            !name.ends_with(".onnx"),
            "\"{name}\" is an ONNX graph, which cannot be read yet; give a .safetensors or PyTorch file"
        );
        let (card, graph) = self.build(name)?;
        match weights {
            Some(path) => model(card, &graph, format::read(path)?)
                .with_context(|| format!("loading \"{}\" into {name}", path.display())),
            None => model(card, &graph, self.own(name)?),
        }
    }

    /// The weights that stand beside the scripts, or in the binary.
    fn own(&self, name: &str) -> Result<Weights> {
        let bytes = self.file(&format!("{name}.safetensors"))?;
        let needs = || format!("{name} needs weights: give a .safetensors or PyTorch file with -w");
        format::parse(&bytes.with_context(needs)?)
    }

    /// The architecture that has exactly the tensors of a weight file; of several the one that the file is named after.
    fn tell(&self, path: &Path) -> Result<Model> {
        let weights = format::read(path)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut found = Vec::new();
        for name in self.names() {
            let (card, graph) = self.build(&name)?;
            found.push((differences(&graph, &weights.tensors), !stem.starts_with(&name), card, graph));
        }
        found.sort_by_key(|(differences, other, ..)| (*differences, *other));
        if let Some((0, _, card, graph)) = found.first() {
            return model(card.clone(), graph, weights);
        }
        let near: Vec<_> = found.iter().take(3).map(|(n, _, card, _)| format!("{} ({n} differ)", card.name)).collect();
        bail!(
            "no architecture has the {} tensors of \"{}\"; nearest are {}; name one with -m and give the file with -w",
            weights.tensors.len(),
            path.display(),
            near.join(", ")
        )
    }
}

fn is_weight_file(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending)
}

/// An architecture with weights, in float32.
fn model(card: Card, graph: &Graph, weights: Weights) -> Result<Model> {
    let graph = graph.with_weights(weights.tensors)?.to(DType::F32, &device())?;
    Ok(Model { card: card.into(), graph: graph.into(), hash: weights.hash.into() })
}

/// How many tensors are missing, surplus or misshapen.
fn differences(graph: &Graph, tensors: &BTreeMap<String, Tensor>) -> usize {
    let wanted = graph.parameters();
    let present = wanted.iter().filter(|p| tensors.contains_key(&p.name)).count();
    let fits = |p: &&crate::graph::Parameter| tensors.get(&p.name).is_some_and(|t| t.dims() == p.shape);
    let fitting = wanted.iter().filter(fits).count();
    let given = tensors.keys().filter(|name| !name.ends_with("num_batches_tracked")).count();
    wanted.len() - fitting + (given - present)
}
