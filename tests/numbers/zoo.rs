//! Every network of `models/` against PyTorch: parameters, logits and input gradients.
//!
//! The expected values are in `zoo.json`, `families.json` and `vision_transformers.json` of `tests/fixtures`, written by the scripts
//! of these names in `scripts/reference`; both sides compute weights and pictures by the same formula.

use candle_core::{DType, Device, Tensor};
use gradscope::explain::Walk;
use gradscope::graph::{Graph, Parameter};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

static NETWORKS: LazyLock<serde_json::Map<String, Value>> = LazyLock::new(|| {
    let files = [
        include_str!("../fixtures/zoo.json"),
        include_str!("../fixtures/families.json"),
        include_str!("../fixtures/vision_transformers.json"),
    ];
    let read = |text| -> Value { serde_json::from_str(text).expect("the fixture is JSON") };
    files.into_iter().flat_map(|text| read(text)["networks"].as_object().expect("networks by name").clone()).collect()
});

/// Relative to the norm of the compared values; both sides compute in f64. The fixture has another tolerance for networks that
/// contain tables in f32.
const TOLERANCE: f64 = 1e-9;

fn networks() -> &'static serde_json::Map<String, Value> {
    &NETWORKS
}

fn architectures() -> Architectures {
    Architectures::new(Folders::models(None), &Arc::default())
}

fn build(name: &str) -> Graph {
    architectures().build(name).unwrap_or_else(|e| panic!("{e:#}")).1
}

/// Numbers in [-1, 1) from a name: the upper 53 bits of SplitMix64, seeded with the FNV-1a hash of the name.
pub(super) fn uniform(name: &str, count: usize) -> Vec<f64> {
    let fnv = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x100000001B3);
    let seed = name.bytes().fold(0xCBF29CE484222325, fnv);
    let number = |i: u64| {
        let z = seed.wrapping_add(i.wrapping_mul(0x9E3779B97F4A7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (1..=count as u64).map(number).collect()
}

/// A parameter: weights with the scale of He et al. 2015, positive statistics for batch norms.
pub(super) fn value(p: &Parameter) -> Tensor {
    let fan_in: usize = p.shape[1..].iter().product();
    let (scale, shift) = match p.name.as_str() {
        _ if p.shape.len() > 1 => ((6.0 / fan_in as f64).sqrt(), 0.0),
        name if name.ends_with("running_var") => (0.5, 1.0),
        name if name.ends_with(".weight") => (0.25, 0.75),
        _ => (0.1, 0.0),
    };
    let values = uniform(&p.name, p.shape.iter().product()).into_iter().map(|u| u * scale + shift).collect();
    Tensor::from_vec(values, p.shape.as_slice(), &Device::Cpu).unwrap()
}

/// The network up to `node`.
fn up_to(mut graph: Graph, node: &str) -> Graph {
    let end = graph.find(node).unwrap();
    graph.nodes.truncate(end + 1);
    (graph.output, graph.logits) = (end, end);
    graph
}

pub(super) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn assert_agrees(what: &str, tensor: &Tensor, expected: &Value, tolerance: f64) {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let norm = flat.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = expected["norm"].as_f64().expect("a norm");
    assert!((norm - scale).abs() < tolerance * scale, "{what}: norm {norm}, PyTorch {scale}");
    for (ours, theirs) in flat.iter().zip(numbers(&expected["first"])) {
        assert!((ours - theirs).abs() < tolerance * scale, "{what}: {ours}, PyTorch {theirs}");
    }
    let (sum, theirs) = (flat.iter().sum::<f64>(), expected["sum"].as_f64().expect("a sum"));
    let rounding = tolerance * scale * (flat.len() as f64).sqrt();
    assert!((sum - theirs).abs() < rounding, "{what}: sum {sum}, PyTorch {theirs}");
}

/// Checks one network's values and input gradient.
fn check(name: &str) {
    let expected = &networks()[name];
    let mut graph = build(name);
    if let Some(node) = expected["node"].as_str() {
        graph = up_to(graph, node);
    }
    let weights = graph.parameters().iter().map(|p| (p.name.clone(), value(p))).collect();
    let graph = Arc::new(graph.with_weights(weights).unwrap());
    let size: Vec<_> = numbers(&expected["input"]).iter().map(|&n| n as usize).collect();
    let pixels = uniform("picture", size.iter().product()).into_iter().map(|u| u * 0.5 + 0.5).collect();
    let x = Tensor::from_vec(pixels, (1, size[0], size[1], size[2]), &Device::Cpu).unwrap();
    assert_eq!(x.dtype(), DType::F64);
    let trace = graph.forward(&x).unwrap();
    let y = trace.value(graph.logits).unwrap();
    let tolerance = expected["tolerance"].as_f64().unwrap_or(TOLERANCE);
    assert_agrees(&format!("{name}, output"), y, &expected["output"], tolerance);
    let seed = Tensor::from_vec(uniform("seed", y.elem_count()), y.shape(), &Device::Cpu).unwrap();
    let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(graph.logits, seed)]) };
    assert_agrees(&format!("{name}, gradient"), walk.run().unwrap().input().unwrap(), &expected["gradient"], tolerance);
}

