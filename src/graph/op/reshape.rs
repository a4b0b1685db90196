//! Reshaping.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use crate::tensor::elements;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use gradscope_engine::View;
use std::sync::Arc;

/// Reshapes `(N, …)` to `(N, dims…)`; PyTorch's `view`.
#[derive(Debug)]
pub struct Reshape {
    /// Target sizes, excluding the batch dimension; at most one is `None`, which is inferred.
    pub dims: Vec<Option<usize>>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "reshape",
    family: Family::Shape,
    torch: "view",
    note: "sizes exclude the batch dimension; a size of -1 is inferred",
    onnx: &["Reshape"],
    aten: &["view.default", "reshape.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("shape")],
    build: |a, _| Ok(Arc::new(Reshape { dims: a.open_sizes("shape")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let map = d.map();
        let first = if d.coin() { Some(map[2] * map[3]) } else { None };
        Case::new(Reshape { dims: vec![first, Some(map[1])] }, &[&map])
    },
};

impl Reshape {
    /// Formats the target sizes as in scripts, such as `[16, -1]`.
    fn text(&self) -> String {
        let dims: Vec<_> = self.dims.iter().map(|d| d.map_or_else(|| "-1".into(), |d| d.to_string())).collect();
        format!("[{}]", dims.join(", "))
    }
}

impl Op for Reshape {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::View
    }

    fn view(&self, x: &View, shape: &[usize]) -> Option<View> {
        x.reshape(shape)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let values: usize = x[0][1..].iter().product();
        let known = elements(&self.dims.iter().flatten().copied().collect::<Vec<_>>())?;
        let open = self.dims.iter().filter(|d| d.is_none()).count();
        let fits = match open {
            0 => known == values,
            1 => known > 0 && values.is_multiple_of(known),
            _ => bail!("only one size may be -1, got {open}"),
        };
        ensure!(fits, "cannot reshape {values} elements to {}", self.text());
        let dims = self.dims.iter().map(|d| d.unwrap_or_else(|| values / known.max(1)));
        Ok(std::iter::once(x[0][0]).chain(dims).collect())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].reshape(self.shape(&[x[0].dims()])?)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.reshape(at.dims(0)?)?)
    }
}
