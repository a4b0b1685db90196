//! Helpers for reading the JSON values of test cases.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use serde_json::Value;

/// The items of a JSON list. Errors if `value` is not a list.
pub(super) fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("expected a list")
}

/// The string under `key` in a JSON object. Errors if there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("\"{key}\" is missing"))
}

/// The number under `key` in a JSON object. Errors if there is none.
pub(super) fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("\"{key}\" is missing"))
}

/// Converts nested JSON lists of numbers or booleans to an f64 tensor; true becomes 1.
pub(super) fn tensor(value: &Value) -> Result<Tensor> {
    let mut shape = vec![];
    let mut first = value;
    while let Some(items) = first.as_array() {
        shape.push(items.len());
        first = items.first().context("a list is empty")?;
    }
    let mut numbers = vec![];
    flatten(value, &mut numbers)?;
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Result<()> {
    match value.as_array() {
        Some(items) => items.iter().try_for_each(|item| flatten(item, numbers)),
        None => {
            let truth = value.as_bool().map(|b| f64::from(u8::from(b)));
            numbers.push(value.as_f64().or(truth).context("expected a number")?);
            Ok(())
        }
    }
}

/// The baseline among the parameters of a case; `None` if it is absent or 0.
pub fn baseline(params: &Value) -> Option<&Value> {
    params.get("baseline").filter(|b| b.as_f64() != Some(0.0) && !b.is_null())
}
