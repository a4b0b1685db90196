//! Objectives: scalar functions of activations, and their gradients.

use crate::common::{answer, failure, host, method, one_shot, picture, tiny};
use candle_core::{DType, Device};
use gradscope::model::Model;
use gradscope::render::Body;
use gradscope::script::session::Session;
use std::sync::Arc;

/// The answer of a one-shot script, computed in f64.
fn answer_in_f64(body: &str) -> f64 {
    let host = host();
    let model = tiny();
    let graph = model.graph.to(DType::F64, &Device::Cpu).unwrap();
    let model = Model { graph: Arc::new(graph), ..model };
    let mut session = Session::new(&host, model, "picture", picture().to_dtype(DType::F64).unwrap()).unwrap();
    session.open(method(&host, &one_shot(body)));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e}\n{body}"));
    match &frame.figures[0].body {
        Body::Text { text } => text.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Objectives of the tiny network that are smooth at the test picture.
const OBJECTIVES: &[(&str, &str)] = &[
    ("squares", "(a[\"conv1\"] ** 2).mean()"),
    ("deep dream", "0.5 * a[\"relu2\"].square().sum()"),
    ("one channel", "a[\"conv1\"].select(1, 2).sum()"),
    ("a Gram matrix", "let f = a[\"conv2\"].reshape([6, 16]); (matmul(f, f.t()) / 96.0).square().sum()"),
    ("the log-probability", "a.logits.log_softmax(1).select(1, 3).sum()"),
    ("the probability", "a.logits.softmax(1)[0][2]"),
    ("a margin", "maximum(a.logits.narrow(1, 1, 4).max() - a.logits.select(1, 0) + 9.0, 0.0).sum()"),
    ("two layers at once", "(a[\"relu1\"].mean() - a[\"relu2\"].mean()) ** 2 + a[\"fc\"].abs().sum()"),
    ("two layers and the picture", "a[\"fc\"].norm() / (1.0 + a[\"relu2\"].norm(1)) + a.input.variance()"),
    ("total variation", "let x = a.input; (x.narrow(2, 1, 7) - x.narrow(2, 0, 7)).abs().mean()"),
    ("powers", "(a[\"relu1\"] + 1.0).pow(1.5).mean() + (2.0 ** a[\"fc\"]).mean() + 3.0 / (a[\"relu1\"] + 2.0).sum()"),
    (
        "what is kept",
        "a[\"conv1\"].leaky_relu(0.1).clamp(-0.05, 0.4).sum() + a[\"conv2\"].tanh().sigmoid().exp().sum()",
    ),
    ("a choice", "where(a[\"conv1\"] > 0.1, a[\"conv1\"] * 2.0, 0.5).sum() + a[\"conv2\"].max([2, 3]).sum()"),
    ("a weight of nothing", "0 * a[\"conv1\"].sum() + a[\"fc\"].std()"),
    ("the distance to a constant", "(a[\"fc\"] - a[\"fc\"].detach() * 0.5).norm()"),
    ("what is joined", "cat([a[\"relu1\"].flatten(), a[\"fc\"].flatten()], 0).square().sum()"),
    (
        "symmetry and shifts",
        "let x = a.input; (x - x.flip(3)).square().sum() + (x * x.roll(1, 2)).sum() + (x.pad([1, 0, 0, 0]) ** 2).mean()",
    ),
    ("cosine", "let f = a[\"fc\"]; f.select(1, 1).sum() / f.norm(3)"),
];

#[test]
fn the_gradient_of_an_objective_matches_finite_differences() {
    for (name, expression) in OBJECTIVES {
        let constants = if *name == "the distance to a constant" { "true" } else { "false" };
        let worst = answer_in_f64(&format!(
            "let f = |a| {{ {expression} }};
            let g = backward(cx.model.forward(cx.input), f).input;
            let worst = 0.0;
            for i in 0..4 {{
                let d = cx.randn(cx.input.shape);
                let up = objective(cx.model.forward(cx.input + 1e-7 * d), f).value;
                let down = objective(cx.model.forward(cx.input - 1e-7 * d), f).value;
                let slope = (up - down) / 2e-7;
                if {constants} {{ slope = 2.0 * slope; }}
                worst = max(worst, abs(slope - (g * d).sum()) / (1.0 + abs(slope)));
            }}
            text(`${{worst}}`, \"worst\")"
        ));
        assert!(worst < 1e-6, "{name}: {worst}");
    }
}

const TRACE: &str = "let t = cx.model.forward(cx.input);";

#[test]
fn derivatives_at_kinks_and_ties_match_pytorch() {
    for (expression, at_zero) in [
        ("x.relu()", "0.0"),
        ("x.abs()", "0.0"),
        ("x.leaky_relu(0.25)", "0.25"),
        ("x.clamp(0.0, 1.0)", "1.0"),
        ("x.pow(0)", "0.0"),
        ("maximum(x, 0.0)", "0.5"),
        ("x.norm()", "0.0"),
    ] {
        let zero = format!(
            "{TRACE} let x = t[\"fc\"] * 0.0; \
             let g = backward(t, |a| {{ let x = a[\"fc\"] - t[\"fc\"]; ({expression}).sum() }}, #{{ to: \"fc\" }})[\"fc\"]; g[0][1].item()"
        );
        assert_eq!(answer(&zero), at_zero, "{expression}");
    }
    let ties =
        "let g = backward(t, |a| (a[\"fc\"] - t[\"fc\"]).max(), #{ to: \"fc\" })[\"fc\"]; (g.sum() * 1e6).round()";
    assert_eq!(answer(&format!("{TRACE} {ties}")), "1000000.0");
}

#[test]
fn an_objective_combines_with_other_seeds_and_reports_its_value() {
    for (expression, expected) in [
        ("let o = objective(t, |a| a[\"fc\"].select(1, 3).sum()); abs(o.value - t.score(3)) < 1e-6", "true"),
        (
            "let o = objective(t, |a| a[\"fc\"].select(1, 3).sum()); \
             (backward(t, o).input - backward(t, t.logit(3)).input).abs().max()",
            "0.0",
        ),
        (
            "let both = backward(t, [|a| a[\"conv1\"].sum(), t.logit(0), at(\"conv1\", ones_like(t[\"conv1\"]))]).input; \
             let sum = backward(t, t.logit(0)).input + 2.0 * backward(t, |a| a[\"conv1\"].sum()).input; \
             (both - sum).abs().max() < 1e-4",
            "true",
        ),
        ("backward(t, |a| a[\"conv2\"].sum(), #{ to: \"conv1\" })[\"conv1\"].shape", "[1, 4, 8, 8]"),
        (
            "let x = [1.0, 2.0]; let k = t[\"fc\"] * 2.0; \
             objective(t, |a| x[1] * (a[\"fc\"] - k).square().sum()).value > 0.0",
            "true",
        ),
    ] {
        assert_eq!(answer(&format!("{TRACE} {expression}")), expected, "{expression}");
    }
}

#[test]
fn nondifferentiable_objectives_are_errors() {
    for (closure, told) in [
        ("|a| a[\"conv1\"]", "one number"),
        ("|a| 1.0", "a number computed from activations"),
        ("|a| t[\"conv1\"].mean()", "a number computed from activations"),
        ("|a| (a[\"conv1\"] > 0.0).sum()", "a number computed from activations"),
        (
            "|a| a[\"fc\"].sum() + (a[\"conv1\"] > 0.0).sum()",
            "reads layer \"conv1\" but has no gradient with respect to it",
        ),
        ("|a| a[\"fc\"].sum() + a[\"conv1\"].detach().sum()", "reads layer \"conv1\""),
        ("|a| a[\"conv1\"].gaussian_blur(1.0).sum()", "gaussian_blur"),
        ("|a| a[\"conv1\"].resize([4, 4]).sum()", "resize"),
        ("|a| a[\"conv1\"].sum().item()", "item"),
        ("|a| cx.model.forward(a.input).score(0)", "forward"),
        ("|a| (a[\"fc\"] * 0.0).sqrt().sum()", "infinite or NaN"),
        ("|a| a[\"conv9\"].sum()", "no layer named \"conv9\""),
        ("|a| (a[\"fc\"] + a[\"conv1\"]).sum()", "cannot broadcast"),
    ] {
        let report = failure(&format!("{TRACE} backward(t, {closure}).input"));
        assert!(report.to_string().contains(told), "{closure}: {report}");
    }
    let other = failure(&format!(
        "{TRACE} let o = objective(t, |a| a[\"fc\"].sum()); backward(cx.model.forward(cx.input * 0.5), o).input"
    ));
    assert!(other.message.contains("a different forward pass"), "{other}");
}

#[test]
fn seeds_at_several_nodes_add_up() {
    for seeds in [
        "[at(\"conv1\", t[\"conv1\"]), at(\"relu2\", ones_like(t[\"relu2\"]))]",
        "[at(\"relu2\", ones_like(t[\"relu2\"])), t.logit(4), at(\"input\", ones_like(cx.input))]",
        "[at(\"pool1\", t[\"pool1\"]), at(\"pool1\", t[\"pool1\"])]",
    ] {
        let sum = format!(
            "{TRACE} let seeds = {seeds}; let sum = zeros_like(cx.input); \
             for s in seeds {{ sum += backward(t, s).input; }} (backward(t, seeds).input - sum).abs().max() < 1e-4"
        );
        assert_eq!(answer(&sum), "true", "{seeds}");
    }
}
