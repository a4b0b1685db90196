//! Precision and accumulation belong to a network, the device to a host: nothing else decides a result.

use crate::common::random::{Random, numbers};
use crate::common::source;
use candle_core::{DType, Device, Tensor};
use gradscope::backend::Accumulation;
use gradscope::exec::{Precision, RunOptions, Trace};
use gradscope::explain::{Bias, Composite, Lrp, Selector, Walk};
use gradscope::graph::{Graph, NodeId};
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use std::path::Path;
use std::sync::Arc;

/// Networks with convolutions, batch norms, gates, attention and bare parameters.
const NETWORKS: [&str; 4] =
    ["resnet20", "lenet", "tests/fixtures/modern/vit_tiny.rhai", "tests/fixtures/modern/se_resnet_tiny.rhai"];

fn host(storage: DType, accumulation: Accumulation) -> Host {
    let (plugins, models) = (Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let precision = Precision { storage, accumulation };
    Host::with_options(plugins, models, RunOptions { device: Device::Cpu, precision })
}

/// A network with random weights; vectors, such as scales and variances, are near 1.
fn drawn(name: &str) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let name = if path.exists() { path.to_str().unwrap() } else { name };
    let host = host(DType::F32, Accumulation::Direct);
    let (_, graph) = Architectures::new(host.models().clone(), host.guard()).build(name).unwrap();
    let mut random = Random(7);
    let weights = graph.parameters().into_iter().map(|p| {
        let fan = p.shape.iter().skip(1).product::<usize>().max(1) as f64;
        let values = match p.shape.len() {
            1 => ((random.tensor(&p.shape) * 0.1).unwrap() + 1.0).unwrap(),
            _ => (random.tensor(&p.shape) * (3.0 / fan).sqrt()).unwrap(),
        };
        (p.name, values.to_dtype(DType::F32).unwrap())
    });
    graph.with_weights(weights.collect()).unwrap()
}

/// Two pictures for a network.
fn pictures(graph: &Graph) -> Tensor {
    let shape = [&[2], &graph.nodes[0].shape[1..]].concat();
    ((Random(3).tensor(&shape) + 1.0).unwrap() * 0.5).unwrap().to_dtype(DType::F32).unwrap()
}

fn seeds(graph: &Graph, trace: &Trace) -> Vec<(NodeId, Tensor)> {
    vec![(graph.logits, trace.value(graph.logits).unwrap().ones_like().unwrap())]
}

/// Relevance of the pictures by LRP-ε in the layers with weights, and αβ for convolutions, whose weights are divided by sign.
fn relevance(trace: &Trace) -> Tensor {
    let graph = &trace.graph;
    let composite = Composite::gradient()
        .with(Selector::parse("conv").unwrap(), Lrp::AlphaBeta(2.0, 1.0, Bias::Split).rule())
        .with(Selector::parse("linear").unwrap(), Lrp::Epsilon(1e-3, Bias::Zero).rule());
    let walk = Walk { composite, ..Walk::gradient(trace, seeds(graph, trace)) };
    walk.run().unwrap().input().unwrap().clone()
}

/// What can be computed from a network: fused and node-by-node runs, gradients of the input and of the parameters, relevance, and
/// the logits with folded batch norms.
fn results(graph: &Arc<Graph>, x: &Tensor) -> Vec<(String, Vec<f64>)> {
    let fused = graph.forward(x).unwrap();
    assert!(fused.fused().is_some());
    let plain = graph.forward_with(x, &mut |_, y| Ok(y)).unwrap();
    let mut all = vec![("logits".to_string(), numbers(&graph.logits(x).unwrap()))];
    for (how, trace) in [("fused", &fused), ("plain", &plain)] {
        all.push((format!("{how} value"), numbers(trace.value(graph.logits).unwrap())));
        for keep in [false, true] {
            let gradient = Walk { keep, params: true, ..Walk::gradient(trace, seeds(graph, trace)) }.run().unwrap();
            all.push((format!("{how} gradient, keep {keep}"), numbers(gradient.input().unwrap())));
            all.extend(gradient.params.iter().map(|(name, g)| (format!("{how} gradient of {name}"), numbers(g))));
        }
        all.push((format!("{how} relevance"), numbers(&relevance(trace))));
    }
    all
}

