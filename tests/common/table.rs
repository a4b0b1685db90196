//! Tables of errors relative to reference tensors: tensor, class, tolerance, error, verdict.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Reference tensors with their metadata, and the comparisons so far.
pub struct Table {
    /// Tensors by name.
    pub tensors: HashMap<String, Tensor>,
    about: Value,
    rows: Vec<(String, bool)>,
}

impl Table {
    /// Reads `reference/NAME.safetensors` and `.json`.
    pub fn read(shared: &Path, name: &str) -> Self {
        let file = |ending: &str| shared.join(format!("reference/{name}.{ending}"));
        let tensors = candle_core::safetensors::load(file("safetensors"), &Device::Cpu).unwrap();
        let about = serde_json::from_str(&std::fs::read_to_string(file("json")).unwrap()).unwrap();
        Self { tensors, about, rows: vec![] }
    }

    /// The names that the JSON lists, sorted, without those that start with one of `later`.
    pub fn names(&self, later: &[&str]) -> Vec<String> {
        let listed = self.about["tensors"].as_object().unwrap().keys();
        let names: BTreeMap<_, _> = listed.map(|name| (name.clone(), ())).collect();
        names.into_keys().filter(|name| !later.iter().any(|l| name.starts_with(l))).collect()
    }

    /// Shape of a tensor.
    pub fn dims(&self, name: &str) -> Vec<usize> {
        self.tensors[name].dims().to_vec()
    }

    /// Elements of a tensor.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.tensors[name].flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    /// Compares `ours` with the tensor of this name, using its class's tolerance; layer sums relative to the largest.
    pub fn compare(&mut self, name: &str, ours: &[f64]) {
        let (expected, tolerance) = (self.numbers(name), &self.about["tensors"][name]["tolerance"]);
        assert_eq!(ours.len(), expected.len(), "{name}");
        let off: Vec<f64> = ours.iter().zip(&expected).map(|(a, b)| a - b).collect();
        let greatest = |v: &[f64]| v.iter().fold(0f64, |m, x| if x.is_nan() { f64::INFINITY } else { m.max(x.abs()) });
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let (found, allowed) = match tolerance["rel_l2"].as_f64() {
            Some(allowed) if name.ends_with("layer_sums") => (greatest(&off) / greatest(&expected), allowed),
            Some(allowed) => (length(&off) / length(&expected), allowed),
            None => {
                let named = ["max_abs_diff", "max_abs"].iter().find_map(|key| tolerance[key].as_f64());
                (greatest(&off), named.unwrap_or(if tolerance["class"] == "zero" { 1e-6 } else { 0.0 }))
            }
        };
        let class = tolerance["class"].as_str().unwrap_or("exact");
        let verdict = if found <= allowed { "ok" } else { "WRONG" };
        let row = format!("{name:<66} {class:<9} {allowed:>8.0e} {found:>8.1e}  {verdict}");
        self.rows.push((row, found <= allowed));
    }

    /// Prints the table; fails if an error exceeds its tolerance.
    pub fn finish(self) {
        println!("{:<66} {:<9} {:>8} {:>8}", "tensor", "class", "allowed", "ours");
        self.rows.iter().for_each(|(row, _)| println!("{row}"));
        let wrong: Vec<_> = self.rows.iter().filter(|(_, ok)| !ok).map(|(row, _)| row).collect();
        println!("{} of {} tensors agree", self.rows.len() - wrong.len(), self.rows.len());
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
