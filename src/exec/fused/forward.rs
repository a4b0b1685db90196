//! The fused forward pass.

use super::buffer::PooledBuffer;
use super::layout::Slot;
use super::plan::Plan;
use super::rerun::Base;
use super::step::{Step, StepKernel};
use crate::backend;
use crate::graph::{Graph, Node, NodeId};
use crate::tensor::repeated;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use gradscope_engine::{
    Activation, Epilogue, Saves, View, add_view, channel_statistics, gather, linear, matmul, multiply_maps, pass,
    softmax, to_channels_last_scaled,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The values of one batch, stored channels last. Values that have been read are also stored channels first.
#[derive(Debug)]
pub struct FusedRun {
    pub(super) plan: Arc<Plan>,
    pub(in crate::exec) input: Tensor,
    /// Number of pictures in the batch.
    pub(super) n: usize,
    pub(super) buffers: Vec<PooledBuffer>,
    pub(super) seen: Vec<OnceLock<Tensor>>,
    /// The batch statistics of each step that is batch normalization in training mode.
    pub(super) statistics: Vec<OnceLock<Statistics>>,
    /// The dropout masks, by node.
    pub(super) masks: Masks,
    /// The run that this one continues, if it is a rerun.
    pub(super) base: Option<Base>,
}

/// Dropout masks by node.
pub type Masks = Arc<BTreeMap<NodeId, Tensor>>;

/// Mean and variance of each channel over a batch.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Statistics {
    pub mean: Vec<f32>,
    /// The biased variance of each channel.
    pub variance: Vec<f32>,
}

impl Statistics {
    /// `1 / √(σ² + ε)` of each channel.
    pub fn inverse(&self, epsilon: f32) -> Vec<f32> {
        self.variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect()
    }
}

