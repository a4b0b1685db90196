//! The tensor functions of scripts agree with PyTorch.

use crate::common::answer;

/// Expressions and their printed values.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("arange(6).reshape([2, 3]).sum(1).to_array()", "[3.0, 12.0]"),
    ("arange(6).reshape([2, -1]).sum(0, true).shape", "[1, 3]"),
    ("arange(6).reshape([2, 3]).mean([0, 1])", "Tensor()"),
    ("(arange(4).variance() * 1e6).round()", "1666667.0"),
    ("arange(6).reshape([2, 3]).max(1).to_array()", "[2.0, 5.0]"),
    ("arange(6).reshape([2, 3])[1][-1].item()", "5.0"),
    ("arange(6)[2..4].to_array()", "[2.0, 3.0]"),
    ("tensor([3, 1, 2]).argmax()", "0"),
    ("tensor([[1, 2], [4, 3]]).argmax(1).to_array()", "[1.0, 0.0]"),
    ("tensor([3, -4]).norm()", "5.0"),
    ("tensor([3, -4]).norm(1)", "7.0"),
    ("tensor([3, -4]).norm(\"inf\")", "4.0"),
    ("tensor([-2, 0, 5]).sign().to_array()", "[-1.0, 0.0, 1.0]"),
    ("tensor([-2, 0, 5]).clamp(-1, 1).to_array()", "[-1.0, 0.0, 1.0]"),
    ("tensor([-2, 0, 5]).clamp(tensor([-3, 1, 1]), 2.0).to_array()", "[-2.0, 1.0, 2.0]"),
    ("tensor([-1, 2]).relu().to_array()", "[0.0, 2.0]"),
    ("(2 ** tensor([1, 2])).to_array()", "[2.0, 4.0]"),
    ("(tensor([1, 2]) ** 2).to_array()", "[1.0, 4.0]"),
    ("(tensor([-1, 2]) ** 3).to_array()", "[-1.0, 8.0]"),
    ("tensor([-1, 2]).pow(3).to_array()", "[-1.0, 8.0]"),
    ("(1 - tensor([1, 2])).to_array()", "[0.0, -1.0]"),
    ("(1 / tensor([1, 2])).to_array()", "[1.0, 0.5]"),
    ("where(tensor([1, 0]), tensor([5, 6]), 7).to_array()", "[5.0, 7.0]"),
    ("maximum(tensor([1, 5]), 3).to_array()", "[3.0, 5.0]"),
    ("tensor([1, 5]).minimum(tensor([4, 4])).to_array()", "[1.0, 4.0]"),
    ("cat([ones([1, 2]), zeros([1, 2])], 0).shape", "[2, 2]"),
    ("stack([ones([2]), zeros([2])], -1).shape", "[2, 2]"),
    ("zeros([2, 3, 4]).permute([2, 0, 1]).shape", "[4, 2, 3]"),
    ("zeros([2, 3]).transpose(0, 1).shape", "[3, 2]"),
    ("zeros([1, 3, 1]).squeeze().shape", "[3]"),
    ("zeros([1, 3, 1]).squeeze(0).shape", "[3, 1]"),
    ("zeros([3]).unsqueeze(-1).shape", "[3, 1]"),
    ("zeros([2, 3, 4]).flatten(1).shape", "[2, 12]"),
    ("zeros([2, 3]).rank", "2"),
    ("zeros([2, 3]).numel()", "6"),
    ("zeros([2]).dtype", "f32"),
    ("tensor([1, 2, 3]).roll(1, 0).to_array()", "[3.0, 1.0, 2.0]"),
    ("tensor([1, 2, 3]).roll(-1, 0).to_array()", "[2.0, 3.0, 1.0]"),
    ("tensor([1, 2, 3]).flip(0).to_array()", "[3.0, 2.0, 1.0]"),
    ("ones([1, 1, 2, 2]).pad([1, 0, 0, 2]).shape", "[1, 1, 4, 3]"),
    ("ones([1, 1, 4, 4]).conv2d(ones([1, 1, 3, 3])).to_array()", "[9.0, 9.0, 9.0, 9.0]"),
    ("arange(4).reshape([1, 1, 2, 2]).resize([4, 4])[0][0][0].to_array()", "[0.0, 0.25, 0.75, 1.0]"),
    ("one_hot(1, 3).to_array()", "[0.0, 1.0, 0.0]"),
    ("tensor([1, 1]).softmax(0).to_array()", "[0.5, 0.5]"),
    ("tensor([3, 1, 2]).sort().to_array()", "[1.0, 2.0, 3.0]"),
    ("tensor([3, 1, 2]).topk(2).indices", "[0, 2]"),
    ("tensor([0, 1]).any()", "true"),
    ("tensor([0, 1]).all()", "false"),
    ("zeros([300, 300]).any()", "false"),
    ("(tensor([0.0, 1.0]) / 0.0).isnan().to_array()", "[1.0, 0.0]"),
    ("tensor([0.5, 2.0]).to_8_bit().to_array().len()", "2"),
    ("matmul(ones([2, 3]), ones([3, 2])).to_array()", "[3.0, 3.0, 3.0, 3.0]"),
    ("linspace(0, 1, 3).to_array()", "[0.0, 0.5, 1.0]"),
    ("tensor([0, -1]).stabilize(0.5).to_array()", "[0.5, -1.5]"),
    ("full([2], 3).to_array()", "[3.0, 3.0]"),
    ("tensor([1, 2, 3, 4]).quantile(0.5)", "2.5"),
    ("tensor([[1, 2], [3, 4]]).select(1, 0).to_array()", "[1.0, 3.0]"),
    ("tensor([1, 2, 3]).narrow(0, 1, 2).to_array()", "[2.0, 3.0]"),
    ("(tensor([2]) * 1e-3).item() < 0.00200001", "true"),
    ("let t = tensor([1]); t += 1; t *= 3; t.item()", "6.0"),
    ("sqrt(4)", "2.0"),
    ("ones([1, 1, 5, 5]).gaussian_blur(1.0).std() < 1e-6", "true"),
    ("cx.input.gaussian_blur(1).shape", "[1, 3, 8, 8]"),
];

