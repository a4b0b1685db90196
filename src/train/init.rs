//! Random initialization of weights.

use crate::graph::{Graph, Node, Parameter};
use crate::words;
use anyhow::{Error, Result, bail};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// Distribution of the initial weights of a layer with fan-in `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Weights uniform in `±√(6/n)`, biases 0. Preserves the variance through ReLU layers (He et al. 2015, arXiv:1502.01852).
    ///
    /// Corresponds to PyTorch's `kaiming_uniform_(nonlinearity="relu")`.
    He,
    /// Weights and biases uniform in `±1/√n`, the default of PyTorch's `Conv2d` and `Linear`. Deep networks without batch norm train
    /// poorly when initialized this way.
    Torch,
}

impl FromStr for Init {
    type Err = Error;

    /// Parses `he` or `torch`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "he" => Ok(Self::He),
            "torch" => Ok(Self::Torch),
            _ => bail!("no initialization named \"{}\"; use he or torch", words::name(text)),
        }
    }
}

/// A copy of the network with random weights in f32 on the CPU.
///
/// Norm layers start with weights and variances of 1, biases and means of 0. A tensor's random values depend only on the seed and
/// its name, so adding a layer does not change the other layers.
pub(super) fn draw(graph: &Graph, init: Init, seed: u64) -> Result<Graph> {
    let mut drawn = graph.clone();
    for node in &mut drawn.nodes {
        node.params = params(node, init, seed)?;
    }
    Ok(drawn)
}

fn params(node: &Node, init: Init, seed: u64) -> Result<Vec<Tensor>> {
    let fan_in = node.parameters().next().map_or(1, |weight| weight.shape[1..].iter().product::<usize>()).max(1) as f32;
    let normalizes = node.op.kind().ends_with("norm");
    let tensor = |p: Parameter| {
        if normalizes {
            let ones = p.name.ends_with("weight") || p.name.ends_with("running_var");
            let start = if ones { 1f32 } else { 0.0 };
            return Ok(Tensor::full(start, p.shape, &Device::Cpu)?);
        }
        let bound = match init {
            Init::He if p.shape.len() == 1 => 0.0,
            Init::He => (6.0 / fan_in).sqrt(),
            Init::Torch => 1.0 / fan_in.sqrt(),
        };
        let key = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(&p.name).finalize();
        let mut rng = ChaCha8Rng::from_seed(key.into());
        let count = p.shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0)).collect();
        Ok(Tensor::from_vec(values, p.shape, &Device::Cpu)?)
    };
    node.parameters().map(tensor).collect()
}
