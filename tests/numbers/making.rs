//! Generated pictures against PyTorch and SciPy (`scripts/reference/making.py`), and fast style transfer with its published
//! weights against reference pictures.

use crate::common::shared::shared;
use crate::common::{host, method, session};
use candle_core::{Device, Tensor};
use gradscope::backend::Conv2d;
use gradscope::data::{Dataset, source};
use gradscope::graph::{Builder, op};
use gradscope::model::{Card, Model};
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::train::{LossWeights, Perceptual, Trainer, TrainingOptions};
use serde_json::Value;
use std::path::Path;

fn expected() -> Value {
    serde_json::from_str(include_str!("../fixtures/making.json")).unwrap()
}

fn open(name: &str, weights: Option<&Path>) -> Model {
    Architectures::new(Folders::models(None).embedded_only(), &Default::default()).open(name, weights).unwrap()
}

/// Waves in [0, 1], as in the reference.
fn waves(a: f64, b: f64) -> Tensor {
    let wave = |i: usize| {
        let (c, y, x) = ((i / 4096) as f64, (i / 64 % 64) as f64, (i % 64) as f64);
        (0.5 + 0.5 * (a * y + b * (0.3 * x).sin() + 2.0 * c).sin()) as f32
    };
    Tensor::from_vec((0..3 * 4096).map(wave).collect(), (1, 3, 64, 64), &Device::Cpu).unwrap()
}

/// Runs a method in a session for this many steps.
fn stepped(host: &Host, session: &mut Session, name: &str, set: &[(&str, &str)], steps: usize) {
    session.open(host.method(name).unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap_or_else(|e| panic!("{name}: {e:#}")));
    session.run(host).unwrap_or_else(|e| panic!("{e:#}"));
    for _ in 0..steps {
        session.advance(host).unwrap_or_else(|e| panic!("{e:#}"));
    }
}

fn curve(session: &Session, name: &str) -> Vec<f64> {
    let of = |step: &Vec<(String, f64)>| step.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    session.scalars().iter().filter_map(of).collect()
}

#[test]
fn the_initial_losses_of_style_transfer_match_pytorch() {
    let folder = tempfile::TempDir::new().unwrap();
    let painting = folder.path().join("painting.npy");
    let pixels = waves(0.5, 3.0).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    gradscope::data::write_npy(&painting, &[1, 3, 64, 64], &pixels).unwrap();
    let host = host();
    let mut session = Session::new(&host, open("shapes", None), "waves", waves(0.2, 1.0)).unwrap();
    let set = [
        ("style", painting.to_str().unwrap()),
        ("preset", "cs231n"),
        ("content_layer", "relu2"),
        ("style_layers", "relu1 relu2 relu3"),
        ("style_weights", "300 20 2"),
        ("content_weight", "0.05"),
        ("variation", "0.01"),
        ("clip", "1.5"),
    ];
    stepped(&host, &mut session, "style_transfer", &set, 6);
    let expected: Vec<f64> = serde_json::from_value(expected()["style"].clone()).unwrap();
    let ours = curve(&session, "loss");
    assert_eq!(ours.len(), expected.len());
    for (ours, expected) in ours.iter().zip(&expected) {
        assert!((ours - expected).abs() < 1e-3 * expected, "{ours} instead of {expected}");
    }
}

/// Minima that the optimizers for scripts reach on the reference functions: number of evaluations, and value.
const MINIMA: &str = r#"
import "lib/attack" as attack;
import "lib/lbfgs" as lbfgs;
const PLUGIN = #{ group: "test" };
fn run(cx) {
    let rows = [];
    for name in ["rosenbrock", "quadratic"] {
        let start = if name == "rosenbrock" { tensor([-1.2, 1.0]) } else { zeros([20]) };
        let m = lbfgs::begin(start);
        let n = 0;
        while m.done == "" && n < 120 { let f = value(name, m.x); m = lbfgs::told(m, f[0], f[1]); n += 1; if m.value < 1e-11 { break; } }
        let x = start;
        let moments = #{ m: 0.0, v: 0.0, t: 0 };
        for i in 0..300 { moments = attack::adam(moments, value(name, x)[1]); x = x - 0.05 * moments.step; }
        rows.push([name, `${m.value}`, `${n}`, `${value(name, x)[0]}`]);
    }
    table(["name", "lbfgs", "evaluations", "adam"], rows, "minima")
}
fn value(name, x) {
    if name == "quadratic" {
        let k = arange(1, x.numel() + 1);
        return [0.5 * (k * (x - 1.0).square()).sum(), k * (x - 1.0)];
    }
    let a = x[0].item();
    let b = x[1].item();
    let bend = b - a * a;
    [100.0 * bend * bend + (1.0 - a) ** 2, tensor([-400.0 * a * bend - 2.0 * (1.0 - a), 200.0 * bend])]
}
"#;