#[test]
fn weights_stored_in_half_precision_are_computed_in_f32_after_rounding() {
    for name in NETWORKS {
        let graph = drawn(name);
        let x = pictures(&graph);
        for half in [DType::BF16, DType::F16] {
            let stored = Arc::new(graph.to(half, &Device::Cpu).unwrap());
            let rounded = Arc::new(stored.to(DType::F32, &Device::Cpu).unwrap());
            assert!(stored.weights().values().all(|w| w.dtype() == half) && stored.dtype() == DType::F32);
            let [before, after] = [Arc::new(graph.clone()), rounded.clone()].map(|g| numbers(&g.logits(&x).unwrap()));
            assert_ne!(before, after, "{name}: nothing was rounded");
            for ((what, ours), (_, expected)) in results(&stored, &x).into_iter().zip(results(&rounded, &x)) {
                assert!(ours == expected, "{name} in {half:?}: {what}");
            }
            // Folded weights are new values, which are not rounded again.
            let [ours, expected] = [&stored, &rounded].map(|g| numbers(&g.folded().unwrap().logits(&x).unwrap()));
            assert!(ours == expected, "{name} in {half:?}: folded");
        }
    }
}

#[test]
fn every_run_of_a_network_uses_the_accumulation_of_its_convolutions() {
    let direct = Arc::new(drawn("resnet20"));
    let winograd = Arc::new(direct.with_accumulation(Accumulation::Winograd));
    let x = pictures(&direct);
    let mut same = vec![];
    for ((what, a), (_, b)) in results(&direct, &x).into_iter().zip(results(&winograd, &x)) {
        let most = a.iter().fold(1e-9f64, |most, v| most.max(v.abs()));
        let apart = a.iter().zip(&b).fold(0f64, |most, (a, b)| most.max((a - b).abs()));
        // A maximum or a sign may flip in a gradient.
        assert!(apart < 0.05 * most, "{what}: {apart} of {most}");
        if a == b {
            same.push(what);
        }
    }
    // Running statistics are not trained, and the last biases' gradients do not depend on a convolution.
    same.retain(|what| !["running_mean", "running_var", "bias"].iter().any(|end| what.ends_with(end)));
    assert!(same.is_empty(), "not computed by Winograd transforms: {same:?}");
    let exact = winograd.exact();
    assert!(Arc::ptr_eq(&exact, &winograd.exact()) && Arc::ptr_eq(&direct, &direct.exact()));
    assert_eq!(results(&exact, &x), results(&direct, &x));
    // A backward pass by rules through a trace that was computed by Winograd transforms.
    let trace = winograd.forward(&x).unwrap();
    assert_ne!(numbers(&relevance(&trace)), numbers(&relevance(&trace.exact())));
}

