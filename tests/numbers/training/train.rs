//! Training.

use crate::common::tiny;
use candle_core::{Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::data::{Dataset, synthetic};
use gradscope::graph::{Builder, Graph, op};
use gradscope::model::{Card, Model, evaluate};
use gradscope::train::{Init, Optimizer, Schedule, Trainer, TrainingOptions, write_weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A convolution, a pool and a linear layer for digits.
pub fn small() -> Graph {
    let mut b = Builder::new(&[1, 28, 28]);
    let slide = Conv2d { stride: (2, 2), padding: (1, 1), ..Conv2d::default() };
    let x = b.add("conv", op::Conv { input: 1, output: 12, kernel: (5, 5), slide, bias: true }, &[0]).unwrap();
    let x = b.add("relu", op::Relu, &[x]).unwrap();
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let x = b.add("pool", op::MaxPool { pool }, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let input = b.shape(x)[1];
    let x = b.add("fc", op::Linear { input, output: 10, bias: true }, &[x]).unwrap();
    b.finish(x).unwrap()
}

pub fn card() -> Card {
    let labels = (0..10).map(|d| d.to_string()).collect();
    Card { labels, picture: "made:digits[0]".into(), ..Card::plain("small", [1, 28, 28]) }
}

/// The first pictures of a synthetic set.
pub fn digits(name: &str, count: usize) -> Dataset {
    let set = synthetic::open(name).unwrap();
    let numbers: Vec<_> = (0..count).collect();
    let pixels = set.batch(&numbers, &card().preprocess()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let pixels = pixels.into_iter().map(|v| (v * 255.0).round() as u8).collect();
    Dataset::of_bytes(name, vec![], [1, 28, 28], pixels, numbers.iter().map(|&i| set.label(i)).collect()).unwrap()
}

fn trainer(options: &TrainingOptions) -> Trainer {
    Trainer::new(&small(), &card(), digits("digits", 100), options.clone()).unwrap()
}

fn finish(mut trainer: Trainer) -> BTreeMap<String, Vec<u32>> {
    while trainer.step().unwrap().is_some() {}
    bits(&trainer)
}

fn bits(trainer: &Trainer) -> BTreeMap<String, Vec<u32>> {
    let numbers = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bits = |t| numbers(t).into_iter().map(f32::to_bits).collect();
    trainer.weights().into_iter().map(|(name, t)| (name, bits(t))).collect()
}

#[test]
fn optimizers_match_pytorch() {
    let cases: Value = serde_json::from_str(include_str!("../../fixtures/optim.json")).unwrap();
    let row = |v: &Value| v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect::<Vec<_>>();
    for case in cases["cases"].as_array().unwrap() {
        let (name, o) = (case["name"].as_str().unwrap(), &case["options"]);
        let number = |key: &str, default| o[key].as_f64().unwrap_or(default);
        let betas = [0, 1].map(|i| o["betas"][i].as_f64().unwrap_or([0.9, 0.999][i]));
        let optimizer = match name.split(' ').next() {
            Some("adam") => Optimizer::Adam { betas, epsilon: number("eps", 1e-8) },
            Some("adadelta") => Optimizer::Adadelta { rho: number("rho", 0.9), epsilon: number("eps", 1e-6) },
            _ => Optimizer::Sgd { momentum: number("momentum", 0.0), nesterov: o["nesterov"] == true },
        };
        let mut w = Tensor::new(row(&cases["start"]), &Device::Cpu).unwrap();
        let mut slots = BTreeMap::new();
        for (t, expected) in case["weights"].as_array().unwrap().iter().enumerate() {
            let g = ((w.powf(3.0).unwrap() - 1.0).unwrap() + (&w * number("weight_decay", 0.0)).unwrap()).unwrap();
            w = optimizer.step(&w, &g, ("w", &mut slots), t + 1, number("lr", 0.0)).unwrap();
            for (a, b) in w.to_vec1::<f32>().unwrap().into_iter().zip(row(expected)) {
                assert!((a - b).abs() < 3e-6, "{name}, step {}: {a} instead of {b}", t + 1);
            }
        }
    }
}

#[test]
fn a_small_network_learns_synthetic_digits() {
    let options = TrainingOptions { epochs: 4, batch: 32, rate: 3e-3, ..TrainingOptions::default() };
    let mut trainer = Trainer::new(&small(), &card(), digits("digits#train", 2000), options).unwrap();
    while trainer.step().unwrap().is_some() {}
    let model = Model { card: card().into(), graph: trainer.graph().clone(), hash: Arc::from(""), taken: "".into() };
    let accuracy = evaluate(&model, &digits("digits", 500), &mut |_| Ok(())).unwrap().accuracy();
    assert!(accuracy > 0.9, "{accuracy}");
}

#[test]
fn killed_and_resumed_training_gives_bit_identical_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let (sgd, adam) = (Optimizer::Sgd { momentum: 0.9, nesterov: true }, Optimizer::adam());
    let adadelta = Optimizer::Adadelta { rho: 0.9, epsilon: 1e-6 };
    for (optimizer, rate) in [(sgd, 0.02), (adam, 3e-3), (adadelta, 1.0)] {
        let options = TrainingOptions {
            epochs: 3,
            batch: 16,
            rate,
            optimizer,
            shift: 2,
            weight_decay: 1e-4,
            ..TrainingOptions::default()
        };
        let whole = finish(trainer(&options));
        let mut killed = trainer(&options);
        (0..10).for_each(|_| assert!(killed.step().unwrap().is_some()));
        killed.save(&path).unwrap();
        (0..3).for_each(|_| assert!(killed.step().unwrap().is_some()));
        drop(killed);
        let resumed = Trainer::resume(&path, &small(), &card(), digits("digits", 100)).unwrap();
        assert_eq!(resumed.progress(), (10, 21));
        assert_eq!(resumed.options(), &options);
        assert_eq!(finish(resumed), whole, "{optimizer:?}");
    }
}

#[test]
fn a_stopped_run_leaves_a_checkpoint_and_resumes_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let options = TrainingOptions { epochs: 2, batch: 16, ..TrainingOptions::default() };
    let mut stopped = trainer(&options);
    let stop_at_nine = &mut |report: &gradscope::train::StepReport| match (report.epoch, report.batch) {
        (2, 2) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert!(!stopped.run(Some(&path), Duration::MAX, stop_at_nine).unwrap());
    let mut resumed = Trainer::resume(&path, &small(), &card(), digits("digits", 100)).unwrap();
    assert_eq!(resumed.progress(), (9, 14));
    assert!(resumed.run(Some(&path), Duration::ZERO, &mut |_| ControlFlow::Continue(())).unwrap());
    assert_eq!(resumed.step().unwrap(), None);
    assert_eq!(bits(&resumed), finish(trainer(&options)));
    let last = Trainer::resume(&path, &small(), &card(), digits("digits", 100)).unwrap();
    assert_eq!(bits(&last), bits(&resumed));
}

#[test]
fn a_checkpoint_of_another_network_is_an_error_that_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    trainer(&TrainingOptions::default()).save(&path).unwrap();
    let error = |path: &Path, card: &Card, data: Dataset| {
        let resumed = Trainer::resume(path, &small(), card, data);
        format!("{:#}", resumed.err().expect("an error"))
    };
    let other = Card { name: "other".into(), ..card() };
    assert!(error(&path, &other, digits("digits", 100)).contains("a checkpoint of \"small\", not of \"other\""));
    assert!(error(&path, &card(), digits("digits", 99)).contains("a data set other than"));
    let weights = folder.path().join("weights.safetensors");
    write_weights(&weights, &trainer(&TrainingOptions::default()).weights()).unwrap();
    assert!(error(&weights, &card(), digits("digits", 100)).contains("not a training checkpoint"));
    std::fs::write(&weights, b"not a file of tensors").unwrap();
    assert!(error(&weights, &card(), digits("digits", 100)).contains("not a .safetensors file"));
}

#[test]
fn the_gradient_of_a_batch_is_that_of_its_mean_loss() {
    let rate = 1e-3;
    let options = TrainingOptions {
        epochs: 1,
        batch: 100,
        rate,
        optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false },
        schedule: Schedule::Constant,
        ..TrainingOptions::default()
    };
    let mut trainer = trainer(&options);
    let before = trainer.graph().clone();
    let report = trainer.step().unwrap().unwrap();
    let data = digits("digits", 100);
    let labels: Vec<_> = (0..100).map(|i| data.label(i)).collect();
    let x = data.batch(&(0..100).collect::<Vec<_>>(), &card().preprocess()).unwrap();
    let loss = |graph: &Arc<Graph>| {
        let logits = graph.forward(&x).unwrap().logits().unwrap();
        gradscope::explain::cross_entropy_loss(&logits, &labels).unwrap()
    };
    assert!((report.loss - loss(&before)).abs() < 1e-5);
    let moved: f64 = before
        .weights()
        .iter()
        .map(|(name, w)| {
            let step = (w - &trainer.weights()[name]).unwrap().sqr().unwrap().sum_all().unwrap();
            f64::from(step.to_scalar::<f32>().unwrap())
        })
        .sum();
    let fallen = loss(&before) - loss(trainer.graph());
    assert!((fallen / (moved / rate) - 1.0).abs() < 0.1, "fell by {fallen}, the gradient says {}", moved / rate);
}

#[test]
fn initial_weights_are_uniform_within_pytorchs_bounds_and_depend_on_the_seed() {
    let he = trainer(&TrainingOptions::default()).weights();
    let weights = trainer(&TrainingOptions { init: Init::Torch, ..TrainingOptions::default() }).weights();
    let values = |name: &str| weights[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let gain = (&weights["fc.weight"] * 6f64.sqrt()).unwrap().sub(&he["fc.weight"]).unwrap().abs().unwrap();
    assert!(gain.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    assert_eq!(he["fc.bias"].to_vec1::<f32>().unwrap(), [0.0; 10]);
    for (name, fan_in) in [("conv.weight", 25.0f32), ("conv.bias", 25.0), ("fc.weight", 432.0), ("fc.bias", 432.0)] {
        let (v, bound) = (values(name), 1.0 / fan_in.sqrt());
        let largest = v.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest <= bound && largest > 0.7 * bound, "{name}: {largest} and {bound}");
    }
    let v = values("fc.weight");
    let variance = v.iter().map(|v| v * v).sum::<f32>() / v.len() as f32;
    assert!((variance * 3.0 * 432.0 - 1.0).abs() < 0.1, "{variance}");
    assert_ne!(
        bits(&trainer(&TrainingOptions { seed: 1, ..TrainingOptions::default() })),
        bits(&trainer(&TrainingOptions::default()))
    );
}

#[test]
fn training_continues_from_existing_weights() {
    let first = trainer(&TrainingOptions::default());
    let second = Trainer::new(
        first.graph(),
        &card(),
        digits("digits", 100),
        TrainingOptions { seed: 7, ..TrainingOptions::default() },
    );
    assert_eq!(bits(&second.unwrap()), bits(&first));
}

#[test]
fn a_non_finite_loss_is_an_error_and_leaves_the_weights_unchanged() {
    let options = TrainingOptions { rate: 1e30, optimizer: Optimizer::sgd(), ..TrainingOptions::default() };
    let mut trainer = trainer(&options);
    let mut before = bits(&trainer);
    let error = loop {
        match trainer.step() {
            Ok(report) => assert!(report.is_some(), "training reached the end"),
            Err(error) => break error.to_string(),
        }
        before = bits(&trainer);
    };
    assert!(error.contains("a learning rate below"), "{error}");
    assert_eq!(bits(&trainer), before);
}

/// A network whose batch norm follows no trained layer: its statistics are those of the pictures.
fn normalized() -> Graph {
    let mut b = Builder::new(&[1, 28, 28]);
    let x = b.add("bn1", op::BatchNorm::new(1, 1e-5), &[0]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 784, output: 10, bias: true }, &[x]).unwrap();
    b.finish(x).unwrap()
}

#[test]
fn running_statistics_follow_those_of_each_batch() {
    let data = digits("digits", 12);
    let options = TrainingOptions { batch: 4, epochs: 1, ..TrainingOptions::default() };
    let mut trainer = Trainer::new(&normalized(), &card(), data.clone(), options).unwrap();
    let of = |trainer: &Trainer, name: &str| gradscope::tensor::numbers(&trainer.weights()[name]).unwrap()[0];
    assert_eq!((of(&trainer, "bn1.running_mean"), of(&trainer, "bn1.running_var")), (0.0, 1.0));
    let (mut mean, mut variance) = (0.0, 1.0);
    let mut seen = vec![];
    while trainer.step().unwrap().is_some() {
        let ours = (of(&trainer, "bn1.running_mean"), of(&trainer, "bn1.running_var"));
        seen.push(ours);
        assert!(ours != (mean, variance));
        (mean, variance) = ours;
    }
    assert_eq!(seen.len(), 3);
    // Three batches cover all pictures once, so the batch means can be recovered from the running means, and their average is
    // the mean of all pictures.
    let before = [0.0, seen[0].0, seen[1].0];
    let batches = before.iter().zip(&seen).map(|(old, (new, _))| (new - 0.9 * old) / 0.1);
    let all =
        gradscope::tensor::numbers(&data.batch(&(0..12).collect::<Vec<_>>(), &card().preprocess()).unwrap()).unwrap();
    let whole = all.iter().sum::<f64>() / all.len() as f64;
    assert!((batches.sum::<f64>() / 3.0 - whole).abs() < 1e-4, "{seen:?}, {whole}");
    assert!(seen.iter().all(|(_, v)| *v > 0.0 && *v < 1.0), "{seen:?}");
}

#[test]
fn invalid_options_and_labels_without_a_class_are_errors() {
    let refused = |options: TrainingOptions| Trainer::new(&small(), &card(), digits("digits", 10), options).is_err();
    let good = TrainingOptions::default;
    assert!(!refused(good()));
    assert!(refused(TrainingOptions { epochs: 0, ..good() }));
    assert!(refused(TrainingOptions { batch: 0, ..good() }));
    assert!(refused(TrainingOptions { rate: -1.0, ..good() }));
    assert!(refused(TrainingOptions { rate: f64::NAN, ..good() }));
    assert!(refused(TrainingOptions { weight_decay: -1.0, ..good() }));
    assert!(refused(TrainingOptions { schedule: Schedule::Step { every: 0 }, ..good() }));
    assert!(refused(TrainingOptions { optimizer: Optimizer::Sgd { momentum: 1.0, nesterov: false }, ..good() }));
    let tiny = tiny();
    let error = Trainer::new(&tiny.graph, &tiny.card, digits("digits", 10), good()).err().expect("an error");
    assert!(error.to_string().contains("has class 5, but the network \"tiny\" has only 5 classes"), "{error}");
}
