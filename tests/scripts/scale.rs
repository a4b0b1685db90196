//! Attributions scale with the score: a head scaled by 0.1 scales the map by 0.1, and a layer scaled by 10 followed by a head
//! scaled by 0.1 leaves the map unchanged, or rescales it with the layer's activations.

use candle_core::{DType, Device, Tensor};
use gradscope::data::source;
use gradscope::explain::Walk;
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Relative L2 distance of two maps.
const BOUND: f64 = 2e-3;

/// Attributions with parameters that make them fast, and linear in the class's score where there is a choice.
const METHODS: &[(&str, &[&str])] = &[
    ("ablationcam", &["relu=false"]),
    ("absolute", &["layers=conv"]),
    ("deeplift", &[]),
    ("eigencam", &[]),
    ("excitation_backprop", &[]),
    ("excitation_backprop", &["layer=relu1", "contrastive=true"]),
    ("expected_gradients", &["samples=8", "baselines=blur"]),
    ("finercam", &["relu=false"]),
    ("fullgrad", &[]),
    ("fullgrad", &["scale=false"]),
    ("gradcam", &["relu=false"]),
    ("gradcam", &["variant=layercam"]),
    ("gradcam", &["variant=xgradcam", "relu=false"]),
    ("gradcam", &["variant=gradcam++"]),
    ("guided_backprop", &[]),
    ("guided_backprop", &["rule=deconvnet"]),
    ("guided_gradcam", &[]),
    ("hirescam", &["relu=false"]),
    ("input_x_gradient", &[]),
    ("integrated_gradients", &["steps=8"]),
    ("kernelshap", &["measure=logit", "count=8", "samples=40"]),
    ("lime", &["measure=logit", "count=8", "samples=40"]),
    ("lrp", &["composite=EpsilonPlus"]),
    // ε has the unit of the values that it stabilizes.
    ("lrp", &["composite=Epsilon", "epsilon=1e-9"]),
    ("lrp", &["composite=EpsilonGammaBox"]),
    ("lrp_by_hand", &["epsilon=1e-9"]),
    ("occlusion", &["measure=logit", "stride=16"]),
    ("rise", &["measure=logit", "samples=16"]),
    ("saliency", &[]),
    ("scorecam", &["relu=false"]),
    ("smoothgrad", &["samples=5"]),
    ("vit_cx", &[]),
];

/// Methods excluded from both tests: montages of maps, each with its own scale, and methods that need attention.
const WALLS: &[&str] =
    &["attention", "attnlrp_by_hand", "chefer", "dff", "gradient_attention", "guided_grid", "rollout"];

/// Methods whose maps depend on the scale of the scores by definition, and why.
const SCORES: &[(&str, &str)] = &[
    ("variant=gradcam++", "α = 1 / (2 + g ΣA): its 2 has the unit of a score"),
    ("scorecam", "channels weigh as the softmax of their scores"),
    ("finercam", "similar classes weigh as their probabilities"),
    ("vit_cx", "it explains the probability"),
];

/// The embedded network with the weights of some layers scaled.
fn scaled(host: &Host, factors: &[(&str, f64)]) -> Model {
    let model = Architectures::new(Folders::models(None).embedded_only(), host.guard()).open("shapes", None).unwrap();
    let weights = model.graph.weights().into_iter().map(|(name, w)| {
        let factor = factors.iter().find(|(start, _)| name.starts_with(start)).map_or(1.0, |(_, factor)| *factor);
        (name, (w * factor).unwrap())
    });
    let graph = Arc::new(model.graph.with_weights(weights.collect()).unwrap());
    Model { graph, ..model }
}

/// The final maps of a method, by title.
fn maps(host: &Host, model: &Model, method: &str, set: &[&str]) -> BTreeMap<String, Vec<f64>> {
    let (_, picture) = source::picture(&model.card.picture).unwrap();
    let picture = model.card.preprocess().apply(&picture, false).unwrap();
    let mut session = Session::new(host, model.clone(), "picture", picture).unwrap();
    session.open(host.method(method).unwrap());
    for pair in set {
        let (name, value) = pair.split_once('=').unwrap();
        session.set(name, value).unwrap();
    }
    let mut frame = session.run(host).unwrap_or_else(|e| panic!("{method} {set:?}: {e:#}"));
    while session.can_go_on() {
        frame = session.step(host).unwrap();
    }
    let map = |f: gradscope::render::Figure| match f.body {
        gradscope::render::Body::Map { values, .. } => {
            Some((f.title, values.data.iter().map(|&v| f64::from(v)).collect()))
        }
        _ => None,
    };
    frame.figures.into_iter().filter_map(map).collect()
}

/// The distance of `ours · factor` and `theirs`, relative to the norm of `theirs`.
fn distance(ours: &[f64], theirs: &[f64], factor: f64) -> f64 {
    let length = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    length(&mut ours.iter().zip(theirs).map(|(a, b)| a * factor - b)) / length(&mut theirs.iter().copied())
}

/// The distance of two maps up to a power of the factor: an attribution has one of these degrees, 2 for a product of two maps.
fn apart(ours: &[f64], theirs: &[f64], factor: f64) -> f64 {
    let far = (0..3).map(|power| distance(ours, theirs, factor.powi(-power)));
    far.fold(f64::INFINITY, f64::min)
}

fn is_listed(list: &[(&str, &str)], method: &str, set: &[&str]) -> bool {
    list.iter().any(|(what, _)| *what == method || set.contains(what))
}

