//! The function `model.randomized(layers, seed)`, which returns the network with the weights of some layers replaced with
//! random numbers.

use super::{Guard, out};
use crate::model::Model;
use crate::script::api::gaussian;
use crate::tensor::{like, numbers};
use anyhow::{Result, anyhow, ensure};
use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rhai::{Array, Engine, INT};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("randomized", move |m: &mut Model, layers: Array, seed: INT| {
        out(names(&layers).and_then(|layers| randomized(&g, m, &layers, seed)))
    });
    let g = guard.clone();
    engine.register_fn("randomized", move |m: &mut Model, layer: &str, seed: INT| {
        out(randomized(&g, m, &[layer.to_string()], seed))
    });
}

fn names(layers: &Array) -> Result<Vec<String>> {
    let name =
        |v: &rhai::Dynamic| v.clone().into_string().map_err(|t| anyhow!("a layer's name must be a string, got {t}"));
    layers.iter().map(name).collect()
}

/// Replaces each trained tensor of the given layers with normal random values that have the tensor's mean and standard deviation
/// (Adebayo et al. 2018, arXiv:1810.03292); running statistics and tensors with values that are not finite are left unchanged. The values depend only on the seed and the
/// tensor's name, so a layer's new weights do not depend on which other layers are randomized.
fn randomized(guard: &Guard, model: &Model, layers: &[String], seed: INT) -> Result<Model> {
    let mut graph = (*model.graph).clone();
    for layer in layers {
        let id = graph.find(layer)?;
        let node = &mut graph.nodes[id];
        let kinds: Vec<_> = node.parameters().collect();
        ensure!(kinds.iter().any(|p| p.trained), "layer \"{layer}\" has no weights to randomize");
        for (kind, tensor) in kinds.iter().zip(&mut node.params).filter(|(kind, _)| kind.trained) {
            guard.tick()?;
            *tensor = drawn(tensor, &kind.name, seed)?;
        }
    }
    Ok(Model { graph: graph.into(), hash: format!("{} randomized", model.hash).into(), ..model.clone() })
}

fn drawn(tensor: &Tensor, name: &str, seed: INT) -> Result<Tensor> {
    let values = numbers(tensor)?;
    // A mask with −∞, which exported networks may store like a weight.
    if !values.iter().all(|v| v.is_finite()) {
        return Ok(tensor.clone());
    }
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    name.bytes().enumerate().for_each(|(i, b)| key[8 + i % 24] = key[8 + i % 24].rotate_left(3) ^ b);
    let mut fresh = vec![0f32; values.len()];
    gaussian::fill(&mut ChaCha8Rng::from_seed(key), &mut fresh);
    let fresh: Vec<f64> = fresh.iter().map(|&v| mean + deviation * f64::from(v)).collect();
    like(fresh, tensor.dims(), tensor)
}
