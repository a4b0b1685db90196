//! Trained networks of other people, opened by their weights alone, against PyTorch in float64.
//!
//! Weights and references come from the folder `GRADSCOPE_SHARED`; without it these tests are skipped.

use crate::common::shared::shared_file;
use candle_core::{DType, Device, Tensor};
use gradscope::explain::Walk;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use std::sync::Arc;

/// Relative to the norm; gradients of large pictures are stored in float16.
const LOGITS: f64 = 1e-5;
const GRADIENT: f64 = 1e-3;

/// One value for each channel, `(1, 3, 1, 1)`.
fn per_channel(values: &Value) -> Tensor {
    let values: Vec<_> = values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    Tensor::from_vec(values, (1, 3, 1, 1), &Device::Cpu).unwrap()
}

fn assert_near(what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    let norm =
        |t: &Tensor| t.flatten_all().unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
    let far = norm(&(ours.flatten_all().unwrap() - theirs.flatten_all().unwrap()).unwrap()) / norm(theirs);
    assert!(far < tolerance, "{what}: off by {far:e}");
}

/// Opens a network by its weights and compares it with the reference on its first picture; `name` is the architecture expected.
fn check(file: &str, weights: &str, name: &str) {
    let Some(weights) = shared_file(format!("trained/{file}{weights}.safetensors")) else { return };
    let about: Value =
        serde_json::from_slice(&std::fs::read(weights.with_file_name(format!("{file}.json"))).unwrap()).unwrap();
    let reference = weights.with_file_name(format!("{file}_reference.safetensors"));
    let reference = candle_core::safetensors::load(reference, &Device::Cpu).unwrap();
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(weights.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{file}: {e:#}"));
    assert_eq!(model.card.name, name);
    let (picture, expected) = about["reference"]["pictures"].as_object().unwrap().iter().next().unwrap();
    let stored = |what: &str| reference[&format!("{picture}.{what}")].to_dtype(DType::F64).unwrap();

    // The reference is normalised as the publisher did it; the network's card may say otherwise, so that is undone.
    let (mean, std) = (per_channel(&about["preprocessing"]["mean"]), per_channel(&about["preprocessing"]["std"]));
    let of_card = |values: &[f64]| Tensor::from_vec(values.to_vec(), (1, 3, 1, 1), &Device::Cpu).unwrap();
    let (card_mean, card_std) = (of_card(&model.card.mean), of_card(&model.card.std));
    let pixels = (stored("pixels").unsqueeze(0).unwrap() / 255.0).unwrap();
    let x = pixels.broadcast_sub(&mean).unwrap().broadcast_div(&std).unwrap();
    let x = x.broadcast_mul(&card_std).unwrap().broadcast_add(&card_mean).unwrap();
    let graph = Arc::new(model.graph.to(DType::F64, &Device::Cpu).unwrap());
    let trace = graph.forward(&x).unwrap();
    let logits = trace.logits().unwrap();
    assert_near(&format!("{file}, logits"), &logits, &stored("logits"), LOGITS);
    let class = expected["top_class"].as_u64().unwrap() as usize;
    let label = model.card.label(class);
    assert!(label.eq_ignore_ascii_case(expected["top_label"].as_str().unwrap()), "{file}: {label}");

    let classes = model.graph.classes();
    let seed = (0..classes).map(|c| f64::from(u8::from(c == class))).collect();
    let seed = Tensor::from_vec(seed, (1, classes), &Device::Cpu).unwrap();
    let (node, seed) = graph.seed(&seed, trace.value(graph.logits).unwrap().dims()).unwrap();
    let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(node, seed)]) };
    let gradient = walk.run().unwrap().input().unwrap().broadcast_mul(&card_std).unwrap();
    let theirs = match reference.contains_key(&format!("{picture}.gradient_top")) {
        true => stored("gradient_top"),
        false => (stored("gradient_top_f16_over_max") * expected["gradient_top"]["max_abs"].as_f64().unwrap()).unwrap(),
    };
    assert_near(&format!("{file}, gradient"), &gradient, &theirs, GRADIENT);
}

#[test]
fn mobile_networks_open_by_their_weights_and_agree_with_pytorch() {
    check("mobilenet_v2_imagenet", "_f16", "mobilenet_v2");
    check("efficientnet_lite0_imagenet", "_f16", "tf_efficientnet_lite0");
    check("mobilenetv1_025_imagenet", "_f16", "mobilenetv1_025");
}

#[test]
fn cifar_networks_open_by_their_weights_and_agree_with_pytorch() {
    check("densenet_bc_40_12_cifar10", "", "densenet_bc_40_12");
    check("resnet8_cifar10", "", "resnet8_cifar10");
    check("tiniest_cifar10", "", "tiniest_cifar10");
}
