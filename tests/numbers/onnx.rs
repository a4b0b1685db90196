//! ONNX files of both PyTorch exporters against PyTorch: logits and input gradients, for a picture alone and in a batch.

use crate::common::random::numbers;
use crate::common::shared::{shared, shared_file};
use candle_core::{DType, Device, Tensor};
use gradscope::explain::{Walk, logit};
use gradscope::graph::Graph;
use gradscope::model::onnx::{OnnxNetwork, OnnxOptions, read};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn open(file: &Path) -> anyhow::Result<OnnxNetwork> {
    read(fs::read(file)?, file.parent(), &OnnxOptions::default())
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
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.to_string_lossy().ends_with(".onnx"));
    names.sort();
    for file in names {
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
    assert!(wrong.is_empty() && seen >= 30, "{} of {seen} files:\n{}", wrong.len(), wrong.join("\n"));
}
