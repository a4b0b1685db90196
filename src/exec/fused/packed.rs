//! Packed weights of convolutions and of linear layers over rows.

use crate::backend::{self, Conv2d, Window};
use crate::graph::Node;
use crate::graph::op::Op;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::{DType, Tensor, TensorId};
use gradscope_engine::{Algorithm, Filter, Sizes, Slide, WeightGradient};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// Packed weights in use, by what they are computed from. Networks that differ in a few nodes, such as ablated ones, share them.
static SHARED: Mutex<Vec<(Key, Weak<Packed>)>> = Mutex::new(vec![]);

/// What packed weights are computed from.
#[derive(Debug, PartialEq)]
struct Key {
    /// The stored weight, whose elements never change.
    weight: TensorId,
    /// The address of the operation, which packed weights keep alive.
    op: usize,
    scale: Option<Vec<f32>>,
    x: Vec<usize>,
    conv: Conv2d,
}

/// A convolution's weights, packed for the forward and backward directions; for the backward direction, on first use.
#[derive(Debug)]
pub(super) struct Packed {
    /// The weight as it is stored in the graph.
    weight: Tensor,
    /// The convolution, which computes the effective weight from the stored one.
    op: Arc<dyn Op>,
    /// Scales of the output channels from a folded batch norm, if any.
    scale: Option<Vec<f32>>,
    sizes: Sizes,
    slide: Slide,
    sums: Algorithm,
    pub forward: Filter,
    backward: OnceLock<Filter>,
    /// The forward filter for large batches, if it differs from the one for small batches.
    many: OnceLock<Filter>,
    /// Forward filters for crops of the feature map, by input and output size.
    pieces: Mutex<Vec<(Sizes, Arc<Filter>)>>,
}

impl Packed {
    /// The packed weights of a node for an input of shape `x`, `(1, …)`. For a linear layer, the last dimension does not matter.
    pub fn of(node: &Node, scale: Option<Vec<f32>>, x: &[usize], conv: &Conv2d) -> Result<Arc<Self>> {
        let op = Arc::as_ptr(&node.op).cast::<()>() as usize;
        let key = Key { weight: node.params[0].id(), op, scale: scale.clone(), x: x.to_vec(), conv: *conv };
        let known = || {
            let mut shared = SHARED.lock_unpoisoned();
            shared.retain(|(_, packed)| packed.strong_count() > 0);
            shared.iter().find(|(other, _)| *other == key).and_then(|(_, packed)| packed.upgrade())
        };
        if let Some(packed) = known() {
            return Ok(packed);
        }
        // No lock is held here, because packing uses all cores.
        let packed = Arc::new(Self::new(node, scale, x, conv)?);
        SHARED.lock_unpoisoned().push((key, Arc::downgrade(&packed)));
        Ok(packed)
    }

    fn new(node: &Node, scale: Option<Vec<f32>>, x: &[usize], conv: &Conv2d) -> Result<Self> {
        let (op, weight) = (node.op.clone(), node.params[0].clone());
        let (sizes, slide) = match *weight.dims() {
            // A linear layer over the last dimension is a 1x1 convolution over its rows.
            [output, input] => {
                let rows = x[1..x.len() - 1].iter().product();
                backend::sizes(&[1, input, 1, rows], &[output, input, 1, 1], conv)?
            }
            ref weight => backend::sizes(x, weight, conv)?,
        };
        let sums = conv.accumulation.into();
        let forward = packed(&op, &weight, scale.as_deref(), |w| Filter::forward(w, sizes, slide, sums))?;
        Ok(Self {
            weight,
            op,
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

    /// The filter that computes the input gradient, packed on first use.
    pub fn backward(&self) -> Result<&Filter> {
        if let Some(filter) = self.backward.get() {
            return Ok(filter);
        }
        let pack = |w: &[f32]| Filter::backward(w, self.sizes, self.slide, self.sums);
        let filter = packed(&self.op, &self.weight, self.scale.as_deref(), pack)?;
        Ok(self.backward.get_or_init(|| filter))
    }

    /// The forward filter for crops of size `from` with outputs of size `to`. The padding is either zero or the layer's padding.
    pub fn fitted(&self, from: (usize, usize), to: (usize, usize), padding: (usize, usize)) -> Result<Arc<Filter>> {
        let sizes = Sizes { from, to, ..self.sizes };
        let known = || self.pieces.lock_unpoisoned();
        if let Some((_, filter)) = known().iter().find(|(s, _)| *s == sizes) {
            return Ok(filter.clone());
        }
        // No lock is held here, because packing uses all cores.
        let less = (self.slide.padding.0 - padding.0, self.slide.padding.1 - padding.1);
        let filter = Arc::new(self.many()?.fitted(sizes, less));
        known().push((sizes, filter.clone()));
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
        let filter = packed(&self.op, &self.weight, self.scale.as_deref(), pack)?;
        Ok(self.many.get_or_init(|| filter))
    }

    /// The kernel that computes the gradient of the convolution's weights.
    pub fn weight_gradient(&self) -> WeightGradient {
        WeightGradient::new(self.sizes, self.slide, self.sums)
    }

    /// Whether a batch norm is folded into the convolution's weights.
    pub fn is_folded(&self) -> bool {
        self.scale.is_some()
    }

    /// The convolution's windows along height and width.
    pub fn windows(&self) -> (Window, Window) {
        let Slide { kernel: k, stride: s, padding: p, dilation: d, .. } = self.slide;
        (Window::new(k.0, s.0, p.0, d.0), Window::new(k.1, s.1, p.1, d.1))
    }
}

/// Packs the effective weight of a convolution, multiplied by the scales of its output channels. The product is not kept, since it is as
/// large as the weight.
fn packed(
    op: &Arc<dyn Op>,
    weight: &Tensor,
    scale: Option<&[f32]>,
    pack: impl FnOnce(&[f32]) -> Filter,
) -> Result<Filter> {
    let weight = op.effective(&[weight.to_dtype(DType::F32)?])?.remove(0);
    let Some(scale) = scale else { return backend::with::<f32, _>(&weight, pack) };
    let mut scaled = backend::with::<f32, _>(&weight, <[f32]>::to_vec)?;
    let size = scaled.len() / scale.len().max(1);
    let channels = scaled.par_chunks_mut(size.max(1)).zip(scale);
    channels.for_each(|(weights, scale)| weights.iter_mut().for_each(|w| *w *= scale));
    Ok(pack(&scaled))
}
