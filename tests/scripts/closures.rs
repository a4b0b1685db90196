//! Closures can use the network, the trace and all of `cx` wherever a function accepts one, in method and in function syntax.

use crate::common::{answer, failure};

/// Bodies in which a closure uses the receiver of the call that it is passed to, and their answers.
const BODIES: &[(&str, &str)] = &[
    // Arrays returned by the network or `cx`.
    ("cx.model.layers.filter(|name| cx.model.layer(name).kind == \"conv\")", "[\"conv1\", \"conv2\"]"),
    ("let model = cx.model; model.layers.map(|name| model.layer(name).parameters).reduce(|a, b| a + b, 0)", "819"),
    ("cx.model.labels.map(|label| cx.model.class(label))", "[0, 1, 2, 3, 4]"),
    ("let p = cx.data.pick(3, \"first\"); [0, 1].map(|i| cx.data.batch(p).size(0) + i)", "[3, 4]"),
    // Rules, as a function and as a method.
    (
        "let t = cx.model.forward(cx.input);
         let rule = |site, r| if cx.model.layer(site.name).kind == \"conv\" { site.vjp(r) + 0.0 * t[site.name].sum() } else { r };
         let rules = [[\"conv\", rule]];
         `${(backward(t, t.logit(1), #{ rules: rules }).input - t.backward(t.logit(1), #{ rules: rules }).input).abs().max()}`",
        "0.0",
    ),
    (
        "let t = cx.model.forward(cx.input); let g = backward(t, t.logit(1)).input;
         let r = cx.model.forward(cx.input).backward(t.logit(1), #{ rules: [[|l| cx.model.layer(l.name).kind == \"conv\", |s, r| s.vjp(r) + cx.step]] }).input;
         (g - r).abs().max()",
        "0.0",
    ),
    ("relevance(cx.model.forward(cx.input), cx.target, [[\"any_linear\", |s, r| cx.model.name.len() * r.sum() * s.x * 0.0]]).input.abs().max()", "0.0"),
    // Predicates of `coverage`.
    ("cx.model.uncovered([[|l| cx.model.first.contains(l.name), pass()], [\"relu\", pass()]])", "[\"fc\", \"conv2\", \"normalize\"]"),
    // Objectives.
    (
        "let t = cx.model.forward(cx.input);
         let o = t.objective(|a| (a[\"relu1\"] * t[\"relu1\"]).sum() + cx.input.sum() * 0.0 * a.logits.sum());
         (o.value - t[\"relu1\"].square().sum()).abs() < 1e-3",
        "true",
    ),
    ("let t = cx.model.forward(cx.input); t.backward(|a| a.class_score(cx.target) + 0.0 * t.logits.sum(), #{ to: \"relu1\" })[\"relu1\"].rank", "4"),
    // Runs with changed activations.
    (
        "let t = cx.model.forward(cx.input);
         let edited = cx.model.forward(cx.input, #{ edits: [[\"relu1\", |a| a * cx.model.classes / 5 + 0.0 * cx.randn(a.shape)]] });
         (edited.logits - t.forward(#{ edits: [[\"relu1\", |a| a + 0.0 * t[\"relu1\"]]] }).logits).abs().max() < 1e-5",
        "true",
    ),
    // Nested closures, each of which uses the receiver of the outermost call.
    (
        "cx.model.layers.filter(|a| cx.model.layers.filter(|b| cx.model.layer(b).inputs.some(|c| c == a && cx.model.layer(c).kind == cx.model.layer(a).kind)).len() == 0)",
        "[\"fc\"]",
    ),
    (
        "let t = cx.model.forward(cx.input);
         let rule = |s, r| { let parts = [1, 2, 3].map(|i| s.x.select(0, 0).sum() * 0.0 + cx.model.classes * i); r * 0.0 + parts.reduce(|a, b| a + b, 0.0) };
         t.backward(t.logit(0), #{ rules: [[\"relu2\", rule]], to: \"conv2\" })[\"conv2\"].mean()",
        "30.0",
    ),
    // Progress, notes and random numbers from inside.
    ("cx.model.layers.map(|name| { cx.progress(name, 1, 2); cx.note(name); cx.rand([2]).numel() }).len()", "9"),
    // Sorting layers by their parameters.
    ("cx.model.layers.order(|a, b| cx.model.layer(b).parameters - cx.model.layer(a).parameters)[0]", "fc"),
];

#[test]
fn a_closure_may_use_the_receiver_of_the_call_it_is_passed_to() {
    let told = |(body, expected): &(&str, &str)| {
        let said = answer(body);
        (said != *expected).then(|| format!("{body}: {said} instead of {expected}"))
    };
    let wrong: Vec<_> = BODIES.iter().filter_map(told).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn closures_change_captured_variables() {
    let counted = "let n = 0; let t = cx.model.forward(cx.input);
        t.backward(t.logit(0), #{ rules: [[\"activation\", |s, r| { n += 1; s.vjp(r) }]] }); n";
    assert_eq!(answer(counted), "2");
    // A tensor is copied when it is read, but this one is assigned to.
    let sum = "let sum = zeros([1]); [1, 2, 3].for_each(|| sum += this); sum = sum + 1.0; sum.item()";
    assert_eq!(answer(sum), "7.0");
    let model = "let model = cx.model; let count = || model.layers.len(); model = model.folded(); count.call()";
    assert_eq!(answer(model), "9");
}

#[test]
fn a_variable_that_is_assigned_elsewhere_keeps_the_advice() {
    let body = "let m = cx.model;\nm = m.folded();\nm.layers.map(|l| m.layer(l))";
    let report = failure(body);
    assert!(report.advice.as_deref().is_some_and(|a| a.contains("function form")), "{report}");
}

#[test]
fn constants_captured_in_libraries_are_read_by_value_too() {
    let body = "import \"lib/attack\" as attack; let seen = attack::borders(cx, cx.model.forward(cx.input), [0, 1].filter(|k| k != cx.target)); seen.len() > 0";
    assert_eq!(answer(body), "true");
}
