//! Concatenation.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Concatenates the inputs along a dimension.
#[derive(Clone, Copy, Debug)]
pub struct Concat {
    /// The dimension to concatenate along; never the batch dimension.
    pub dim: usize,
}

impl Default for Concat {
    /// Concatenates along channels.
    fn default() -> Self {
        Self { dim: 1 }
    }
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "concat",
    family: Family::Shape,
    torch: "cat",
    note: "",
    onnx: &["Concat"],
    aten: &["cat.default"],
    aliases: &[],
    inputs: Inputs::Many,
    arguments: &[Argument::int("dim", 1).by_place().or(&["axis"])],
    build: |a, x| Ok(Arc::new(Concat { dim: a.inner_dim("dim", x[0])? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (map, dim) = (d.map(), d.between(1, 3));
        let mut other = map;
        other[dim] = d.between(1, 3);
        Case::new(Concat { dim }, &[&map, &other, &map])
    },
};

impl Op for Concat {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        let channels = if x.len() == 4 { 1 } else { x.len() - 1 };
        if self.dim == channels { Pattern::Concat } else { Pattern::Other }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let first = *x.first().context("concat needs at least one input")?;
        let alike = |s: &&[usize]| {
            s.len() == first.len() && s.iter().zip(first).enumerate().all(|(d, (a, b))| d == self.dim || a == b)
        };
        let fits = self.dim < first.len() && x.iter().all(alike);
        ensure!(fits, "the inputs of concat may differ in size only along dimension {}, got shapes {x:?}", self.dim);
        let mut shape = first.to_vec();
        shape[self.dim] = x.iter().map(|s| s[self.dim]).sum();
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::cat(x, self.dim)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let size = |i: usize| Ok(at.dims(i)?[self.dim]);
        let start = (0..i).map(size).sum::<Result<_>>()?;
        Ok(dy.narrow(self.dim, start, size(i)?)?.contiguous()?)
    }
}
