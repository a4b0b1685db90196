//! Methods that remove parts of the picture, or of a layer.

use crate::common::{answer as said, answer_of, tiny};
use std::sync::Arc;

/// A game with five players: the value of each one, and the interaction of the first two.
const GAME: &str = "let own = tensor([0.5, -1.0, 2.0, 0.0, 0.25]);
    let worth = |z| (z * own).sum(1) + 3.0 * z.select(1, 0) * z.select(1, 1) + 0.125;";

#[test]
fn shapley_values_split_an_interaction_equally() {
    let body = format!(
        "import \"lib/pieces\" as pieces; {GAME}
         let z = pieces::coalitions(1, 31, 5);
         let w = pieces::kernel(5).index_select(0, z.sum(1));
         let phi = pieces::shapley(z, worth.call(z), w, 0.125, 4.875);
         (phi - tensor([2.0, 0.5, 2.0, 0.0, 0.25])).abs().max() < 1e-5"
    );
    assert_eq!(said(&body), "true");
}

#[test]
fn all_coalitions_are_counted_once_and_weighted_by_size() {
    assert_eq!(
        said("import \"lib/pieces\" as pieces; pieces::coalitions(1, 7, 3).sum(0).to_array()"),
        "[3.0, 3.0, 3.0]"
    );
    assert_eq!(said("import \"lib/pieces\" as pieces; pieces::kernel(4).to_array()"), "[0.0, 0.25, 0.125, 0.25, 0.0]");
}

#[test]
fn the_lime_model_recovers_a_linear_relation() {
    let body = "import \"lib/pieces\" as pieces;
        let own = tensor([0.5, -1.0, 2.0, 0.0]);
        let z   = cat([ones([1, 4]), cx.rand([200, 4]) < 0.5], 0);
        let fit = pieces::lime(z, (z * own).sum(1) + 0.75, 0.25, 1e-6);
        `${(fit.values - own).abs().max() < 1e-4} ${fit.r2 > 0.9999}`";
    assert_eq!(said(body), "true true");
}

#[test]
fn ablation_cam_weights_a_channel_by_the_score_drop_without_it() {
    let body = "let map = answer(cx, \"ablationcam\", #{ params: \"layer=relu1\" }).cam_raw;
        let whole = cx.model.forward(cx.input);
        let y = whole.score(cx.target);
        let sum = 0.0;
        for k in 0..4 {
            let keep = 1.0 - one_hot(k, 4).reshape([1, 4, 1, 1]);
            let without = forward(cx.model, cx.input, #{ edits: [[\"relu1\", |a| a * keep]] });
            sum += (y - without.score(cx.target)) / abs(y) * whole[\"relu1\"].narrow(1, k, 1);
        }
        (map - sum).abs().max() < 1e-4 * sum.abs().max()";
    assert_eq!(said(body), "true");
}

#[test]
fn a_layer_named_like_a_kind_or_with_any_characters_is_edited_alone() {
    // As in exported networks: names of kinds and families, and characters that are special in selectors.
    let renamed = || {
        let mut model = tiny();
        let mut graph = (*model.graph).clone();
        let names = ["input", "normalize", "conv", "relu", "pool", "conv:0|b*", "second", "flatten", "linear"];
        graph.nodes.iter_mut().zip(names).for_each(|(node, name)| node.name = name.into());
        model.graph = Arc::new(graph);
        model
    };
    for layer in ["relu", "conv", "pool", "conv:0|b*", ":pool", ":conv:0|b*"] {
        let name = layer.strip_prefix(':').unwrap_or(layer);
        // The closure is called only for this layer.
        let body = format!(
            "let count = [0];
             let edited = cx.model.forward(cx.input, #{{ edits: [[\"{layer}\", |a| {{ count[0] += 1; a * 2.0 }}]] }});
             let trace = cx.model.forward(cx.input);
             `${{count[0]}} ${{(edited[\"{name}\"] - 2.0 * trace[\"{name}\"]).abs().max() == 0.0}}`"
        );
        assert_eq!(answer_of(renamed(), &body), "1 true", "{layer}");
    }
    let map = "answer(cx, \"ablationcam\", #{ params: \"layer=pool\" }).cam_raw.shape.to_string()";
    assert_eq!(answer_of(renamed(), map), "[1, 1, 4, 4]");
}

#[test]
fn eigen_cam_is_the_direction_of_greatest_variance() {
    let body = "let raw = answer(cx, \"eigencam\", #{ params: \"layer=relu1\" }).cam_raw;
        let a = cx.model.forward(cx.input)[\"relu1\"];
        let centred = (a - a.mean([2, 3], true)).squeeze(0).flatten(1).t();
        let best = raw.norm();
        let others = 0;
        for i in 0..50 {
            let v = cx.randn([4, 1]);
            if centred.matmul(v / v.norm()).norm() > best + 1e-4 { others += 1; }
        }
        others";
    assert_eq!(said(body), "0");
}

#[test]
fn an_edit_that_matches_no_layer_or_returns_no_tensor_is_an_error() {
    let failed = |body: &str| crate::common::failure(body).to_string();
    let none = failed("forward(cx.model, cx.input, #{ edits: [[\"conv7\", |a| a]] })");
    assert!(none.contains("matches no layer"), "{none}");
    let number = failed("forward(cx.model, cx.input, #{ edits: [[\"conv2\", |a| 3]] })");
    assert!(number.contains("an edit must return a tensor; the edit of layer \"conv2\" returned int"), "{number}");
}
