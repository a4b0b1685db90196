//! What a network's weights were made into, kept for whoever asks next: rules of relevance want the same ones every time.

use super::node::{Graph, NodeId};
use super::trace::Site;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// Clones start without: they are about to be changed.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) folded: OnceLock<Arc<Graph>>,
    weights: Mutex<HashMap<(NodeId, &'static str), Numbered>>,
}

/// A weight with the number that it was made by.
type Numbered = (f64, Tensor);

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Site {
    /// The node's weight as `of` makes it; the same tensor whenever it is asked for by this name and number. One number a
    /// name is remembered.
    ///
    /// # Panics
    /// Where the node has no parameters.
    pub fn weight(
        &self,
        name: &'static str,
        number: f64,
        of: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let made = || self.graph.made.weights.lock_unpoisoned();
        if let Some((n, kept)) = made().get(&(self.id, name))
            && n.to_bits() == number.to_bits()
        {
            return Ok(kept.clone());
        }
        let weight = of(&self.node().params[0])?;
        made().insert((self.id, name), (number, weight.clone()));
        Ok(weight)
    }
}
