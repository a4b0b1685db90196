//! Convolution and its transpose.

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

/// The transpose of a convolution: what takes the gradient of its output to that of its input; PyTorch's `ConvTranspose2d`.
#[derive(Clone, Copy, Debug)]
pub struct ConvTranspose {
    /// Channels read.
    pub input: usize,
    /// Channels given.
    pub output: usize,
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Stride, padding, dilation, groups of the convolution that it is the transpose of.
    pub slide: Conv2d,
    /// Rows and columns more than the least that this convolution takes; fewer than its strides.
    pub output_padding: (usize, usize),
    /// Whether a bias is added.
    pub bias: bool,
}

impl ConvTranspose {
    fn weight(&self) -> [usize; 4] {
        [self.input, self.output / self.slide.groups.max(1), self.kernel.0, self.kernel.1]
    }

    /// Height and width of the output.
    fn sides(&self, h: usize, w: usize) -> Result<(usize, usize)> {
        let side = |n: usize, kernel: usize, stride: usize, padding: usize, dilation: usize, more: usize| {
            ensure!(n > 0 && kernel > 0 && stride > 0, "no side, kernel or stride of 0 can be convolved");
            ensure!(more < stride, "an output padding of {more} is not below the stride {stride}");
            let all = (n - 1) * stride + (kernel - 1) * dilation + 1 + more;
            ensure!(all > 2 * padding, "a padding of {padding} leaves nothing of {all}");
            Ok(all - 2 * padding)
        };
        let (s, more) = (&self.slide, self.output_padding);
        Ok((
            side(h, self.kernel.0, s.stride.0, s.padding.0, s.dilation.0, more.0)?,
            side(w, self.kernel.1, s.stride.1, s.padding.1, s.dilation.1, more.1)?,
        ))
    }
}

impl Op for ConvTranspose {
    fn kind(&self) -> &'static str {
        "conv_transpose"
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
        let (oh, ow) = self.sides(h, w)?;
        Ok(vec![n, self.output, oh, ow])
    }

    fn params(&self) -> Vec<Parameter> {
        let mut params = vec![trained("weight", &self.weight())];
        if self.bias {
            params.push(trained("bias", &[self.output]));
        }
        params
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        let y = kernel::conv2d_input_vjp(x[0], &w[0], &self.shape(&[x[0].dims()])?, &self.slide)?;
        let Some(bias) = w.get(1) else { return Ok(y) };
        kernel::channel_affine(&y, &bias.ones_like()?, bias)
    }

    fn vjp(&self, _: &Site, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        kernel::conv2d(dy, &w[0], None, &self.slide)
    }

    fn vjp_params(&self, at: &Site, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let mut grads = vec![kernel::conv2d_weight_vjp(at.x(0)?, dy, w[0].dims(), &self.slide)?];
        if self.bias {
            grads.push(dy.flatten_from(2)?.sum(2)?.sum(0)?);
        }
        Ok(grads)
    }
}
