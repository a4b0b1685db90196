//! Executable steps of a plan.

use super::layout::{Layout, Slot};
use super::packed::Packed;
use super::segment::{Segment, Segments};
use crate::backend::{self, Accumulation, Conv2d, Pool2d, Window};
use crate::graph::op::Pattern;
use crate::graph::{Graph, NodeId};
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::{Activation, Pool, RowNorm, StridedSlice, View};
use std::sync::Arc;

/// One step of a plan.
#[derive(Debug)]
pub(super) struct Step {
    /// The node whose value the step computes.
    pub node: NodeId,
    /// The step's first node, whose parameters it uses.
    pub first: NodeId,
    pub work: StepKernel,
    /// The steps whose values the step reads.
    pub reads: Vec<usize>,
    /// The step whose value is added, if there is one.
    pub add: Option<usize>,
    /// The bias of each channel, if any.
    pub bias: Option<Vec<f32>>,
    /// The activation at the end of the step.
    pub activation: Option<Activation>,
    /// Where the step's value is stored.
    pub to: Slot,
    /// Where the input of the step's activation is saved, if the derivative is computed from it and no other step stores it.
    pub saved: Option<Slot>,
}

#[derive(Debug)]
pub(super) enum StepKernel {
    /// The input, converted to channels last.
    Input,
    /// The input, scaled per channel during the conversion to channels last.
    Normalized(Vec<f32>),
    Conv(Arc<Packed>),
    Linear(Tensor),
    /// Normalization of rows, with γ and β.
    RowNorm(RowNorm, [Option<Vec<f32>>; 2]),
    /// Softmax over the last dimension.
    Softmax,
    /// A product of matrices, and where they are in the values that the step reads.
    Matmul([View; 2]),
    /// The product of two values; the second may have a single pixel per picture.
    Mul,
    /// The sum of two values: the shape of the second, and which of its elements is added to each of the first, both without the batch
    /// dimension.
    AddBroadcast {
        inner: Vec<usize>,
        view: View,
    },
    /// The value that the step reads, in another shape but in the same order in memory.
    Alias,
    /// The elements of another value that a view selects, in the order of the step's slot.
    Copy(View),
    Max(Pool),
    Mean(Windows),
    Flatten,
    Pick(StridedSlice),
    /// An elementwise pass, with an optional scale per channel.
    Pass(Option<Vec<f32>>),
    /// Batch normalization in training mode, with γ, β and ε.
    BatchNorm(Vec<f32>, Vec<f32>, f32),
    /// Multiplication by the dropout mask of the step's node.
    Mask,
    /// A concatenation: the inputs that must be copied, and the slots to copy them to.
    Concat(Vec<(usize, Slot)>),
    /// An unfused operation, computed by the node itself.
    Op,
}

impl StepKernel {
    /// Whether the kernel is linear, so that its gradient does not depend on the input.
    pub fn is_linear(&self) -> bool {
        use StepKernel::{Alias, Conv, Copy, Flatten, Linear, Mean, Normalized, Pass, Pick};
        matches!(self, Alias | Conv(_) | Copy(_) | Flatten | Linear(_) | Mean(_) | Normalized(_) | Pass(_) | Pick(_))
    }
}

/// The windows of an average pooling step.
#[derive(Debug)]
pub(super) struct Windows {
    pub pool: Pool,
    windows: Pool2d,
    include_pad: bool,
    size: (usize, usize),
}

impl Windows {
    /// Whether all windows of a pool with output slot `to` have the same divisor.
    pub fn are_alike(&self, to: Slot) -> bool {
        let fits = |w: &Window, count: usize, size: usize| w.padding == 0 && (count - 1) * w.stride + w.kernel <= size;
        fits(&self.windows.h, to.h, self.size.0) && fits(&self.windows.w, to.w, self.size.1)
    }

    /// The divisor of the window in row `i` and column `j`.
    pub fn divisor(&self, i: usize, j: usize) -> f32 {
        backend::divisor(&self.windows, self.size, (i, j), self.include_pad) as f32
    }
}

