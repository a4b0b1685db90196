//! Tensors that LRP rules derive from weights, such as the positive part of a weight, cached for later passes.

use super::layer_context::LayerContext;
use crate::graph::NodeId;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::Mutex;

/// The cached derived weights, by node and name.
#[derive(Default)]
struct DerivedWeights(Mutex<HashMap<(NodeId, &'static str), Numbered>>);

/// The parameter of a transformation and the transformed weight.
type Numbered = (f64, Tensor);

impl LayerContext {
    /// The node's weight, transformed by `of`. The result is cached under `name` and reused while `number`, the parameter of the
    /// transformation, stays the same. The cache holds one entry per node and name.
    ///
    /// # Panics
    /// If the node has no parameters.
    pub fn weight(
        &self,
        name: &'static str,
        number: f64,
        of: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let kept = self.graph().derived::<DerivedWeights>();
        let all = || kept.0.lock_unpoisoned();
        if let Some((n, weight)) = all().get(&(self.id, name))
            && n.to_bits() == number.to_bits()
        {
            return Ok(weight.clone());
        }
        let weight = of(&self.node().weights()?[0])?;
        all().insert((self.id, name), (number, weight.clone()));
        Ok(weight)
    }
}
