//! Dropout of single elements and of whole channels.

use super::argument::Argument;
use super::in_training::Dropped;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Attributes, Case, Op, Pattern, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Zeroes elements or whole channels with probability `p` in training and scales the others by `1 / (1 − p)`; the identity in
/// evaluation (Srivastava et al. 2014; PyTorch's `Dropout` and `Dropout2d`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// The dropout probability, in `[0, 1]`.
    pub p: f64,
    /// Whether to drop whole channels instead of single elements.
    pub channels: bool,
    /// Whether to multiply by a mask, as in training.
    pub training: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "dropout",
    family: Family::Dropout,
    torch: "Dropout",
    note: "the identity, except in training mode",
    onnx: &["Dropout"],
    aten: &["dropout.default", "dropout_.default", "native_dropout.default"],
    aliases: &["identity"],
    inputs: Inputs::One,
    arguments: &[Argument::float("p", 0.5).by_place()],
    build: |a, _| dropout(a, false),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Dropout::default(), &[&d.map()]),
};

pub(super) static CHANNELS: OpSpec = OpSpec {
    kind: "dropout2d",
    family: Family::Dropout,
    torch: "Dropout2d",
    note: "the identity, except in training mode",
    onnx: &[],
    aten: &["feature_dropout.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("p", 0.5).by_place()],
    build: |a, _| dropout(a, true),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Dropout { channels: true, ..Dropout::default() }, &[&d.map()]),
};

impl Op for Dropout {
    fn spec(&self) -> &'static OpSpec {
        if self.channels { &CHANNELS } else { &SPEC }
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        if self.training { Pattern::Mask } else { Pattern::Same }
    }

    fn in_training(&self) -> Option<Arc<dyn Op>> {
        (self.p > 0.0).then(|| Arc::new(Self { training: true, ..*self }) as Arc<dyn Op>)
    }

    fn dropout(&self) -> Option<Dropped> {
        Some(Dropped { p: self.p, channels: self.channels })
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].clone())
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}

fn dropout(a: &Attributes, channels: bool) -> Result<Arc<dyn Op>> {
    let p = a.float("p")?;
    ensure!((0.0..=1.0).contains(&p), "p must be from 0 to 1, got {p}");
    Ok(Arc::new(Dropout { p, channels, training: false }))
}
