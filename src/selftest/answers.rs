//! Helpers for the results of a test case: joins per-row results and translates result names from other programs.

use super::harness::Answer;
use anyhow::{Context, Result};
use candle_core::Tensor;

/// Joins per-row results into results for the whole batch.
pub fn together(mut rows: Vec<Answer>) -> Result<Answer> {
    if rows.len() == 1 {
        return Ok(rows.remove(0));
    }
    let first = rows.first().context("the batch has no rows")?;
    let of =
        |row: &'_ Answer, name: &String| row.get(name).cloned().context("a result is missing from a row of the batch");
    let all = |name: &String| rows.iter().map(|row| of(row, name)).collect::<Result<Vec<_>>>();
    let joined = |name: &String| -> Result<Tensor> {
        let parts = all(name)?;
        Ok(if parts[0].rank() == 0 { Tensor::stack(&parts, 0)? } else { Tensor::cat(&parts, 0)? })
    };
    first.keys().map(|name| Ok((name.clone(), joined(name)?))).collect()
}

/// Gradscope's name for a result that another program calls `name`, if any.
pub fn alias(name: &str) -> Option<&'static str> {
    Some(match name {
        "cam" | "cam_raw" | "attribution" => "map",
        "t" | "x" | "alphas" | "places" | "points" => "nodes",
        "w" | "step_sizes" => "weights",
        "eta" | "perturbation" | "direction" => "step",
        "output" | "outputs" | "logits" => "value",
        _ => return None,
    })
}
