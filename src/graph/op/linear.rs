//! The fully connected layer.

use super::channels;
use super::spec::{Argument, Family, Inputs, OpSpec, Relevance, weight};
use super::{Attribute, Case, Form, Op, Site, trained};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x wᵀ + b` over the last dimension; PyTorch's `Linear`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Features read.
    pub input: usize,
    /// Features given.
    pub output: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "linear",
    family: Family::AnyLinear,
    torch: "Linear",
    note: "",
    onnx: &["Gemm"],
    aten: &["linear.default", "addmm.default"],
    aliases: &["dense", "fc"],
    inputs: Inputs::One,
    arguments: &[Argument::required("out_features"), Argument::bool("bias", true)],
    build: |a, x| Ok(Arc::new(Linear { input: channels(x)?, output: a.count("out_features")?, bias: a.bool("bias")? })),
    from_shapes: Some(|shapes| {
        let [output, _] = weight(shapes)?;
        Ok(vec![
            ("out_features", Attribute::Int(output as i64)),
            ("bias", Attribute::Bool(shapes.contains_key("bias"))),
        ])
    }),
    relevance: Relevance::Gradient,
    draw: |d| {
        let (input, output) = d.pair(1, 9);
        Case::new(Linear { input, output, bias: d.coin() }, &[&[d.between(1, 3), input]])
    },
};

impl Op for Linear {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Linear
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(x.len() == 1 && x[0].len() == 2, "it reads one (N, features) value, got {x:?}; flatten first");
        ensure!(x[0][1] == self.input, "it reads {} features, got {}", self.input, x[0][1]);
        Ok(vec![x[0][0], self.output])
    }

    fn params(&self) -> Vec<Parameter> {
        let mut params = vec![trained("weight", &[self.output, self.input])];
        if self.bias {
            params.push(trained("bias", &[self.output]));
        }
        params
    }

    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { bias: true, ..*self }))
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        let y = x[0].contiguous()?.matmul(&w[0].t()?)?;
        Ok(match w.get(1) {
            Some(b) => y.broadcast_add(b)?,
            None => y,
        })
    }

    fn vjp(&self, _: &Site, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.contiguous()?.matmul(&w[0])?)
    }

    fn vjp_params(&self, at: &Site, _: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let mut grads = vec![dy.contiguous()?.t()?.matmul(&at.x(0)?.contiguous()?)?];
        if self.bias {
            grads.push(dy.sum(0)?);
        }
        Ok(grads)
    }
}
