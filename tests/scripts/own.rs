//! Custom methods: a few lines of script are enough for an attack or a relevance rule, and they compute what the formula says.

use crate::common::{host, picture, session, tiny};
use candle_core::{Device, Tensor};
use gradscope::data::source;
use gradscope::explain::{Walk, cross_entropy};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::session::Session;

#[test]
fn momentum_takes_eleven_lines_and_an_epsilon_rule_seven() {
    for (method, most) in [("momentum_l2", 11), ("lrp_by_hand", 7)] {
        let text = host().method(method).unwrap().source.text.clone();
        let code = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("//")).count();
        assert!(code <= most, "{method}: {code} lines");
        assert!(text.lines().all(|l| l.chars().count() <= 120 || l.starts_with("//")), "{method}: a line is too long");
    }
}

/// The map of relevance, summed over channels, of a method of LRP-ε.
fn relevance(network: Option<&str>, method: &str, set: &[(&str, &str)]) -> Vec<f64> {
    let host = host();
    let mut session = match network {
        None => session(&host),
        Some(name) => {
            let model =
                Architectures::new(Folders::models(None).embedded_only(), host.guard()).open(name, None).unwrap();
            let (name, picture) = source::picture(&model.card.picture).unwrap();
            let x = model.card.preprocess().apply(&picture, false).unwrap();
            Session::new(&host, model, &name, x).unwrap()
        }
    };
    session.open(host.method(method).unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    let frame = session.run(&host).unwrap();
    let values = frame.figures.iter().find(|f| f.title == "relevance").unwrap().values().unwrap().clone();
    let channels = values.shape[1];
    let pixels = values.data.len() / channels;
    (0..pixels).map(|i| (0..channels).map(|c| f64::from(values.data[c * pixels + i])).sum()).collect()
}

#[test]
fn the_handwritten_epsilon_rule_matches_lrp() {
    for (network, epsilon) in
        [(None, "0.000001"), (None, "0.1"), (Some("shapes"), "0.000001"), (Some("shapes"), "0.01")]
    {
        let by_hand = relevance(network, "lrp_by_hand", &[("epsilon", epsilon)]);
        let native = relevance(network, "lrp", &[("composite", "Epsilon"), ("epsilon", epsilon), ("bias", "full")]);
        let greatest = native.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        let far = by_hand.iter().zip(&native).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(greatest > 0.0 && far < 1e-4 * greatest, "{network:?} {epsilon}: {far} of {greatest}");
    }
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
fn the_attacks_steps_match_its_formula() {
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