#[test]
fn optimizers_reach_the_minima_of_scipy_and_pytorch() {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, MINIMA));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e:#}"));
    let Body::Table { rows, .. } = &frame.figures[0].body else { panic!("{:?}", frame.figures) };
    for row in rows {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        let expected = &expected()["minima"][&row[0]];
        let least = expected["lbfgs"].as_f64().unwrap().max(1e-9);
        assert!(number(1) <= least, "{row:?}");
        assert!(number(2) <= 2.0 * expected["evaluations"].as_f64().unwrap(), "{row:?}");
        let adam = expected["adam"].as_f64().unwrap();
        assert!((number(3) - adam).abs() <= 1e-3 * adam + 1e-8, "{row:?} instead of {adam}");
    }
}

#[test]
fn real_weights_reproduce_their_reference_pictures() {
    let Some(shared) = shared() else { return };
    for style in ["mosaic", "candy"] {
        let weights = shared.join(format!("models/style_{style}.safetensors"));
        let model = open("style_transformer", Some(&weights));
        let read = |path: &str| {
            let picture = source::picture(shared.join(path).to_str().unwrap()).unwrap().1;
            model.card.preprocess().apply(&picture, false).unwrap()
        };
        let host = host();
        let mut session = Session::new(&host, model.clone(), "picture", read("data/photos/dog_cat_both.png")).unwrap();
        session.open(host.method("stylize").unwrap());
        let frame = session.run(&host).unwrap_or_else(|e| panic!("{e:#}"));
        let drawn = frame.figures[0].values().unwrap();
        let path = format!("models/style_{style}_reference_dog_cat_both.png");
        let expected = source::picture(shared.join(path).to_str().unwrap()).unwrap().1;
        let expected = model.card.preprocess().apply(&expected, true).unwrap().flatten_all().unwrap();
        let expected = expected.to_vec1::<f32>().unwrap();
        assert_eq!(drawn.data.len(), expected.len());
        let apart = |(a, b): (&f32, &f32)| ((255.0 * a).round() - (255.0 * b).round()).abs();
        let most = drawn.data.iter().zip(&expected).map(apart).fold(0.0, f32::max);
        assert!(most <= 1.0, "{style}: a pixel is {most} of 255 away");
    }
}

#[test]
fn an_image_to_image_network_learns_a_style() {
    let judge = open("shapes", None);
    let weights = LossWeights { content: 1.0, style: 5.0, variation: 1.0 };
    let style = Perceptual::new(&judge, &waves(0.7, 3.0), "waves", weights).unwrap();
    let (mut card, graph) = Architectures::new(Folders::models(None).embedded_only(), &Default::default())
        .build("style_transformer")
        .unwrap();
    (card.input, card.resize) = ([3, 48, 48], Some(48));
    let pixels = (0..4 * 3 * 48 * 48).map(|i| (i / 7 * i % 251) as u8).collect();
    let data = Dataset::of_bytes("four", vec![], [3, 48, 48], pixels, vec![0; 4]).unwrap();
    let options = TrainingOptions { epochs: 12, batch: 4, ..TrainingOptions::default() };
    let alone = Trainer::new(&graph, &card, data.clone(), options.clone()).unwrap().step().unwrap_err();
    assert!(format!("{alone:#}").contains("--style"), "{alone:#}");
    let mut trainer = Trainer::new(&graph, &card, data, options).unwrap().with_style(style).unwrap();
    let losses: Vec<_> = std::iter::from_fn(|| trainer.step().unwrap()).map(|report| report.loss).collect();
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
    let labelled = Trainer::new(
        &judge.graph,
        &judge.card,
        Dataset::of_bytes("one", vec![], [3, 64, 64], vec![0; 3 * 4096], vec![0]).unwrap(),
        TrainingOptions::default(),
    );
    let style = Perceptual::new(&judge, &waves(0.7, 3.0), "waves", weights).unwrap();
    assert!(labelled.unwrap().with_style(style).is_err(), "a classifier cannot be trained with a style loss");
}