#[test]
fn networks_in_bf16_agree_with_f32_within_its_rounding() {
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let gradient = |graph: &Arc<Graph>, x: &Tensor| {
        let trace = graph.forward(x).unwrap();
        // The gradient of the class scores, weighted differently.
        let seed = Random(5).tensor(trace.value(graph.logits).unwrap().dims()).to_dtype(DType::F32).unwrap();
        let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(graph.logits, seed)]) };
        numbers(walk.run().unwrap().input().unwrap())
    };
    for name in NETWORKS {
        let plain = Arc::new(drawn(name).with_accumulation(Accumulation::Winograd));
        let options = RunOptions { device: Device::Cpu, precision: "bf16".parse().unwrap() };
        let bf16 = Arc::new(plain.placed(&options).unwrap());
        let x = pictures(&plain);
        let [expected, found] = [&plain, &bf16].map(|g| numbers(&g.logits(&x).unwrap()));
        let apart: Vec<_> = expected.iter().zip(&found).map(|(a, b)| a - b).collect();
        assert!(norm(&apart) <= 2e-2 * norm(&expected), "{name}: {found:?}, not {expected:?}");
        // Where random weights flip many ReLUs, rounding only the weights may do as much harm.
        let weights = Arc::new(plain.to(DType::BF16, &Device::Cpu).unwrap());
        let exact = gradient(&plain, &x);
        let [lost, by_weights] = [&bf16, &weights].map(|g| {
            let found = gradient(g, &x);
            1.0 - exact.iter().zip(&found).map(|(a, b)| a * b).sum::<f64>() / norm(&exact) / norm(&found)
        });
        assert!(
            lost <= 0.01f64.max(1.5 * by_weights),
            "{name}: correlation of the input gradient {} {by_weights}",
            1.0 - lost
        );
        // Direct convolution uses the rounded weights in f32.
        let stored = Arc::new(plain.with_accumulation(Accumulation::Direct).to(DType::BF16, &Device::Cpu).unwrap());
        let [rounded, exact] = [&stored, &bf16.exact()].map(|g| numbers(&g.logits(&x).unwrap()));
        assert_eq!(rounded, exact, "{name}");
        if gradscope_engine::simd::multiplies_bf16() {
            assert_ne!(rounded, found, "{name}: nothing was multiplied in bf16");
        }
    }
}

/// The text that a one-shot method returns, on the embedded network.
fn told(host: &Host, plugin: &str, body: &str) -> String {
    let model = Architectures::new(host.models().clone(), host.guard()).open("shapes", None).unwrap();
    let x = pictures(&model.graph).narrow(0, 0, 1).unwrap();
    let mut session = Session::new(host, model, "picture", x).unwrap();
    let script = format!("const PLUGIN = {plugin};\nfn run(cx) {{\nlet t = {{ {body} }};\ntext(`${{t}}`, \"t\")\n}}\n");
    session.open(host.compile(source(&script)).unwrap_or_else(|e| panic!("{e:#}")));
    let frame = session.run(host).unwrap_or_else(|e| panic!("{e:#}"));
    match &frame.figures[0].body {
        Body::Text { text } => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_hosts_in_one_process_do_not_share_a_precision() {
    const LOGITS: &str = "cx.model.forward(cx.input).logits.to_array()";
    let (plain, exact) = ("#{ group: \"test\" }", "#{ group: \"test\", exact: true }");
    let told = |storage, accumulation, plugin| told(&host(storage, accumulation), plugin, LOGITS);
    use Accumulation::{Direct, Winograd};
    let direct = told(DType::F32, Direct, plain);
    let winograd = told(DType::F32, Winograd, plain);
    assert!(direct != winograd);
    assert_eq!(told(DType::F32, Winograd, exact), direct, "`exact: true` uses direct convolution on any host");
    // On several threads at once, each keeps its own.
    std::thread::scope(|scope| {
        let ways = [(DType::F32, Direct), (DType::F32, Winograd), (DType::BF16, Winograd), (DType::F64, Direct)];
        let runs: Vec<_> =
            (0..8).map(|i| (i, scope.spawn(move || told(ways[i % 4].0, ways[i % 4].1, plain)))).collect();
        let all: Vec<_> = runs.into_iter().map(|(_, run)| run.join().unwrap()).collect();
        assert_eq!((&all[0], &all[1]), (&direct, &winograd));
        assert!(all[..4] == all[4..] && all[2] != winograd && all[3] != direct, "{all:?}");
    });
}

#[test]
fn scripts_see_weights_stored_in_half_precision_as_f32() {
    let host = host(DType::BF16, Accumulation::Winograd);
    let body = "let s = cx.model.forward(cx.input).site(\"conv1\"); [s.weight.dtype, s.params[\"weight\"].dtype, cx.input.dtype, cx.model.mean.dtype]";
    assert_eq!(told(&host, "#{ group: \"test\" }", body).replace('"', ""), "[f32, f32, f32, f32]");
}
