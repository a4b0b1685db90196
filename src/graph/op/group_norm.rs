//! Group normalization.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved, affine_params, channels, sum_by_channel};
use crate::backend::{RowNorm, channel_affine};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − mean) / √(var + ε) + β` with the mean and variance of each group of channels (Wu & He 2018, arXiv:1803.08494);
/// PyTorch's `GroupNorm`.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// Number of groups.
    pub groups: usize,
    /// Number of channels.
    pub channels: usize,
    /// ε, added to the variance.
    pub epsilon: f64,
    /// Whether the norm has a γ and a β for each channel.
    pub affine: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "group_norm",
    family: Family::Norm,
    torch: "GroupNorm",
    note: "",
    onnx: &["GroupNormalization"],
    aten: &["group_norm.default", "native_group_norm.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("num_groups"),
        Argument::float("eps", 1e-5).or(&["epsilon"]),
        Argument::bool("affine", true),
    ],
    build: |a, x| {
        let (groups, epsilon, affine) = (a.count("num_groups")?, a.float("eps")?, a.bool("affine")?);
        Ok(Arc::new(GroupNorm { groups, channels: channels(x)?, epsilon, affine }))
    },
    from_shapes: None,
    relevance: DefaultRule::Normalize,
    draw: |d| {
        let groups = d.between(1, 3);
        let shape = [d.between(1, 3), groups * d.between(1, 3), d.between(2, 5), d.between(2, 5)];
        Case::new(GroupNorm { groups, channels: shape[1], epsilon: 1e-5, affine: d.coin() }, &[&shape])
    },
};

impl GroupNorm {
    /// The norm of the channels of a picture's group, for values of shape `x`.
    fn norm(&self, x: &[usize]) -> RowNorm {
        let columns = x[1..].iter().product::<usize>() / self.groups;
        RowNorm { columns, centered: true, epsilon: self.epsilon }
    }
}

impl Op for GroupNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let c = channels(x)?;
        ensure!(x[0].len() > 2, "expects (N, C, …), got {:?}", x[0]);
        ensure!(c == self.channels, "expects {} channels, got {c}", self.channels);
        ensure!(
            self.groups > 0 && c.is_multiple_of(self.groups),
            "{c} channels are not divisible by {} groups",
            self.groups
        );
        Ok(x[0].to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        affine_params(&[self.channels], self.affine, true)
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        let y = self.norm(x[0].dims()).forward(x[0], &[])?;
        Ok(match w {
            [weight, bias] => channel_affine(&y, weight, bias)?,
            _ => y,
        })
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        self.norm(dy.dims()).vjp(at.x(0)?, &[], &weighed(dy, w)?, false)
    }

    fn vjp_detached(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Tensor> {
        self.norm(dy.dims()).vjp(at.x(0)?, &[], &weighed(dy, w)?, true)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        if w.is_empty() {
            return Ok(vec![]);
        }
        let y = self.norm(dy.dims()).forward(at.x(0)?, &[])?;
        Ok(vec![sum_by_channel(&(dy * y)?)?, sum_by_channel(dy)?])
    }
}

/// `γ dy` with the γ of each channel, or `dy` if `w` is empty.
fn weighed(dy: &Tensor, w: &[Tensor]) -> Result<Tensor> {
    match w.first() {
        Some(weight) => channel_affine(dy, weight, &weight.zeros_like()?),
        None => Ok(dy.clone()),
    }
}