#[test]
fn tensor_functions_match_pytorch() {
    for (expression, expected) in EXPRESSIONS {
        assert_eq!(&answer(expression), expected, "{expression}");
    }
}

#[test]
fn random_numbers_are_keyed_by_seed_step_and_draw() {
    let mean = "let a = cx.randn([10000]); let b = cx.randn([10000]);";
    assert_eq!(answer(&format!("{mean} (a == b).sum() < 10.0")), "true");
    assert_eq!(answer(&format!("{mean} abs(a.mean()) < 0.05 && abs(a.std() - 1.0) < 0.05")), "true");
    assert_eq!(answer("cx.rand([4]).to_array()"), answer("cx.rand([4]).to_array()"));
    assert_eq!(answer("let a = cx.rand([1000]); a.min() >= 0.0 && a.max() < 1.0"), "true");
}

#[test]
fn a_trace_gives_activations_scores_and_probabilities() {
    for (expression, expected) in [
        ("cx.model.forward(cx.input)[\"conv1\"].shape", "[1, 4, 8, 8]"),
        ("let t = cx.model.forward(cx.input); t.top == t.logits.argmax()", "true"),
        ("let t = cx.model.forward(cx.input); abs(t.probabilities.sum() - 1.0) < 1e-6", "true"),
        ("let t = cx.model.forward(cat([cx.input, cx.input], 0)); t.top.len()", "2"),
        ("cx.model.classes", "5"),
        ("cx.model.labels[2]", "cat"),
        ("cx.model.layer(\"conv1\").kind", "conv"),
        ("cx.model.mean.shape", "[1, 3, 1, 1]"),
        ("cx.model.forward(cx.input).site(\"fc\").kind", "linear"),
        ("cx.model.forward(cx.input).site(\"fc\").params.weight.shape", "[5, 96]"),
    ] {
        assert_eq!(answer(expression), expected, "{expression}");
    }
}

