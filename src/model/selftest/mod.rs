//! Small networks with the numbers that PyTorch gave for them: does this build agree?
//!
//! `cases.json` beside this file was written by `scripts/reference/selftest.py`.

mod network;

use crate::backward::{Composite, Rule, Selector, Walk, cross_entropy, logit};
use crate::graph::{NodeId, Trace};
use crate::kernel::{Resize, interpolate};
use crate::tensor::positive;
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
    /// Why it could not be computed.
    pub why: Option<String>,
}

/// Computes every embedded case in f64.
pub fn run() -> Result<Vec<Outcome>> {
    run_text(include_str!("cases.json"), None)
}

/// Computes the cases of a text in the same form, or those of one method; what cannot be computed has not passed.
///
/// Errors: no such text, or no case of the method.
pub fn run_text(text: &str, method: Option<&str>) -> Result<Vec<Outcome>> {
    let cases: Value = serde_json::from_str(text).context("reading the cases")?;
    let wanted = |case: &&Value| method.is_none_or(|m| case["method"] == m);
    let outcomes: Vec<_> = list(&cases["cases"])?.iter().filter(wanted).map(outcome).collect();
    ensure!(!outcomes.is_empty(), "there are no cases of the method {method:?}");
    Ok(outcomes)
}

fn outcome(case: &Value) -> Outcome {
    check(case).unwrap_or_else(|error| Outcome {
        name: case["id"].as_str().unwrap_or("a case without an id").into(),
        greatest_error: f64::INFINITY,
        passed: false,
        why: Some(format!("{error:#}")),
    })
}

/// Computes one case: `gradient` (of one class, of the sum, of the cross-entropy, or of the logit times itself),
/// `guided_backprop`, `deconvnet`, `grad_cam`, `grad_cam_from_arrays`, or `guided_grad_cam`.
///
/// Errors name the case and what it asks for that is not known.
pub fn check(case: &Value) -> Result<Outcome> {
    let name = case["id"].as_str().context("a case has an id")?;
    let greatest_error = greatest_error(case).with_context(|| format!("in the case \"{name}\""))?;
    let bound = case["tolerance"]["abs"].as_f64().context("a case has a tolerance")?;
    Ok(Outcome { name: name.into(), greatest_error, passed: greatest_error <= bound, why: None })
}

fn greatest_error(case: &Value) -> Result<f64> {
    let expected = &case["expected"];
    match case["method"].as_str() {
        Some("gradient") => {
            let trace = trace(case)?;
            let gradient = gradient(&trace, case, 0, Composite::gradient())?;
            let of_value = match expected.get("value") {
                Some(value) => difference(&trace.values[trace.graph.output], value)?,
                None => 0.0,
            };
            Ok(difference_of_inputs(&gradient, case)?.max(of_value))
        }
        Some("guided_backprop") => difference_of_inputs(&gradient(&trace(case)?, case, 0, guided())?, case),
        Some("deconvnet") => difference_of_inputs(&gradient(&trace(case)?, case, 0, deconvnet())?, case),
        Some("guided_grad_cam") => {
            let trace = trace(case)?;
            let id = trace.graph.find(case["params"]["layer"].as_str().context("Grad-CAM needs a layer")?)?;
            let cam =
                grad_cam(&trace.values[id], &gradient(&trace, case, id, Composite::gradient())?, false)?.relu()?;
            let (_, _, h, w) = trace.input().dims4()?;
            let guided = gradient(&trace, case, 0, guided())?;
            let map = guided.broadcast_mul(&interpolate(&cam, (h, w), Resize::Nearest)?)?;
            difference_of_inputs(&map, case)
        }
        Some("grad_cam") => {
            let trace = trace(case)?;
            let layer = case["params"]["layer"].as_str().context("Grad-CAM needs a layer")?;
            let id = if layer == "x" { 0 } else { trace.graph.find(layer)? };
            let each = case["params"]["per_channel"].as_bool().unwrap_or(false);
            difference(
                &grad_cam(&trace.values[id], &gradient(&trace, case, id, Composite::gradient())?, each)?,
                &expected["map"],
            )
        }
        Some("grad_cam_from_arrays") => {
            let (a, g) = (tensor(&case["inputs"]["activation"])?, tensor(&case["inputs"]["gradient"])?);
            let map = grad_cam(&a, &g, false)?.relu()?;
            let most = map.flatten_all()?.max(0)?.to_scalar::<f64>()?;
            difference(&(map / most)?, &expected["map"])
        }
        other => bail!("the method \"{}\" is not known", other.unwrap_or_default()),
    }
}

