//! Concatenation.

use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Form, Op, Site};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Inputs one behind the other along channels (dimension 1).
#[derive(Debug)]
pub struct Concat;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "concat",
    family: Family::Shape,
    torch: "cat",
    note: "along channels",
    onnx: &["Concat"],
    aten: &["cat.default"],
    aliases: &[],
    inputs: Inputs::Many,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Concat)),
    from_shapes: None,
    relevance: Relevance::Move,
    draw: |d| {
        let map = d.map();
        Case::new(Concat, &[&map, &[map[0], d.between(1, 3), map[2], map[3]], &map])
    },
};

impl Op for Concat {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Concat
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let fits = |s: &&[usize]| s.len() == x[0].len() && s.len() >= 2 && s[2..] == x[0][2..];
        ensure!(!x.is_empty() && x.iter().all(fits), "its inputs may differ in channels only, got {x:?}");
        let mut shape = x[0].to_vec();
        shape[1] = x.iter().map(|s| s[1]).sum();
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::cat(x, 1)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let channels = |i: usize| Ok(at.dims(i)?[1]);
        let start = (0..i).map(channels).sum::<Result<_>>()?;
        Ok(dy.narrow(1, start, channels(i)?)?.contiguous()?)
    }
}
