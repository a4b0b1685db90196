//! Swapping two dimensions.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved};
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::View;
use std::sync::Arc;

/// Swaps two dimensions other than the batch dimension; PyTorch's `transpose(dim0, dim1)`.
#[derive(Debug)]
pub struct Transpose {
    /// The first dimension.
    pub dim0: usize,
    /// The second dimension.
    pub dim1: usize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "transpose",
    family: Family::Shape,
    torch: "transpose",
    note: "",
    onnx: &["Transpose"],
    aten: &["transpose.int"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim0"), Argument::required("dim1")],
    build: |a, x| Ok(Arc::new(Transpose { dim0: a.inner_dim("dim0", x[0])?, dim1: a.inner_dim("dim1", x[0])? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Transpose { dim0: d.between(1, 3), dim1: d.between(1, 3) }, &[&d.map()]),
};

impl Op for Transpose {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::View
    }

    fn view(&self, x: &View, _: &[usize]) -> Option<View> {
        Some(x.transpose(self.dim0 - 1, self.dim1 - 1))
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        anyhow::ensure!(
            self.dim0.max(self.dim1) < x[0].len(),
            "no dimension {} in shape {:?}",
            self.dim0.max(self.dim1),
            x[0]
        );
        let mut shape = x[0].to_vec();
        shape.swap(self.dim0, self.dim1);
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].transpose(self.dim0, self.dim1)?.contiguous()?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.transpose(self.dim0, self.dim1)?.contiguous()?)
    }
}
