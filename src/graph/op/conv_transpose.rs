//! Transposed convolution.

use super::argument::Argument;
use super::channels;
use super::conv::slide;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::weighted::{check_channels, weight_and_bias};
use super::{Case, Op, Saved, maps, sum_by_channel};
use crate::backend::{self, Accumulation, Conv2d};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// The transpose of a convolution: the linear map from its output gradient to its input gradient. PyTorch's `ConvTranspose2d`.
#[derive(Clone, Copy, Debug)]
pub struct ConvTranspose {
    /// Number of input channels.
    pub input: usize,
    /// Number of output channels.
    pub output: usize,
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Stride, padding, dilation and groups of the convolution being transposed.
    pub slide: Conv2d,
    /// Number of rows and columns added to the smallest possible output; each is less than the stride.
    pub output_padding: (usize, usize),
    /// Whether the layer has a bias.
    pub bias: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "conv_transpose",
    family: Family::AnyLinear,
    torch: "ConvTranspose2d",
    note: "",
    onnx: &["ConvTranspose"],
    aten: &["conv_transpose2d.input"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("out_channels"),
        Argument::required("kernel_size").or(&["kernel"]),
        Argument::int("stride", 1),
        Argument::int("padding", 0),
        Argument::int("output_padding", 0),
        Argument::int("dilation", 1),
        Argument::int("groups", 1),
        Argument::bool("bias", true),
    ],
    build: |a, x| {
        let (input, output, bias) = (channels(x)?, a.count("out_channels")?, a.bool("bias")?);
        let (kernel, slide, output_padding) = (a.pair("kernel_size")?, slide(a)?, a.pair("output_padding")?);
        Ok(Arc::new(ConvTranspose { input, output, kernel, slide, output_padding, bias }))
    },
    from_shapes: None,
    relevance: DefaultRule::Gradient,
    draw: |d| {
        let groups = d.between(1, 3);
        let (input, output) = (groups * d.between(1, 2), groups * d.between(1, 3));
        let (kernel, stride, padding, dilation, size) =
            (d.pair(1, 3), d.pair(1, 3), d.pair(0, 2), d.pair(1, 2), d.pair(5, 7));
        let output_padding = (d.between(0, stride.0 - 1), d.between(0, stride.1 - 1));
        let slide = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
        let op = ConvTranspose { input, output, kernel, slide, output_padding, bias: d.coin() };
        Case::new(op, &[&[d.between(1, 3), input, size.0, size.1]])
    },
};

impl ConvTranspose {
    fn weight(&self) -> [usize; 4] {
        [self.input, self.output / self.slide.groups.max(1), self.kernel.0, self.kernel.1]
    }

    /// Height and width of the output for an input of height `h` and width `w`.
    fn sides(&self, h: usize, w: usize) -> Result<(usize, usize)> {
        let side = |n: usize, kernel: usize, stride: usize, padding: usize, dilation: usize, more: usize| {
            ensure!(n > 0 && kernel > 0 && stride > 0, "input size, kernel size and stride must be positive");
            ensure!(more < stride, "output padding must be less than the stride, got {more} for a stride of {stride}");
            let all = (n - 1) * stride + (kernel - 1) * dilation + 1 + more;
            ensure!(all > 2 * padding, "a padding of {padding} removes the entire output of size {all}");
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
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        check_channels(c, self.input, self.output, self.slide.groups)?;
        let (oh, ow) = self.sides(h, w)?;
        Ok(vec![n, self.output, oh, ow])
    }

    fn params(&self) -> Vec<Parameter> {
        weight_and_bias(&self.weight(), self.bias.then_some(self.output))
    }

    fn accumulation(&self) -> Option<Accumulation> {
        Some(self.slide.accumulation)
    }

    fn with_accumulation(&self, accumulation: Accumulation) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { slide: Conv2d { accumulation, ..self.slide }, ..*self }))
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        let y = backend::conv2d_input_vjp(x[0], &w[0], &self.shape(&[x[0].dims()])?, &self.slide)?;
        let Some(bias) = w.get(1) else { return Ok(y) };
        backend::channel_affine(&y, &bias.ones_like()?, bias)
    }

    fn vjp(&self, _: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::conv2d(dy, &w[0], None, &self.slide)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let mut grads = vec![backend::conv2d_weight_vjp(at.x(0)?, dy, w[0].dims(), &self.slide)?];
        if self.bias {
            grads.push(sum_by_channel(dy)?);
        }
        Ok(grads)
    }
}