#[test]
fn dropout_and_batch_norms_work_in_image_to_image_training() {
    let mut b = Builder::new(&[3, 16, 16]);
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    let conv = |input, output| op::Conv { input, output, kernel: (3, 3), slide, bias: true };
    let x = b.add("conv1", conv(3, 6), &[0]).unwrap();
    let x = b.add("bn", op::BatchNorm::new(6, 1e-5), &[x]).unwrap();
    let x = b.add("relu", op::Relu, &[x]).unwrap();
    let x = b.add("drop", op::Dropout { p: 0.5, ..op::Dropout::default() }, &[x]).unwrap();
    let x = b.add("conv2", conv(6, 3), &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let card = Card { input: [3, 16, 16], resize: None, ..Card::clone(&open("shapes", None).card) };
    let pixels = (0..2 * 3 * 256).map(|i| (i / 7 * i % 251) as u8).collect();
    let data = Dataset::of_bytes("two", vec![], [3, 16, 16], pixels, vec![0; 2]).unwrap();
    let weights = LossWeights { content: 1.0, style: 5.0, variation: 1.0 };
    let style = || Perceptual::new(&open("shapes", None), &waves(0.7, 3.0), "waves", weights).unwrap();
    let step = |seed: u64| {
        let options = TrainingOptions { epochs: 1, batch: 2, seed, ..TrainingOptions::default() };
        let graph = Trainer::new(&graph, &card, data.clone(), TrainingOptions::default()).unwrap().graph().clone();
        let mut trainer = Trainer::new(&graph, &card, data.clone(), options).unwrap().with_style(style()).unwrap();
        let loss = trainer.step().unwrap().unwrap().loss;
        let mean = gradscope::tensor::numbers(&trainer.weights()["bn.running_mean"]).unwrap();
        (loss, mean.iter().any(|m| *m != 0.0))
    };
    assert_eq!(step(1), step(1));
    assert!(step(1).1, "the batch norm did not update its statistics");
    assert_ne!(step(1).0, step(2).0, "another seed drops other values");
}

/// The recipes of `activation_maximization`.
const RECIPES: [&str; 5] = ["robust", "decay_norm", "decay_blur", "blur_norm", "blur_contribution"];

/// The picture that a recipe generates for a class, `(1, 3, side, side)`.
fn made(model: &Model, recipe: &str, class: usize, side: usize, steps: usize) -> Tensor {
    let gray = Tensor::full(0.5f32, (1, 3, side, side), &Device::Cpu).unwrap();
    let host = host();
    let mut session = Session::new(&host, model.clone(), "grey", gray).unwrap();
    session.open(host.method("activation_maximization").unwrap());
    session.set_target(Some(class)).unwrap();
    session.set("preset", recipe).unwrap();
    session.set("steps", &steps.to_string()).unwrap();
    let mut frame = session.run(&host).unwrap_or_else(|e| panic!("{recipe}: {e:#}"));
    while session.can_go_on() {
        frame = session.step(&host).unwrap_or_else(|e| panic!("{recipe}: {e:#}"));
    }
    let [raw, stretched] = [0, 1].map(|i| frame.figures[i].values().unwrap().clone());
    assert_eq!(raw.data, stretched.data, "{recipe}: the stretched view has different raw values");
    Tensor::from_slice(&raw.data, (1, 3, side, side), &Device::Cpu).unwrap()
}

fn probability(model: &Model, x: &Tensor, class: usize) -> f32 {
    let logits = model.graph.logits(x).unwrap();
    candle_nn::ops::softmax(&logits, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[class]
}

/// The standard deviation of a picture's brightness, and the fraction of its values that are black or white, both in [0, 1].
fn contrast(x: &Tensor) -> (f64, f64) {
    let light = x.mean(1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mean = light.iter().map(|&v| f64::from(v)).sum::<f64>() / light.len() as f64;
    let variance = light.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / light.len() as f64;
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let ends = values.iter().filter(|&&v| v <= 0.0 || v >= 1.0).count();
    (variance.sqrt(), ends as f64 / values.len() as f64)
}

/// Checks that every recipe reaches the class with a visible picture: neither gray nor black, nor just black and white.
fn assert_seen(model: &Model, class: usize, side: usize, steps: usize) {
    for recipe in RECIPES {
        let x = made(model, recipe, class, side, steps);
        let (deviation, ends) = contrast(&x);
        let p = probability(model, &x, class);
        let what = format!("{} by {recipe}: p {p}, contrast {deviation}, at the ends {ends}", model.card.name);
        assert!(p > 0.9 && deviation > 0.04 && ends < 0.15, "{what}");
    }
}

#[test]
fn every_recipe_makes_the_class_visible() {
    assert_seen(&open("shapes", None), 3, 64, 60);
}

#[test]
fn the_default_visualization_is_robust_to_shifts() {
    let model = open("shapes", None);
    for class in [3, 7] {
        let x = made(&model, "robust", class, 64, 60);
        for (down, across) in [(4, -3), (-4, 4), (2, 3)] {
            let p = probability(&model, &x.roll(down, 2).unwrap().roll(across, 3).unwrap(), class);
            assert!(p > 0.9, "class {class} shifted by ({down}, {across}): {p}");
        }
    }
}

#[test]
fn every_recipe_makes_the_class_visible_on_real_networks() {
    let Some(shared) = shared() else { return };
    let real = |name: &str, file: &str| open(name, Some(&shared.join("models").join(file)));
    assert_seen(&real("convnetjs", "convnetjs_cifar10.safetensors"), 1, 32, 60);
    assert_seen(&real("squeezenet1_0", "squeezenet1_0_imagenet.safetensors"), 130, 96, 20);
    assert_seen(&real("darknet_tiny", "darknet_tiny_imagenet_f16.safetensors"), 130, 96, 20);
}

#[test]
fn another_network_recognizes_the_default_visualization() {
    let Some(shared) = shared() else { return };
    let real = |name: &str, file: &str| open(name, Some(&shared.join("models").join(file)));
    let maker = real("convnetjs", "convnetjs_cifar10.safetensors");
    let judge = real("resnet20", "resnet20_cifar10.safetensors");
    for class in [1, 6, 9] {
        let p = probability(&judge, &made(&maker, "robust", class, 32, 100), class);
        assert!(p > 0.5, "ResNet-20 sees {} with {p}", judge.card.label(class));
    }
}
