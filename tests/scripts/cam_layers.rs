//! The default layer of class activation maps, for every architecture and for exported networks.
//!
//! pytorch-grad-cam recommends a module for each of the common families (README, "Choosing the Target Layer"): `layer4[-1]` for
//! ResNet, `features[-1]` for VGG, DenseNet and MobileNet, `layers[-1]` for MNASNet, `blocks[-1].norm1` for ViT and
//! `layers[-1].blocks[-1].norm1` for Swin. Module names count from the end with -1 here too: `blocks.-1.norm1`.

use crate::common::shared::shared;
use gradscope::graph::Graph;
use gradscope::model::onnx::{self, ReadOptions};
use gradscope::model::pt2;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Networks whose names share a prefix.
struct Family {
    /// Name prefixes; the family with the longest match applies.
    starts: &'static [&'static str],
    /// The default layer, or the module whose output it is; several alternatives if it depends on the exporter.
    layer: &'static str,
    /// The module that pytorch-grad-cam recommends; empty if it recommends none for the family.
    recommended: &'static str,
    /// Why the default differs.
    why: &'static str,
}

/// A family for which pytorch-grad-cam has no recommendation.
const fn own(starts: &'static [&'static str], layer: &'static str) -> Family {
    Family { starts, layer, recommended: "", why: "" }
}

/// A family whose default is the recommended layer.
const fn same(starts: &'static [&'static str], layer: &'static str) -> Family {
    Family { starts, layer, recommended: layer, why: "" }
}

/// A family whose default differs from the recommended layer.
const fn other(
    starts: &'static [&'static str],
    layer: &'static str,
    recommended: &'static str,
    why: &'static str,
) -> Family {
    Family { starts, layer, recommended, why }
}

const RECTIFIED: &str = "the map after the ReLU is what the classifier reads; channels that it zeroes should not count";
const NORMED: &str =
    "this norm is followed by the mean over all positions, so the map counts the last block too, and Grad-CAM is CAM";

const FAMILIES: &[Family] = &[
    // Convolutional networks.
    same(&["resnet", "resnext", "wide_resnet", "seresnet", "seresnext"], "layer4.-1"),
    own(&["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"], "layer3.-1"),
    own(&["resnet8_cifar10"], "relu7"),
    own(&["resnetv2_"], "norm"),
    same(&["hf_resnet"], "resnet.encoder.stages.-1.layers.-1"),
    own(&["regnet_"], "trunk_output.block4"),
    own(&["regnetx_", "regnety_"], "s4.b-1"),
    same(&["vgg"], "features.-1"),
    own(&["alexnet"], "features.-1"),
    own(&["squeezenet"], "features.-1"),
    own(&["googlenet"], "inception5b"),
    own(&["inception_v3"], "Mixed_7c"),
    other(&["densenet"], "relu", "features.norm5", RECTIFIED),
    same(&["mobilenet_v2", "mobilenet_v3_"], "features.-1"),
    same(&["mnasnet"], "layers.-1"),
    own(&["shufflenet_v2"], "conv5"),
    own(&["efficientnet_"], "features.-1"),
    own(&["timm_efficientnet_", "tf_efficientnet", "mobilenetv2_"], "bn2"),
    // The head's convolution comes after the mean over positions.
    own(&["mobilenetv1_", "mobilenetv3_", "tf_mobilenetv3_"], "blocks.-1"),
    own(&["convnext_"], "features.-1"),
    own(&["timm_convnext_", "convnextv2_"], "stages.-1"),
    own(&["hf_convnext_"], "convnext.encoder.stages.-1"),
    // Transformers with a class token: later tokens do not reach it.
    same(&["vit_", "timm_vit", "timm_clip"], "blocks.-1.norm1"),
    same(
        &["deit_", "deit3_", "timm_deit", "beit", "timm_beit", "eva02_", "timm_eva02", "timm_dinov2"],
        "blocks.-1.norm1",
    ),
    same(&["vit_b_", "vit_l_", "vit_h_", "torchvision_vit"], "encoder.layers.encoder_layer_-1.ln_1"),
    same(&["vit-", "hf_vit"], "vit.encoder.layer.-1.layernorm_before"),
    same(&["deit-", "hf_deit"], "deit.encoder.layer.-1.layernorm_before"),
    same(&["dinov2-", "hf_dinov2"], "encoder.layer.-1.norm1"),
    same(&["clip-vit-", "hf_clip"], "vision_model.encoder.layers.-1.layer_norm1"),
    // Transformers that average all positions.
    other(&["swin_t", "swin_s", "swin_b", "swin_v2_"], "norm", "features.-1.-1.norm1", NORMED),
    other(&["torchvision_swin"], "norm", "features.-1.-1.norm1", NORMED),
    other(
        &["swin_tiny_", "swin_small_", "swin_base_", "swin_large_", "timm_swin"],
        "norm",
        "layers.-1.blocks.-1.norm1",
        NORMED,
    ),
    other(&["swin-", "hf_swin"], "swin.layernorm", "swin.encoder.layers.-1.blocks.-1.layernorm_before", NORMED),
    own(&["maxvit_t", "torchvision_maxvit"], "blocks.-1"),
    own(
        &["maxvit_tiny_", "maxvit_small_", "maxvit_base_", "maxvit_large_", "maxvit_xlarge_", "timm_maxvit"],
        "stages.-1",
    ),
    own(&["cct_cifar10"], "norm"),
    own(&["vit_mnist", "shapes_vit"], "blocks.-1.norm1"),
    // Small networks.
    own(&["tiniest_cifar10"], "l6"),
    own(&["darknet_tiny"], "leaky15"),
    own(&["shapes", "reader", "words"], "relu4"),
    own(&["waves"], "relu3"),
    own(&["digits", "lenet"], "pool2"),
    own(&["convnetjs"], "pool3"),
    own(&["mnist_tutorial"], "relu_1"),
    own(&["mnist_example"], "pool"),
    own(&["mnist_digit_recognizer"], "conv_layers.8"),
    own(&["mnist_strided"], "relu2"),
    own(&["mnist_strided2_tanh"], "tanh2"),
    // No map other than the picture.
    own(&["mnist_softmax", "mnist_shallow"], "normalize"),
    own(&["moons"], "input"),
    own(&["dscnn_speech_commands"], "relu9"),
    // Their outputs are maps, not classes.
    own(&["style_transformer"], "drawn"),
    own(&["deeplabv3_mnv2_voc"], "conv55"),
    own(&["selfie_segmentation"], "deconv"),
    own(&["yunet_n_face"], "cells"),
];

