//! Batch statistics, as computed by batch normalization in training mode.

use super::trace::Trace;
use crate::graph::NodeId;
use anyhow::Result;
use candle_core::{Device, Tensor};

/// Mean and variance of each channel over a batch.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// The mean, `(C)`.
    pub mean: Tensor,
    /// The unbiased variance of each channel, `(C)`, as in PyTorch's running statistics.
    pub variance: Tensor,
}

impl Trace {
    /// The batch statistics of the input of node `id`, `(N, C, …)`.
    pub fn batch_statistics(&self, id: NodeId) -> Result<BatchStatistics> {
        let read = self.graph.nodes[id].inputs[0];
        let dims = self.dims(read)?;
        let count = (dims.iter().product::<usize>() / dims[1].max(1)) as f64;
        let (mean, variance) = match self.fused().and_then(|run| run.statistics_of(&self.graph, id)) {
            Some(found) => {
                let tensor = |v: &[f32]| Tensor::new(v, &Device::Cpu);
                (tensor(&found.mean)?, tensor(&found.variance)?)
            }
            None => {
                let rows = self.value(read)?.transpose(0, 1)?.contiguous()?.reshape((dims[1], ()))?;
                let mean = rows.mean_keepdim(1)?;
                let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(1)?;
                (mean.squeeze(1)?, variance)
            }
        };
        let unbiased = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
        Ok(BatchStatistics { mean, variance: (variance * unbiased)? })
    }
}
