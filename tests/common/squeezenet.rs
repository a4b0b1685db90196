//! SqueezeNet on the picture of a dog and a cat: runs of the program, and results of other implementations.
//!
//! Pictures, weights and reference values come from the folder `GRADSCOPE_SHARED`.

use super::random::numbers;
use candle_core::{Device, Tensor};
use gradscope::data::read_npy;
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The weight file.
pub fn squeezenet(shared: &Path) -> PathBuf {
    shared.join("models/squeezenet1_0_imagenet.safetensors")
}

/// The network.
pub fn model(shared: &Path) -> Model {
    Architectures::new(Folders::models(None), &Default::default())
        .open("squeezenet1_0", Some(&squeezenet(shared)))
        .unwrap_or_else(|e| panic!("{e:#}"))
}

/// Reference tensors and tolerances for SqueezeNet on the picture of a dog and a cat.
pub struct Reference {
    /// Tensors by name.
    pub tensors: HashMap<String, Tensor>,
    about: Value,
}

impl Reference {
    /// Reads both files.
    pub fn read(shared: &Path) -> Self {
        let file = |ending: &str| shared.join(format!("reference/squeezenet1_0.dog_cat_both.{ending}"));
        let tensors = candle_core::safetensors::load(file("safetensors"), &Device::Cpu).unwrap();
        Self { tensors, about: serde_json::from_str(&std::fs::read_to_string(file("json")).unwrap()).unwrap() }
    }

    /// Asserts that `ours` agrees with the tensor of this name within its tolerance.
    pub fn assert(&self, name: &str, ours: &[f64]) {
        let expected = numbers(&self.tensors[name]);
        let bound = self.about["tensors"][name]["tolerance"]["rel_l2"].as_f64().unwrap();
        assert_eq!(ours.len(), expected.len(), "{name}");
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let off = square(&mut ours.iter().zip(&expected).map(|(a, b)| a - b)) / square(&mut expected.iter().copied());
        assert!(off <= bound, "{name}: {off:e} off, {bound:e} allowed");
    }
}

/// Runs a method on the picture of a dog and a cat; returns the folder with its output.
pub fn run(shared: &Path, method: &str, more: &[&str]) -> TempDir {
    let out = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(["run", method, "-m", "squeezenet1_0", "--no-resize", "-w"]).arg(squeezenet(shared));
    command.arg("-i").arg(shared.join("data/photos/dog_cat_both.png")).arg("--out").arg(out.path()).args(more);
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    out
}

/// An array that a run wrote: its shape and elements.
pub fn raw(folder: &TempDir, name: &str) -> (Vec<usize>, Vec<f64>) {
    let array = read_npy(&folder.path().join(name)).unwrap();
    (array.shape, array.values.into_iter().map(f64::from).collect())
}

/// Sums over blocks of 4x4 pixels.
pub fn blocks(map: &[f64], size: usize) -> Vec<f64> {
    let mut sums = vec![0.0; (size / 4) * (size / 4)];
    for (place, value) in map.iter().enumerate() {
        sums[place / size / 4 * (size / 4) + place % size / 4] += value;
    }
    sums
}

impl Reference {
    /// Asserts that an attribution `(3, 224, 224)` agrees with the tensor of this name, in the tensor's form.
    pub fn assert_map(&self, name: &str, map: &[f64]) {
        let plane = 224 * 224;
        let sum: Vec<f64> = (0..plane).map(|p| (0..3).map(|c| map[c * plane + p]).sum()).collect();
        match self.tensors[name].dims() {
            [3, 224, 224] => self.assert(name, map),
            [224, 224] => self.assert(name, &sum),
            [56, 56] => self.assert(name, &blocks(&sum, 224)),
            other => panic!("{name} has shape {other:?}"),
        }
    }
}
