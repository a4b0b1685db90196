//! Numbers that stand in the network.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use crate::tensor::elements;
use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// Given numbers, the same for every picture.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its shape, `(1, …)`.
    pub shape: Vec<usize>,
    /// Its numbers, row by row.
    pub values: Vec<f64>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "constant",
    family: Family::Input,
    torch: "tensor",
    note: "given numbers; its shape behind the batch",
    onnx: &["Constant"],
    aten: &[],
    aliases: &[],
    inputs: Inputs::Beside,
    arguments: &[Argument::required("shape"), Argument::required("values")],
    build: |a, _| Ok(Arc::new(Constant { shape: [vec![1], a.sizes("shape")?].concat(), values: a.floats("values")? })),
    from_shapes: None,
    relevance: DefaultRule::Gradient,
    draw: |d| {
        let shape = vec![1, d.between(1, 3), d.between(1, 3)];
        let values = (0..shape.iter().product()).map(|_| d.between(0, 100) as f64 / 50.0 - 1.0).collect();
        Case::new(Constant { shape, values }, &[])
    },
};

impl Op for Constant {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, _: &[&[usize]]) -> Result<Vec<usize>> {
        let count = elements(&self.shape)?;
        ensure!(count == self.values.len(), "{} numbers for the shape {:?}", self.values.len(), &self.shape[1..]);
        ensure!(count > 0, "a constant needs a number or more");
        Ok(self.shape.clone())
    }

    fn forward(&self, _: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.values.clone(), self.shape.as_slice(), &Device::Cpu)?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], _: &Tensor, _: usize) -> Result<Tensor> {
        anyhow::bail!("a constant reads no value")
    }
}