#[test]
fn every_attribution_has_a_scale_test() {
    let host = crate::common::host();
    for name in host.plugins().names() {
        if host.method(&name).unwrap().group == "attribution" {
            let known = METHODS.iter().any(|(method, _)| *method == name) || WALLS.contains(&name.as_str());
            assert!(known, "no scale test covers the attribution {name}");
        }
    }
}

#[test]
fn scaling_the_head_scales_the_map_or_leaves_it_unchanged() {
    let host = crate::common::host();
    let whole = scaled(&host, &[]);
    for (method, set) in METHODS.iter().filter(|(m, set)| !is_listed(SCORES, m, set)) {
        let expected = maps(&host, &whole, method, set);
        assert!(!expected.is_empty(), "{method} shows no map");
        for factor in [0.1, 0.01, 1e-4] {
            let ours = maps(&host, &scaled(&host, &[("fc.", factor)]), method, set);
            for (title, theirs) in &expected {
                let far = apart(&ours[title], theirs, factor);
                assert!(far < BOUND, "\"{title}\" of {method} {set:?}, head times {factor}: {far:e} from the same map");
            }
        }
    }
}

#[test]
fn rescaling_units_inside_a_network_leaves_its_maps_unchanged_or_scales_them() {
    let host = crate::common::host();
    let whole = scaled(&host, &[]);
    for (method, set) in METHODS {
        let expected = maps(&host, &whole, method, set);
        for factor in [1e-3, 1e3] {
            let model = scaled(&host, &[("conv4.", factor), ("fc.weight", 1.0 / factor)]);
            let ours = maps(&host, &model, method, set);
            for (title, theirs) in &expected {
                let far = apart(&ours[title], theirs, factor);
                assert!(
                    far < BOUND,
                    "\"{title}\" of {method} {set:?}, activations times {factor}: {far:e} from the same map"
                );
            }
        }
    }
}

/// `Σₖ αₖ Aₖ` over the channels of one picture's activations and gradients, in f64.
fn class_activation(variant: &str, a: &[Vec<f64>], g: &[Vec<f64>]) -> Vec<f64> {
    let weight = |a: &Vec<f64>, g: &Vec<f64>| -> f64 {
        let sum: f64 = a.iter().sum();
        match variant {
            "xgradcam" if sum == 0.0 => 0.0,
            "xgradcam" => g.iter().zip(a).map(|(g, a)| g * a).sum::<f64>() / sum,
            _ => {
                let share = |g: f64| g.powi(2) / (2.0 * g.powi(2) + sum * g.powi(3));
                g.iter().filter(|g| **g > 0.0).map(|&g| g * share(g)).sum()
            }
        }
    };
    let weights: Vec<_> = a.iter().zip(g).map(|(a, g)| weight(a, g)).collect();
    let place = |i: usize| weights.iter().zip(a).map(|(w, a)| w * a[i]).sum();
    (0..a[0].len()).map(place).collect()
}

/// The channels of the first picture.
fn channels(t: &Tensor) -> Vec<Vec<f64>> {
    t.narrow(0, 0, 1)
        .unwrap()
        .flatten_from(2)
        .unwrap()
        .squeeze(0)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec2()
        .unwrap()
}

#[test]
fn variants_of_grad_cam_match_their_definitions_at_any_scale() {
    let host = crate::common::host();
    for (factors, what) in [
        (vec![], "as it is"),
        (vec![("fc.", 0.1)], "head times 0.1"),
        (vec![("fc.", 0.01)], "head times 0.01"),
        (vec![("fc.", 1e-6)], "head times 1e-6"),
        (vec![("fc.", 1e6)], "head times 1e6"),
        (vec![("conv4.", 1e-9)], "activations times 1e-9"),
    ] {
        let model = scaled(&host, &factors);
        let (_, picture) = source::picture(&model.card.picture).unwrap();
        let picture = model.card.preprocess().apply(&picture, false).unwrap().to_dtype(DType::F64).unwrap();
        let exact = Arc::new(model.graph.to(DType::F64, &Device::Cpu).unwrap());
        let trace = exact.forward(&picture).unwrap();
        let logits: Vec<f64> = trace.logits().unwrap().squeeze(0).unwrap().to_vec1().unwrap();
        let top = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        let seed: Vec<_> = (0..logits.len()).map(|i| f64::from(u8::from(i == top))).collect();
        let seed = Tensor::from_vec(seed, (1, logits.len()), &Device::Cpu).unwrap();
        for layer in ["relu4", "conv4", "relu2"] {
            let id = exact.find(layer).unwrap();
            let walk = Walk { to: vec![id], keep: false, ..Walk::gradient(&trace, vec![(exact.logits, seed.clone())]) };
            let g = channels(walk.run().unwrap().get(layer).unwrap());
            let a = channels(trace.value(id).unwrap());
            for variant in ["gradcam++", "xgradcam"] {
                let set = [format!("variant={variant}"), format!("layer={layer}"), "relu=false".into()];
                let set: Vec<_> = set.iter().map(String::as_str).collect();
                let ours = &maps(&host, &model, "gradcam", &set)["cam_raw"];
                let far = distance(ours, &class_activation(variant, &a, &g), 1.0);
                assert!(far < BOUND, "{variant} at {layer}, {what}: {far:e}");
            }
        }
    }
}
