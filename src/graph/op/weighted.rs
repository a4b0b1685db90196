//! Helpers of layers with weights.

use super::operation::trained;
use crate::graph::parameter::Parameter;
use anyhow::{Result, ensure};

/// `weight` of this shape, and `bias` with this many elements if there is one.
pub(super) fn weight_and_bias(weight: &[usize], bias: Option<usize>) -> Vec<Parameter> {
    std::iter::once(trained("weight", weight)).chain(bias.map(|n| trained("bias", &[n]))).collect()
}

/// Errors if the input does not have `input` channels, or `groups` does not divide the channels.
/// `c` is the actual number of input channels.
pub(super) fn check_channels(c: usize, input: usize, output: usize, groups: usize) -> Result<()> {
    ensure!(c == input, "expects {input} channels, got {c}");
    ensure!(
        groups > 0 && c.is_multiple_of(groups) && output.is_multiple_of(groups),
        "{groups} groups must divide both {c} and {output} channels"
    );
    Ok(())
}
