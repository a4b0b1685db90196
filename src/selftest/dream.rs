//! Test cases for feature visualization and style transfer: regularizers, Gram matrices and losses.

use super::harness::{Answer, Harness, map, table};
use super::network::ReadOptions;
use super::value::{number, tensor};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};

/// Applies a regularizer to a picture with one or more channels and, if the regularizer needs one, a gradient.
pub(super) fn regularizer(desk: Harness, name: &str) -> Result<Answer> {
    let amount = if name == "gaussian_blur" { "sigma" } else { "percentile" };
    let set = [("of", name.to_string()), ("amount", number(desk.params(), amount)?.to_string())];
    let figures = ask(desk, &["img", "grad"], include_str!("scripts/regularise.rhai"), &set)?;
    shaped(desk, [("img".to_string(), map(&figures, "img")?)].into())
}

/// Computes Gram matrices and style losses of two feature maps.
pub(super) fn style(desk: Harness) -> Result<Answer> {
    let figures = ask(desk, &["F", "target"], include_str!("scripts/styles.rhai"), &[])?;
    let mut answer = table(&figures)?;
    for name in ["gram", "gram_div_chw"] {
        answer.insert(name.into(), map(&figures, name)?);
    }
    shaped(desk, answer)
}

/// Runs a script on inputs that become the channels of a picture, in the given order, and returns its figures.
fn ask(
    desk: Harness,
    names: &[&str],
    script: &str,
    set: &[(&'static str, String)],
) -> Result<Vec<crate::render::Figure>> {
    let inputs = desk.case["inputs"].as_object().context("the case has no inputs")?;
    let batched = |value: &Value| match tensor(value).map(|t| t.rank()) {
        Ok(2) => json!([[value]]),
        _ => json!([value]),
    };
    let inputs: Map<_, _> = names.iter().filter_map(|n| Some((n.to_string(), batched(inputs.get(*n)?)))).collect();
    let shapes: Map<_, _> = inputs.keys().map(|n| (n.clone(), json!([]))).collect();
    let case = json!({
        "network": { "inputs": shapes, "output": "flat", "layers": [
            { "name": "flat", "op": "flatten", "in": [names[0]] },
        ] },
        "inputs": inputs,
        "target": 0,
    });
    let desk = desk.with(&case);
    desk.ask(&desk.network(ReadOptions::default())?, desk.script(script, set)?)
}

/// Reshapes results to the shapes expected by the case.
fn shaped(desk: Harness, answer: Answer) -> Result<Answer> {
    let shaped = |(name, value): (String, Tensor)| {
        let expected = &desk.case["expected"][&name];
        let value = match expected.is_array() {
            true => value.reshape(tensor(expected)?.dims())?,
            false => Tensor::new(value.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?[0], &Device::Cpu)?,
        };
        Ok((name, value))
    };
    answer.into_iter().map(shaped).collect()
}
