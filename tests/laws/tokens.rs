//! Methods on the tokens of an exported transformer: channels are the last dimension, and positions are arranged as in the picture.

use crate::common::{method, one_shot};
use crate::every_method::{TOKENS, exported, pictures};
use candle_core::{Device, Tensor};
use gradscope::graph::Node;
use gradscope::model::Model;
use gradscope::render::{Body, Figure};
use gradscope::script::host::Host;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;

/// The default layer of class activation maps.
const LAYER: &str = "norm1";

fn session() -> (Host, Model, Session) {
    let (host, model) = exported(TOKENS);
    let mut session = Session::new(&host, model.clone(), "picture", picture(&model)).unwrap();
    session.set_data(Data::of(pictures(&model)));
    (host, model, session)
}

fn picture(model: &Model) -> Tensor {
    pictures(model).batch(&[0], &model.card.preprocess()).unwrap()
}

/// The figure with this title from a method with default parameters.
fn figure(name: &str, title: &str) -> (Vec<usize>, Vec<f32>) {
    let (host, _, mut session) = session();
    session.open(host.method(name).unwrap());
    if name == "network" {
        session.set("layer", LAYER).unwrap();
    }
    let mut frame = session.run(&host).unwrap();
    while session.can_go_on() {
        frame = session.step(&host).unwrap();
    }
    let found = frame.figures.iter().find(|f: &&Figure| f.title == title).unwrap_or_else(|| panic!("no {title}"));
    let values = found.values().unwrap();
    (values.shape.clone(), values.data.to_vec())
}

/// The tokens of the layer, `[token][channel]`.
fn tokens(model: &Model) -> Vec<Vec<f32>> {
    let trace = model.graph.forward(&picture(model)).unwrap();
    trace.get(LAYER).unwrap().squeeze(0).unwrap().to_vec2().unwrap()
}

#[test]
fn channels_are_shown_as_maps_without_the_class_token() {
    let (_, model, _) = session();
    let rows = tokens(&model);
    let expected: Vec<_> = (0..12).flat_map(|k| rows[1..].iter().map(move |row| row[k])).collect();
    assert_eq!(figure("channels", "channels"), (vec![12, 4, 4], expected.clone()));
    assert_eq!(figure("network", LAYER), (vec![12, 4, 4], expected));
}

#[test]
fn a_patch_of_the_picture_is_at_its_row_and_column_of_the_map() {
    let (_, model, _) = session();
    let x = picture(&model);
    let maps = |x: &Tensor| {
        let id = model.graph.find("concat").unwrap();
        let value = model.graph.forward(x).unwrap().value(id).unwrap().clone();
        model.graph.channels_first(id, &value, (16, 16)).unwrap()
    };
    for (row, column) in [(9, 5), (2, 13)] {
        let spot = (0..3 * 256).map(|i| if (i / 16 % 16, i % 16) == (row, column) { 1.0f32 } else { 0.0 });
        let spot = Tensor::from_iter(spot, &Device::Cpu).unwrap().reshape((1, 3, 16, 16)).unwrap();
        let moved = (maps(&(&x + spot).unwrap()) - maps(&x)).unwrap().abs().unwrap().sum(1).unwrap();
        let moved: Vec<f32> = moved.flatten_all().unwrap().to_vec1().unwrap();
        let most = (0..16).max_by(|&a, &b| moved[a].total_cmp(&moved[b])).unwrap();
        assert_eq!((most / 4, most % 4), (row / 4, column / 4), "{moved:?}");
    }
}

