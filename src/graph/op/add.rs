//! Sums of values.

use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Form, Op, Site};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `x₁ + x₂ + …`: skip connections.
#[derive(Debug)]
pub struct Add;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "add",
    family: Family::Elementwise,
    torch: "x + y",
    note: "",
    onnx: &["Add", "Sum"],
    aten: &["add.Tensor", "add_.Tensor"],
    aliases: &[],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Add)),
    from_shapes: None,
    relevance: Relevance::Share,
    draw: |d| {
        let map = d.map();
        Case::new(Add, &[&map[..]; 3][..d.between(2, 3)])
    },
};

impl Op for Add {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Add
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        x[1..].iter().try_fold(x[0].clone(), |sum, x| Ok((sum + *x)?))
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}

/// The one shape of several values.
pub(super) fn same(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "it reads two values or more, got {}", x.len());
    ensure!(x.iter().all(|s| s == &x[0]), "its inputs must have one shape, got {x:?}");
    Ok(x[0].to_vec())
}
