//! Convolution.

use super::{Form, Op, Site, maps, trained};
use crate::graph::Parameter;
use crate::kernel::{self, Conv2d};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x ∗ w + b`; PyTorch's `Conv2d`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Channels read.
    pub input: usize,
    /// Channels given.
    pub output: usize,
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Stride, padding, dilation, groups.
    pub slide: Conv2d,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv {
    fn weight(&self) -> [usize; 4] {
        [self.output, self.input / self.slide.groups.max(1), self.kernel.0, self.kernel.1]
    }
}

impl Op for Conv {
    fn kind(&self) -> &'static str {
        "conv"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Conv(self.slide)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let g = self.slide.groups;
        ensure!(c == self.input, "it reads {} channels, got {c}", self.input);
        ensure!(
            g > 0 && c.is_multiple_of(g) && self.output.is_multiple_of(g),
            "{g} groups divide neither {c} nor {} channels evenly",
            self.output
        );
        let (oh, ow) = self.slide.output(&self.weight(), h, w)?;
        Ok(vec![n, self.output, oh, ow])
    }

    fn params(&self) -> Vec<Parameter> {
        let mut params = vec![trained("weight", &self.weight())];
        if self.bias {
            params.push(trained("bias", &[self.output]));
        }
        params
    }

    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { bias: true, ..*self }))
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        kernel::conv2d(x[0], &w[0], w.get(1), &self.slide)
    }

    fn vjp(&self, at: &Site, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        kernel::conv2d_input_vjp(dy, &w[0], &at.dims(0)?, &self.slide)
    }

    fn vjp_params(&self, at: &Site, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let mut grads = vec![kernel::conv2d_weight_vjp(dy, at.x(0)?, w[0].dims(), &self.slide)?];
        if self.bias {
            // One dimension after another: summing over all at once, candle leaves its fast path.
            grads.push(dy.flatten_from(2)?.sum(2)?.sum(0)?);
        }
        Ok(grads)
    }
}
