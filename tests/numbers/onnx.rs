//! ONNX files of both PyTorch exporters, and `.pt2` files, against PyTorch: logits and input gradients, for a picture alone and in a batch.

use crate::common::random::numbers;
use crate::common::shared::{shared, shared_file};
use candle_core::{DType, Device, Tensor};
use gradscope::explain::{Walk, logit};
use gradscope::graph::Graph;
use gradscope::model::onnx::conformance::{self, Verdict};
use gradscope::model::onnx::{Network, ReadOptions, read};
use gradscope::model::pt2;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Whether a file holds an exported graph.
fn is_graph(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "onnx" || end == "pt2")
}

fn open(file: &Path) -> anyhow::Result<Network> {
    if file.extension().is_some_and(|end| end == "pt2") {
        return pt2::read(file, &ReadOptions::default());
    }
    read(fs::read(file)?, file.parent(), &ReadOptions::default())
}

/// The output of a network and the gradient of one of its elements with respect to the input.
fn answer(graph: &Arc<Graph>, x: &Tensor, class: usize) -> anyhow::Result<(Tensor, Tensor)> {
    let trace = graph.forward(x)?;
    let scores = trace.value(graph.output)?;
    let seed = logit(&scores.reshape((x.dims()[0], ()))?, &[class])?.reshape(scores.shape())?;
    let gradient = Walk { keep: false, ..Walk::gradient(&trace, vec![(graph.output, seed)]) }.run()?.input()?.clone();
    Ok((scores.clone(), gradient))
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f64 {
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    assert_eq!(ours.len(), theirs.len());
    let square = |v: f64| v * v;
    let far: f64 = ours.iter().zip(&theirs).map(|(a, b)| square(a - b)).sum();
    (far / theirs.iter().copied().map(square).sum::<f64>().max(1e-30)).sqrt()
}

fn largest(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.elem_count(), theirs.elem_count());
    numbers(ours).iter().zip(numbers(theirs)).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Checks one exported file; returns what is wrong.
fn check(file: &Path, reference: &HashMap<String, Tensor>, said: &serde_json::Value) -> anyhow::Result<Option<String>> {
    let network = open(file)?;
    let graph = Arc::new(network.graph);
    let class = said["class"].as_u64().unwrap() as usize;
    let input = &reference["input"];
    let (logits, gradient) = answer(&graph, input, class)?;
    let bound = said["tolerance"]["logits_abs"].as_f64().unwrap().max(2e-5);
    let slope = said["tolerance"]["grad_rel_l2"].as_f64().unwrap().max(1e-4);
    let (far, turned) = (largest(&logits, &reference["logits"]), relative(&gradient, &reference["grad_input"]));
    // A unit of a ReLU may flip.
    if far > bound || turned > slope.max(1e-2) {
        return Ok(Some(format!("logits {far:.1e} (bound {bound:.1e}), gradient {turned:.1e} (bound {slope:.1e})")));
    }
    // In f64 no rounding flips a unit.
    let exact = Arc::new(graph.to(DType::F64, &Device::Cpu)?);
    let (logits, gradient) = answer(&exact, &input.to_dtype(DType::F64)?, class)?;
    let (far, turned) = (largest(&logits, &reference["logits"]), relative(&gradient, &reference["grad_input"]));
    if far > bound || turned > 1e-4 {
        return Ok(Some(format!("in f64: logits {far:.1e}, gradient {turned:.1e}")));
    }
    // Other pictures in the batch change nothing, also where the file was exported for one picture.
    let other = (input * 0.5)?;
    let both = Tensor::cat(&[&other, input], 0)?;
    let apart = largest(&graph.forward(&both)?.value(graph.output)?.narrow(0, 1, 1)?, &reference["logits"]);
    Ok((apart > 2.0 * bound).then(|| format!("in a batch: logits {apart:.1e}")))
}

#[test]
fn exported_networks_agree_with_pytorch() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("onnx");
    let (mut wrong, mut seen) = (vec![], 0);
    for file in files(&folder, is_graph) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap();
        let read = |ending: &str| shared_file(Path::new("onnx").join(format!("{stem}.{ending}"))).unwrap();
        let said: serde_json::Value = serde_json::from_str(&fs::read_to_string(read("json")).unwrap()).unwrap();
        let reference = candle_core::safetensors::load(read("safetensors"), &Device::Cpu).unwrap();
        seen += 1;
        match check(&file, &reference, &said) {
            Ok(None) => {}
            Ok(Some(how)) => wrong.push(format!("{name}: {how}")),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
    }
    assert!(wrong.is_empty() && seen >= 50, "{} of {seen} files:\n{}", wrong.len(), wrong.join("\n"));
}

