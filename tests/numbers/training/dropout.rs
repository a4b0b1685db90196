//! Dropout in training.

use super::train::{card, digits};
use gradscope::backend::Conv2d;
use gradscope::graph::{Builder, Graph, op};
use gradscope::model::Card;
use gradscope::train::{Optimizer, Schedule, Trainer, TrainingOptions};

/// A linear classifier with dropout on its pixels.
fn dropping(p: f64, channels: bool) -> Graph {
    let mut b = Builder::new(&[1, 28, 28]);
    let x = b.add("drop", op::Dropout { p, channels, training: false }, &[0]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 784, output: 10, bias: false }, &[x]).unwrap();
    b.finish(x).unwrap()
}

fn trainer(p: f64, channels: bool) -> Trainer {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false };
    let options =
        TrainingOptions { batch: 40, rate: 0.1, optimizer, schedule: Schedule::Constant, ..TrainingOptions::default() };
    Trainer::new(&dropping(p, channels), &card(), digits("digits", 80), options).unwrap()
}

/// The change of each weight of the first digit after one step.
fn moved(mut trainer: Trainer) -> Vec<f32> {
    let weights = |t: &Trainer| t.weights()["fc.weight"].get(0).unwrap().to_vec1::<f32>().unwrap();
    let before = weights(&trainer);
    trainer.step().unwrap();
    weights(&trainer).iter().zip(before).map(|(a, b)| a - b).collect()
}

#[test]
fn dropped_units_neither_contribute_nor_learn() {
    assert!(moved(trainer(1.0, false)).iter().all(|d| *d == 0.0), "all pixels are dropped");
    assert_ne!(moved(trainer(0.5, false)), moved(trainer(0.0, false)));
    assert_ne!(moved(trainer(0.5, false)), moved(trainer(0.5, true)));
}

#[test]
fn kept_units_are_scaled_to_preserve_the_mean() {
    let sum = |v: Vec<f32>| v.into_iter().map(f64::from).sum::<f64>();
    let (with, without) = (sum(moved(trainer(0.3, false))), sum(moved(trainer(0.0, false))));
    assert!((with / without - 1.0).abs() < 0.25, "{with} and {without}");
}

#[test]
fn dropout_fits_pictures_of_any_size() {
    let mut b = Builder::new(&[1, 28, 28]);
    let x = b.add("drop", op::Dropout { p: 0.5, channels: false, training: false }, &[0]).unwrap();
    let x = b
        .add("conv", op::Conv { input: 1, output: 10, kernel: (3, 3), slide: Conv2d::default(), bias: true }, &[x])
        .unwrap();
    let x = b.add("avgpool", op::GlobalAvgPool, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    for side in [20, 28, 36] {
        let card = Card { input: [1, side, side], ..card() };
        let mut trainer = Trainer::new(&graph, &card, digits("digits", 80), TrainingOptions::default()).unwrap();
        assert!(trainer.step().unwrap().unwrap().loss.is_finite(), "{side}x{side}");
    }
}

#[test]
fn dropout_masks_are_reproducible() {
    assert_eq!(moved(trainer(0.5, true)), moved(trainer(0.5, true)));
}
