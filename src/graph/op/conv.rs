//! Convolution.

use super::argument::Argument;
use super::channels;
use super::spec::{DefaultRule, Family, Inputs, OpSpec, pair, weight};
use super::weighted::{check_channels, weight_and_bias};
use super::{Attribute, Attributes, Case, Op, Pattern, Saved, StdConv, maps, sum_by_channel};
use crate::backend::{self, Accumulation, Conv2d};
use crate::graph::Parameter;
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x ∗ w + b`; PyTorch's `Conv2d`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Number of input channels.
    pub input: usize,
    /// Number of output channels.
    pub output: usize,
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Stride, padding, dilation and groups of the convolution.
    pub slide: Conv2d,
    /// Whether the convolution has a bias.
    pub bias: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "conv",
    family: Family::AnyLinear,
    torch: "Conv2d",
    note: "`standardize` is the epsilon of weight standardization, as in timm's `StdConv2d`",
    onnx: &["Conv"],
    aten: &["conv2d.default", "conv2d.padding", "convolution.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("out_channels"),
        Argument::required("kernel_size").or(&["kernel"]),
        Argument::int("stride", 1),
        Argument::int("padding", 0),
        Argument::int("dilation", 1),
        Argument::int("groups", 1),
        Argument::bool("bias", true),
        Argument::optional("standardize"),
    ],
    build: |a, x| {
        let (kernel, slide) = (a.pair("kernel_size")?, slide(a)?);
        let conv = Conv { input: channels(x)?, output: a.count("out_channels")?, kernel, slide, bias: a.bool("bias")? };
        match a.has("standardize") {
            true => Ok(Arc::new(StdConv { conv, epsilon: a.float("standardize")? })),
            false => Ok(Arc::new(conv)),
        }
    },
    from_shapes: Some(|shapes| {
        let [output, _, h, w] = weight(shapes)?;
        let bias = shapes.contains_key("bias");
        Ok(vec![
            ("out_channels", Attribute::Int(output as i64)),
            ("kernel_size", pair(h, w)),
            ("bias", Attribute::Bool(bias)),
        ])
    }),
    relevance: DefaultRule::Gradient,
    draw: |d| {
        let groups = d.between(1, 3);
        let (input, output) = (groups * d.between(1, 2), groups * d.between(1, 3));
        let (kernel, stride, padding, dilation) = (d.pair(1, 3), d.pair(1, 3), d.pair(0, 2), d.pair(1, 2));
        let slide = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
        let [n, _, h, w] = d.map();
        let (conv, x) = (Conv { input, output, kernel, slide, bias: d.coin() }, [n, input, h, w]);
        match d.coin() {
            true => Case::new(StdConv { conv, epsilon: 1e-3 }, &[&x]),
            false => Case::new(conv, &[&x]),
        }
    },
};

impl Conv {
    fn weight(&self) -> [usize; 4] {
        [self.output, self.input / self.slide.groups.max(1), self.kernel.0, self.kernel.1]
    }

    /// The same convolution with its sums computed as `accumulation` specifies.
    pub(super) fn accumulated(self, accumulation: Accumulation) -> Self {
        Self { slide: Conv2d { accumulation, ..self.slide }, ..self }
    }
}

impl Op for Conv {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Conv(self.slide)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        check_channels(c, self.input, self.output, self.slide.groups)?;
        let (oh, ow) = self.slide.output(&self.weight(), h, w)?;
        Ok(vec![n, self.output, oh, ow])
    }

    fn params(&self) -> Vec<Parameter> {
        weight_and_bias(&self.weight(), self.bias.then_some(self.output))
    }

    fn accumulation(&self) -> Option<Accumulation> {
        Some(self.slide.accumulation)
    }

    fn with_accumulation(&self, accumulation: Accumulation) -> Option<Arc<dyn Op>> {
        Some(Arc::new(self.accumulated(accumulation)))
    }

    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { bias: true, ..*self }))
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        backend::conv2d(x[0], &w[0], w.get(1), &self.slide)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::conv2d_input_vjp(dy, &w[0], &at.dims(0)?, &self.slide)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let mut grads = vec![backend::conv2d_weight_vjp(dy, at.x(0)?, w[0].dims(), &self.slide)?];
        if self.bias {
            grads.push(sum_by_channel(dy)?);
        }
        Ok(grads)
    }
}

/// Reads the stride, padding, dilation and groups of a convolution from its arguments.
pub(super) fn slide(a: &Attributes) -> Result<Conv2d> {
    Ok(Conv2d {
        stride: a.pair("stride")?,
        padding: a.pair("padding")?,
        dilation: a.pair("dilation")?,
        groups: a.size("groups")?,
        ..Conv2d::default()
    })
}
