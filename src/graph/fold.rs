//! Folds batch norms into the preceding convolutions and linear layers.

use super::network::Graph;
use super::node::NodeId;
use super::op::Dropout;
use crate::tensor::compute_dtype;
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use std::sync::{Arc, OnceLock};

/// The graph with folded batch norms, created on first use.
#[derive(Default)]
struct Folded(OnceLock<Arc<Graph>>);

impl Graph {
    /// An equivalent network in which every batch norm that is the sole consumer of a convolution or linear layer is folded into
    /// that layer: `w' = w γ/√(σ² + ε)`, `b' = (b − μ) γ/√(σ² + ε) + β`. The batch norm's node becomes an identity, so node names
    /// and ids do not change.
    ///
    /// Rules that depend on weights then use the folded weights. A layer that computes the class scores directly is not changed.
    ///
    /// Errors if no weights are loaded.
    pub fn folded(&self) -> Result<Arc<Self>> {
        let kept = self.derived::<Folded>();
        if let Some(folded) = kept.0.get() {
            return Ok(folded.clone());
        }
        let folded = Arc::new(self.fold_all()?);
        Ok(kept.0.get_or_init(|| folded).clone())
    }

    fn fold_all(&self) -> Result<Self> {
        let mut graph = self.clone();
        for norm in 0..graph.nodes.len() {
            if let Some(layer) = graph.layer_before(norm) {
                graph.fold(layer, norm)?;
            }
        }
        Ok(graph)
    }

    /// The convolution or linear layer whose sole consumer is the batch norm `norm`. `None` if there is none, or if its channels are not in
    /// dimension 1, which the batch norm scales.
    fn layer_before(&self, norm: NodeId) -> Option<NodeId> {
        let node = &self.nodes[norm];
        let layer = *node.inputs.first().filter(|_| node.op.kind() == "batch_norm")?;
        let foldable = self.nodes[layer].op.with_bias().is_some() && self.channel_dim(layer) == 1;
        (foldable && layer != self.logits && self.readers(layer).count() == 1).then_some(layer)
    }

    fn fold(&mut self, layer: NodeId, norm: NodeId) -> Result<()> {
        let Some(op) = self.nodes[layer].op.with_bias() else { return Ok(()) };
        for node in [&self.nodes[layer], &self.nodes[norm]] {
            let loaded = node.params.len() == node.op.params().len();
            ensure!(loaded, "layer \"{}\" has no weights to fold; load some with -w", node.name);
        }
        let (scale, shift) = self.affine(norm)?;
        let params = &self.nodes[layer].params;
        let dtype = compute_dtype(params[0].dtype());
        let device = params[0].device().clone();
        let params = self.nodes[layer].op.effective(&wide(params)?)?;
        let ones = vec![1; params[0].rank() - 1];
        let weight = params[0].broadcast_mul(&scale.reshape([&[scale.elem_count()][..], &ones].concat())?)?;
        let bias = match params.get(1) {
            Some(b) => ((b * &scale)? + &shift)?,
            None => shift,
        };
        self.nodes[layer].op = op;
        self.nodes[layer].params =
            vec![weight.to_dtype(dtype)?.to_device(&device)?, bias.to_dtype(dtype)?.to_device(&device)?];
        self.nodes[norm].op = Arc::new(Dropout::default());
        self.nodes[norm].params = vec![];
        Ok(())
    }

    /// The scale and shift of each channel, in f64, of a node that computes `scale · x + shift`. For a batch norm they are `γ/√(σ² + ε)`
    /// and `β − μ γ/√(σ² + ε)`. They are computed from the node's outputs for the inputs 1 and 0.
    pub fn affine(&self, norm: NodeId) -> Result<(Tensor, Tensor)> {
        let node = &self.nodes[norm];
        let params = wide(&node.params)?;
        let zero = Tensor::zeros((1, node.shape[1], 1, 1), DType::F64, &Device::Cpu)?;
        let of = |x: &Tensor| -> Result<Tensor> { Ok(node.op.forward(&[x], &params)?.flatten_all()?) };
        let shift = of(&zero)?;
        Ok(((of(&(zero + 1.0)?)? - &shift)?, shift))
    }
}

/// Copies parameters to the CPU in f64, since not every device supports f64.
fn wide(params: &[Tensor]) -> Result<Vec<Tensor>> {
    params.iter().map(|p| Ok(p.to_device(&Device::Cpu)?.to_dtype(DType::F64)?)).collect()
}
