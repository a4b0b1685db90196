//! Networks with a single logit, with independent classes, and with maps as output, against PyTorch and the definitions.
//!
//! The expected values were written by scripts/reference/scores.py.

use crate::common::{method, one_shot, picture, uniform};
use candle_core::{Device, Tensor};
use gradscope::data::Dataset;
use gradscope::explain::loss_of_labels;
use gradscope::graph::Scores;
use gradscope::model::{Model, evaluate, matches};
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::export::result;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;
use gradscope::tensor::numbers;
use serde_json::Value;
use std::sync::Arc;

/// The first layers of all of these networks.
const BEGINNING: &str = r#"x.conv("conv", 4, 3).relu("relu").flatten("flatten")"#;

fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/scores.json")).unwrap()
}

fn host() -> Host {
    crate::common::host()
}

/// The network of an architecture script, with random weights.
fn built(host: &Host, card: &str, build: &str) -> anyhow::Result<Model> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("//! Mine.\nconst MODEL = #{{ input: [3, 8, 8], {card} }};\nfn build(x) {{ {build} }}\n");
    std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
    let (card, graph) = Architectures::new(Folders::models(Some(folder.path())), host.guard()).build("mine")?;
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let scale = (6.0 / p.shape[1..].iter().product::<usize>() as f64).sqrt().min(1.0);
        let values = uniform(i as u64 + 1, p.shape.iter().product());
        (p.name, (Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap() * scale).unwrap())
    });
    let graph = graph.with_weights(weights.collect())?;
    Ok(Model { card: Arc::new(card), graph: Arc::new(graph), hash: "".into(), taken: "".into() })
}

fn one(host: &Host) -> Model {
    built(host, r#"labels: ["melanoma"]"#, &format!("{BEGINNING}.linear(\"fc\", 1).sigmoid(\"p\")")).unwrap()
}

fn many(host: &Host) -> Model {
    built(host, r#"labels: ["a", "b", "c", "d"]"#, &format!("{BEGINNING}.linear(\"fc\", 4).sigmoid(\"p\")")).unwrap()
}

/// The numbers that a one-shot script computes for a network.
fn said(host: &Host, model: &Model, body: &str) -> Vec<f64> {
    let mut session = Session::new(host, model.clone(), "drawn", picture()).unwrap();
    session.open(method(host, &one_shot(&format!("text({{ {body} }}.to_string(), \"said\")"))));
    let frame = session.run(host).unwrap_or_else(|e| panic!("{e:#}"));
    let Body::Text { text } = &frame.figures[0].body else { panic!("no text") };
    let number = |c: char| c.is_ascii_digit() || ".-e".contains(c);
    text.split(|c| !number(c)).filter_map(|word| word.parse().ok()).collect()
}

fn near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: {ours:?} instead of {theirs:?}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 2e-5 * (1.0 + b.abs()), "{what}: {ours:?} instead of {theirs:?}");
    }
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A script for the norm and the first elements of a seed's gradient.
fn gradient(seed: &str) -> String {
    format!(
        "let g = backward(cx.model.forward(cx.input), {seed}, #{{ to: \"input\" }}).input; \
         [g.norm()] + g.flatten().narrow(0, 0, 12).to_array()"
    )
}

fn told(value: &Value) -> Vec<f64> {
    [vec![value["l2"].as_f64().unwrap()], list(&value["first"])].concat()
}

