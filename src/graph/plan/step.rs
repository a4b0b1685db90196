//! One step: what it computes, ready to run.

use super::fuse::{Draft, Drafts};
use super::layout::Place;
use crate::graph::node::{Graph, NodeId};
use crate::graph::op::Form;
use crate::kernel::{self, Conv2d, Pool2d, Window};
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::{Algorithm, Filter, Pool, Sizes, Slide, StridedSlice};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, OnceLock};

/// One step of a plan.
#[derive(Debug)]
pub(super) struct Step {
    /// The node whose value it gives.
    pub node: NodeId,
    pub work: Work,
    /// Steps that it reads.
    pub reads: Vec<usize>,
    /// The step whose value is added to its own.
    pub add: Option<usize>,
    /// One number a channel, added.
    pub bias: Option<Vec<f32>>,
    /// Whether it ends with a ReLU.
    pub relu: bool,
    pub to: Place,
}

#[derive(Debug)]
pub(super) enum Work {
    /// The pictures, channels last.
    Input,
    /// The pictures, normalised on their way to channels last: times a factor a channel.
    Normalized(Vec<f32>),
    Conv(Box<Packed>),
    Linear(Tensor),
    Max(Pool),
    Mean(Windows),
    Flatten,
    Pick(StridedSlice),
    /// Number by number: times a factor a channel, if there are.
    Pass(Option<Vec<f32>>),
    /// Values that do not stand in place already, with the channel where they go.
    Concat(Vec<(usize, Place)>),
    /// By the node's own operation.
    Op,
}

impl Work {
    /// Whether its gradient is the same wherever it is taken.
    pub fn is_linear(&self) -> bool {
        use Work::{Conv, Flatten, Linear, Mean, Normalized, Pass, Pick};
        matches!(self, Conv(_) | Flatten | Linear(_) | Mean(_) | Normalized(_) | Pass(_) | Pick(_))
    }
}

/// A convolution's weights in both directions; those of the way back are packed when first needed.
#[derive(Debug)]
pub(super) struct Packed {
    /// The graph's own.
    weight: Tensor,
    /// Factors of output channels: the batch norm behind it.
    scale: Option<Vec<f32>>,
    sizes: Sizes,
    slide: Slide,
    sums: Algorithm,
    pub forward: Filter,
    backward: OnceLock<Filter>,
    /// The way forward for many pictures, where that is another one.
    many: OnceLock<Filter>,
    /// The way forward for pieces of the map, by their size and that of what they give.
    pieces: Mutex<Vec<(Sizes, Arc<Filter>)>>,
}

/// Windows of which the mean is taken.
#[derive(Debug)]
pub(super) struct Windows {
    pub pool: Pool,
    windows: Pool2d,
    include_pad: bool,
    size: (usize, usize),
}

impl Packed {
    fn new(weight: Tensor, scale: Option<Vec<f32>>, x: &[usize], conv: &Conv2d, exact: bool) -> Result<Self> {
        let (sizes, slide) = kernel::sizes(x, weight.dims(), conv)?;
        let sums = kernel::sums(exact);
        let forward = packed(&weight, scale.as_deref(), |w| Filter::forward(w, sizes, slide, sums))?;
        Ok(Self {
            weight,
            scale,
            sizes,
            slide,
            sums,
            forward,
            backward: OnceLock::new(),
            many: OnceLock::new(),
            pieces: Mutex::default(),
        })
    }

    /// The way back.
    pub fn backward(&self) -> Result<&Filter> {
        if let Some(filter) = self.backward.get() {
            return Ok(filter);
        }
        let pack = |w: &[f32]| Filter::backward(w, self.sizes, self.slide, self.sums);
        let filter = packed(&self.weight, self.scale.as_deref(), pack)?;
        Ok(self.backward.get_or_init(|| filter))
    }

    /// The way forward for many maps from size `from` to size `to`, with this padding: none, or its own.
    pub fn fitted(&self, from: (usize, usize), to: (usize, usize), padding: (usize, usize)) -> Result<Arc<Filter>> {
        let sizes = Sizes { from, to, ..self.sizes };
        let mut pieces = self.pieces.lock_unpoisoned();
        if let Some((_, filter)) = pieces.iter().find(|(s, _)| *s == sizes) {
            return Ok(filter.clone());
        }
        let less = (self.slide.padding.0 - padding.0, self.slide.padding.1 - padding.1);
        let filter = Arc::new(self.many()?.fitted(sizes, less));
        pieces.push((sizes, filter.clone()));
        Ok(filter)
    }

    fn many(&self) -> Result<&Filter> {
        if !self.forward.has_more() {
            return Ok(&self.forward);
        }
        if let Some(filter) = self.many.get() {
            return Ok(filter);
        }
        let pack = |w: &[f32]| Filter::forward(w, self.sizes, self.slide, Algorithm::LargeBatch);
        let filter = packed(&self.weight, self.scale.as_deref(), pack)?;
        Ok(self.many.get_or_init(|| filter))
    }