#[test]
fn ablation_cam_ablates_a_channel_of_every_token() {
    let (_, model, _) = session();
    let score = |edit: Option<usize>| {
        let mut change = |node: &Node, y: Tensor| {
            let Some(channel) = edit.filter(|_| node.name == LAYER) else { return Ok(y) };
            let keep = Tensor::from_iter((0..12).map(|k| if k == channel { 0.0f32 } else { 1.0 }), &Device::Cpu)?;
            Ok(y.broadcast_mul(&keep)?)
        };
        let trace = model.graph.forward_with(&picture(&model), &mut change).unwrap();
        trace.logits().unwrap().squeeze(0).unwrap().to_vec1::<f32>().unwrap()
    };
    let whole = score(None);
    let class = (0..5).max_by(|&a, &b| whole[a].total_cmp(&whole[b])).unwrap();
    let (_, weights) = figure("ablationcam", "weights");
    assert_eq!(weights.len(), 12);
    for (channel, weight) in weights.into_iter().enumerate() {
        let expected = (whole[class] - score(Some(channel))[class]) / whole[class].abs();
        assert!((weight - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{channel}: {weight} and {expected}");
    }
}

/// The text of a one-shot script's figure `answer`.
fn answer(body: &str) -> String {
    let (host, _, mut session) = session();
    session.open(method(&host, &one_shot(body)));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e:#}"));
    frame
        .figures
        .iter()
        .find_map(|f| match &f.body {
            Body::Text { text } => Some(text.clone()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn features_are_pooled_over_the_positions_of_each_channel() {
    for (pool, reduced) in [("mean", "mean(2)"), ("max", "max(2)")] {
        for (layer, shape) in [(LAYER, "[2, 12]"), ("attn.slice", "[2, 4]"), ("mlp.1", "[2, 24]"), ("act", "[2, 8]")] {
            let text = answer(&format!(
                "let t = cx.model.forward(cx.data.batch([0, 1]));
                 let all = features(cx, #{{ layer: \"{layer}\", pool: \"{pool}\", pictures: tensor([0.0, 1.0]) }});
                 let own = pooled(t, \"{layer}\", \"{pool}\");
                 let by_hand = channels_first(t, \"{layer}\").flatten(2).{reduced};
                 [text(`${{all.shape}} ${{(all - own).abs().max() < 1e-5}} ${{(own - by_hand).abs().max() < 1e-6}}`, \"answer\")]"
            ));
            assert_eq!(text, format!("{shape} true true"), "{layer} {pool}");
        }
    }
}

#[test]
fn the_gradient_of_a_channel_is_that_of_its_map() {
    let by_hand = format!(
        "import \"lib/relu\" as relu;
         let t = cx.model.forward(cx.input);
         let ours = backward(t, relu::channel(cx.model, t, \"{LAYER}\", 3), #{{ to: \"input\" }}).input;
         let goal = objective(t, |a| a[\"{LAYER}\"].narrow(1, 1, 16).select(2, 3).sum());
         let apart = (ours - backward(t, goal, #{{ to: \"input\" }}).input).abs().max();
         [text(`${{ours.abs().max() > 0.01}} ${{apart < 1e-5 * ours.abs().max()}}`, \"answer\")]"
    );
    assert_eq!(answer(&by_hand), "true true");
}

#[test]
fn excitation_backprop_says_why_a_class_token_has_no_map() {
    let (host, _, mut session) = session();
    for (layer, reason) in [(LAYER, "not defined for attention"), ("add_2", "no position"), ("mlp", "no position")] {
        session.open(host.method("excitation_backprop").unwrap());
        session.set("layer", layer).unwrap();
        let error = format!("{:#}", session.run(&host).unwrap_err());
        assert!(error.contains(reason), "{layer}: {error}");
    }
}

#[test]
fn styles_dreams_and_objectives_are_compared_by_channel() {
    let (host, _, mut session) = session();
    for (method, set) in [
        ("style_transfer", vec![("style_layers", "norm1 mlp.1"), ("content_layer", "norm2")]),
        ("deep_dream", vec![("layer", "concat"), ("channel", "11")]),
        ("activation_maximization", vec![("of", "channel"), ("layer", "concat"), ("channel", "11"), ("count", "2")]),
        ("activation_maximization", vec![("objective", "mlp.1:20 - 0.5 * diversity(norm1)"), ("count", "2")]),
    ] {
        session.open(host.method(method).unwrap());
        set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
        session.run(&host).unwrap_or_else(|e| panic!("{method}: {e:#}"));
        session.step(&host).unwrap_or_else(|e| panic!("{method}: {e:#}"));
    }
}

#[test]
fn methods_run_on_every_layer_or_say_why_not() {
    const REASONS: [&str; 4] =
        ["has no map", "not defined for attention", "does not depend on the picture", "no relevance reaches"];
    let (host, model, mut session) = session();
    let layers: Vec<_> = model.graph.nodes.iter().map(|n| n.name.clone()).collect();
    let (mut wrong, mut ran) = (vec![], 0);
    for method in
        ["ablationcam", "channels", "crp", "eigencam", "gradcam", "guided_grid", "network", "pca_map", "top_pictures"]
    {
        // Module names refer to their outputs.
        for layer in layers.iter().map(String::as_str).chain(["mlp", "attn", "stem"]) {
            session.open(host.method(method).unwrap());
            match session.set("layer", layer).and_then(|()| session.run(&host).map(|_| ())) {
                Ok(()) => ran += 1,
                Err(e) if REASONS.iter().any(|reason| format!("{e:#}").contains(reason)) => {}
                Err(e) => wrong.push(format!("{method} at {layer}: {e:#}")),
            }
        }
    }
    assert!(wrong.is_empty() && ran > 150, "{ran} ran\n{}", wrong.join("\n"));
}
