//! Vision transformers of any size, opened by their weights alone, against torchvision, timm and Hugging Face's transformers.
//!
//! The expected values are in `tests/fixtures/vision_transformers.json`, written by `scripts/reference/vision_transformers.py`.
//! Weights and pictures come from the formula in `zoo.rs`.

use super::zoo::{numbers, uniform, value};
use crate::common::shared::shared_file;
use candle_core::{DType, Device, Tensor};
use gradscope::explain::Walk;
use gradscope::graph::Parameter;
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Relative to the norm of the compared values, in f32.
const LOGITS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

pub fn open(path: &Path) -> Model {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    architectures.open(path.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{path:?}: {e:#}"))
}

/// Saves the network's tensors, computed by the formula, as a file without any further information.
pub fn save(path: &Path, tensors: &Value) {
    let shape = |sizes: &Value| numbers(sizes).iter().map(|&n| n as usize).collect();
    let tensors = tensors.as_object().unwrap().iter().map(|(name, sizes)| {
        let parameter = Parameter { name: name.clone(), shape: shape(sizes), trained: true };
        (name.clone(), value(&parameter).to_dtype(DType::F32).unwrap())
    });
    candle_core::safetensors::save(&tensors.collect::<HashMap<_, _>>(), path).unwrap();
}

fn assert_near(what: &str, ours: &Tensor, expected: &Value, tolerance: f64) {
    let flat = ours.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    let bound = tolerance * expected["norm"].as_f64().unwrap();
    let norm = flat.iter().map(|v| v * v).sum::<f64>().sqrt();
    let near = |what: &str, ours: f64, theirs: f64, bound: f64| {
        assert!((ours - theirs).abs() < bound, "{what}: {ours} instead of {theirs}");
    };
    near(&format!("{what}, norm"), norm, expected["norm"].as_f64().unwrap(), bound);
    numbers(&expected["first"]).into_iter().zip(&flat).for_each(|(theirs, &ours)| near(what, ours, theirs, bound));
    let (sum, many) = (flat.iter().sum(), (flat.len() as f64).sqrt());
    near(&format!("{what}, sum"), sum, expected["sum"].as_f64().unwrap(), bound * many);
}

/// Small transformers of every family with random weights, opened from their weight files: name, network, and the reference.
static SMALL_TRANSFORMERS: LazyLock<Vec<(String, Model, Value)>> = LazyLock::new(|| {
    let file: Value = serde_json::from_str(include_str!("../fixtures/vision_transformers.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let opened = |(name, expected): (&String, &Value)| {
        save(&path, &expected["tensors"]);
        (name.clone(), open(&path), expected.clone())
    };
    file["small"].as_object().unwrap().iter().map(opened).collect()
});

#[test]
fn transformers_of_any_size_are_known_by_their_weights_and_compute_what_their_libraries_compute() {
    for (name, model, expected) in &*SMALL_TRANSFORMERS {
        assert_eq!(model.card.name, expected["family"], "{name}");
        let size: Vec<_> = numbers(&expected["input"]).iter().map(|&n| n as usize).collect();
        assert_eq!(model.card.input[..], size, "the picture's size of {name}");
        let pixels = uniform("picture", size.iter().product()).into_iter().map(|u| (u * 0.5 + 0.5) as f32).collect();
        let x = Tensor::from_vec(pixels, (1, size[0], size[1], size[2]), &Device::Cpu).unwrap();
        let trace = model.graph.forward(&x).unwrap();
        let y = trace.value(model.graph.logits).unwrap();
        assert_near(&format!("logits of {name}"), y, &expected["output"], LOGITS);
        let seed = uniform("seed", y.elem_count()).into_iter().map(|u| u as f32).collect();
        let seed = Tensor::from_vec(seed, y.shape(), &Device::Cpu).unwrap();
        let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(model.graph.logits, seed)]) };
        let gradient = walk.run().unwrap();
        assert_near(&format!("gradient of {name}"), gradient.input().unwrap(), &expected["gradient"], GRADIENT);
    }
}

/// Relative to the largest value, as in the references.
fn assert_close(what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    let list = |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    let (ours, theirs) = (list(ours), list(theirs));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let greatest = theirs.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let far = ours.iter().zip(&theirs).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    assert!(far < tolerance * greatest, "{what}: off by {far} of {greatest}");
}

#[test]
fn trained_transformers_give_the_logits_and_gradients_of_their_references() {
    let Some(folder) = shared_file("trained") else { return };
    for (name, file) in [("cct_cifar10", "cct_cifar10_f16.safetensors"), ("vit_mnist", "vit_mnist.safetensors")] {
        let model = open(&folder.join(file));
        assert_eq!(model.card.name, name);
        let card: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
        let reference = folder.join(format!("{name}_reference.safetensors"));
        let reference = candle_core::safetensors::load(reference, &Device::Cpu).unwrap();
        for (picture, said) in card["reference"]["pictures"].as_object().unwrap() {
            let pixels = &reference[&format!("{picture}.pixels")];
            let x = (pixels.to_dtype(DType::F32).unwrap() / 255.0).unwrap().unsqueeze(0).unwrap();
            let trace = model.graph.forward(&x).unwrap();
            let logits = trace.logits().unwrap();
            assert_close(
                &format!("logits of {name}, {picture}"),
                &logits,
                &reference[&format!("{picture}.logits")],
                1e-4,
            );
            let mut seed = vec![0.0f32; logits.elem_count()];
            seed[said["top_class"].as_u64().unwrap() as usize] = 1.0;
            let seed = Tensor::from_vec(seed, logits.shape(), &Device::Cpu).unwrap();
            let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(model.graph.logits, seed)]) };
            // The references are gradients by the normalized picture.
            let std = Tensor::from_vec(model.card.std.clone(), (1, model.card.std.len(), 1, 1), &Device::Cpu).unwrap();
            let ours = walk.run().unwrap().input().unwrap().broadcast_mul(&std.to_dtype(DType::F32).unwrap()).unwrap();
            let theirs = &reference[&format!("{picture}.gradient_top")];
            assert_close(&format!("gradient of {name}, {picture}"), &ours, theirs, 1e-3);
        }
    }
}

#[test]
fn transformers_compute_each_picture_of_a_batch_as_if_it_were_alone() {
    for (name, model, _) in &*SMALL_TRANSFORMERS {
        let [c, h, w] = model.card.input;
        let pixels = uniform("batch", 3 * c * h * w).into_iter().map(|u| (u * 0.5 + 0.5) as f32).collect();
        let batch = Tensor::from_vec(pixels, (3, c, h, w), &Device::Cpu).unwrap();
        let run = |x: &Tensor| {
            let trace = model.graph.forward(x).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            let y = trace.value(model.graph.logits).unwrap().clone();
            let seed = y.ones_like().unwrap();
            let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(model.graph.logits, seed)]) };
            (y, walk.run().unwrap_or_else(|e| panic!("{name}: {e:#}")).input().unwrap().clone())
        };
        let (scores, gradient) = run(&batch);
        for i in 0..3 {
            let (alone, slope) = run(&batch.narrow(0, i, 1).unwrap());
            assert_close(&format!("scores of {name}"), &scores.narrow(0, i, 1).unwrap(), &alone, 1e-5);
            assert_close(&format!("gradient of {name}"), &gradient.narrow(0, i, 1).unwrap(), &slope, 1e-4);
        }
    }
}
