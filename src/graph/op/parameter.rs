//! Parameters used as values.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved, trained};
use crate::backend;
use crate::graph::Parameter as Named;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// A parameter used as a value, the same for every picture: a class token, position embedding or layer scale. In weight
/// files, it has the node's name.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Shape of the value, `(1, …)`.
    pub shape: Vec<usize>,
    /// Whether the stored parameter has a batch dimension, of size 1, as class tokens do; layer scales and bias tables have none.
    pub batch: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "parameter",
    family: Family::Input,
    torch: "Parameter",
    note: "such as a class token or position embeddings; `shape` excludes the batch dimension; set `batch` to false if the stored parameter has no batch dimension",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::Beside,
    arguments: &[Argument::required("shape"), Argument::bool("batch", true)],
    build: |a, _| Ok(Arc::new(Parameter { shape: [vec![1], a.sizes("shape")?].concat(), batch: a.bool("batch")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Parameter { shape: vec![1, d.between(1, 4), d.between(1, 5)], batch: d.coin() }, &[]),
};

impl Op for Parameter {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, _: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.shape.iter().all(|&n| n > 0), "the sizes of a parameter must be positive, got {:?}", self.shape);
        Ok(self.shape.clone())
    }

    fn params(&self) -> Vec<Named> {
        vec![trained("", &self.shape[usize::from(!self.batch)..])]
    }

    fn forward(&self, _: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        Ok(w[0].reshape(self.shape.as_slice())?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], _: &Tensor, _: usize) -> Result<Tensor> {
        anyhow::bail!("a parameter has no inputs")
    }

    fn vjp_params(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![backend::sum_keepdim(dy, &[0])?.reshape(&self.shape[usize::from(!self.batch)..])?])
    }
}