    /// Its windows along height and width.
    pub fn windows(&self) -> (Window, Window) {
        let Slide { kernel: k, stride: s, padding: p, dilation: d, .. } = self.slide;
        (Window::new(k.0, s.0, p.0, d.0), Window::new(k.1, s.1, p.1, d.1))
    }
}

impl Windows {
    /// Whether all `to` of them have the same divisor: none hangs over the map or counts less at its border.
    pub fn are_alike(&self, to: Place) -> bool {
        let fits = |w: &Window, count: usize, size: usize| w.padding == 0 && (count - 1) * w.stride + w.kernel <= size;
        fits(&self.windows.h, to.h, self.size.0) && fits(&self.windows.w, to.w, self.size.1)
    }

    /// What the sum of window `(i, j)` is divided by.
    pub fn divisor(&self, i: usize, j: usize) -> f32 {
        kernel::divisor(&self.windows, self.size, (i, j), self.include_pad) as f32
    }
}

/// Makes drafts ready.
pub(super) fn steps(
    graph: &Graph,
    shapes: &[Vec<usize>],
    drafts: &Drafts,
    places: &[Place],
    exact: bool,
) -> Result<Vec<Step>> {
    let normalizes = |draft: &Draft| {
        let plain = draft.form == Form::Affine && !draft.relu && draft.add.is_none();
        plain && drafts.steps[draft.reads[0]].reads.is_empty()
    };
    let ready = |(i, draft): (usize, &Draft)| {
        let x = draft.reads.first().map(|&r| shapes[drafts.steps[r].last].as_slice());
        let affine = draft.norm.map(|norm| numbers(graph, norm)).transpose()?;
        let params = &graph.nodes[draft.first].params;
        let own = || params.get(1).map(|b| b.to_vec1::<f32>()).transpose();
        let (work, bias) = match (draft.form, x) {
            (Form::Conv(conv), Some(x)) => {
                let (scale, bias) = folded(own()?, affine);
                (Work::Conv(Box::new(Packed::new(params[0].clone(), scale, x, &conv, exact)?)), bias)
            }
            (Form::Linear, _) => (Work::Linear(params[0].clone()), own()?),
            (Form::Max(pool), _) => (Work::Max(windows(&pool)), None),
            (Form::Mean(pool, include_pad), Some(x)) => {
                (Work::Mean(Windows { pool: windows(&pool), windows: pool, include_pad, size: (x[2], x[3]) }), None)
            }
            (Form::Pick(pick), _) => (Work::Pick(pick), None),
            (Form::Flatten, _) => (Work::Flatten, None),
            (Form::Affine | Form::Relu | Form::Add, _) => match affine {
                Some((scale, shift)) if normalizes(draft) => (Work::Normalized(scale), Some(shift)),
                Some((scale, shift)) => (Work::Pass(Some(scale)), Some(shift)),
                None => (Work::Pass(None), None),
            },
            (Form::Concat, _) => (Work::Concat(strangers(draft, &places[i], places)), None),
            (_, None) => (Work::Input, None),
            _ => (Work::Op, None),
        };
        let (reads, add) = (draft.reads.clone(), draft.add);
        Ok(Step { node: draft.last, work, reads, add, bias, relu: draft.relu, to: places[i] })
    };
    drafts.steps.iter().enumerate().map(ready).collect()
}

/// A convolution's bias with the affine behind it in it, and the factors of its output channels.
fn folded(bias: Option<Vec<f32>>, affine: Option<(Vec<f32>, Vec<f32>)>) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
    let Some((scale, shift)) = affine else { return (None, bias) };
    let own = bias.unwrap_or_else(|| vec![0.0; scale.len()]);
    let bias = own.iter().zip(&scale).zip(&shift).map(|((b, a), s)| b * a + s).collect();
    (Some(scale), Some(bias))
}

/// A filter of the weight times its factors, a number an output channel. The product is not kept: it is as large as the weight.
fn packed(weight: &Tensor, scale: Option<&[f32]>, pack: impl FnOnce(&[f32]) -> Filter) -> Result<Filter> {
    let Some(scale) = scale else { return kernel::with::<f32, _>(weight, pack) };
    let mut scaled = kernel::with::<f32, _>(weight, <[f32]>::to_vec)?;
    let size = scaled.len() / scale.len().max(1);
    let channels = scaled.par_chunks_mut(size.max(1)).zip(scale);
    channels.for_each(|(weights, scale)| weights.iter_mut().for_each(|w| *w *= scale));
    Ok(pack(&scaled))
}

/// Factor and summand of each channel.
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

/// What a concatenation has to copy: the values that stand elsewhere.
fn strangers(draft: &Draft, own: &Place, places: &[Place]) -> Vec<(usize, Place)> {
    let mut first = own.first;
    let mut strangers = vec![];
    for &read in &draft.reads {
        let place = places[read];
        if (place.room, place.first) != (own.room, first) {
            strangers.push((read, Place { first, room: own.room, pitch: own.pitch, ..place }));
        }
        first += place.c;
    }
    strangers
}