#[test]
fn every_network_has_reference_values_from_pytorch() {
    let (rows, errors) = architectures().list();
    assert!(errors.is_empty(), "{errors:?}");
    let mut ours: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let mut theirs: Vec<_> = networks().keys().map(String::as_str).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn every_network_has_pytorchs_parameters() {
    for (name, expected) in networks() {
        let mut parameters = build(name).parameters();
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        let shape = |p: &Parameter| p.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let lines: String = parameters.iter().map(|p| format!("{} {}\n", p.name, shape(p))).collect();
        assert_eq!(parameters.len() as u64, expected["tensors"], "{name}: tensors");
        let count: usize = parameters.iter().map(|p| p.shape.iter().product::<usize>()).sum();
        assert_eq!(count as u64, expected["parameters"], "{name}: elements of its tensors");
        let hash: String = Sha256::digest(&lines).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hash, expected["parameters_sha256"],
            "the scripts with `--list {name}` print other names or shapes than\n{lines}"
        );
    }
}

#[test]
fn small_networks_match_pytorch() {
    [
        "digits",
        "lenet",
        "mnist_tutorial",
        "mnist_example",
        "mnist_digit_recognizer",
        "lenet_captum",
        "convnetjs",
        "shapes",
        "shapes_vit",
        "moons",
        "moons_line",
        "moons_wide",
        "waves",
        "words",
        "reader",
    ]
    .into_iter()
    .for_each(check);
}

#[test]
fn cifar_resnets_match_pytorch() {
    ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"].into_iter().for_each(check);
}

#[test]
fn squeezenets_and_darknet_match_pytorch() {
    ["squeezenet1_0", "squeezenet1_1", "darknet_tiny"].into_iter().for_each(check);
}

#[test]
fn alexnet_matches_pytorch() {
    check("alexnet");
}

#[test]
fn the_style_transformer_matches_pytorch() {
    check("style_transformer");
}

#[test]
fn vggs_match_pytorch() {
    ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"].into_iter().for_each(check);
}

#[test]
fn resnets_of_basic_blocks_match_pytorch() {
    ["resnet18", "resnet34"].into_iter().for_each(check);
}

#[test]
fn resnets_of_bottlenecks_match_pytorch() {
    ["resnet50", "resnet101", "resnet152"].into_iter().for_each(check);
}

#[test]
fn vision_transformers_compute_what_torchvision_computes() {
    ["vit_b_32", "swin_t", "swin_v2_t", "maxvit_t"].into_iter().for_each(check);
}

#[test]
fn vision_transformers_compute_what_timm_computes() {
    [
        "vit_tiny_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "deit3_small_patch16_224",
        "vit_base_patch32_clip_quickgelu_224",
        "vit_small_patch14_reg4_dinov2",
        "eva02_tiny_patch14_224",
        "beit_base_patch16_224",
        "swin_tiny_patch4_window7_224",
        "maxvit_tiny_tf_224",
        "vit_mnist",
        "cct_cifar10",
    ]
    .into_iter()
    .for_each(check);
}

#[test]
fn vision_transformers_compute_what_hugging_face_computes() {
    [
        "vit-tiny-patch16-224",
        "deit-tiny-distilled-patch16-224",
        "swin-tiny-patch4-window7-224",
        "clip-vit-base-patch32",
    ]
    .into_iter()
    .for_each(check);
}

/// One network from each family in `families.json`.
#[test]
fn families_of_convolutional_networks_compute_what_pytorch_computes() {
    let families: Value = serde_json::from_str(include_str!("../fixtures/families.json")).expect("the fixture is JSON");
    let networks = families["networks"].as_object().expect("networks by name");
    networks.iter().filter(|(_, expected)| expected["output"].is_object()).for_each(|(name, _)| check(name));
}

/// A transformer and a gated residual network as scripts: architectures beyond plain convolutional networks.
mod modern {
    use super::*;
    use gradscope::exec::Masks;
    use std::collections::BTreeMap;

    const MODERN: &str = include_str!("../fixtures/modern.json");

