//! Fully connected layers.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec, weight};
use super::weighted::weight_and_bias;
use super::{Attribute, Case, Op, Pattern, Saved};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x wᵀ + b` over the last dimension; PyTorch's `Linear`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Number of input features.
    pub input: usize,
    /// Number of output features.
    pub output: usize,
    /// Whether the layer has a bias.
    pub bias: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "linear",
    family: Family::AnyLinear,
    torch: "Linear",
    note: "for `(N, features)` or tokens `(N, T, features)`; applies to the last dimension of a feature map only if `in_features` is given",
    onnx: &["Gemm"],
    aten: &["linear.default", "addmm.default"],
    aliases: &["dense", "fc"],
    inputs: Inputs::One,
    arguments: &[Argument::required("out_features"), Argument::bool("bias", true), Argument::optional("in_features")],
    build: |a, x| {
        let input = last(x)?;
        let named = if a.has("in_features") { Some(a.count("in_features")?) } else { None };
        ensure!(
            x[0].len() != 4 || named.is_some(),
            "expected an input of shape (N, features) or tokens, got a feature map of shape {:?}; flatten first, or set in_features to apply the layer to the last dimension",
            x[0]
        );
        let input = named.unwrap_or(input);
        Ok(Arc::new(Linear { input, output: a.count("out_features")?, bias: a.bool("bias")? }))
    },
    from_shapes: Some(|shapes| {
        let [output, _] = weight(shapes)?;
        Ok(vec![
            ("out_features", Attribute::Int(output as i64)),
            ("bias", Attribute::Bool(shapes.contains_key("bias"))),
        ])
    }),
    relevance: DefaultRule::Gradient,
    draw: |d| {
        let (input, output) = d.pair(1, 9);
        let shape = [d.between(1, 3), d.between(1, 3), d.between(1, 3), input];
        Case::new(Linear { input, output, bias: d.coin() }, &[&[&shape[..1], &shape[d.between(1, 3)..]].concat()])
    },
};

impl Op for Linear {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Linear
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let features = last(x)?;
        ensure!(features == self.input, "expected {} features, got {features}", self.input);
        Ok([&x[0][..x[0].len() - 1], &[self.output]].concat())
    }

    fn params(&self) -> Vec<Parameter> {
        weight_and_bias(&[self.output, self.input], self.bias.then_some(self.output))
    }

    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { bias: true, ..*self }))
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        let y = rows(x[0])?.matmul(&w[0].t()?)?;
        let y = match w.get(1) {
            Some(b) => y.broadcast_add(b)?,
            None => y,
        };
        Ok(y.reshape(self.shape(&[x[0].dims()])?)?)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(rows(dy)?.matmul(&w[0])?.reshape(at.dims(0)?)?)
    }

    fn vjp_params(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let dy = rows(dy)?;
        let mut grads = vec![dy.t()?.matmul(&rows(at.x(0)?)?)?];
        if self.bias {
            grads.push(dy.sum(0)?);
        }
        Ok(grads)
    }
}

/// The size of the last dimension of the only input, `(N, …, features)`.
fn last(x: &[&[usize]]) -> Result<usize> {
    ensure!(x.len() == 1 && x[0].len() >= 2, "expected one input of shape (N, …, features), got {x:?}");
    Ok(x[0][x[0].len() - 1])
}

/// Reshapes `(N, …, features)` to `(rows, features)`.
fn rows(x: &Tensor) -> Result<Tensor> {
    let features = x.dims().last().copied().unwrap_or(0);
    Ok(x.contiguous()?.reshape(((), features))?)
}
