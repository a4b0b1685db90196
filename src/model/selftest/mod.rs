//! Small networks with the numbers that PyTorch gave for them: does this build agree?
//!
//! `cases.json` beside this file was written by `scripts/reference/selftest.py`.

mod network;

use crate::backward::{Composite, Walk, cross_entropy, logit};
use crate::graph::{NodeId, Trace};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use network::{list, network, tensor};
use serde_json::Value;
use std::sync::Arc;

/// How one case went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// The greatest difference from the expected numbers.
    pub greatest_error: f64,
    /// Whether that is within the case's bound.
    pub passed: bool,
}

/// Computes every embedded case in f64.
pub fn run() -> Result<Vec<Outcome>> {
    let cases: Value = serde_json::from_str(include_str!("cases.json"))?;
    list(&cases["cases"])?.iter().map(check).collect()
}

/// Computes one case: `gradient` (of one class, of the sum, of the cross-entropy, or of the logit times itself),
/// `grad_cam`, or `grad_cam_from_arrays`.
///
/// Errors name the case and what it asks for that is not known.
pub fn check(case: &Value) -> Result<Outcome> {
    let name = case["id"].as_str().context("a case has an id")?;
    let greatest_error = greatest_error(case).with_context(|| format!("in the case \"{name}\""))?;
    let bound = case["tolerance"]["abs"].as_f64().context("a case has a tolerance")?;
    Ok(Outcome { name: name.into(), greatest_error, passed: greatest_error <= bound })
}

fn greatest_error(case: &Value) -> Result<f64> {
    let expected = &case["expected"];
    match case["method"].as_str() {
        Some("gradient") => {
            let trace = trace(case)?;
            let gradient = gradient(&trace, case, 0)?;
            let of_value = match expected.get("value") {
                Some(value) => difference(&trace.values[trace.graph.output], value)?,
                None => 0.0,
            };
            Ok(difference(&gradient, &expected["x"])?.max(of_value))
        }
        Some("grad_cam") => {
            let trace = trace(case)?;
            let layer = case["params"]["layer"].as_str().context("Grad-CAM needs a layer")?;
            let id = if layer == "x" { 0 } else { trace.graph.find(layer)? };
            let each = case["params"]["per_channel"].as_bool().unwrap_or(false);
            difference(&grad_cam(&trace.values[id], &gradient(&trace, case, id)?, each)?, &expected["map"])
        }
        Some("grad_cam_from_arrays") => {
            let (a, g) = (tensor(&case["inputs"]["activation"])?, tensor(&case["inputs"]["gradient"])?);
            let map = grad_cam(&a, &g, false)?.relu()?;
            let most = map.flatten_all()?.max(0)?.to_scalar::<f64>()?;
            difference(&(map / most)?, &expected["map"])
        }
        other => bail!("the method {other:?} is not known"),
    }
}

/// `Σₖ mean(Gₖ) Aₖ`, or its terms.
fn grad_cam(a: &Tensor, g: &Tensor, each: bool) -> Result<Tensor> {
    let weighed = g.mean_keepdim((2, 3))?.broadcast_mul(a)?;
    Ok(if each { weighed } else { weighed.sum_keepdim(1)? })
}

fn gradient(trace: &Trace, case: &Value, to: NodeId) -> Result<Tensor> {
    let output = trace.graph.output;
    let y = &trace.values[output];
    let class = || Ok::<_, anyhow::Error>(case["target"].as_u64().context("a case has a target")? as usize);
    let seed = match case["params"]["seed"].as_str() {
        Some("sum") => y.ones_like()?,
        Some("cross_entropy") => cross_entropy(y, class()?)?,
        Some("output") => (logit(y, class()?)? * y)?,
        Some(other) => bail!("the seed \"{other}\" is not known"),
        None => logit(&y.flatten_from(1)?, class()?)?.reshape(y.shape())?,
    };
    let walk = Walk { to: vec![to], composite: Composite::gradient(), ..Walk::gradient(trace, vec![(output, seed)]) };
    let values = walk.run()?.values;
    values.get(&to).cloned().context("the gradient did not come so far")
}

fn trace(case: &Value) -> Result<Trace> {
    let (graph, x) = network(&case["network"], &case["inputs"])?;
    Arc::new(graph).forward(&x)
}

/// The greatest difference; NaN anywhere is infinitely wrong.
fn difference(ours: &Tensor, expected: &Value) -> Result<f64> {
    let expected = tensor(expected)?;
    ensure!(ours.dims() == expected.dims(), "shape {:?} instead of {:?}", ours.dims(), expected.dims());
    let both = (ours - expected)?.abs()?.flatten_all()?.to_vec1::<f64>()?;
    Ok(both.into_iter().map(|v| if v.is_nan() { f64::INFINITY } else { v }).fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_case_agrees_with_pytorch() {
        let outcomes = run().unwrap();
        assert!(outcomes.len() >= 15);
        for o in outcomes {
            assert!(o.passed, "{o:?}");
        }
    }

    #[test]
    fn a_changed_number_is_noticed() {
        let mut cases: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
        for case in cases["cases"].as_array_mut().unwrap() {
            let key = if case["expected"].get("map").is_some() { "map" } else { "x" };
            let mut number = &mut case["expected"][key];
            while number.is_array() {
                number = &mut number[0];
            }
            *number = Value::from(number.as_f64().unwrap() + 1e-6);
            assert!(!check(case).unwrap().passed);
        }
    }
}