/// The files of a folder that `keep` accepts, ordered by name.
fn files(folder: &Path, keep: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| keep(path));
    files.sort();
    files
}

/// Pixels from 0 to 255 with the `mean` and `std` of a description, which are for values from 0 to 1: one value, or one per channel.
fn normalized(pixels: &Tensor, said: &serde_json::Value) -> Tensor {
    let channels = pixels.dims()[1];
    let list = |key: &str| {
        let values: Vec<f32> = said[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        values.broadcast_as(channels).unwrap().reshape((1, channels, 1, 1)).unwrap()
    };
    (pixels / 255.0).unwrap().broadcast_sub(&list("mean")).unwrap().broadcast_div(&list("std")).unwrap()
}

/// The input of a trained network: the reference's pixels, prepared as its description says.
fn prepared(reference: &HashMap<String, Tensor>, picture: &str, said: &serde_json::Value) -> Tensor {
    if let Some(features) = reference.get(&format!("{picture}.mfcc")) {
        return features.unsqueeze(0).unwrap();
    }
    let bgr = reference.get(&format!("{picture}.pixels_bgr"));
    let pixels = bgr.or_else(|| reference.get(&format!("{picture}.pixels"))).unwrap().to_dtype(DType::F32).unwrap();
    let pixels = pixels.unsqueeze(0).unwrap();
    if bgr.is_some() {
        return pixels;
    }
    normalized(&pixels, &said["preprocessing"])
}

#[test]
fn trained_networks_agree_with_pytorch() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("trained");
    let (mut wrong, mut seen) = (vec![], 0);
    for file in files(&folder, |path| path.extension().is_some_and(|e| e == "onnx")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let stem = name.rsplit_once('_').unwrap().0;
        let read_file = |ending: &str| folder.join(format!("{stem}{ending}"));
        let said: serde_json::Value = serde_json::from_str(&fs::read_to_string(read_file(".json")).unwrap()).unwrap();
        let reference = candle_core::safetensors::load(read_file("_reference.safetensors"), &Device::Cpu).unwrap();
        let bound = said["tolerances"]["logits_abs"].as_f64().unwrap().max(1e-4);
        for (key, expected) in &reference {
            let (picture, what) = key.split_once('.').unwrap();
            let gradient = what == "gradient_top";
            let outputs = ["cls_", "obj_", "bbox_", "kps_"].iter().any(|output| what.starts_with(output));
            if !gradient && !outputs && !["logits", "scores"].contains(&what) {
                continue;
            }
            seen += 1;
            let options = ReadOptions { output: outputs.then(|| what.to_string()), ..ReadOptions::default() };
            let x = prepared(&reference, picture, &said);
            let found = read(fs::read(&file).unwrap(), file.parent(), &options).and_then(|network| {
                let graph = Arc::new(network.graph);
                if gradient {
                    let class = said["reference"]["pictures"][picture]["top_class"].as_u64().unwrap();
                    return Ok(relative(&answer(&graph, &x, class as usize)?.1, expected));
                }
                let trace = graph.forward(&x)?;
                let y = trace.value(graph.output)?;
                // Maps of scores are stored coarsely.
                let step = y.dims().last().unwrap().div_ceil(*expected.dims().last().unwrap());
                let picked = |y: &Tensor, d: usize| {
                    let places: Vec<u32> = (0..y.dims()[d] as u32).step_by(step).collect();
                    y.index_select(&Tensor::new(places, &Device::Cpu)?, d)
                };
                let y = if y.elem_count() == expected.elem_count() { y.clone() } else { picked(&picked(y, 2)?, 3)? };
                Ok(largest(&y, expected))
            });
            match found {
                Ok(far) if far <= if gradient { 0.01 } else { bound } => {}
                Ok(far) => wrong.push(format!("{name}: {what} of {picture}: {far:.1e}")),
                Err(error) => wrong.push(format!("{name}: {error:#}")),
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty() && seen > 60, "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn networks_of_other_exporters_agree_with_onnx_runtime() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("onnx/trained");
    let said: serde_json::Value = serde_json::from_str(&fs::read_to_string(folder.join("refs.json")).unwrap()).unwrap();
    let (mut wrong, mut seen) = (vec![], 0);
    for (name, said) in said.as_object().unwrap() {
        let file = folder.join(name);
        if !file.exists() || said["input"].is_null() {
            continue;
        }
        let stem = name.trim_end_matches(".onnx");
        let reference =
            candle_core::safetensors::load(folder.join(format!("{stem}.safetensors")), &Device::Cpu).unwrap();
        let x = normalized(&reference["pixels"].to_dtype(DType::F32).unwrap(), said);
        let options = ReadOptions { size: Some([x.dims()[2], x.dims()[3]]), ..ReadOptions::default() };
        let found = read(fs::read(&file).unwrap(), file.parent(), &options).and_then(|network| {
            let graph = Arc::new(network.graph);
            Ok(largest(graph.forward(&x)?.value(graph.output)?, &reference["output"]))
        });
        seen += 1;
        match found {
            Ok(far) if far < 2e-3 => {}
            Ok(far) => wrong.push(format!("{name}: {far:.1e}")),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
    }
    assert!(wrong.is_empty() && seen == 4, "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The node whose value is the output of a PyTorch module: the node of that name, or the last one inside.
fn module(graph: &Graph, name: &str) -> Option<usize> {
    // The reference counts the items of a list that torchvision names, and batch norms that the exporter folded without a trace.
    let name = match name {
        "bn3" if !graph.nodes.iter().any(|node| node.name == name) => "conv3",
        name => &name.replace("encoder.layers.1.", "encoder.layers.encoder_layer_1."),
    };
    let inside = format!("{name}.");
    let own = graph.nodes.iter().position(|node| node.name == name);
    own.or_else(|| graph.nodes.iter().rposition(|node| node.name.starts_with(&inside)))
}

#[test]
fn layers_are_called_as_in_pytorch_and_give_its_cams() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("onnx");
    let mut wrong = vec![];
    for file in files(&folder, is_graph) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap();
        let said: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.join(format!("{stem}.json"))).unwrap()).unwrap();
        let reference =
            candle_core::safetensors::load(folder.join(format!("{stem}.safetensors")), &Device::Cpu).unwrap();
        let layer = said["cam_layer"].as_str().unwrap();
        let graph = Arc::new(open(&file).unwrap().graph.to(DType::F64, &Device::Cpu).unwrap());
        let Some(id) = module(&graph, layer) else {
            let near: Vec<_> = graph.nodes.iter().map(|n| n.name.as_str()).rev().take(12).collect();
            wrong.push(format!("{name}: no {layer}; the last are {}", near.join(", ")));
            continue;
        };
        let class = said["class"].as_u64().unwrap() as usize;
        let trace = graph.forward(&reference["input"].to_dtype(DType::F64).unwrap()).unwrap();
        let scores = trace.value(graph.output).unwrap();
        let seed = logit(scores, &[class]).unwrap();
        let walk = Walk { to: vec![id], ..Walk::gradient(&trace, vec![(graph.output, seed)]) };
        let gradient = walk.run().unwrap().values[&id].clone();
        let value = trace.value(id).unwrap().clone();
        let cam = &reference["cam_raw"];
        let side = reference["input"].dims()[2];
        let layout = graph.map_layout(id, value.dims(), (side, side));
        let maps = |t: &Tensor| layout.as_ref().unwrap_or_else(|e| panic!("{name}: {e:#}")).arrange(t).unwrap();
        let (value, gradient) = (maps(&value), maps(&gradient));
        let weights = gradient.mean_keepdim(3).unwrap().mean_keepdim(2).unwrap();
        let ours = value.broadcast_mul(&weights).unwrap().sum(1).unwrap();
        if ours.elem_count() != cam.elem_count() {
            wrong.push(format!("{name}: {layer} is {:?}, the map has {:?}", ours.dims(), cam.dims()));
            continue;
        }
        let far = relative(&ours, cam);
        if far > said["tolerance"]["cam_rel_l2"].as_f64().unwrap().max(1e-3) {
            wrong.push(format!("{name}: {layer} ({}, {layout:?}): {far:.1e}", graph.nodes[id].name));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_conformance_tests_of_supported_operators_pass() {
    let Some(archive) = shared_file("onnx/onnx_node.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let tests = conformance::tests(folder.path()).unwrap();
    let verdicts: Vec<_> = tests.iter().map(|test| (test, conformance::run(test))).collect();
    let failed: Vec<_> = verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Failed(_))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let passed = verdicts.iter().filter(|(_, v)| *v == Verdict::Passed).count();
    assert!(passed >= 377, "only {passed} of {} tests are of supported operators", tests.len());
}

/// A network that `scripts/reference/exported_graphs.py` exports, and its answers.
fn exported(file: &str) -> (PathBuf, serde_json::Value, Tensor) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs");
    let stem = file.split('.').next().unwrap();
    let answers = serde_json::from_str(&fs::read_to_string(folder.join(format!("{stem}.json"))).unwrap()).unwrap();
    let pixels: Vec<_> = (0..2 * 3 * 16 * 16).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    (folder.join(file), answers, Tensor::from_vec(pixels, (2, 3, 16, 16), &Device::Cpu).unwrap())
}

#[test]
fn small_networks_agree_with_pytorch_however_they_were_exported() {
    for file in [
        "small.ts.onnx",
        "small.dynamo.onnx",
        "small.pt2",
        "channels_last.dynamo.onnx",
        "in_place.pt2",
        "constants.ts.onnx",
        "constants.dynamo.onnx",
        "constants.pt2",
        "dead_channel.ts.onnx",
        "dead_channel.dynamo.onnx",
        "dead_channel.pt2",
    ] {
        let (path, answers, x) = exported(file);
        let list = |key: &str| -> Tensor {
            let values: Vec<f64> = answers[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            Tensor::new(values, &Device::Cpu).unwrap()
        };
        let graph = Arc::new(open(&path).unwrap_or_else(|e| panic!("{file}: {e:#}")).graph);
        let (logits, gradient) = answer(&graph, &x, 1).unwrap();
        let (far, turned) =
            (largest(&logits, &list("logits")), relative(&gradient.narrow(0, 1, 1).unwrap(), &list("gradient")));
        assert!(far < 1e-4 && turned < 1e-4, "{file}: logits {far:.1e}, gradient {turned:.1e}");
        if !file.starts_with("small") {
            // Flat indices of views, and values that depend only on parameters, are not nodes.
            let of_parameters = ["group_norm", "instance_norm", "matmul", "log_softmax", "hard_swish"];
            let needless = |kind| kind == "gather" || (file.starts_with("constants") && of_parameters.contains(&kind));
            assert!(graph.nodes.iter().all(|node| !needless(node.op.kind())), "{file}");
            continue;
        }
        // Layers that exporters take apart are one node, with PyTorch's name.
        let kinds: std::collections::BTreeMap<_, _> =
            graph.nodes.iter().map(|n| (n.name.as_str(), n.op.kind())).collect();
        for (name, kind) in [
            ("stem.2", "hard_swish"),
            ("act", "silu"),
            ("norm1", "layer_norm"),
            ("attn.qkv", "linear"),
            ("mlp.1", "gelu"),
            ("head", "linear"),
        ] {
            assert_eq!(kinds.get(name), Some(&kind), "{file}: {name} in {kinds:?}");
        }
    }
}

/// The files are written by `scripts/reference/python_export.py`.
#[test]
fn what_the_python_package_exports_opens_with_its_card() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs");
    let models = Architectures::new(Folders::models(None).embedded_only(), &Arc::default());
    let model = |name: &str| {
        let model = models.open(folder.join(name).with_extension("pt2").to_str().unwrap(), None).unwrap();
        let answers = fs::read(folder.join(name).with_extension("json")).unwrap();
        let answers: serde_json::Value = serde_json::from_slice(&answers).unwrap();
        let values = |name: &str, shape: &[usize]| {
            let values: Vec<f32> = serde_json::from_value(answers[name].clone()).unwrap();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let (logits, gradient) = answer(&model.graph, &values("pixels", &[1, 3, 8, 8]), 1).unwrap();
        assert!(largest(&logits, &values("logits", &[1, 3])) < 1e-5, "{name}");
        assert!(relative(&gradient, &values("gradient", &[1, 3, 8, 8])) < 1e-5, "{name}");
        model
    };
    let exported = model("exported");
    let card = &exported.card;
    assert_eq!((&card.labels[..], card.input), (&["cat", "dog", "emu"].map(String::from)[..], [3, 8, 8]));
    assert_eq!((&card.mean[..], card.resize), (&[0.5, 0.4, 0.3][..], Some(8)));
    assert!(card.note().unwrap().contains("exported.card.json"));
    assert!(exported.graph.nodes.iter().any(|node| node.name == "stem.0"));
    assert_eq!(model("masked").card.std, [0.2, 0.25, 0.3]);
}

#[test]
fn a_value_that_is_changed_in_part_and_read_as_a_whole_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs/refused.pt2");
    let error = format!("{:#}", open(&path).err().expect("it changes a part of a value in place"));
    assert!(error.contains("operator mean.dim: changing a part of \"conv2d\" in place is not supported"), "{error}");
}

#[test]
fn a_graph_file_given_as_weights_is_opened_as_a_graph() {
    let architectures = Architectures::new(Folders::models(None).embedded_only(), &Arc::default());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs/small.ts.onnx");
    let name = file.to_str().unwrap();
    let layers = |model: gradscope::model::Model| model.graph.nodes.len();
    assert_eq!(layers(architectures.tell(&file).unwrap()), layers(architectures.open(name, None).unwrap()));
    let error = architectures.open("resnet18", Some(&file)).err().unwrap().to_string();
    assert!(error.contains("already contains a network") && error.contains("-m "), "{error}");
}

#[test]
fn class_names_in_the_metadata_that_do_not_match_the_output_are_ignored_with_a_note() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs/two_outputs.onnx");
    let architectures = Architectures::new(Folders::models(None).embedded_only(), &Arc::default());
    let folder = tempfile::tempdir().unwrap();
    let open = |names: &str| {
        // An entry of the field `metadata_props`, number 14, of the model.
        let text = |number: u8, text: &str| [&[number << 3 | 2, text.len() as u8], text.as_bytes()].concat();
        let entry = [text(1, "character"), text(2, names)].concat();
        let model = [fs::read(&file).unwrap(), vec![14 << 3 | 2, entry.len() as u8], entry].concat();
        let path = folder.path().join("net.onnx");
        fs::write(&path, model).unwrap();
        architectures.open(path.to_str().unwrap(), None).unwrap()
    };
    let fitting = open("a\nb\nc\nd");
    assert_eq!(&fitting.card.labels[..], ["a", "b", "c", "d"]);
    assert!(!fitting.taken.contains("ignoring"), "{}", fitting.taken);
    let other = open("a\nb\nc");
    assert!(other.card.labels.is_empty());
    assert!(other.taken.contains("ignoring the 3 class names in the file's metadata"), "{}", other.taken);
}