#[test]
fn seeds_rules_and_targets_of_a_walk() {
    let trace = "let t = cx.model.forward(cx.input);";
    for (expression, expected) in [
        ("backward(t, t.logit(1)).input.shape", "[1, 3, 8, 8]"),
        ("backward(t, t.logit(1), #{ to: \"conv1\" })[\"conv1\"].shape", "[1, 4, 8, 8]"),
        ("backward(t, t.logit(1), #{ to: [\"conv1\", \"conv2\"] }).layers", "[\"conv1\", \"conv2\"]"),
        ("backward(t, t.logit(1), #{ params: true }).params.len()", "6"),
        ("backward(t, [t.logit(0), t.logit(1)]).input.shape", "[1, 3, 8, 8]"),
        (
            "let a = backward(t, [t.logit(0), t.logit(1)]).input; \
             let b = backward(t, t.logit(0)).input + backward(t, t.logit(1)).input; (a - b).abs().max() < 1e-5",
            "true",
        ),
        ("backward(t, at(\"conv2\", ones([1, 6, 4, 4]))).input.shape", "[1, 3, 8, 8]"),
        ("let r = backward(t, t.logit(1), #{ rules: [[\"relu\", |s, r| r * 0.0]] }); r.input.abs().max()", "0.0"),
        (
            "let a = backward(t, t.logit(1)).input; \
             let b = backward(t, t.logit(1), #{ rules: [[\"*\", |s, r| s.vjp(r)]] }).input; (a - b).abs().max()",
            "0.0",
        ),
        (
            "let two = cx.model.forward(cat([cx.input, 1.0 - cx.input], 0)); let g = backward(two, logit(1)).input; \
             let sum = backward(two, logit(1), #{ to: \"input\", reduction: \"sum\" }).input; \
             let mean = backward(two, logit(1), #{ reduction: \"mean\" }).input; \
             (sum - g.sum(0, true)).abs().max() < 1e-5 && (mean - g.mean(0, true)).abs().max() < 1e-5",
            "true",
        ),
        (
            "let two = cx.model.forward(cat([cx.input, cx.input], 0)); let g = backward(two, logit(1)).input; \
             let w = backward(two, tensor([2.0, -3.0]) * logit(1)).input; \
             (w - g * tensor([2.0, -3.0]).reshape([2, 1, 1, 1])).abs().max() < 1e-5",
            "true",
        ),
        ("(backward(t, -logit(1)).input + backward(t, 2 * logit(1) * 0.5).input).abs().max()", "0.0"),
        ("backward(t, margin(t.top)).input.shape", "[1, 3, 8, 8]"),
        ("backward(t, cross_entropy(0)).input.norm() > 0.0", "true"),
    ] {
        assert_eq!(answer(&format!("{trace} {expression}")), expected, "{expression}");
    }
}

/// The relevance at the input of the tiny network for these rules, summed over colors and rows.
fn relevance(rules: &str) -> String {
    answer(&format!(
        "let t = cx.model.forward(cx.input);
        let seed = one_hot(1, 5) * t.score(1);
        let rel = backward(t, seed, #{{ rules: [{rules}, [\"relu|normalize\", |site, r| r]] }});
        rel.input.sum([0, 1, 2]).to_array().map(|v| (v * 1e4).round())"
    ))
}

#[test]
fn native_rules_match_their_formulas_written_by_hand() {
    let epsilon = "|site, r| site.x * site.vjp(r / site.y.stabilize(1e-3))";
    let by_hand = relevance(&format!("[\"conv|linear\", {epsilon}]"));
    assert_eq!(by_hand, relevance("[\"conv|linear\", epsilon(1e-3)]"));
    assert_ne!(by_hand, relevance("[\"conv|linear\", zplus()]"));
    assert_eq!(relevance("[\"conv|linear\", zplus()]"), relevance("[\"conv|linear\", alpha_beta(1.0, 0.0)]"));
    let many = relevance("[\"conv1\", flat()], [\"conv2\", gamma(0.25, \"zero\")], [\"linear\", wsquare()]");
    assert_ne!(many, relevance("[\"conv1\", wsquare()], [\"conv2\", gamma(0.25)], [\"linear\", wsquare()]"));
}

#[test]
fn rules_that_do_not_apply_to_a_layer_are_errors_that_name_it() {
    let report = crate::common::failure(
        "let t = cx.model.forward(cx.input);\nbackward(t, t.logit(0), #{ rules: [[\"max_pool\", flat()]] }).input",
    );
    assert!(report.message.contains("pool1") && report.message.contains("layers with weights"), "{report}");
    let report = crate::common::failure("zplus(\"half\")");
    assert!(report.message.contains("split, full or zero"), "{report}");
}