/// `Σₖ mean(Gₖ) Aₖ`, or its terms.
fn grad_cam(a: &Tensor, g: &Tensor, each: bool) -> Result<Tensor> {
    let weighed = g.mean_keepdim((2, 3))?.broadcast_mul(a)?;
    Ok(if each { weighed } else { weighed.sum_keepdim(1)? })
}

/// What passes a ReLU where both the activation and the gradient are positive (Springenberg et al. 2014).
fn guided<'a>() -> Composite<'a> {
    of_relu(Box::new(|site, r| Ok(vec![(r.relu()? * positive(&site.x[0])?)?])))
}

/// What passes a ReLU where the gradient is positive (Zeiler & Fergus 2013).
fn deconvnet<'a>() -> Composite<'a> {
    of_relu(Box::new(|_, r| Ok(vec![r.relu()?])))
}

fn of_relu(rule: Rule) -> Composite {
    Composite::gradient().with(Selector::Kind(vec!["relu".into()]), rule)
}

fn gradient<'a>(trace: &'a Trace, case: &Value, to: NodeId, composite: Composite<'a>) -> Result<Tensor> {
    let output = trace.graph.output;
    let y = &trace.values[output];
    let class = || Ok::<_, anyhow::Error>(case["target"].as_u64().context("a case has a target")? as usize);
    let seed = match case["params"]["seed"].as_str() {
        Some("sum") => y.ones_like()?,
        Some("cross_entropy") => cross_entropy(y, &[class()?])?,
        Some("output") => (logit(y, &[class()?])? * y)?,
        Some(other) => bail!("the seed \"{other}\" is not known"),
        None => logit(&y.flatten_from(1)?, &[class()?])?.reshape(y.shape())?,
    };
    let walk = Walk { to: vec![to], composite, ..Walk::gradient(trace, vec![(output, seed)]) };
    let values = walk.run()?.values;
    values.get(&to).cloned().context("the gradient did not come so far")
}

fn trace(case: &Value) -> Result<Trace> {
    let (graph, x) = network(&case["network"], &case["inputs"])?;
    Arc::new(graph).forward(&x)
}

/// The greatest difference at the inputs, which stand one behind the other as channels.
fn difference_of_inputs(ours: &Tensor, case: &Value) -> Result<f64> {
    let names = case["network"]["inputs"].as_object().context("a network has inputs")?.keys();
    let mut start = 0;
    let mut greatest = 0f64;
    for name in names {
        let size = tensor(&case["inputs"][name.as_str()])?.dims()[1];
        greatest = greatest.max(difference(&ours.narrow(1, start, size)?, &case["expected"][name.as_str()])?);
        start += size;
    }
    Ok(greatest)
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

    fn cases() -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
        file["cases"].as_array().unwrap().clone()
    }

    #[test]
    fn a_changed_number_is_noticed() {
        for case in cases() {
            for (key, expected) in case["expected"].as_object().unwrap() {
                let mut changed = expected.clone();
                let mut number = &mut changed;
                while number.is_array() {
                    number = number.as_array_mut().unwrap().last_mut().unwrap();
                }
                *number = Value::from(number.as_f64().unwrap() + 1e-6);
                let mut case = case.clone();
                case["expected"][key] = changed;
                assert!(!check(&case).unwrap().passed, "{key} of {}", case["id"]);
            }
        }
    }

    /// Every place in a value, down to the first number of each list of numbers.
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_string());
        match value {
            Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| {
                if i == 0 || item.is_object() || item.is_string() {
                    places(item, &format!("{at}/{i}"), found);
                }
            }),
            Value::Object(map) => map.iter().for_each(|(key, item)| places(item, &format!("{at}/{key}"), found)),
            _ => {}
        }
    }

    #[test]
    fn a_damaged_case_is_an_answer_or_an_error_and_never_a_panic() {
        use serde_json::json;
        let damages =
            [json!(null), json!(-1), json!(0), json!(1e18 as u64), json!("x"), json!([]), json!([[1]]), json!({})];
        let mut tried = 0;
        for case in cases() {
            let mut found = vec![];
            places(&case, "", &mut found);
            for (place, damage) in found.iter().flat_map(|place| damages.iter().map(move |damage| (place, damage))) {
                let mut case = case.clone();
                *case.pointer_mut(place).unwrap() = damage.clone();
                let answer = std::panic::catch_unwind(|| outcome(&case));
                assert!(answer.is_ok(), "{damage} at {place} of {}", case["id"]);
                tried += 1;
            }
        }
        assert!(tried > 1000, "only {tried} were tried");
    }
}