impl FusedRun {
    /// Runs the plan on the batch `x`; `tick` is called before each step and may stop the run with an error.
    pub(in crate::exec) fn new(
        plan: Arc<Plan>,
        graph: &Graph,
        x: &Tensor,
        masks: &Masks,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Self> {
        let mut run = Self { masks: masks.clone(), ..Self::before(plan, x) };
        run.go(graph, tick, true)?;
        Ok(run)
    }

    /// Computes only the value of the logits node and releases each buffer after its last use. `None` if the logits node lies
    /// inside a fused step.
    pub(in crate::exec) fn logits(
        plan: Arc<Plan>,
        graph: &Graph,
        x: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Option<Tensor>> {
        if plan.ends[graph.logits].is_none() {
            return Ok(None);
        }
        let mut run = Self::before(plan, x);
        run.go(graph, tick, false)?;
        Ok(Some(run.value(graph, graph.logits)?.clone()))
    }

    /// A run that has not started: all buffers are empty.
    fn before(plan: Arc<Plan>, x: &Tensor) -> Self {
        let buffers = plan.buffers.iter().map(|_| PooledBuffer::empty()).collect();
        let seen: Vec<_> = plan.shapes.iter().map(|_| OnceLock::new()).collect();
        seen[0].get_or_init(|| x.clone());
        let statistics = plan.steps.iter().map(|_| OnceLock::new()).collect();
        Self { plan, input: x.clone(), n: x.dims()[0], buffers, seen, statistics, masks: Masks::default(), base: None }
    }

    /// Computes the steps in order. With `keep`, values are kept after their last use.
    fn go(&mut self, graph: &Graph, tick: &dyn Fn(&Node) -> Result<()>, keep: bool) -> Result<()> {
        let plan = self.plan.clone();
        let kept = plan.ends[graph.logits].map(|step| plan.steps[step].to.buffer);
        for (i, step) in plan.steps.iter().enumerate() {
            tick(&graph.nodes[step.node])?;
            if plan.computes(i) {
                self.compute(graph, (i, step), keep)?;
            }
            let over =
                plan.last.iter().enumerate().filter(|&(buffer, &last)| !keep && last == i && Some(buffer) != kept);
            over.for_each(|(buffer, _)| self.buffers[buffer] = PooledBuffer::empty());
        }
        Ok(())
    }

    /// Computes one step.
    pub(super) fn compute(&mut self, graph: &Graph, (i, step): (usize, &Step), keep: bool) -> Result<()> {
        let mut to = self.take(step.to.buffer);
        let mut saved = step.saved.filter(|_| keep).map(|slot| self.take(slot.buffer));
        let done = self.step(graph, (i, step), &mut to, saved.as_mut());
        self.buffers[step.to.buffer] = to;
        if let (Some(slot), Some(saved)) = (step.saved, saved) {
            self.buffers[slot.buffer] = saved;
        }
        done
    }

    /// Takes a buffer out of the run and makes it large enough for its value. The caller must put it back.
    pub(super) fn take(&mut self, buffer: usize) -> PooledBuffer {
        let len = self.n * self.plan.buffers[buffer];
        let taken = std::mem::replace(&mut self.buffers[buffer], PooledBuffer::empty());
        if taken.numbers().len() < len { PooledBuffer::new(len) } else { taken }
    }

    /// Writes one step's value to its buffer, and the input of its activation to `saved`.
    fn step(
        &self,
        graph: &Graph,
        (place, step): (usize, &Step),
        buffer: &mut PooledBuffer,
        saved: Option<&mut PooledBuffer>,
    ) -> Result<()> {
        let n = self.n;
        let saved = step.saved.zip(saved).map(|(slot, saved)| slot.map_mut(n, saved.numbers_mut()));
        let mut y = step.to.map_mut(n, buffer.numbers_mut());
        let x = |i: usize| self.map(step.reads[i]);
        let add = step.add.map(|s| self.map(s));
        let (bias, activation) = (step.bias.as_deref(), step.activation);
        let epilogue = Epilogue { bias, add, activation, save: saved.as_ref(), ..Epilogue::default() };
        match &step.work {
            StepKernel::Input if self.only_normalized() => {}
            StepKernel::Input => {
                backend::with::<f32, _>(&self.input, |x| step.to.write(n, x, buffer.numbers_mut()))?;
            }
            StepKernel::Normalized(scale) => {
                let shift = step.bias.as_deref().unwrap_or_default();
                backend::with::<f32, _>(&self.input, |x| to_channels_last_scaled(x, &mut y, scale, shift))?;
            }
            StepKernel::Conv(conv) => conv.forward.run(&x(0), &mut y, epilogue),
            StepKernel::Linear(w) => {
                let (output, input) = w.dims2()?;
                let rows = n * step.to.rows();
                let x = self.dense(step.reads[0]);
                let (x, y) = (&x.numbers()[..rows * input], &mut buffer.numbers_mut()[..rows * output]);
                backend::with::<f32, _>(w, |w| linear(x, w, bias, y, (rows, input, output), activation))?;
            }
            StepKernel::RowNorm(norm, [gamma, beta]) => {
                let (x, y) = (self.dense(step.reads[0]), &mut buffer.numbers_mut()[..n * step.to.len()]);
                norm.forward(&x.numbers()[..y.len()], y, gamma.as_deref(), beta.as_deref());
            }
            StepKernel::Softmax => {
                let (x, y) = (self.dense(step.reads[0]), &mut buffer.numbers_mut()[..n * step.to.len()]);
                softmax(&x.numbers()[..y.len()], y, step.to.c);
            }
            StepKernel::Matmul([a, b]) => {
                let ((a, at), (b, bt)) = (self.viewed(step.reads[0], a), self.viewed(step.reads[1], b));
                let y = &mut buffer.numbers_mut()[..n * step.to.len()];
                matmul((a, &at), (b, &bt), y, activation, self.plan.algorithm);
            }
            StepKernel::Copy(view) => {
                let (x, view) = self.viewed(step.reads[0], view);
                gather(x, &view, &mut buffer.numbers_mut()[..n * step.to.len()]);
            }
            StepKernel::Alias => {}
            StepKernel::Mul => multiply_maps(&x(0), &x(1), &mut y, epilogue),
            StepKernel::AddBroadcast { view, .. } => {
                let (x, (z, view)) = (self.dense(step.reads[0]), self.viewed(step.reads[1], view));
                let y = &mut buffer.numbers_mut()[..n * step.to.len()];
                add_view(&x.numbers()[..y.len()], z, &view, y);
            }
            StepKernel::Max(pool) => pool.max(&x(0), &mut y),
            StepKernel::Mean(windows) => windows.pool.mean(&x(0), &mut y, |i, j| windows.divisor(i, j)),
            StepKernel::Pick(pick) => pick.forward(&x(0), &mut y),
            StepKernel::Flatten => {
                let (from, to) = (&self.plan.steps[step.reads[0]].to, &mut buffer.numbers_mut()[..n * step.to.len()]);
                from.read(n, self.buffers[from.buffer].numbers(), to);
            }
            StepKernel::Pass(None) => pass(&x(0), &mut y, epilogue),
            StepKernel::Pass(Some(scale)) => {
                let shift = step.bias.as_deref().unwrap_or_default();
                pass(&x(0), &mut y, Epilogue { bias: None, affine: Some((scale, shift)), ..epilogue });
            }
            StepKernel::BatchNorm(gamma, beta, epsilon) => {
                let (mean, variance) = channel_statistics(&x(0));
                let statistics = self.statistics[place].get_or_init(|| Statistics { mean, variance });
                let scale: Vec<_> = statistics.inverse(*epsilon).iter().zip(gamma).map(|(i, g)| i * g).collect();
                let shifts = beta.iter().zip(&statistics.mean).zip(&scale);
                let shift: Vec<_> = shifts.map(|((b, m), s)| b - m * s).collect();
                pass(&x(0), &mut y, Epilogue { affine: Some((&scale, &shift)), ..epilogue });
            }
            StepKernel::Mask => {
                let mask = self.mask(step)?;
                multiply_maps(&x(0), &step.to.alone().map(n, mask.numbers()), &mut y, Epilogue::default());
            }
            StepKernel::Concat(copies) => {
                for (from, to) in copies {
                    pass(&self.map(*from), &mut to.map_mut(n, buffer.numbers_mut()), Epilogue::default());
                }
            }
            StepKernel::Op => {
                let value = self.operation(graph, step.node)?;
                if self.plan.mapped[place] {
                    backend::with::<f32, _>(&value, |v| step.to.write(n, v, buffer.numbers_mut()))?;
                }
                self.seen[step.node].get_or_init(|| value);
            }
        }
        Ok(())
    }

    /// The value of a node, computed by the node itself.
    fn operation(&self, graph: &Graph, id: NodeId) -> Result<Tensor> {
        if let Some(value) = self.plan.constant(graph, id)? {
            return batched(value.clone(), self.n);
        }
        let node = &graph.nodes[id];
        let x = node.inputs.iter().map(|&i| self.value(graph, i)).collect::<Result<Vec<_>>>()?;
        batched(node.forward(&x)?, self.n)
    }

    /// Whether every step that reads the input is a normalization. Normalizations read NCHW directly, so the input need not be
    /// converted to channels last.
    fn only_normalized(&self) -> bool {
        let reads = |s: &&Step| s.reads.contains(&0) || s.add == Some(0);
        self.plan.steps.iter().filter(reads).all(|s| matches!(s.work, StepKernel::Normalized(_)))
    }

    /// The value of a step as feature maps.
    pub(super) fn map(&self, step: usize) -> gradscope_engine::Map<'_> {
        let slot = &self.plan.steps[step].to;
        slot.map(self.n, self.buffers[slot.buffer].numbers())
    }

    /// The buffer of a step, and where it holds what `view` selects for each picture.
    pub(super) fn viewed(&self, step: usize, view: &View) -> (&[f32], View) {
        let slot = &self.plan.steps[step].to;
        (self.buffers[slot.buffer].numbers(), view.batch(self.n, slot.len()))
    }

    /// The dropout mask of a step's node, in the layout of the step's value.
    pub(super) fn mask(&self, step: &Step) -> Result<PooledBuffer> {
        let mask = self.masks.get(&step.node).context("dropout needs a mask in training mode")?;
        let mut buffer = PooledBuffer::new(self.n * step.to.len());
        backend::with::<f32, _>(mask, |mask| step.to.alone().write(self.n, mask, buffer.numbers_mut()))?;
        Ok(buffer)
    }

    /// The batch statistics of a step. Errors if it has not run or is not batch normalization in training mode.
    pub(super) fn statistics(&self, step: usize) -> Result<&Statistics> {
        self.statistics[step].get().context("the batch statistics have not been computed yet")
    }

    /// The batch statistics of node `id`; `None` unless it is batch normalization in training mode.
    pub(in crate::exec) fn statistics_of(&self, graph: &Graph, id: NodeId) -> Option<&Statistics> {
        let step = self.plan.steps.iter().position(|step| step.first == id)?;
        self.statistics[step].get().filter(|_| graph.nodes[id].op.tracked().is_some())
    }

    /// The values from which the derivative of a step's activation is computed: its input or its output.
    pub(super) fn saved(&self, step: usize, activation: Activation) -> gradscope_engine::Map<'_> {
        let own = &self.plan.steps[step];
        match (activation.saves(), own.saved) {
            (Saves::Output, _) => self.map(step),
            (Saves::Input, Some(slot)) => slot.map(self.n, self.buffers[slot.buffer].numbers()),
            (Saves::Input, None) => self.map(own.reads[0]),
        }
    }

