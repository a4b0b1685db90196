//! The steps of a network for inputs of one size.

use super::layout::Layout;
use super::segment;
use super::step::{self, Step, StepKernel};
use crate::graph::{Graph, NodeId};
use anyhow::Result;

/// The steps of a network for pictures of one size.
#[derive(Debug)]
pub(in crate::exec) struct Plan {
    /// Sizes of the input without the batch, and whether 3x3 convolutions are summed directly.
    pub(super) key: (Vec<usize>, bool),
    pub(super) steps: Vec<Step>,
    /// Numbers a picture in each room that values live in.
    pub(super) buffers: Vec<usize>,
    /// The last step that reads from each room or writes into it.
    pub(super) last: Vec<usize>,
    /// Sizes of each node's value for one picture.
    pub(super) shapes: Vec<Vec<usize>>,
    /// The step whose value is the node's; none for those in the middle of a step.
    pub(super) ends: Vec<Option<usize>>,
    /// The step that keeps the node's value for the slope of its activation.
    pub(super) saved: Vec<Option<usize>>,
    /// How often a step's value is read by others.
    pub(super) uses: Vec<usize>,
}

impl Plan {
    pub(super) fn new(graph: &Graph, key: (Vec<usize>, bool), shapes: Vec<Vec<usize>>) -> Result<Self> {
        let segments = segment::segments(graph, &shapes);
        let layout = Layout::new(&segments, &shapes);
        let steps = step::steps(graph, &shapes, &segments, &layout, key.1)?;
        let mut last = vec![0; layout.buffers.len()];
        for (i, step) in steps.iter().enumerate() {
            last[step.to.buffer] = i;
            step.reads.iter().chain(&step.add).for_each(|&read| last[steps[read].to.buffer] = i);
        }
        let mut saved = vec![None; shapes.len()];
        for (i, segment) in segments.steps.iter().enumerate().filter(|(i, _)| steps[*i].saved.is_some()) {
            saved[graph.nodes[segment.last].inputs[0]] = Some(i);
        }
        Ok(Self { key, steps, buffers: layout.buffers, last, shapes, ends: segments.ends, saved, uses: layout.uses })
    }

    /// Whether a batch norm's parameters are in the weights of a convolution, or in the factors of a pass.
    pub(super) fn has_folded_norms(&self, graph: &Graph) -> bool {
        self.steps.iter().any(|step| match &step.work {
            StepKernel::Conv(conv) => conv.is_folded(),
            StepKernel::Pass(Some(_)) => !graph.nodes[step.first].params.is_empty(),
            _ => false,
        })
    }

    /// The node whose value a step gives.
    pub(super) fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }
}
