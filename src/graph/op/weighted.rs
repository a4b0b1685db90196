//! What layers with weights have in common.

use super::operation::trained;
use crate::graph::parameter::Parameter;
use anyhow::{Result, ensure};

/// `weight` of this shape, and `bias` of so many numbers if there is one.
pub(super) fn weight_and_bias(weight: &[usize], bias: Option<usize>) -> Vec<Parameter> {
    std::iter::once(trained("weight", weight)).chain(bias.map(|n| trained("bias", &[n]))).collect()
}

/// Errors where a convolution does not read `c` channels, or its groups do not divide its channels.
pub(super) fn check_channels(c: usize, input: usize, output: usize, groups: usize) -> Result<()> {
    ensure!(c == input, "it reads {input} channels, got {c}");
    ensure!(
        groups > 0 && c.is_multiple_of(groups) && output.is_multiple_of(groups),
        "{groups} groups divide neither {c} nor {output} channels evenly"
    );
    Ok(())
}