    /// The value of a step, with contiguous elements.
    pub(super) fn dense(&self, step: usize) -> Dense<'_> {
        let slot = &self.plan.steps[step].to;
        let buffer = self.buffers[slot.buffer].numbers();
        if slot.is_dense() { Dense::Here(buffer) } else { Dense::Copy(dense(slot, self.n, buffer)) }
    }

    /// The value of node `id`, `(N, …)`, computed on first use.
    pub(in crate::exec) fn value(&self, graph: &Graph, id: NodeId) -> Result<&Tensor> {
        if let Some(value) = self.seen[id].get() {
            return Ok(value);
        }
        if let Some(base) = self.base.as_ref().filter(|base| !base.changed[id]) {
            let value = repeated(base.run.value(graph, id)?.clone(), self.n)?;
            return Ok(self.seen[id].get_or_init(|| value));
        }
        let slot = |slot: &Slot| slot.tensor(self.n, self.buffers[slot.buffer].numbers(), &self.dims(id));
        let kept = |step: usize| self.plan.steps[step].saved.filter(|s| !self.buffers[s.buffer].numbers().is_empty());
        let value = match (self.plan.ends[id], self.plan.saved[id].and_then(kept)) {
            // The input buffer is empty if only normalizations read the input.
            (Some(step), _) if matches!(self.plan.steps[step].work, StepKernel::Input) => {
                self.input.reshape(self.dims(id))?
            }
            // The buffer of an unfused operation holds its value only if a fused step reads it.
            (Some(step), _) if matches!(self.plan.steps[step].work, StepKernel::Op) => {
                let own = self.plan.node(step);
                match self.seen[own].get() {
                    Some(value) => value.reshape(self.dims(id))?,
                    // Constants are computed when they are read.
                    None if self.plan.is_constant(own) => self.operation(graph, own)?.reshape(self.dims(id))?,
                    None => bail!("the operation has not run yet"),
                }
            }
            (Some(step), _) if self.plan.stores(step) => slot(&self.plan.steps[step].to)?,
            (None, Some(saved)) => slot(&saved)?,
            _ => match self.plan.places[id].as_ref().filter(|(step, _)| self.plan.stores(*step)) {
                Some((step, view)) => {
                    let (x, view) = self.viewed(*step, view);
                    let mut elements = vec![0f32; view.elements()];
                    gather(x, &view, &mut elements);
                    backend::tensor(elements, &self.dims(id))?
                }
                None => self.operation(graph, id)?,
            },
        };
        Ok(self.seen[id].get_or_init(|| value))
    }

    /// The shape of the value of node `id`, with the batch size first.
    pub(in crate::exec) fn dims(&self, id: NodeId) -> Vec<usize> {
        [&[self.n], &self.plan.shapes[id][1..]].concat()
    }

    /// Memory used by the run's values, in bytes.
    pub(in crate::exec) fn bytes(&self) -> usize {
        self.buffers.iter().map(|r| size_of_val(r.numbers())).sum()
    }
}

/// Contiguous elements, either borrowed or copied.
pub(super) enum Dense<'a> {
    Here(&'a [f32]),
    Copy(PooledBuffer),
}

impl Dense<'_> {
    pub fn numbers(&self) -> &[f32] {
        match self {
            Self::Here(numbers) => numbers,
            Self::Copy(buffer) => buffer.numbers(),
        }
    }
}

/// A copy of the value that `slot` stores in `buffer` for `n` pictures, with contiguous elements.
pub(super) fn dense(slot: &Slot, n: usize, buffer: &[f32]) -> PooledBuffer {
    let mut copy = PooledBuffer::new(n * slot.len());
    pass(&slot.map(n, buffer), &mut slot.alone().map_mut(n, copy.numbers_mut()), Epilogue::default());
    copy
}

/// Repeats the value of a node without inputs, such as a constant, for each of `n` pictures. Converts it to f32.
pub(super) fn batched(value: Tensor, n: usize) -> Result<Tensor> {
    let value = value.to_dtype(DType::F32)?;
    if value.dims()[0] == n {
        return Ok(value);
    }
    let shape = [&[n], &value.dims()[1..]].concat();
    Ok(value.broadcast_as(shape)?.contiguous()?)
}
