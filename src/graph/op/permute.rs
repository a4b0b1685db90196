//! Permuting dimensions.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::View;
use std::sync::Arc;

/// Reorders dimensions: dimension `i` of the output is dimension `dims[i]` of the input, and the batch dimension stays first.
/// PyTorch's `permute(dims)`.
#[derive(Debug)]
pub struct Permute {
    /// The input's dimensions in their new order; the first is 0, the batch dimension.
    pub dims: Vec<usize>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "permute",
    family: Family::Shape,
    torch: "permute",
    note: "`dims` lists all dimensions, starting with 0, the batch dimension",
    onnx: &[],
    aten: &["permute.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dims")],
    build: |a, _| Ok(Arc::new(Permute { dims: a.sizes("dims")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let dims = [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 2, 3], [0, 3, 2, 1]][d.between(0, 3)];
        Case::new(Permute { dims: dims.to_vec() }, &[&d.map()])
    },
};

impl Op for Permute {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::View
    }

    fn view(&self, x: &View, _: &[usize]) -> Option<View> {
        let inner: Vec<_> = self.dims[1..].iter().map(|d| d - 1).collect();
        Some(x.permute(&inner))
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        let fits = sorted.iter().copied().eq(0..x[0].len()) && self.dims.first() == Some(&0);
        ensure!(
            fits,
            "dims must list each of the {} dimensions once, starting with 0, got {:?}",
            x[0].len(),
            self.dims
        );
        Ok(self.dims.iter().map(|&d| x[0][d]).collect())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].permute(self.dims.as_slice())?.contiguous()?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let mut back = vec![0; self.dims.len()];
        self.dims.iter().enumerate().for_each(|(to, &from)| back[from] = to);
        Ok(dy.permute(back)?.contiguous()?)
    }
}
