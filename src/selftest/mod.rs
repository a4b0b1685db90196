//! The self-test, which compares results on small networks with those of other programs, in f64 and in f32.
//!
//! Since methods are scripts, it tests the built-in plugins; each plugin runs with the network of a test case as its model.
//! `cases.json` in this folder is written by `scripts/reference/selftest.py`.

mod value;
mod words;
mod layer;
mod network;
mod harness;
mod answers;
mod dream;
mod attacks;
mod gradient;
mod lrp;
mod methods;
mod occlusion;
mod tsne;

use crate::exec::RunOptions;
use crate::panics::{caught, decoding};
use crate::script::folders::Folders;
use crate::script::host::Host;
use answers::{alias, together};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use harness::{Answer, Harness};
use serde_json::Value;
use value::{list, tensor};

/// Minimum relative tolerance in f32, as a fraction of the largest expected magnitude.
const SINGLE: f64 = 2e-5;

/// The outcome of a test case.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// ID of the case.
    pub name: String,
    /// Name of the method that the case tests.
    pub method: String,
    /// Origin of the expected values: a repository or a library.
    pub source: String,
    /// Maximum absolute difference from the expected values in f64; infinite on failure.
    pub double: f64,
    /// Maximum absolute difference from the expected values in f32; infinite on failure.
    pub single: f64,
    /// Whether the differences in f64 and in f32 are both within the tolerance of the case.
    pub passed: bool,
    /// Why the case could not be computed; `None` if it was computed.
    pub why: Option<String>,
}

/// Runs the self-test; holds the host that compiles and calls the built-in plugins.
pub struct Selftest(Host);

impl Default for Selftest {
    fn default() -> Self {
        Self::on(Device::Cpu)
    }
}

