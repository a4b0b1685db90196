//! The execution plan of a network for one input size.

use super::layout::Layout;
use super::segment;
use super::step::{self, Step, StepKernel};
use crate::graph::{Graph, NodeId};
use anyhow::Result;

/// The steps of a network for one input size, and where their values are stored.
#[derive(Debug)]
pub(in crate::exec) struct Plan {
    /// The input shape, excluding the batch dimension.
    pub(super) input: Vec<usize>,
    pub(super) steps: Vec<Step>,
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
    /// Number of consumers of each step's value.
    pub(super) uses: Vec<usize>,
}

impl Plan {
    pub(super) fn new(graph: &Graph, input: &[usize], shapes: Vec<Vec<usize>>) -> Result<Self> {
        let segments = segment::segments(graph, &shapes);
        let layout = Layout::new(&segments, &shapes);
        let steps = step::steps(graph, &shapes, &segments, &layout)?;
        let mut last = vec![0; layout.buffers.len()];
        for (i, step) in steps.iter().enumerate() {
            last[step.to.buffer] = i;
            step.reads.iter().chain(&step.add).for_each(|&read| last[steps[read].to.buffer] = i);
        }
        let mut mapped = vec![false; steps.len()];
        for step in steps.iter().filter(|step| !matches!(step.work, StepKernel::Op)) {
            step.reads.iter().chain(&step.add).for_each(|&read| mapped[read] = true);
        }
        let mut saved = vec![None; shapes.len()];
        for (i, segment) in segments.steps.iter().enumerate().filter(|(i, _)| steps[*i].saved.is_some()) {
            saved[graph.nodes[segment.last].inputs[0]] = Some(i);
        }
        Ok(Self {
            input: input.to_vec(),
            steps,
            buffers: layout.buffers,
            last,
            mapped,
            shapes,
            ends: segments.ends,
            saved,
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

    /// The node whose value a step computes.
    pub(super) fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }
}
