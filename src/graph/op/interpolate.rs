//! Resizing maps.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved, maps};
use crate::backend::{self, Resize};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Resizes maps `(N, C, H, W)` to `(N, C, h, w)`; PyTorch's `interpolate`.
#[derive(Debug)]
pub struct Interpolate {
    /// Height and width of the result.
    pub size: (usize, usize),
    /// How pixels are interpolated.
    pub mode: Resize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "interpolate",
    family: Family::Shape,
    torch: "interpolate",
    note: "`mode` is nearest, bilinear or bilinear_corners (`align_corners=True`)",
    onnx: &["Resize", "Upsample"],
    aten: &["upsample_nearest2d.vec", "upsample_bilinear2d.vec"],
    aliases: &["upsample"],
    inputs: Inputs::One,
    arguments: &[Argument::required("size"), Argument::text("mode", "nearest")],
    build: |a, _| {
        let mode = match a.text("mode")? {
            "nearest" => Resize::Nearest,
            "bilinear" => Resize::Bilinear,
            "bilinear_corners" => Resize::BilinearCorners,
            other => bail!("unknown mode \"{other}\"; expected one of nearest, bilinear, bilinear_corners"),
        };
        Ok(Arc::new(Interpolate { size: a.pair("size")?, mode }))
    },
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| {
        let mode = [Resize::Nearest, Resize::Bilinear, Resize::BilinearCorners][d.between(0, 2)];
        Case::new(Interpolate { size: d.pair(1, 7), mode }, &[&d.map()])
    },
};

impl Op for Interpolate {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let (oh, ow) = self.size;
        ensure!(h * w * oh * ow > 0, "cannot resize {h}x{w} to {oh}x{ow}");
        Ok(vec![n, c, oh, ow])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::interpolate(x[0], self.size, self.mode)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let dims = at.dims(0)?;
        backend::interpolate_vjp(dy, (dims[2], dims[3]), self.mode)
    }
}
