//! Constant values.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use crate::tensor::elements;
use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A constant value, the same for every picture.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Shape of the constant, `(1, …)`.
    pub shape: Vec<usize>,
    /// Elements of the constant, in row-major order.
    pub values: Vec<f64>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "constant",
    family: Family::Input,
    torch: "tensor",
    note: "a constant; `shape` excludes the batch dimension",
    onnx: &["Constant"],
    aten: &[],
    aliases: &[],
    inputs: Inputs::Beside,
    arguments: &[Argument::required("shape"), Argument::required("values")],
    build: |a, _| Ok(Arc::new(Constant { shape: [vec![1], a.sizes("shape")?].concat(), values: a.floats("values")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
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
        ensure!(count == self.values.len(), "got {} values for shape {:?}", self.values.len(), &self.shape[1..]);
        ensure!(count > 0, "a constant needs at least one value");
        Ok(self.shape.clone())
    }

    fn forward(&self, _: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.values.clone(), self.shape.as_slice(), &Device::Cpu)?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], _: &Tensor, _: usize) -> Result<Tensor> {
        anyhow::bail!("a constant has no inputs")
    }
}