    fn floats(v: &Value) -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    /// Relative to the norm of the compared values.
    fn assert_near(what: &str, ours: &Tensor, theirs: &Value, tolerance: f64) {
        let ours = ours.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        let theirs = floats(theirs);
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let far = norm(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b)) / norm(&mut theirs.iter().copied()).max(1e-3);
        assert!(far < tolerance, "{what}: off by {far:e}");
    }

    /// The network of a script with weights and two pictures computed by the formula.
    fn drawn(name: &str, expected: &Value) -> (Graph, Tensor) {
        let graph = build(&format!("{}/tests/fixtures/modern/{name}.rhai", env!("CARGO_MANIFEST_DIR")));
        let weights = graph.parameters().iter().map(|p| (p.name.clone(), value(p))).collect();
        let size = floats(&expected["size"]);
        let shape = (2, 3, size[0] as usize, size[1] as usize);
        let x = uniform(&format!("{name}.x"), 2 * 3 * shape.2 * shape.3);
        let x = Tensor::from_vec(x, shape, &Device::Cpu).unwrap().affine(0.5, 0.5).unwrap();
        (graph.with_weights(weights).unwrap(), x)
    }

    fn compare(name: &str) {
        let expected = &serde_json::from_str::<Value>(MODERN).unwrap()[name];
        let (graph, x) = drawn(name, expected);
        for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 3e-5)] {
            let graph = Arc::new(graph.to(dtype, &Device::Cpu).unwrap());
            let trace = graph.forward(&x.to_dtype(dtype).unwrap()).unwrap();
            assert_eq!(trace.fused().is_some(), dtype == DType::F32);
            let logits = trace.logits().unwrap();
            assert_near(&format!("logits of {name} in {dtype:?}"), &logits, &expected["logits"], tolerance);
            let seed = uniform(&format!("{name}.seed"), logits.elem_count());
            let seed = Tensor::from_vec(seed, logits.dims(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let seeds = vec![(graph.logits, seed)];
            let alone = Walk { keep: false, ..Walk::gradient(&trace, seeds.clone()) }.run().unwrap();
            let what = format!("input gradient of {name} in {dtype:?}");
            assert_near(&what, alone.input().unwrap(), &expected["input"], tolerance);
            let all = Walk { params: true, ..Walk::gradient(&trace, seeds) }.run().unwrap();
            assert_all_near(&format!("{name} in {dtype:?}"), &all.params, &expected["parameters"], tolerance);
        }
    }

    fn assert_all_near(what: &str, ours: &BTreeMap<String, Tensor>, theirs: &Value, tolerance: f64) {
        for (name, values) in theirs.as_object().unwrap() {
            let tensor = ours.get(name).unwrap_or_else(|| panic!("{what} has no {name}"));
            assert_near(&format!("{name} of {what}"), tensor, values, tolerance);
        }
    }

    /// A training step: values, gradients of parameters, and the updated running statistics, against PyTorch.
    fn compare_training(name: &str) {
        let expected = &serde_json::from_str::<Value>(MODERN).unwrap()[name];
        let (graph, x) = drawn(name, expected);
        for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
            let graph = Arc::new(graph.to(dtype, &Device::Cpu).unwrap()).in_training();
            let trace = graph.forward_masked(&x.to_dtype(dtype).unwrap(), &Masks::default()).unwrap();
            assert_eq!(trace.fused().is_some(), dtype == DType::F32);
            let (logits, expected) = (trace.logits().unwrap(), &expected["training"]);
            let what = format!("{name} trained in {dtype:?}");
            assert_near(&format!("logits of {what}"), &logits, &expected["logits"], tolerance);
            let seed = uniform(&format!("{name}.seed"), logits.elem_count());
            let seed = Tensor::from_vec(seed, logits.dims(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let walk =
                Walk { params: true, keep: false, to: vec![], ..Walk::gradient(&trace, vec![(graph.logits, seed)]) };
            assert_all_near(&what, &walk.run().unwrap().params, &expected["parameters"], tolerance);
            let mut running = BTreeMap::new();
            for (id, node) in graph.nodes.iter().enumerate().filter(|(_, n)| n.op.tracked().is_some()) {
                let found = trace.batch_statistics(id).unwrap();
                let of =
                    |k: usize, batch: &Tensor| ((&node.params[k] * 0.9).unwrap() + (batch * 0.1).unwrap()).unwrap();
                running.insert(format!("{}.running_mean", node.name), of(2, &found.mean));
                running.insert(format!("{}.running_var", node.name), of(3, &found.variance));
            }
            assert_all_near(&what, &running, &expected["statistics"], tolerance);
        }
    }

    #[test]
    fn a_vision_transformer_matches_pytorch() {
        compare("vit_tiny");
    }

    #[test]
    fn a_network_with_gates_and_depthwise_convolutions_matches_pytorch() {
        compare("se_resnet_tiny");
    }

    #[test]
    fn modern_networks_train_as_in_pytorch() {
        compare_training("vit_tiny");
        compare_training("se_resnet_tiny");
    }
}