/// The final scalars of an attack, why it ended, and the number of steps.
fn attacked(host: &Host, model: &Model, name: &str, set: &[&str]) -> (Vec<(String, f64)>, Option<String>, usize) {
    let mut session = Session::new(host, model.clone(), "drawn", picture()).unwrap();
    session.open(host.method(name).unwrap());
    for pair in set {
        let (key, value) = pair.split_once('=').unwrap();
        session.set(key, value).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    }
    session.run(host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    while session.can_go_on() && session.cursor() < 200 {
        session.advance(host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    }
    session.view(host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    (session.scalars().pop().unwrap(), session.done().map(String::from), session.cursor())
}

fn of(scalars: &[(String, f64)], name: &str) -> f64 {
    scalars.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn one_logit_is_the_pair_of_zero_and_itself() {
    let (host, r) = (host(), reference());
    let (model, r) = (one(&host), &r["binary"]);
    assert_eq!((model.graph.scores, model.classes()), (Scores::Pair, 2));
    assert_eq!((model.card.label(0), model.card.label(1)), ("not melanoma".into(), "melanoma".into()));
    let z = r["z"].as_f64().unwrap();
    near(&said(&host, &model, "cx.model.logits(cx.input).flatten().to_array()"), &[0.0, z], "logits");
    near(
        &said(&host, &model, "cx.model.forward(cx.input).probabilities.flatten().to_array()"),
        &list(&r["probabilities"]),
        "p",
    );
    near(
        &said(&host, &model, "let t = cx.model.forward(cx.input); [t.top, t.score(1), t.score(0)]"),
        &[1.0, z, -z],
        "scores",
    );
    near(&said(&host, &model, "cx.model.margin(cx.model.logits(cx.input), 1).to_array()"), &[z], "margin");
    near(
        &said(
            &host,
            &model,
            "let y = cx.model.logits(cx.input); [cx.model.cross_entropy(y, 0).item(), cx.model.cross_entropy(y, 1).item()]",
        ),
        &list(&r["loss"]),
        "loss",
    );
    near(&said(&host, &model, &gradient("logit(1)")), &told(&r["gradient"]), "gradient");
    let minus: Vec<_> = told(&r["gradient"]).iter().enumerate().map(|(i, v)| if i == 0 { *v } else { -v }).collect();
    near(&said(&host, &model, &gradient("logit(0)")), &minus, "gradient of the negative class");
    for class in [0, 1] {
        near(
            &said(&host, &model, &gradient(&format!("cross_entropy({class})"))),
            &told(&r["loss_gradient"][class]),
            "BCE",
        );
    }
}

#[test]
fn a_single_logit_is_fooled_when_its_sign_flips() {
    let (host, r) = (host(), reference());
    let (model, r) = (one(&host), &r["binary"]);
    let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
    session.open(host.method("fgsm").unwrap());
    session.set("step", "1eps").unwrap();
    session.run(&host).unwrap();
    session.advance(&host).unwrap();
    near(&[of(session.scalars().last().unwrap(), "margin")], &[r["fgsm_z"].as_f64().unwrap()], "FGSM's z");
    assert!(session.done().is_none(), "z is still above 0");
    let more = "values=100000000";
    for (name, set) in [
        ("fgsm", vec!["epsilon=64", "step=4"]),
        ("fgsm", vec!["epsilon=64", "step=4", "norm=l0", more]),
        ("pgd", vec!["epsilon=64"]),
        ("mi_fgsm", vec!["epsilon=64", "step=8"]),
        ("momentum_l2", vec![]),
        ("apgd", vec!["epsilon=64"]),
        ("spsa", vec!["epsilon=64", "step=8"]),
        ("square", vec!["epsilon=64"]),
        ("deepfool", vec![]),
        ("deepfool", vec!["norm=linf"]),
        ("fab", vec!["steps=10"]),
        ("fab", vec!["steps=10", "norm=l1", "targeted=true"]),
        ("jsma", vec!["gamma=1"]),
        ("one_pixel", vec!["pixels=8"]),
        ("cw", vec!["rate=0.03"]),
        ("autoattack", vec!["epsilon=64", "steps=10"]),
        ("counterfactual", vec![]),
        ("boundary", vec!["steps=3"]),
        ("hopskipjump", vec!["steps=3"]),
    ] {
        let (after, done, steps) = attacked(&host, &model, name, &set);
        let margin = if name == "counterfactual" { -of(&after, "lead") } else { of(&after, "margin") };
        assert!(margin < 0.0 && margin > -50.0, "{name}: {margin} after {steps} steps, {done:?}");
    }
    let (after, ..) = attacked(&host, &model, "deepfool", &["overshoot=0.02"]);
    let first = 255.0 * r["first_deepfool_l2"].as_f64().unwrap();
    assert!(of(&after, "l2") < 1.3 * first && of(&after, "l2") > 0.7 * first, "{} and {first}", of(&after, "l2"));
    let (after, done, steps) = attacked(&host, &model, "deepfool", &["goal=melanoma"]);
    assert_eq!(
        (of(&after, "l2"), steps, done.as_deref()),
        (0.0, 0, Some("already classified as \"melanoma\": nothing to do"))
    );
}

#[test]
fn independent_classes_have_independent_probabilities() {
    let (host, r) = (host(), reference());
    let (model, r) = (many(&host), &r["independent"]);
    assert_eq!((model.graph.scores, model.classes()), (Scores::Independent, 4));
    near(&said(&host, &model, "cx.model.logits(cx.input).flatten().to_array()"), &list(&r["logits"]), "logits");
    near(
        &said(&host, &model, "cx.model.forward(cx.input).probabilities.flatten().to_array()"),
        &list(&r["probabilities"]),
        "p",
    );
    near(
        &said(&host, &model, "[0, 1, 2, 3].map(|c| cx.model.cross_entropy(cx.model.logits(cx.input), c).item())"),
        &list(&r["loss"]),
        "loss",
    );
    near(&said(&host, &model, &gradient("cross_entropy(2)")), &told(&r["loss_gradient"]), "BCE");
    near(
        &said(&host, &model, "[0, 1, 2, 3].map(|c| cx.model.forward(cx.input).names(c).item())"),
        &[1.0, 0.0, 0.0, 0.0],
        "named",
    );
    let logits = model.graph.logits(&picture()).unwrap();
    let (loss, gradient) = loss_of_labels(Scores::Independent, &logits, &[2]).unwrap();
    near(&[loss], &[r["training_loss"].as_f64().unwrap()], "training loss");
    near(&numbers(&gradient).unwrap(), &list(&r["training_gradient"]), "its gradient");
    let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
    session.open(host.method("saliency").unwrap());
    let frame = session.view(&host).unwrap();
    let document = result::document(&session, &host, &frame).unwrap();
    assert_eq!(document["scores"], "independent");
    let top: Vec<_> = document["top5"].as_array().unwrap().iter().map(|c| c["probability"].as_f64().unwrap()).collect();
    let mut expected = list(&r["probabilities"]);
    expected.sort_by(|a, b| b.total_cmp(a));
    near(&top, &expected, "top5");
}

#[test]
fn attacks_on_independent_classes_flip_the_target_class() {
    let host = host();
    let model = many(&host);
    let logit = |class: usize, x: &Tensor| numbers(&model.graph.logits(x).unwrap()).unwrap()[class];
    assert!(logit(0, &picture()) > 0.0 && logit(1, &picture()) < 0.0);
    for (name, set) in [
        ("fgsm", vec!["epsilon=64", "step=4"]),
        ("pgd", vec!["epsilon=64"]),
        ("apgd", vec!["epsilon=64"]),
        ("deepfool", vec![]),
        ("fab", vec!["steps=10"]),
        ("jsma", vec!["gamma=1"]),
        ("cw", vec!["rate=0.03"]),
        ("autoattack", vec!["epsilon=64", "steps=10"]),
        ("square", vec!["epsilon=64"]),
        ("boundary", vec!["steps=3"]),
    ] {
        let (after, done, _) = attacked(&host, &model, name, &set);
        assert!(of(&after, "probability") < 0.5, "{name} leaves p(a) at {}, {done:?}", of(&after, "probability"));
        if name == "boundary" {
            continue;
        }
        let (after, done, _) = attacked(&host, &model, name, &[&set[..], &["goal=b"]].concat());
        assert!(of(&after, "probability") > 0.5, "{name} leaves p(b) at {}, {done:?}", of(&after, "probability"));
    }
    let (after, ..) = attacked(&host, &model, "counterfactual", &[]);
    assert!(of(&after, "lead") > 0.0);
    let (.., steps) = attacked(&host, &model, "fgsm", &["goal=a"]);
    assert_eq!(steps, 0, "a is already predicted");
    let refused = |name: &str, set: &str| {
        let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
        session.open(host.method(name).unwrap());
        let (key, value) = set.split_once('=').unwrap();
        session.set(key, value).unwrap();
        format!("{:#}", session.run(&host).unwrap_err())
    };
    assert!(refused("apgd", "loss=dlr").contains("loss=cross_entropy works"));
}

#[test]
fn a_card_may_declare_classes_independent_or_exclusive() {
    let host = host();
    let plain = format!("{BEGINNING}.linear(\"fc\", 4)");
    let scores = |card: &str, build: &str| built(&host, card, build).map(|m| m.graph.scores);
    assert_eq!(scores("", &plain).unwrap(), Scores::Exclusive);
    assert_eq!(scores("scores: \"independent\"", &plain).unwrap(), Scores::Independent);
    assert_eq!(scores("", &format!("{plain}.sigmoid(\"p\").reshape(\"r\", [4])")).unwrap(), Scores::Independent);
    assert_eq!(scores("scores: \"exclusive\"", &format!("{plain}.sigmoid(\"p\")")).unwrap(), Scores::Exclusive);
    assert_eq!(scores("scores: \"independent\"", &format!("{BEGINNING}.linear(\"fc\", 1)")).unwrap(), Scores::Pair);
    let error = format!("{:#}", scores("scores: \"several\"", &plain).unwrap_err());
    assert!(error.contains("expected exclusive") && error.contains("independent"), "{error}");
    let error = format!(
        "{:#}",
        built(&host, r#"labels: ["a", "b", "c"]"#, &format!("{BEGINNING}.linear(\"fc\", 1)")).unwrap_err()
    );
    assert!(error.contains("has 2 scores but 3 class names"), "{error}");
}

#[test]
fn the_logits_of_a_network_that_ends_in_a_softmax_are_its_input() {
    let (host, r) = (host(), reference());
    let model = built(&host, "", &format!("{BEGINNING}.linear(\"fc\", 4).softmax(\"p\")")).unwrap();
    assert_eq!(model.graph.scores, Scores::Exclusive);
    near(
        &said(&host, &model, "cx.model.logits(cx.input).flatten().to_array()"),
        &list(&r["independent"]["logits"]),
        "logits",
    );
    near(
        &said(&host, &model, "cx.model.forward(cx.input).probabilities.flatten().to_array()"),
        &list(&r["softmax"]),
        "p",
    );
}

#[test]
fn maps_are_not_class_scores_and_the_error_says_what_works() {
    let host = host();
    let map = r#"x.conv("conv", 4, 3).relu("relu").conv("out", 3, 1)"#;
    for (card, build) in
        [("", map.to_string()), (r#"labels: ["road", "car", "sky"]"#, format!("{map}.logits().softmax(\"p\")"))]
    {
        let model = built(&host, card, &build).unwrap();
        assert_eq!((model.graph.scores, model.classes()), (Scores::Places, 0));
        let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
        assert!(session.classes(&host, 5).unwrap().is_empty());
        assert!(session.set_target(Some(0)).is_err());
        let data = Dataset::of_bytes("two", vec![], [3, 8, 8], vec![7; 2 * 192], vec![0, 1]).unwrap();
        let error = format!("{:#}", evaluate(&model, &data, &mut |_| Ok(())).unwrap_err());
        assert!(error.contains("6x6 positions"), "{error}");
        session.set_data(Data::of(data));
        let mut answered = vec![];
        for name in host.plugins().names() {
            session.open(host.method(&name).unwrap());
            let answer = session.run(&host).and_then(|frame| match session.can_go_on() {
                true => session.step(&host),
                false => Ok(frame),
            });
            match answer {
                Ok(_) => answered.push(name),
                Err(error) => {
                    let error = format!("{error:#}");
                    assert!(!error.contains("itself failed"), "{name}: {error}");
                    if ["saliency", "gradcam", "fgsm", "pgd", "lrp", "deepfool"].contains(&name.as_str()) {
                        assert!(
                            error.contains("a feature map of 3 channels and 6x6 positions")
                                && error.contains("global_avg_pool"),
                            "{name}: {error}"
                        );
                    }
                }
            }
        }
        assert!(answered.contains(&"filters".to_string()), "{answered:?}");
        let asks_no_class = [
            "channels",
            "deep_dream",
            "dff",
            "eigencam",
            "features",
            "filters",
            "guided_grid",
            "inversion",
            "network",
            "neighbours",
            "pca",
            "pca_map",
            "spray",
            "stylize",
            "style_transfer",
            "tsne",
            "top_pictures",
        ];
        let wrong: Vec<_> = answered.iter().filter(|n| !asks_no_class.contains(&n.as_str())).collect();
        assert!(wrong.is_empty(), "{wrong:?} return a result, though there are no classes");
    }
    let pooled = built(&host, "", &format!("{map}.global_avg_pool(\"mean\")")).unwrap();
    assert_eq!((pooled.graph.scores, pooled.classes()), (Scores::Exclusive, 3), "a single position is not a map");
}

#[test]
fn independent_labels_are_correct_if_predicted_and_top_and_exact_matches_are_counted_separately() {
    let host = host();
    let model = many(&host);
    let pixels: Vec<u8> = (0..6 * 192).map(|i: usize| (i * 91 % 255) as u8).collect();
    let data = Dataset::of_bytes("six", vec![], [3, 8, 8], pixels, vec![0, 1, 0, 2, 0, 3]).unwrap();
    let (count, more) = matches(&model, &data, &mut |_| Ok(())).unwrap();
    let (mut named, mut top, mut exact) = (0, 0, 0);
    for i in 0..6 {
        let x = data.batch(&[i], &model.card.preprocess()).unwrap();
        let z = numbers(&model.graph.logits(&x).unwrap()).unwrap();
        let label = data.label(i);
        named += usize::from(z[label] > 0.0);
        top += usize::from(z.iter().all(|v| *v <= z[label]));
        exact += usize::from(z.iter().enumerate().all(|(c, v)| (*v > 0.0) == (c == label)));
    }
    assert_eq!((count.correct, more.top_label, more.exact, count.total), (named, top, exact, 6));
    assert!(named > 0, "no class name was tested");
}

#[test]
fn every_method_runs_on_one_logit_and_on_independent_classes() {
    let host = host();
    for model in [one(&host), many(&host)] {
        let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
        let pixels: Vec<u8> = (0..4 * 192).map(|i: usize| (i * 37 % 251) as u8).collect();
        session.set_data(Data::of(Dataset::of_bytes("four", vec![], [3, 8, 8], pixels, vec![0, 1, 0, 1]).unwrap()));
        for name in host.plugins().names().into_iter().filter(|n| n != "stylize") {
            session.open(host.method(&name).unwrap());
            let frame = session.run(&host).and_then(|frame| match session.can_go_on() {
                true => session.step(&host),
                false => Ok(frame),
            });
            let frame = match frame {
                // Some methods need waveforms, a text-recognition network or attention.
                Err(e)
                    if ["with a single row", "letter by letter", "has no attention"]
                        .iter()
                        .any(|says| format!("{e:#}").contains(says)) =>
                {
                    continue;
                }
                frame => frame.unwrap_or_else(|e| panic!("{name} on {:?}: {e:#}", model.graph.scores)),
            };
            for figure in &frame.figures {
                let bad = figure.values().is_some_and(|v| v.data.iter().any(|v| !v.is_finite()));
                assert!(!bad, "{name} on {:?}: \"{}\" has non-finite values", model.graph.scores, figure.title);
            }
        }
    }
}