/// Exported networks; `recommended` is the layer of the reference Grad-CAM, which is pytorch-grad-cam's choice.
const EXPORTED: &[Family] = &[
    other(&["own_cnn"], "relu_2", "bn3 conv3", RECTIFIED),
    other(&["own_digits"], "maxpool_1", "c2", "after the pool that the classifier reads, as in VGG"),
    same(&["own_seresnet"], "layers"),
    same(&["own_vit"], "blocks.-1.norm1"),
    same(&["timm_beit"], "blocks.-1.norm1"),
    same(&["timm_densenet"], "features"),
    same(&["timm_dinov2_reg"], "blocks.-1.norm1"),
    same(&["timm_resnetv2_bit"], "norm"),
    other(&["timm_swin"], "norm", "layers.2", NORMED),
    same(&["timm_test_byobnet"], "stages.3"),
    same(&["timm_test_efficientnet"], "bn2"),
    other(&["timm_test_maxvit"], "norm", "stages.3", NORMED),
    same(&["timm_test_vit"], "blocks.-1.norm1"),
    same(&["trained_resnet20"], "layer3"),
    same(&["tv_convnext"], "features"),
    same(&["tv_mobilenet_v2"], "features.7"),
    same(&["tv_mobilenet_v3"], "features.4"),
    same(&["tv_shufflenet_v2"], "conv5"),
    same(&["tv_vit"], "encoder.layers.encoder_layer_-1.ln_1"),
];

/// The family of the network `name`.
fn family(families: &'static [Family], name: &str) -> Option<&'static Family> {
    let fit = |family: &Family| family.starts.iter().filter(|start| name.starts_with(*start)).map(|s| s.len()).max();
    families.iter().filter(|family| fit(family).is_some()).max_by_key(|family| fit(family))
}

/// The name of the layer that is the output of a module; -1 is the largest index at its position.
fn output(graph: &Graph, module: &str) -> Option<String> {
    let mut name = String::new();
    for part in module.split('.') {
        let start = if name.is_empty() { String::new() } else { format!("{name}.") };
        name = match part.strip_suffix("-1") {
            Some(stem) => {
                let start = format!("{start}{stem}");
                let number = |node: &str| node.strip_prefix(&start)?.split('.').next()?.parse::<usize>().ok();
                format!("{start}{}", graph.nodes.iter().filter_map(|node| number(&node.name)).max()?)
            }
            None => format!("{start}{part}"),
        };
    }
    graph.find(&name).ok().map(|id| graph.nodes[id].name.clone())
}

/// What is wrong with the default layer of a network.
fn problem(families: &'static [Family], name: &str, graph: &Graph) -> Option<String> {
    let found = graph.nodes[graph.last_map()].name.clone();
    let Some(family) = family(families, name) else { return Some(format!("{name}: {found}, which no family lists")) };
    if !family.layer.split(' ').any(|layer| output(graph, layer).as_ref() == Some(&found)) {
        return Some(format!("{name}: {found} instead of {}", family.layer));
    }
    let recommended = family.recommended.split(' ').find_map(|module| output(graph, module));
    if !family.recommended.is_empty() && (recommended.as_ref() == Some(&found)) != family.why.is_empty() {
        return Some(format!("{name}: {found}, recommended is {recommended:?} because \"{}\"", family.why));
    }
    None
}

#[test]
fn every_architecture_weights_the_layer_of_its_family() {
    let architectures = Architectures::new(Folders::models(None).embedded_only(), &Arc::default());
    let names: Vec<_> = architectures.list().0.into_iter().map(|row| row.name).collect();
    let wrong: Vec<_> =
        names.iter().filter_map(|name| problem(FAMILIES, name, &architectures.build(name).unwrap().1)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), names.len(), wrong.join("\n"));
    for start in FAMILIES.iter().flat_map(|family| family.starts) {
        assert!(names.iter().any(|name| name.starts_with(start)), "no architecture begins with {start}");
    }
}

#[test]
fn exported_networks_weight_the_same_layers() {
    let Some(folder) = shared() else { return };
    let files = fs::read_dir(folder.join("onnx")).unwrap().map(|entry| entry.unwrap().path());
    let mut graphs: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "onnx" || e == "pt2")).collect();
    graphs.sort();
    let mut wrong = vec![];
    for path in &graphs {
        let name = path.file_name().unwrap().to_str().unwrap();
        let graph = exported(path);
        wrong.extend(problem(EXPORTED, name, &graph));
    }
    assert!(wrong.is_empty() && graphs.len() > 50, "{} of {}:\n{}", wrong.len(), graphs.len(), wrong.join("\n"));
}

fn exported(path: &Path) -> Graph {
    let read = match path.extension().is_some_and(|end| end == "pt2") {
        true => pt2::read(path, &ReadOptions::default()),
        false => onnx::read(fs::read(path).unwrap(), path.parent(), &ReadOptions::default()),
    };
    read.unwrap().graph
}
