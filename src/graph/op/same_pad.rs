//! TensorFlow's `SAME` padding.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved, maps};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Pads a feature map with zeros so that a window with this stride and no further padding has `⌈size / stride⌉` positions along
/// each axis. Half of the zeros are added before and half after; if their number is odd, the extra one goes after.
#[derive(Debug)]
pub struct SamePad {
    /// Height and width of the window, dilation included.
    pub window: (usize, usize),
    /// Vertical and horizontal stride of the window.
    pub stride: (usize, usize),
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "same_pad",
    family: Family::Shape,
    torch: "pad_same",
    note: "TensorFlow's `SAME` zero padding, for the convolution or pooling layer that follows; that layer's `padding` must be 0",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("kernel_size"), Argument::required("stride")],
    build: |a, _| {
        let (window, stride) = (a.pair("kernel_size")?, a.pair("stride")?);
        let least = window.0.min(window.1).min(stride.0).min(stride.1);
        ensure!(least > 0, "kernel_size and stride must be positive");
        Ok(Arc::new(SamePad { window, stride }))
    },
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let op = SamePad { window: d.pair(1, 5), stride: d.pair(1, 3) };
        let [n, c, ..] = d.map();
        Case::new(op, &[&[n, c, d.between(1, 7), d.between(1, 7)]])
    },
};

impl SamePad {
    /// Number of zeros before and after an axis of length `size`.
    fn zeros(size: usize, window: usize, stride: usize) -> (usize, usize) {
        let needed = (size.div_ceil(stride).saturating_sub(1)).saturating_mul(stride).saturating_add(window);
        let all = needed.saturating_sub(size);
        (all / 2, all - all / 2)
    }

    fn rows(&self, size: usize) -> (usize, usize) {
        Self::zeros(size, self.window.0, self.stride.0)
    }

    fn columns(&self, size: usize) -> (usize, usize) {
        Self::zeros(size, self.window.1, self.stride.1)
    }
}

impl Op for SamePad {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let ((top, bottom), (left, right)) = (self.rows(h), self.columns(w));
        Ok(vec![n, c, h + top + bottom, w + left + right])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let ((top, bottom), (left, right)) = (self.rows(x[0].dim(2)?), self.columns(x[0].dim(3)?));
        Ok(x[0].pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let [_, _, h, w] = maps(&[&at.dims(0)?])?;
        Ok(dy.narrow(2, self.rows(h).0, h)?.narrow(3, self.columns(w).0, w)?.contiguous()?)
    }
}
