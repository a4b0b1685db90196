//! Expanding dimensions of size 1.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use crate::backend::sum_to;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Repeats dimensions of size 1, except the batch dimension; PyTorch's `expand`.
#[derive(Debug)]
pub struct Expand {
    /// Target sizes, excluding the batch dimension; `None` keeps the input's size.
    pub sizes: Vec<Option<usize>>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "expand",
    family: Family::Shape,
    torch: "expand",
    note: "sizes exclude the batch dimension; -1 keeps a size",
    onnx: &["Expand"],
    aten: &["expand.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("sizes")],
    build: |a, _| Ok(Arc::new(Expand { sizes: a.open_sizes("sizes")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let [n, c, h, _] = d.map();
        Case::new(Expand { sizes: vec![None, Some(h), Some(d.between(1, 4))] }, &[&[n, c, h, 1]])
    },
};

impl Op for Expand {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(
            self.sizes.len() + 1 == x[0].len(),
            "got {} sizes (excluding the batch dimension) for shape {:?}",
            self.sizes.len(),
            x[0]
        );
        let mut shape = x[0].to_vec();
        for (size, wanted) in shape[1..].iter_mut().zip(&self.sizes) {
            let wanted = wanted.unwrap_or(*size);
            ensure!(*size == 1 || *size == wanted, "cannot expand size {size} to {wanted}; only size 1 expands");
            *size = wanted;
        }
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].broadcast_as(self.shape(&[x[0].dims()])?)?.contiguous()?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        sum_to(dy, &at.dims(0)?)
    }
}
