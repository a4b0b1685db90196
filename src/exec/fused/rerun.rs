//! Reruns of a fused run with the value of one node replaced, for activation patching and ablation. Only what depends on that node is
//! computed again.

use super::buffer::PooledBuffer;
use super::forward::{FusedRun, Masks};
use super::step::StepKernel;
use crate::backend;
use crate::graph::{Graph, NodeId};
use crate::tensor::repeated;
use anyhow::Result;
use candle_core::Tensor;
use std::sync::{Arc, OnceLock};

/// The run that another run continues.
#[derive(Debug)]
pub(super) struct Base {
    pub run: Arc<FusedRun>,
    /// For each node, whether its value differs.
    pub changed: Vec<bool>,
}

impl FusedRun {
    /// The step that computes node `at`, if its value can be replaced: other steps must read it only from there.
    fn replaceable(&self, at: NodeId) -> Option<usize> {
        let plan = &self.plan;
        let own = plan.ends[at].filter(|&step| plan.node(step) == at && plan.whole[at] && !plan.is_constant(at))?;
        let trains = plan.steps.iter().any(|s| matches!(s.work, StepKernel::BatchNorm(..) | StepKernel::Mask));
        let shares = matches!(plan.steps[own].work, StepKernel::Alias);
        (at > 0 && self.base.is_none() && !trains && !shares).then_some(own)
    }

    /// Reruns the network with the value of node `at` replaced by `edit` of it, `(K, …)`, where K is a multiple of the batch size: row `r`
    /// belongs to picture `r % N`. `None` if the value cannot be replaced; `edit` is not called then.
    pub(in crate::exec) fn rerun(
        self: &Arc<Self>,
        graph: &Graph,
        at: NodeId,
        edit: impl FnOnce(Tensor) -> Result<Tensor>,
    ) -> Result<Option<Self>> {
        let plan = self.plan.clone();
        let Some(own) = self.replaceable(at) else { return Ok(None) };
        let value = edit(self.value(graph, at)?.clone())?;
        let n = value.dims()[0];
        let mut changed = vec![false; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            changed[id] = id == at || node.inputs.iter().any(|&i| changed[i]);
        }
        let base = Some(Base { run: self.clone(), changed });
        let mut run = Self {
            plan: plan.clone(),
            input: repeated(self.input.clone(), n)?,
            n,
            buffers: plan.buffers.iter().map(|_| PooledBuffer::empty()).collect(),
            seen: plan.shapes.iter().map(|_| OnceLock::new()).collect(),
            statistics: plan.steps.iter().map(|_| OnceLock::new()).collect(),
            masks: Masks::default(),
            base,
        };
        let mut stale = vec![false; plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            let mut reads = step.reads.iter().chain(&step.add);
            stale[i] = i == own || reads.any(|&read| stale[read]);
            if !stale[i] || (i != own && !plan.computes(i)) {
                continue;
            }
            // Part of a concatenation may be unchanged.
            if !step.to.is_dense() || matches!(step.work, StepKernel::Concat(_)) {
                run.copy_from_base(step.to.buffer);
            }
            if i == own {
                if plan.stores(i) {
                    let mut to = run.take(step.to.buffer);
                    backend::with::<f32, _>(&value, |value| step.to.write(n, value, to.numbers_mut()))?;
                    run.buffers[step.to.buffer] = to;
                }
                run.seen[at].get_or_init(|| value.clone());
                continue;
            }
            let unchanged = step.reads.iter().chain(&step.add).filter(|read| !stale[**read]);
            unchanged.for_each(|&read| run.copy_from_base(plan.steps[read].to.buffer));
            run.compute(graph, (i, step), true)?;
        }
        Ok(Some(run))
    }

    /// Repeats a buffer of the run that this one continues for each row of the batch, if this run has not yet written it.
    fn copy_from_base(&mut self, buffer: usize) {
        let Some(base) = self.base.as_ref().filter(|_| self.buffers[buffer].numbers().is_empty()) else { return };
        let (from, len) = (&base.run.buffers[buffer], self.plan.buffers[buffer]);
        if from.numbers().len() < base.run.n * len || len == 0 {
            return;
        }
        let mut to = PooledBuffer::new(self.n * len);
        for (row, to) in to.numbers_mut().chunks_exact_mut(len).take(self.n).enumerate() {
            to.copy_from_slice(&from.numbers()[row % base.run.n * len..][..len]);
        }
        self.buffers[buffer] = to;
    }
}
