//! Weights that rules of relevance derive from a node's own, such as their positive part, kept from one run to the next.

use super::layer_context::LayerContext;
use crate::graph::NodeId;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::Mutex;

/// Derived weights by node and name.
#[derive(Default)]
struct DerivedWeights(Mutex<HashMap<(NodeId, &'static str), Numbered>>);

/// A weight with the number that it was derived by.
type Numbered = (f64, Tensor);

impl LayerContext {
    /// The node's weight as `of` derives it; the same tensor for the same name and number. One number a name is kept.
    ///
    /// # Panics
    /// Where the node has no parameters.
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
        let weight = of(&self.node().params[0])?;
        all().insert((self.id, name), (number, weight.clone()));
        Ok(weight)
    }
}
