//! Custom attacks: a few lines of script are enough, and they compute what the formula says.

use crate::common::{host, picture, session, tiny};
use candle_core::{Device, Tensor};
use gradscope::explain::{Walk, cross_entropy};

const LINES: &str = include_str!("../../plugins/attack/momentum_l2.rhai");

#[test]
fn it_has_at_most_fifteen_lines_of_code() {
    let code = LINES.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("//")).count();
    assert!(code <= 15, "{code} lines");
}

/// The gradient of the cross-entropy with respect to the picture.
fn gradient(x: &[f64], class: usize) -> Vec<f64> {
    let model = tiny();
    let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
    let trace = model.graph.forward(&Tensor::from_vec(x, (1, 3, 8, 8), &Device::Cpu).unwrap()).unwrap();
    let seed = cross_entropy(&trace.logits().unwrap(), &[class]).unwrap();
    let g = Walk::gradient(&trace, vec![(model.graph.logits, seed)]).run().unwrap().input().unwrap().clone();
    g.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn scaled(v: &[f64], by: f64) -> Vec<f64> {
    v.iter().map(|v| v * by).collect()
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn its_steps_are_those_of_the_formula_in_plain_numbers() {
    let (step, epsilon, steps) = (24.0 / 255.0, 60.0 / 255.0, 5);
    let host = host();
    let mut session = session(&host);
    session.open(host.method("momentum_l2").unwrap());
    session.set("step", "24").unwrap();
    session.set("epsilon", "60").unwrap();
    let class = session.target().unwrap();
    let begin: Vec<f64> =
        picture().flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
    let (mut x, mut m) = (begin.clone(), vec![0.0; begin.len()]);
    session.run(&host).unwrap();
    for n in 1..=steps {
        let g = gradient(&x, class);
        let l1: f64 = g.iter().map(|v| v.abs()).sum();
        m = m.iter().zip(&g).map(|(m, g)| m + g / l1).collect();
        let moved = scaled(&m, step / length(&m));
        let delta: Vec<f64> = x.iter().zip(&moved).zip(&begin).map(|((x, d), b)| x + d - b).collect();
        let delta = scaled(&delta, (epsilon / length(&delta)).min(1.0));
        x = begin.iter().zip(&delta).map(|(b, d)| (b + d).clamp(0.0, 1.0)).collect();
        let frame = session.step(&host).unwrap();
        let figure = frame.figures.iter().find(|f| f.title == "adversarial").unwrap();
        let shown = figure.values().unwrap();
        let far = shown.data.iter().zip(&x).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-5, "step {n} is {far} away");
        if frame.done.is_some() {
            assert!(n > 2, "the attack ended too early to compare");
            return;
        }
    }
}
