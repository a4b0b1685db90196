//! The fully connected layer.

use super::{Form, Op, Site, trained};
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

impl Op for Linear {
    fn kind(&self) -> &'static str {
        "linear"
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
