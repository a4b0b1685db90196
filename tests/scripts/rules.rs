//! Rules written in scripts compared with the native ones, and predicates, ledgers and coverage.

use crate::common::shared::shared_file;
use crate::common::{answer, failure, host, method, one_shot, session, uniform};
use candle_core::{Device, Tensor};
use gradscope::graph::{Graph, Parameter};
use gradscope::model::Model;
use gradscope::render::{Body, Figure};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use std::sync::Arc;

/// A native rule, and the same rule in a script.
const PAIRS: [(&str, &str); 10] = [
    ("epsilon(0.01)", "|s, r| s.x * s.vjp(r / s.y.stabilize(0.01))"),
    ("flat()", "|s, r| s.share(r, [[ones_like(s.x), ones_like(s.weight)]])"),
    ("flat().stabilized(0.5)", "|s, r| s.share(r, [[ones_like(s.x), ones_like(s.weight)]], #{ epsilon: 0.5 })"),
    (
        "gamma_plain(0.25).stabilized(0.1)",
        "|s, r| s.share(r, [[s.x, s.weight + 0.25 * s.weight.relu()]], #{ bias: s.bias, epsilon: 0.1 })",
    ),
    ("wsquare()", "|s, r| s.share(r, [[ones_like(s.x), s.weight.square()]])"),
    (
        "zplus()",
        "|s, r| s.share(r, [[s.x.relu(), s.weight.relu()], [-(-s.x).relu(), -(-s.weight).relu()]], #{ bias: s.bias.relu() })",
    ),
    (
        "alpha_beta(2.0, 1.0)",
        "|s, r| 2.0 * s.share(r, [[s.x.relu(), s.weight.relu()], [-(-s.x).relu(), -(-s.weight).relu()]], #{ bias: s.bias.relu() }) \
              - s.share(r, [[s.x.relu(), -(-s.weight).relu()], [-(-s.x).relu(), s.weight.relu()]], #{ bias: -(-s.bias).relu() })",
    ),
    (
        "gamma(0.5)",
        "|s, r| s.share(r * (s.y > 0.0), [[s.x.relu(), s.weight + 0.5 * s.weight.relu()], \
                [-(-s.x).relu(), s.weight - 0.5 * (-s.weight).relu()]], #{ bias: s.bias + 0.5 * s.bias.relu() }) \
              + s.share(r * (s.y < 0.0), [[s.x.relu(), s.weight - 0.5 * (-s.weight).relu()], \
                [-(-s.x).relu(), s.weight + 0.5 * s.weight.relu()]], #{ bias: s.bias - 0.5 * (-s.bias).relu() })",
    ),
    ("gamma_plain(0.25)", "|s, r| s.share(r, [[s.x, s.weight + 0.25 * s.weight.relu()]], #{ bias: s.bias })"),
    (
        "zbox(full([1], -3.0), full([1], 3.0))",
        "|s, r| s.share(r, [[s.x, s.weight], [full(s.x.shape, -3.0), -s.weight.relu()], [full(s.x.shape, 3.0), (-s.weight).relu()]])",
    ),
];

#[test]
fn scripted_rules_match_the_native_ones() {
    for (native, by_hand) in PAIRS {
        let body = format!(
            "let t = cx.model.forward(cx.input); let rest = [\"relu|normalize\", pass()]; \
             let a = backward(t, t.logit(1), #{{ rules: [[\"conv|linear\", {native}], rest] }}).input; \
             let b = backward(t, t.logit(1), #{{ rules: [[\"conv|linear\", {by_hand}], rest] }}).input; \
             `${{a.abs().max() > 1e-6}} ${{(a - b).abs().max() <= 1e-5 * a.abs().max()}}`"
        );
        assert_eq!(answer(&body), "true true", "{native}");
    }
}