impl Selftest {
    /// A self-test that computes on `device`, with direct convolution.
    pub fn on(device: Device) -> Self {
        let (plugins, models) = (Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
        Self(Host::with_options(plugins, models, RunOptions { device, ..RunOptions::default() }))
    }

    /// Runs all embedded test cases.
    pub fn run(&self) -> Result<Vec<Outcome>> {
        self.run_text(include_str!("cases.json"), None)
    }

    /// Runs the test cases in a JSON string, or only those of `method` if given. A case that cannot be computed counts as failed.
    ///
    /// Errors if the JSON cannot be parsed, or if there are no cases for the method.
    pub fn run_text(&self, text: &str, method: Option<&str>) -> Result<Vec<Outcome>> {
        let file: Value = decoding("JSON", || serde_json::from_str(text)).context("reading the cases")?;
        let wanted = |case: &&Value| method.is_none_or(|m| case["method"] == m);
        let outcome = |case: &Value| Outcome { source: source(&file, case), ..self.check(case) };
        let outcomes: Vec<_> = list(&file["cases"])?.iter().filter(wanted).map(outcome).collect();
        ensure!(!outcomes.is_empty(), "there are no cases for the method {method:?}");
        Ok(outcomes)
    }

    /// Runs one test case in f64 and in f32.
    pub fn check(&self, case: &Value) -> Outcome {
        let text = |key: &str, none: &str| case[key].as_str().unwrap_or(none).to_string();
        let errors = |dtype| {
            let computed = caught(|| words::read(case).and_then(|case| self.errors(&case, dtype)));
            computed.unwrap_or_else(|panic| bail!("internal error: {panic}"))
        };
        let [double, single] = [DType::F64, DType::F32].map(errors);
        let passed =
            |errors: &Result<Vec<Error>>| errors.as_ref().is_ok_and(|all| all.iter().all(|e| e.size <= e.bound));
        let greatest = |errors: &Result<Vec<Error>>| match errors {
            Ok(all) => all.iter().map(|e| e.size).fold(0.0, f64::max),
            Err(_) => f64::INFINITY,
        };
        Outcome {
            name: text("id", "unnamed"),
            method: text("method", "none"),
            source: String::new(),
            double: greatest(&double),
            single: greatest(&single),
            passed: passed(&double) && passed(&single),
            why: double.err().or(single.err()).map(|e| format!("{e:#}")),
        }
    }

    /// Computes a case in one dtype and returns the error of each result compared with its expected value.
    fn errors(&self, case: &Value, dtype: DType) -> Result<Vec<Error>> {
        let rows = rows(case)?;
        let desk = |row| Harness { host: &self.0, case, row, dtype };
        let answers = (0..rows).map(|row| methods::answer(desk(row))).collect::<Result<Vec<_>>>()?;
        let tolerance = Tolerance::of(&case["tolerance"], dtype)?;
        let pairs = pairs(case, &together(answers)?)?;
        pairs.iter().map(|(ours, expected)| error(ours, expected, tolerance)).collect()
    }
}

/// The largest error that a test case accepts.
#[derive(Clone, Copy)]
struct Tolerance {
    /// Absolute tolerance for results.
    abs: f64,
    /// Tolerance relative to the largest magnitude among the expected values.
    rel: f64,
}

impl Tolerance {
    /// Reads the tolerance of a case. In f32, the relative tolerance is at least [`SINGLE`], unless the case sets its own
    /// tolerance for f32.
    fn of(value: &Value, dtype: DType) -> Result<Self> {
        let [abs, rel, single] = ["abs", "rel", "f32"].map(|key| value[key].as_f64());
        ensure!(abs.or(rel).is_some(), "the case has no tolerance");
        let (abs, rel) = (abs.unwrap_or(0.0), rel.unwrap_or(0.0));
        Ok(match (dtype, single) {
            (DType::F32, Some(single)) => Self { abs: abs.max(single), rel },
            (DType::F32, None) => Self { abs, rel: rel.max(SINGLE) },
            _ => Self { abs, rel },
        })
    }
}

/// The error of a result, and the largest error that is acceptable for it.
struct Error {
    size: f64,
    bound: f64,
}

/// The origin of the expected values of a case: the source given in the case, else the source given for the whole file.
fn source(file: &Value, case: &Value) -> String {
    let own = case["source"]["repo"].as_str().or(file["source"].as_str());
    own.unwrap_or("unknown").into()
}

/// The number of rows that the inputs of a case have; 1 if the case has no network.
fn rows(case: &Value) -> Result<usize> {
    let Some(inputs) = case["network"]["inputs"].as_object() else { return Ok(1) };
    let name = inputs.keys().next().context("the network has no inputs")?;
    list(&case["inputs"][name.as_str()]).map(Vec::len)
}

/// Pairs of computed and expected values; the expected value may also be given as the name of another result.
fn pairs(case: &Value, answer: &Answer) -> Result<Vec<(Tensor, Tensor)>> {
    let get = |name: &str| {
        let own = answer.get(name).or_else(|| answer.get(alias(name)?));
        own.cloned().with_context(|| format!("the method has no result \"{name}\""))
    };
    let mut pairs = vec![];
    for (name, expected) in case["expected"].as_object().context("the case has no \"expected\" results")? {
        let expected = expected.as_str().map_or_else(|| tensor(expected), get)?;
        pairs.push((get(name)?, expected));
    }
    ensure!(!pairs.is_empty(), "the case has no \"expected\" results");
    if let Some(other) = case["params"]["also_equals"].as_str() {
        let names = answer.keys().filter_map(|name| name.strip_suffix(&format!(" of {other}")));
        let also: Vec<_> =
            names.map(|name| Ok((get(name)?, get(&format!("{name} of {other}"))?))).collect::<Result<_>>()?;
        ensure!(!also.is_empty(), "no results to compare with \"{other}\"");
        pairs.extend(also);
    }
    Ok(pairs)
}

/// The largest absolute difference between a result and its expected value; NaN counts as infinite. The two shapes may differ in
/// dimensions of size 1.
fn error(ours: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<Error> {
    let mut ours = ours.to_device(expected.device())?;
    let sizes = |t: &Tensor| t.dims().iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
    if sizes(&ours) == sizes(expected) {
        ours = ours.reshape(expected.shape())?;
    }
    ensure!(ours.dims() == expected.dims(), "got shape {:?} instead of {:?}", ours.dims(), expected.dims());
    let greatest = |t: &Tensor| -> Result<f64> {
        let numbers = t.abs()?.flatten_all()?.to_vec1::<f64>()?;
        Ok(numbers.into_iter().map(|v| if v.is_nan() { f64::INFINITY } else { v }).fold(0.0, f64::max))
    };
    let bound = tolerance.abs.max(tolerance.rel * greatest(expected)?);
    Ok(Error { size: greatest(&(ours - expected)?)?, bound })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::AssertUnwindSafe;

    #[test]
    fn every_embedded_case_agrees_with_pytorch() {
        let outcomes = Selftest::default().run().unwrap();
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
    fn a_changed_expected_value_is_detected() {
        let selftest = Selftest::default();
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
                assert!(!selftest.check(&case).passed, "{key} of {}", case["id"]);
            }
        }
    }

    /// Appends to `found` JSON pointers to everything inside `value`; of a list of numbers, only the first number is included.
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
    fn a_damaged_case_never_panics() {
        use serde_json::json;
        let damages =
            [json!(null), json!(-1), json!(0), json!(1e18 as u64), json!("x"), json!([]), json!([[1]]), json!({})];
        let (selftest, mut tried) = (Selftest::default(), 0);
        for case in cases() {
            let mut found = vec![];
            places(&case, "", &mut found);
            for (place, damage) in found.iter().flat_map(|place| damages.iter().map(move |damage| (place, damage))) {
                let mut case = case.clone();
                *case.pointer_mut(place).unwrap() = damage.clone();
                let answer = std::panic::catch_unwind(AssertUnwindSafe(|| selftest.check(&case)));
                assert!(answer.is_ok(), "{damage} at {place} of {}", case["id"]);
                tried += 1;
            }
        }
        assert!(tried > 1000, "only {tried} were tried");
    }
}
