//! Adversarial training.

use super::train::{card, digits, small};
use gradscope::explain::{Walk, cross_entropy, cross_entropy_loss};
use gradscope::graph::Graph;
use gradscope::train::{Adversary, Trainer, TrainingOptions};
use std::sync::Arc;

const FGSM: Adversary = Adversary { epsilon: 0.1, steps: 1, step: 0.1, random_start: false, alpha: 0.5, warmup: 0.0 };

fn trainer(adversary: Option<Adversary>) -> Trainer {
    let options = TrainingOptions { epochs: 6, batch: 50, rate: 3e-3, adversary, ..TrainingOptions::default() };
    Trainer::new(&small(), &card(), digits("digits#train", 1000), options).unwrap()
}

fn learned(adversary: Option<Adversary>) -> Arc<Graph> {
    let mut trainer = trainer(adversary);
    while trainer.step().unwrap().is_some() {}
    trainer.graph().clone()
}

/// Number of digits, of 300, that a network classifies correctly after one step of FGSM.
fn right(graph: &Arc<Graph>, epsilon: f64) -> usize {
    let data = digits("digits", 300);
    let labels: Vec<_> = (0..300).map(|i| data.label(i)).collect();
    let x = data.batch(&(0..300).collect::<Vec<_>>(), &card().preprocess()).unwrap();
    let trace = graph.forward(&x).unwrap();
    let seed = cross_entropy(&trace.logits().unwrap(), &labels).unwrap();
    let gradient = Walk::gradient(&trace, vec![(graph.logits, seed)]).run().unwrap().input().unwrap().clone();
    let sign = (gradient.gt(0.0).unwrap().to_dtype(x.dtype()).unwrap()
        - gradient.lt(0.0).unwrap().to_dtype(x.dtype()).unwrap())
    .unwrap();
    let moved = (x + (sign * epsilon).unwrap()).unwrap().clamp(0.0, 1.0).unwrap();
    gradscope::model::correct(&graph.forward(&moved).unwrap().logits().unwrap(), &labels).unwrap()
}

#[test]
fn adversarial_training_makes_a_network_more_robust() {
    let (natural, hardened) = (learned(None), learned(Some(FGSM)));
    let (before, after) = (right(&natural, 0.1), right(&hardened, 0.1));
    assert!(after > before + 40, "{before} of 300 correct without, {after} with adversarial training");
    assert!(right(&hardened, 0.0) > 240);
}

#[test]
fn the_reported_loss_is_the_mixture_of_both() {
    let data = digits("digits#train", 1000);
    let loss = |adversary| trainer(adversary).step().unwrap().unwrap().loss;
    let (clean, attacked) = (loss(None), loss(Some(Adversary { alpha: 0.0, ..FGSM })));
    assert!(attacked > clean, "an attack raises the loss: {attacked} and {clean}");
    for alpha in [0.25, 0.5, 0.9] {
        let mixed = loss(Some(Adversary { alpha, ..FGSM }));
        assert!((mixed - (alpha * clean + (1.0 - alpha) * attacked)).abs() < 1e-5);
    }
    let graph = trainer(None).graph().clone();
    let x = data.batch(&[0, 1], &card().preprocess()).unwrap();
    let logits = graph.forward(&x).unwrap().logits().unwrap();
    assert!(cross_entropy_loss(&logits, &[data.label(0), data.label(1)]).unwrap().is_finite());
}

#[test]
fn more_steps_from_a_random_start_are_stronger_and_reproducible() {
    let loss = |adversary| trainer(Some(Adversary { alpha: 0.0, ..adversary })).step().unwrap().unwrap().loss;
    let pgd = Adversary { steps: 10, step: 0.025, random_start: true, ..FGSM };
    assert!(loss(pgd) > loss(FGSM));
    assert_eq!(loss(pgd), loss(pgd));
}

#[test]
fn attacks_out_of_range_are_refused() {
    let refused = |a: Adversary| {
        let options = TrainingOptions { adversary: Some(a), ..TrainingOptions::default() };
        Trainer::new(&small(), &card(), digits("digits", 10), options).is_err()
    };
    assert!(!refused(FGSM));
    for epsilon in [0.0, -0.1, 2.0, f64::NAN] {
        assert!(refused(Adversary { epsilon, ..FGSM }));
    }
    assert!(refused(Adversary { steps: 0, ..FGSM }) && refused(Adversary { alpha: 1.0, ..FGSM }));
    assert!(refused(Adversary { step: f64::NAN, ..FGSM }));
}