#[test]
fn a_predicate_selects_layers_by_their_properties() {
    let chosen = "let t = cx.model.forward(cx.input); let seen = [];
        let rules = [[|l| l.kind == \"conv\" && l.shape[0] == 6, |s, r| s.vjp(r) * 0.0]];
        backward(t, t.logit(1), #{ rules: rules })";
    assert_eq!(answer(&format!("{chosen}[\"conv2\"].abs().max() > 0.0")), "true");
    assert_eq!(answer(&format!("{chosen}[\"relu1\"].abs().max()")), "0.0");
    let wrong =
        failure("let t = cx.model.forward(cx.input);\nbackward(t, t.logit(1), #{ rules: [[|l| l.nothing, pass()]] })");
    assert!(wrong.to_string().contains("nothing"), "{wrong}");
}

fn table(body: &str, title: &str) -> Vec<Vec<String>> {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot(body)));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e}"));
    let figure = frame.figures.iter().find(|f: &&Figure| f.title == title).expect("the figure");
    match &figure.body {
        Body::Table { rows, .. } => rows.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_ledger_lists_every_layer_from_the_scores_to_the_picture() {
    let rows = table(
        "let t = cx.model.forward(cx.input); \
         [ledger(backward(t, t.logit(1), #{ rules: [[\"conv|linear\", epsilon(1e-6)], [\"relu|normalize\", pass()]] }))]",
        "ledger",
    );
    let names: Vec<_> = rows.iter().map(|r| r[0].as_str()).collect();
    assert_eq!(names, ["fc", "flatten", "relu2", "conv2", "pool1", "relu1", "conv1", "normalize", "input"]);
    let number = |row: &[String], column: usize| row[column].parse::<f64>().unwrap_or(0.0);
    assert_eq!(number(&rows[0], 1), 1.0);
    for row in &rows {
        let off = number(row, 1) - (2..7).map(|c| number(row, c)).sum::<f64>();
        assert!(off.abs() < 1e-3 * number(row, 1).abs().max(1.0), "{row:?}");
    }
    let gradient = failure("let t = cx.model.forward(cx.input);\nledger(backward(t, t.logit(1)))");
    assert!(gradient.to_string().contains("a gradient has no ledger"), "{gradient}");
}

#[test]
fn the_rule_gradient_is_the_gradient_at_layers_of_any_kind() {
    let body = "let t = cx.model.forward(cx.input); let g = backward(t, t.logit(1)).input;
        let r = backward(t, t.logit(1), #{ rules: [[\"*\", gradient()]] });
        `${g.abs().max() > 0.0} ${(g - r.input).abs().max() == 0.0}`";
    assert_eq!(answer(body), "true true");
}

#[test]
fn the_sum_of_logits_as_a_seed_is_the_sum_of_the_seeds_of_all_classes() {
    let body = "let t = cx.model.forward(cx.input); let all = backward(t, sum_of_logits()).input; let sum = 0.0;
        for class in 0..cx.model.classes { sum += backward(t, t.logit(class)).input; }
        `${all.abs().max() > 0.0} ${(all - sum).abs().max() < 1e-5 * all.abs().max()}`";
    assert_eq!(answer(body), "true true");
}

#[test]
fn the_balance_of_a_walk_adds_up_to_what_it_started_from() {
    let rules = "[[\"conv|linear\", epsilon(0.1)], [\"relu|normalize\", pass()]]";
    let body = format!(
        "let t = cx.model.forward(cx.input); let r = backward(t, t.logit(1), #{{ rules: {rules} }}); let b = balance(r);
         `${{(b.start - 1.0).abs() < 1e-5}} ${{(b.reached - r.input.sum()).abs() < 1e-5}} ${{b.bias != 0.0}} ${{b.epsilon != 0.0}}`"
    );
    assert_eq!(answer(&body), "true true true true");
}

/// The caption of `lrp`'s map, the sum of the map, and the class's logit.
fn told(class: usize, set: &[(&str, &str)]) -> (String, f64, f64) {
    let host = host();
    let mut session = session(&host);
    session.set_target(Some(class)).unwrap();
    session.open(host.method("lrp").unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e}"));
    let Body::Map { values, note, .. } = &frame.figures[0].body else { panic!("a map comes first") };
    let logit = frame.figures.iter().find_map(|f| match &f.body {
        Body::Classes { rows, .. } => rows.iter().find(|row| row.class == class).map(|row| f64::from(row.logit)),
        _ => None,
    });
    (note.clone(), values.data.iter().map(|v| f64::from(*v)).sum(), logit.unwrap())
}

/// The percentage that follows these words.
fn percent(note: &str, behind: &str) -> f64 {
    let rest = &note[note.find(behind).unwrap_or_else(|| panic!("{behind} in {note}")) + behind.len()..];
    rest.split('%').next().unwrap().trim().parse().unwrap_or_else(|_| panic!("{note}"))
}

#[test]
fn the_lrp_caption_gives_the_fraction_that_reached_the_pixels_and_that_of_other_settings() {
    let mut low = 0;
    let composites = ["Epsilon", "EpsilonPlus", "EpsilonGammaBox", "alpha1beta0", "alpha2beta1"];
    for (composite, class) in composites.into_iter().flat_map(|c| (0..5).map(move |class| (c, class))) {
        let set = [("composite", composite)];
        let (note, sum, logit) = told(class, &set);
        let near =
            |a: f64, b: f64| assert!((a - b).abs() <= 0.01 * b.abs().max(100.0), "{composite}: {a}, {b}: {note}");
        near(percent(&note, ""), 100.0 * sum / logit);
        if note.contains("bias=zero") {
            low += 1;
            assert!(!(0.5..=1.5).contains(&(sum / logit)), "{note}");
            let (_, zero, _) = told(class, &[set[0], ("bias", "zero")]);
            near(percent(&note, "with bias=zero "), 100.0 * zero / logit);
        } else {
            assert!((0.5..=1.5).contains(&(sum / logit)), "{note}");
        }
    }
    assert!(low > 0, "no composite assigns most of the relevance to biases");
}

#[test]
fn a_logit_of_zero_has_no_share_and_the_caption_says_so() {
    for (start, said) in [("0.0", "the logit is 0"), ("0.0 / 0.0", "not finite"), ("1.0 / 0.0", "not finite")] {
        let body = format!(
            "import \"lib/lrp\" as lrp; let b = #{{ start: {start}, reached: 0.0, bias: 0.0 }};
             lrp::told(cx, \"Epsilon\", #{{}}, #{{ balance: b }})"
        );
        assert!(answer(&body).contains(said), "{start}");
    }
}

#[test]
fn coverage_marks_layers_without_a_rule_before_anything_runs() {
    let rules = "[[\"conv1\", zplus()], [\"linear\", |s, r| r], [\"relu\", pass()]]";
    let rows = table(&format!("[coverage(cx.model, {rules})]"), "coverage");
    let of = |layer: &str| rows.iter().find(|r| r[0] == layer).expect("the layer").clone();
    assert_eq!(of("conv1")[2..], ["zplus", ""]);
    assert_eq!(of("fc")[2..], ["script", ""]);
    assert_eq!(of("conv2")[2..], ["gradient", "! no rule"]);
    assert_eq!(of("pool1")[2..], ["gradient", ""]);
    assert_eq!(answer(&format!("uncovered(cx.model, {rules})")), "[\"conv2\", \"normalize\"]");
}

#[test]
fn a_rule_that_needs_weights_is_an_error_at_layers_without_them() {
    for rule in ["|s, r| s.share(r, [[s.x, s.x]])", "|s, r| s.weight"] {
        let report = failure(&format!(
            "let t = cx.model.forward(cx.input);\nbackward(t, t.logit(1), #{{ rules: [[\"relu\", {rule}]] }})"
        ));
        assert!(report.to_string().contains("layer \"relu2\" (relu) has no site.weight"), "{report}");
    }
}

#[test]
fn a_site_knows_its_predecessors_and_successors() {
    let told = |layer: &str| {
        failure(&format!(
            "let t = cx.model.forward(cx.input);\nlet told = |s, r| throw `${{s.predecessors}} ${{s.successors}}`;\n\
             backward(t, t.logit(1), #{{ rules: [[\"{layer}\", told]] }})"
        ))
        .message
    };
    assert!(told("relu1").contains("[\"conv1\"] [\"pool1\"]"), "{}", told("relu1"));
    assert!(told("fc").contains("[]"), "{}", told("fc"));
}

/// Numbers to draw at most; more repeat them.
const DRAWN: usize = 1 << 16;

/// A parameter as He et al. 2015 draw it, statistics of batch norms positive, biases 0.
fn drawn(p: &Parameter) -> Tensor {
    let fan_in = p.shape[1..].iter().product::<usize>().max(1);
    let (scale, shift) = match p.name.as_str() {
        _ if p.shape.len() > 1 => ((6.0 / fan_in as f32).sqrt(), 0.0),
        name if name.ends_with("running_var") => (0.5, 1.0),
        name if name.ends_with(".weight") => (0.25, 0.75),
        _ => (0.0, 0.0),
    };
    let count: usize = p.shape.iter().product();
    let some: Vec<_> = uniform(count as u64, count.min(DRAWN)).into_iter().map(|u| u * scale + shift).collect();
    Tensor::from_vec(some.iter().copied().cycle().take(count).collect(), p.shape.as_slice(), &Device::Cpu).unwrap()
}

/// Whether the network only takes pictures of its card's size.
fn has_fixed_size(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| ["matmul", "interpolate"].contains(&n.op.kind()))
}

/// A session of an architecture with drawn weights, on a drawn picture of at most 96 by 96, if the network takes other sizes than its
/// card's.
fn session_of(host: &Host, name: &str) -> Session {
    let (card, graph) = Architectures::new(host.models().clone(), host.guard()).build(name).unwrap();
    let weights = graph.parameters().into_iter().map(|p| (p.name.clone(), drawn(&p))).collect();
    let graph = Arc::new(graph.with_weights(weights).unwrap());
    let [c, h, w] = card.input;
    let (h, w) = if !has_fixed_size(&graph) && h > 96 && w > 96 { (96, 96) } else { (h, w) };
    let pixels: Vec<_> = uniform(7, c * h * w).into_iter().map(|v| 0.5 + 0.5 * v).collect();
    let x = Tensor::from_vec(pixels, (1, c, h, w), &Device::Cpu).unwrap();
    let model = Model { card: Arc::new(card), graph, hash: name.into(), taken: "".into() };
    Session::new(host, model, "picture", x).unwrap()
}

/// The relevance that layers gained or lost without a rule that says why.
fn unaccounted(figures: &[Figure]) -> f64 {
    let ledger = figures.iter().find(|f| f.title == "ledger").unwrap();
    let Body::Table { rows, .. } = &ledger.body else { panic!("a table") };
    rows.iter().map(|row| row[6].parse::<f64>().unwrap_or(0.0).abs()).sum()
}

#[test]
fn the_template_of_a_rule_runs_on_every_architecture_and_conserves_relevance() {
    let template = include_str!("../../src/cli/new/rule.rhai");
    let mut kinds = std::collections::BTreeSet::new();
    let mut names = vec![];
    let folders = Folders::models(None).embedded_only();
    for file in folders.names() {
        let host = host();
        let text = folders.find(&file).unwrap().unwrap().text;
        // Of a file with several architectures the first, the smallest.
        let first = text.split_once("names:").and_then(|(_, names)| names.split('"').nth(1));
        let name = first.unwrap_or(&file);
        let (card, graph) = Architectures::new(host.models().clone(), host.guard()).build(name).unwrap();
        if graph.classes() == 0 || has_fixed_size(&graph) && card.input[1] > 96 {
            continue;
        }
        let mut session = session_of(&host, name);
        kinds.extend(session.model().graph.nodes.iter().map(|n| n.op.kind()));
        session.open(method(&host, template));
        let frame = session.run(&host).unwrap_or_else(|e| panic!("{name}: {e}"));
        let map = frame.figures.iter().find(|f| f.title == "relevance").unwrap().values().unwrap();
        let reached: f64 = map.data.iter().map(|v| f64::from(*v)).sum();
        let size: f64 = map.data.iter().map(|v| f64::from(v.abs())).sum();
        let class = session.target().unwrap();
        let score = frame.figures.iter().find_map(|f| match &f.body {
            Body::Classes { rows, .. } => rows.iter().find(|row| row.class == class).map(|row| f64::from(row.logit)),
            _ => None,
        });
        let score = score.unwrap();
        // The rule's stabilizer absorbs a noticeable share of so small a score.
        if score.abs() < 1e-2 {
            continue;
        }
        // The expansion of softmax has a constant term, and position embeddings receive a share; both are in the ledger.
        let bound = 1e-3 * score.abs() + 1e-4 * size;
        let lost = unaccounted(&frame.figures);
        assert!(lost <= bound, "{name}: the ledger does not account for {lost} of {score}");
        let absorbs = ["softmax", "parameter", "constant"];
        if !session.model().graph.nodes.iter().any(|n| absorbs.contains(&n.op.kind())) {
            assert!((reached - score).abs() <= bound, "{name}: {reached} of {score} reached the input");
        }
        names.push(name.to_string());
    }
    assert!(names.len() > 10, "{names:?}");
    for kind in
        ["batch_norm", "add", "leaky_relu", "max_pool", "global_avg_pool", "concat", "softmax", "mul", "layer_norm"]
    {
        assert!(kinds.contains(kind), "no architecture has a {kind}: {kinds:?}");
    }
}

#[test]
fn predecessors_and_successors_are_inverse_in_a_residual_network() {
    let body = "let trace = cx.model.forward(cx.input); let most = 0;
        for name in cx.model.layers {
            let site = trace.site(name);
            if site.predecessors != cx.model.layer(name).inputs { throw `${name}: ${site.predecessors}`; }
            for next in site.successors {
                if !trace.site(next).predecessors.contains(name) { throw `${next} does not read ${name}`; }
            }
            for before in site.predecessors {
                if !trace.site(before).successors.contains(name) { throw `${before} does not know ${name}`; }
            }
            most = max(most, site.successors.len());
        }
        text(`${most}`, \"most\")";
    let host = host();
    let mut session = session_of(&host, "resnet20");
    session.open(method(&host, &one_shot(body)));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e}"));
    let Body::Text { text } = &frame.figures[0].body else { panic!("a text") };
    assert_eq!(text, "2", "what a residual block reads goes on beside it");
}

/// Checks that no composite of `lrp` leaves a layer of the session's network without a rule.
fn assert_covered(host: &Host, session: &mut Session, name: &str) {
    let body = "let bare = [];
        for composite in [\"EpsilonPlusFlat\", \"EpsilonGammaBox\", \"alpha2beta1\", \"AttnLRP\", \"AttnLRPGamma\", \"CP-LRP\"] {
            bare += uncovered(cx.model, lrp::usual(composite, cx.model));
        }
        text(`${bare}`, \"bare\")";
    session.open(method(host, &format!("import \"lib/lrp\" as lrp;\n{}", one_shot(body))));
    let frame = session.run(host).unwrap_or_else(|e| panic!("{name}: {e}"));
    let Body::Text { text } = &frame.figures[0].body else { panic!("a text") };
    assert_eq!(text, "[]", "{name}: layers without a rule");
}

#[test]
fn lrp_has_a_rule_for_every_layer_of_every_architecture() {
    let folders = Folders::models(None).embedded_only();
    for file in folders.names() {
        let text = folders.find(&file).unwrap().unwrap().text;
        let name =
            text.split_once("names:").and_then(|(_, names)| names.split('"').nth(1)).unwrap_or(&file).to_string();
        let host = host();
        let mut session = session_of(&host, &name);
        assert_covered(&host, &mut session, &name);
    }
}

#[test]
fn lrp_has_a_rule_for_every_layer_of_exported_networks() {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs");
    let shared = ["onnx", "trained"].into_iter().filter_map(shared_file);
    let host = host();
    let mut count = 0;
    for folder in shared.chain([own]) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if !path.extension().is_some_and(|end| end == "onnx" || end == "pt2") {
                continue;
            }
            let text = path.to_str().unwrap();
            let opened = Architectures::new(host.models().clone(), host.guard()).open(text, None);
            // Some files test what is refused.
            let Ok(model) = opened else { continue };
            let [c, h, w] = model.card.input;
            let x = Tensor::zeros((1, c, h, w), model.graph.dtype(), &Device::Cpu).unwrap();
            assert_covered(&host, &mut Session::new(&host, model, "picture", x).unwrap(), text);
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}
