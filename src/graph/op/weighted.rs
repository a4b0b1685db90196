//! Helpers for layers with weights.

use super::operation::trained;
use crate::graph::parameter::Parameter;
use anyhow::{Result, ensure};

/// The parameters of a layer: `weight` with the given shape and, unless `bias` is `None`, a `bias` with that number of elements.
pub(super) fn weight_and_bias(weight: &[usize], bias: Option<usize>) -> Vec<Parameter> {
    std::iter::once(trained("weight", weight)).chain(bias.map(|n| trained("bias", &[n]))).collect()
}

/// Errors if the actual number of input channels `c` is not `input`, or if `groups` does not divide the input and output
/// channels.
pub(super) fn check_channels(c: usize, input: usize, output: usize, groups: usize) -> Result<()> {
    ensure!(c == input, "expected {input} channels, got {c}");
    ensure!(
        groups > 0 && c.is_multiple_of(groups) && output.is_multiple_of(groups),
        "{groups} groups must divide both {c} input channels and {output} output channels"
    );
    Ok(())
}
