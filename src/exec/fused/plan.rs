//! The execution plan of a network for one input size.

use super::layout::Layout;
use super::segment;
use super::step::{self, Step, StepKernel};
use crate::graph::{Graph, NodeId};
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::{Algorithm, View};
use std::sync::OnceLock;

/// The steps of a network for one input size, and where their values are stored.
#[derive(Debug)]
pub(in crate::exec) struct Plan {
    /// The input shape, excluding the batch dimension.
    pub(super) input: Vec<usize>,
    pub(super) steps: Vec<Step>,
    /// How matrix products are computed.
    pub(super) algorithm: Algorithm,
    /// Number of elements per picture of each buffer.
    pub(super) buffers: Vec<usize>,
    /// The last step that uses each buffer.
    pub(super) last: Vec<usize>,
    /// Whether a fused step reads each step's value from its buffer; unfused operations read tensors instead.
    pub(super) mapped: Vec<bool>,
    /// Shape of each node's value for a batch size of 1.
    pub(super) shapes: Vec<Vec<usize>>,
    /// For each node, the step that computes its value; `None` for nodes inside a step.
    pub(super) ends: Vec<Option<usize>>,
    /// For each node, the step that saves its value to compute the derivative of the step's activation.
    pub(super) saved: Vec<Option<usize>>,
    /// For each node, the step that stores its elements, and where. `None` for nodes inside a step.
    pub(super) places: Vec<Option<(usize, View)>>,
    /// For each node, whether the gradient of its step is its own.
    pub(super) whole: Vec<bool>,
    /// Number of consumers of each step's value.
    pub(super) uses: Vec<usize>,
    /// The value, for a batch size of 1, of each node that depends only on parameters and constants, computed on first use.
    constants: Vec<Option<OnceLock<Tensor>>>,
    /// For each step, whether it computes a constant that only other constants depend on.
    inner: Vec<bool>,
}

impl Plan {
    pub(super) fn new(graph: &Graph, input: &[usize], shapes: Vec<Vec<usize>>) -> Result<Self> {
        let segments = segment::segments(graph, &shapes);
        let layout = Layout::new(&segments, &shapes);
        let steps = step::steps(graph, &shapes, &segments, &layout)?;
        let mut last = vec![0; layout.buffers.len()];
        let mut mapped = vec![false; steps.len()];
        for (i, step) in steps.iter().enumerate() {
            last[step.to.buffer] = i;
            for &read in step.reads.iter().chain(&step.add) {
                last[steps[read].to.buffer] = i;
                // A view may be computed when it is read.
                if let StepKernel::Alias | StepKernel::Copy(_) = steps[read].work {
                    last[steps[steps[read].reads[0]].to.buffer] = i;
                }
            }
        }
        if let Some(end) = segments.ends[graph.logits] {
            mapped[end] = true;
        }
        for (i, step) in steps.iter().enumerate().rev() {
            let reads = match step.work {
                StepKernel::Op => false,
                StepKernel::Alias | StepKernel::Copy(_) => mapped[i],
                _ => true,
            };
            step.reads.iter().chain(&step.add).filter(|_| reads).for_each(|&read| mapped[read] = true);
        }
        let mut saved = vec![None; shapes.len()];
        for (i, segment) in segments.steps.iter().enumerate().filter(|(i, _)| steps[*i].saved.is_some()) {
            saved[graph.nodes[segment.last].inputs[0]] = Some(i);
        }
        let constant = &segments.constant;
        let inner = |step: &Step| constant[step.node] && graph.readers(step.node).all(|id| constant[id]);
        Ok(Self {
            inner: steps.iter().map(inner).collect(),
            constants: constant.iter().map(|&constant| constant.then(OnceLock::new)).collect(),
            input: input.to_vec(),
            steps,
            algorithm: graph.accumulation().into(),
            buffers: layout.buffers,
            last,
            mapped,
            shapes,
            ends: segments.ends,
            saved,
            places: segments.places,
            whole: segments.whole,
            uses: layout.uses,
        })
    }

    /// Whether a batch norm's parameters are folded into the weights of a convolution, or into the scale of a pass.
    pub(super) fn has_folded_norms(&self, graph: &Graph) -> bool {
        self.steps.iter().any(|step| match &step.work {
            StepKernel::Conv(conv) => conv.is_folded(),
            StepKernel::Pass(Some(_)) => !graph.nodes[step.first].params.is_empty(),
            _ => false,
        })
    }

    /// Whether a run computes step `i`. A view that only unfused operations read is computed when they do.
    pub(super) fn computes(&self, i: usize) -> bool {
        match self.steps[i].work {
            StepKernel::Alias => false,
            StepKernel::Copy(_) => self.mapped[i],
            _ => !self.inner[i],
        }
    }

    /// Whether a node depends only on parameters and constants.
    pub(super) fn is_constant(&self, id: NodeId) -> bool {
        self.constants[id].is_some()
    }

    /// The value of a node for a batch size of 1, if it depends only on parameters and constants.
    pub(super) fn constant(&self, graph: &Graph, id: NodeId) -> Result<Option<&Tensor>> {
        let Some(known) = &self.constants[id] else { return Ok(None) };
        if let Some(value) = known.get() {
            return Ok(Some(value));
        }
        let node = &graph.nodes[id];
        let inputs = node.inputs.iter().map(|&i| self.constant(graph, i)).collect::<Result<Option<Vec<_>>>>()?;
        let value = node.forward(&inputs.unwrap_or_default())?.to_dtype(DType::F32)?;
        Ok(Some(known.get_or_init(|| value)))
    }

    /// Whether the buffer of step `i` holds its value after a run.
    pub(super) fn stores(&self, i: usize) -> bool {
        match self.steps[i].work {
            StepKernel::Alias => self.stores(self.steps[i].reads[0]),
            StepKernel::Copy(_) | StepKernel::Op => self.mapped[i],
            _ => true,
        }
    }

    /// The node whose value a step computes.
    pub(super) fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }
}
