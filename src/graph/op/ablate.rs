//! Zero ablation: setting parts of a value, such as channels, to zero.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Sets the entries at some indices of a dimension to zero: `x[:, indices] = 0` for dimension 1.
#[derive(Clone, Debug)]
pub struct Ablate {
    /// The dimension of the indices; never the batch dimension.
    pub dim: usize,
    /// The indices to set to zero.
    pub indices: Vec<usize>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "ablate",
    family: Family::Elementwise,
    torch: "index_fill(dim, index, 0)",
    note: "zero ablation",
    onnx: &[],
    aten: &[],
    aliases: &["zero ablation"],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::required("indices")],
    build: |a, x| Ok(Arc::new(Ablate { dim: a.inner_dim("dim", x[0])?, indices: a.sizes("indices")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (map, dim) = (d.map(), d.between(1, 3));
        let indices = (0..map[dim]).filter(|_| d.coin()).collect();
        Case::new(Ablate { dim, indices }, &[&map])
    },
};

impl Ablate {
    /// `x` with zeros at the indices.
    fn ablated(&self, x: &Tensor) -> Result<Tensor> {
        let mut kept = vec![1f32; x.dim(self.dim)?];
        self.indices.iter().for_each(|&i| kept[i] = 0.0);
        let shape: Vec<_> = (0..x.rank()).map(|d| if d == self.dim { kept.len() } else { 1 }).collect();
        let mask = Tensor::from_vec(kept, shape, x.device())?.to_dtype(x.dtype())?.broadcast_as(x.dims())?;
        // `where_cond` rather than a product, since 0 · ∞ is NaN.
        Ok(mask.ne(0.0)?.where_cond(x, &x.zeros_like()?)?)
    }
}

impl Op for Ablate {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let size = x[0].get(self.dim).copied().unwrap_or_default();
        let outside = self.indices.iter().find(|&&i| i >= size);
        ensure!(outside.is_none(), "index {} is out of range for a dimension of size {size}", outside.unwrap_or(&0));
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        self.ablated(x[0])
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        self.ablated(dy)
    }
}