/// Prepares segments for execution: packs weights and folds batch norms.
pub(super) fn steps(graph: &Graph, shapes: &[Vec<usize>], segments: &Segments, layout: &Layout) -> Result<Vec<Step>> {
    let normalizes = |segment: &Segment| {
        let plain = segment.pattern == Pattern::Affine && segment.activation.is_none() && segment.add.is_none();
        plain && segments.steps[segment.reads[0]].last == 0
    };
    let accumulation = graph.accumulation();
    let ready = |(i, segment): (usize, &Segment)| {
        let x = segment.reads.first().map(|&r| shapes[segments.steps[r].last].as_slice());
        let affine = segment.norm.map(|norm| numbers(graph, norm)).transpose()?;
        let stored = &graph.nodes[segment.first].params;
        // Convolution weights are converted when they are packed; per-channel vectors need little memory.
        let numbers_of = |t: &Tensor| -> Result<Vec<f32>> { Ok(t.to_dtype(DType::F32)?.to_vec1()?) };
        let own = || stored.get(1).map(numbers_of).transpose();
        let (work, bias) = match (segment.pattern, x) {
            (Pattern::Conv(conv), Some(x)) => {
                let (scale, bias) = folded(own()?, affine);
                (StepKernel::Conv(Packed::of(&graph.nodes[segment.first], scale, x, &conv)?), bias)
            }
            // A linear layer over a single row reads its weights only once, so packing them pays only if that halves them.
            (Pattern::Linear, _) if shapes[segment.first].len() > 2 || accumulation == Accumulation::Bf16 => {
                let conv = Conv2d { accumulation, ..Conv2d::default() };
                let y = &shapes[segment.first];
                (StepKernel::Conv(Packed::of(&graph.nodes[segment.first], None, y, &conv)?), own()?)
            }
            (Pattern::RowNorm(norm), _) => {
                let flat =
                    |i: usize| stored.get(i).map(|t| Ok(t.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)).transpose();
                let parameters: [Result<_>; 2] = [0, 1].map(flat);
                let [gamma, beta] = parameters;
                (StepKernel::RowNorm(norm, [gamma?, beta?]), None)
            }
            (Pattern::Softmax, _) => (StepKernel::Softmax, None),
            (Pattern::Matmul, _) => {
                let [a, b] = [0, 1].map(|i| segment.views[i].clone());
                (StepKernel::Matmul([a, b]), None)
            }
            (Pattern::Mul, _) => (StepKernel::Mul, None),
            (Pattern::AddBroadcast, _) => {
                let y = &shapes[segment.first];
                let mut inputs = graph.nodes[segment.first].inputs.iter().map(|&i| &shapes[i]);
                let z = inputs.find(|z| *z != y).unwrap_or(y);
                (StepKernel::AddBroadcast { view: broadcast(&y[1..], &z[1..]), inner: z[1..].to_vec() }, None)
            }
            (Pattern::View, _) if segments.is_alias(i, shapes) => (StepKernel::Alias, None),
            (Pattern::View, _) => {
                let view = &segment.views[0];
                (StepKernel::Copy(if segment.maps { view.permute(&[1, 2, 0]) } else { view.clone() }), None)
            }
            (Pattern::Linear, _) => (StepKernel::Linear(stored[0].to_dtype(DType::F32)?), own()?),
            (Pattern::Max(pool), _) => (StepKernel::Max(windows(&pool)), None),
            (Pattern::Mean(pool, include_pad), Some(x)) => (
                StepKernel::Mean(Windows { pool: windows(&pool), windows: pool, include_pad, size: (x[2], x[3]) }),
                None,
            ),
            (Pattern::Pick(pick), _) => (StepKernel::Pick(pick), None),
            (Pattern::Flatten, _) => (StepKernel::Flatten, None),
            (Pattern::Affine | Pattern::Activation(_) | Pattern::Add, _) => match affine {
                Some((scale, shift)) if normalizes(segment) => (StepKernel::Normalized(scale), Some(shift)),
                Some((scale, shift)) => (StepKernel::Pass(Some(scale)), Some(shift)),
                None => (StepKernel::Pass(None), None),
            },
            (Pattern::BatchNorm(epsilon), _) => {
                let [gamma, beta] = [0, 1].map(|k| numbers_of(&stored[k]));
                (StepKernel::BatchNorm(gamma?, beta?, epsilon as f32), None)
            }
            (Pattern::Mask, _) => (StepKernel::Mask, None),
            (Pattern::Concat, _) => (StepKernel::Concat(copies(segment, &layout.slots[i], &layout.slots)), None),
            (_, None) if segment.last == 0 => (StepKernel::Input, None),
            _ => (StepKernel::Op, None),
        };
        let (reads, add) = (segment.reads.clone(), segment.add);
        Ok(Step {
            node: segment.last,
            first: segment.first,
            work,
            reads,
            add,
            bias,
            activation: segment.activation,
            to: layout.slots[i],
            saved: layout.saved[i],
        })
    };
    segments.steps.iter().enumerate().map(ready).collect()
}

/// The element of a value of shape `z` that is broadcast to each element of a value of shape `x`. Missing dimensions come first.
fn broadcast(x: &[usize], z: &[usize]) -> View {
    let mut view = View { dims: x.to_vec(), strides: vec![0; x.len()], offset: 0 };
    let dense = View::dense(z);
    for d in (0..z.len()).filter(|&d| z[d] > 1) {
        view.strides[x.len() - z.len() + d] = dense.strides[d];
    }
    view
}

/// Folds a subsequent scale and shift into a convolution. Returns the scales of the output channels and the new bias.
fn folded(bias: Option<Vec<f32>>, affine: Option<(Vec<f32>, Vec<f32>)>) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
    let Some((scale, shift)) = affine else { return (None, bias) };
    let own = bias.unwrap_or_else(|| vec![0.0; scale.len()]);
    let bias = own.iter().zip(&scale).zip(&shift).map(|((b, a), s)| b * a + s).collect();
    (Some(scale), Some(bias))
}

/// The scale and shift of each channel that node `norm` applies.
fn numbers(graph: &Graph, norm: NodeId) -> Result<(Vec<f32>, Vec<f32>)> {
    let (scale, shift) = graph.affine(norm)?;
    Ok((scale.to_dtype(DType::F32)?.to_vec1()?, shift.to_dtype(DType::F32)?.to_vec1()?))
}

fn windows(pool: &Pool2d) -> Pool {
    Pool {
        kernel: (pool.h.kernel, pool.w.kernel),
        stride: (pool.h.stride, pool.w.stride),
        padding: (pool.h.padding, pool.w.padding),
        dilation: (pool.h.dilation, pool.w.dilation),
    }
}

/// The inputs of a concatenation that are not stored in place, and the slots to copy them to.
fn copies(segment: &Segment, own: &Slot, slots: &[Slot]) -> Vec<(usize, Slot)> {
    let mut first = own.first;
    let mut copies = vec![];
    for &read in &segment.reads {
        let slot = slots[read];
        if (slot.buffer, slot.first) != (own.buffer, first) {
            copies.push((read, Slot { first, buffer: own.buffer, pitch: own.pitch, ..slot }));
        }
        first += slot.c;
    }
    copies
}
