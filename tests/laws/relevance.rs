//! Conservation of relevance: rules conserve it, or the ledger accounts for the difference.

use crate::common::random::{Random, numbers};
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::explain::{Bias, Composite, LedgerEntry, Lrp, Relevance, Selector, Stabilizer, Walk, logit};
use gradscope::graph::{Builder, Graph, op};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Weights drawn so that values neither vanish nor explode; optionally without biases.
fn drawn(graph: &Graph, biases: bool) -> Arc<Graph> {
    let mut r = Random(11);
    let weight = |p: gradscope::graph::Parameter| {
        let fan_in = p.shape[1..].iter().product::<usize>().max(1) as f64;
        let t = if p.name.ends_with("running_var") || (p.shape.len() == 1 && p.name.ends_with(".weight")) {
            Tensor::ones(p.shape, DType::F64, &Device::Cpu).unwrap()
        } else if p.shape.len() == 1 {
            (r.tensor(&p.shape) * if biases { 0.1 } else { 0.0 }).unwrap()
        } else {
            (r.tensor(&p.shape) * (6.0 / fan_in).sqrt()).unwrap()
        };
        (p.name, t)
    };
    let weights: BTreeMap<_, _> = graph.parameters().into_iter().map(weight).collect();
    graph.with_weights(weights).unwrap().folded().unwrap()
}

fn resnet50(biases: bool) -> Arc<Graph> {
    let (_, graph) = Architectures::new(Folders::models(None), &Arc::default()).build("resnet50").unwrap();
    drawn(&graph, biases)
}

fn conv(input: usize, output: usize, bias: bool) -> op::Conv {
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    op::Conv { input, output, kernel: (3, 3), slide, bias }
}

/// A network with a reused convolution, leaky ReLUs, a skip connection and both kinds of pools.
fn reused(biases: bool) -> Arc<Graph> {
    let mut b = Builder::new(&[3, 16, 16]);
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let x = b.add("stem", conv(3, 6, biases), &[0]).unwrap();
    let x = b.add("leaky", op::LeakyRelu { slope: 0.1 }, &[x]).unwrap();
    let x = b.add("pool", op::MaxPool { pool }, &[x]).unwrap();
    let first = b.add("conv", conv(6, 6, biases), &[x]).unwrap();
    let first = b.add("leaky_1", op::LeakyRelu { slope: 0.1 }, &[first]).unwrap();
    let again = b.add("conv_1", conv(6, 6, biases), &[first]).unwrap();
    let sum = b.add("add", op::Add, &[again, x]).unwrap();
    let both = b.add("cat", op::Concat::default(), &[sum, first]).unwrap();
    let x = b.add("mean", op::AvgPool { pool, include_pad: true }, &[both]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 192, output: 5, bias: biases }, &[x]).unwrap();
    let graph = drawn(&b.finish(x).unwrap(), biases);
    let mut weights = graph.weights();
    for part in ["weight", "bias"] {
        if let Some(w) = weights.get(&format!("conv.{part}")).cloned() {
            weights.insert(format!("conv_1.{part}"), w);
        }
    }
    Arc::new(graph.with_weights(weights).unwrap())
}

fn relevance(graph: &Arc<Graph>, rules: Vec<(&str, Lrp)>) -> Relevance {
    let sides = graph.nodes[0].shape[1..].iter().map(|&n| n.min(64));
    let shape: Vec<_> = std::iter::once(1).chain(sides).collect();
    let x = ((Random(5).tensor(&shape) + 1.0).unwrap() * 0.5).unwrap();
    let trace = graph.forward(&x).unwrap();
    let logits = trace.logits().unwrap();
    let seed = (logit(&logits, &[2]).unwrap() * &logits).unwrap();
    let rest = [
        ("relu|leaky_relu|batch_norm|normalize|dropout", Lrp::Pass),
        ("add|avg_pool|adaptive_avg_pool|global_avg_pool", Lrp::Epsilon(1e-9, Bias::Full)),
    ];
    let add = |all: Composite<'static>, (kinds, rule): (&str, Lrp)| {
        all.with_named(Selector::parse(kinds).unwrap(), &rule.to_string(), rule.rule())
    };
    let composite = rules.into_iter().chain(rest).fold(Composite::gradient(), add);
    Walk { composite, ..Walk::gradient(&trace, vec![(graph.logits, seed)]) }.run().unwrap()
}

fn sum(relevance: &Relevance) -> f64 {
    numbers(relevance.input().unwrap()).iter().sum()
}

fn start(relevance: &Relevance) -> f64 {
    relevance.ledger[&relevance.graph.logits].into
}

/// The amount of relevance that passes through a layer, relative to which errors are measured.
fn size(relevance: &Relevance, id: usize, entry: &LedgerEntry) -> f64 {
    let moved: f64 = numbers(&relevance.values[&id]).iter().map(|v| v.abs()).sum();
    moved.max(entry.into.abs()).max(1e-12)
}

fn assert_accounted(relevance: &Relevance) {
    assert!(relevance.ledger.len() > 2);
    for (&id, entry) in &relevance.ledger {
        let off = entry.other().abs() / size(relevance, id, entry);
        assert!(off < 1e-4, "{} ({}): {off:e} of {entry:?}", relevance.graph.nodes[id].name, entry.rule);
    }
}

const EPSILON: Lrp = Lrp::Epsilon(1e-9, Bias::Full);
const ZPLUS: Lrp = Lrp::AlphaBeta(1.0, 0.0, Bias::Split);

#[test]
fn relevance_is_conserved_on_a_network_of_resnet50s_size_without_biases() {
    let graph = resnet50(false);
    for rules in [vec![("conv|linear", EPSILON)], vec![("conv1", Lrp::Flat), ("conv", ZPLUS), ("linear", EPSILON)]] {
        let relevance = relevance(&graph, rules);
        assert_accounted(&relevance);
        let (from, to) = (start(&relevance), sum(&relevance));
        assert!((from - to).abs() < 1e-4 * from.abs(), "{from} became {to}");
    }
}

#[test]
fn relevance_that_biases_absorb_is_accounted_for_on_a_network_of_resnet50s_size() {
    let relevance = relevance(&resnet50(true), vec![("conv", ZPLUS), ("linear", EPSILON)]);
    assert_accounted(&relevance);
    let kept: f64 = relevance.ledger.values().map(|e| e.kept.total()).sum();
    let (from, to) = (start(&relevance), sum(&relevance));
    assert!((from - to - kept).abs() < 1e-4 * from.abs().max(to.abs()), "{from} − {to} − {kept}");
    assert!(relevance.ledger.values().map(|e| e.kept.bias.abs()).sum::<f64>() > 1e-3 * from.abs());
}

#[test]
fn relevance_is_conserved_through_a_reused_layer_and_leaky_relus_without_biases() {
    let graph = reused(false);
    let gamma = Lrp::Gamma(0.25, Bias::Split);
    for rule in [EPSILON, ZPLUS, gamma, Lrp::Flat, Lrp::WSquare(Bias::Zero)] {
        let relevance = relevance(&graph, vec![("stem|conv|linear", rule.clone())]);
        assert_accounted(&relevance);
        let (from, to) = (start(&relevance), sum(&relevance));
        assert!((from - to).abs() < 1e-4 * from.abs(), "{rule}: {from} became {to}");
    }
}

/// Linear layers over tokens, `(N, tokens, features)`.
fn tokens() -> Arc<Graph> {
    let mut b = Builder::new(&[5, 8]);
    let x = b.add("fc1", op::Linear { input: 8, output: 6, bias: true }, &[0]).unwrap();
    let x = b.add("leaky", op::LeakyRelu { slope: 0.1 }, &[x]).unwrap();
    let x = b.add("fc2", op::Linear { input: 6, output: 5, bias: true }, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("head", op::Linear { input: 25, output: 4, bias: true }, &[x]).unwrap();
    drawn(&b.finish(x).unwrap(), true)
}

#[test]
fn relevance_that_biases_absorb_is_accounted_for_over_tokens() {
    for rule in [EPSILON, ZPLUS, Lrp::Gamma(0.25, Bias::Split), Lrp::Epsilon(0.1, Bias::Split)] {
        let relevance = relevance(&tokens(), vec![("linear", rule.clone())]);
        assert_accounted(&relevance);
        let kept: f64 = relevance.ledger.values().map(|e| e.kept.total()).sum();
        let (from, to) = (start(&relevance), sum(&relevance));
        assert!((from - to - kept).abs() < 1e-4 * from.abs().max(to.abs()), "{rule}: {from} − {to} − {kept}");
        assert!(relevance.ledger.values().any(|e| e.kept.bias != 0.0), "{rule}");
    }
}

#[test]
fn every_rule_accounts_for_the_relevance_it_absorbs() {
    let graph = reused(true);
    let low = Tensor::zeros((1, 3, 1, 1), DType::F64, &Device::Cpu).unwrap();
    let box_rule = Lrp::ZBox(low.clone(), low.ones_like().unwrap());
    let rules = |bias| {
        [
            Lrp::Epsilon(0.1, bias),
            Lrp::Gamma(0.25, bias),
            Lrp::AlphaBeta(1.0, 0.0, bias),
            Lrp::AlphaBeta(2.0, 1.0, bias),
            Lrp::Reweigh { positive: 1.25, negative: 1.0, epsilon: 1e-9, bias },
            Lrp::Reweigh { positive: 1.0, negative: 0.0, epsilon: 1e-9, bias },
        ]
    };
    for rule in [Bias::Split, Bias::Full, Bias::Zero].into_iter().flat_map(rules).chain([
        Lrp::Flat,
        Lrp::WSquare(Bias::Split),
        Lrp::WSquare(Bias::Zero),
    ]) {
        let first = ("stem", box_rule.clone());
        let relevance = relevance(&graph, vec![first, ("conv|linear", rule), ("max_pool", Lrp::Proportional)]);
        assert_accounted(&relevance);
    }
}

/// A linear layer from 7 to 4 channels, the last dimension of inputs `(N, …, 7)`; its weights do not depend on the other sizes.
fn dense(places: &[usize]) -> Arc<Graph> {
    let mut b = Builder::new(&[places, &[7]].concat());
    let x = b.add("fc", op::Linear { input: 7, output: 4, bias: true }, &[0]).unwrap();
    drawn(&b.finish(x).unwrap(), true)
}

/// The input relevance of a single-layer network, and the relevance absorbed by the layer.
fn through(graph: &Arc<Graph>, x: &Tensor, r: &Tensor, rule: Lrp) -> (Vec<f64>, LedgerEntry) {
    let trace = graph.forward(x).unwrap();
    let composite = Composite::gradient().with(Selector::parse("linear").unwrap(), rule.rule());
    let relevance = Walk { composite, ..Walk::gradient(&trace, vec![(graph.output, r.clone())]) }.run().unwrap();
    (numbers(relevance.input().unwrap()), relevance.ledger[&graph.output].clone())
}

#[test]
fn every_rule_treats_each_row_of_tokens_and_of_channels_last_maps_alone() {
    let full = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
    let rules = |bias| {
        [
            Lrp::Epsilon(0.1, bias),
            Lrp::Gamma(0.25, bias),
            Lrp::AlphaBeta(1.0, 0.0, bias),
            Lrp::AlphaBeta(2.0, 1.0, bias),
            Lrp::Reweigh { positive: 1.25, negative: 1.0, epsilon: 1e-9, bias },
            Lrp::WSquare(bias),
            Lrp::Stabilized(Box::new(Lrp::AlphaBeta(1.0, 0.0, bias)), Stabilizer::Signed(0.2)),
            Lrp::Stabilized(Box::new(Lrp::Epsilon(0.1, bias)), Stabilizer::Plain(0.3)),
        ]
    };
    let all = [Bias::Split, Bias::Full, Bias::Zero].into_iter().flat_map(rules);
    let all: Vec<_> = all.chain([Lrp::Flat, Lrp::ZBox(full(-1.0), full(1.0))]).collect();
    // As many tokens as channels: a bias along the wrong dimension would fit.
    for places in [vec![5], vec![4], vec![1], vec![3, 2], vec![4, 4], vec![2, 1, 3]] {
        let rows = 2 * places.iter().product::<usize>();
        let mut random = Random(29);
        let x = random.tensor(&[&[2][..], &places, &[7]].concat());
        let r = random.tensor(&[&[2][..], &places, &[4]].concat());
        let (wide, flat) = (dense(&places), dense(&[]));
        for rule in &all {
            let (ours, kept) = through(&wide, &x, &r, rule.clone());
            let (x, r) = (x.reshape((rows, 7)).unwrap(), r.reshape((rows, 4)).unwrap());
            let (expected, entry) = through(&flat, &x, &r, rule.clone());
            let far = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-9, "{rule} on {places:?}: {far:e}");
            for (a, b) in [(kept.into, entry.into), (kept.out, entry.out), (kept.kept.total(), entry.kept.total())] {
                assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{rule} on {places:?}: {kept:?} and {entry:?}");
            }
            assert!(kept.other().abs() < 1e-6 * (1.0 + kept.into.abs()), "{rule} on {places:?}: {kept:?}");
        }
    }
}

#[test]
fn lrp_epsilon_on_tokens_follows_its_formula_in_plain_and_in_fused_runs() {
    let mut random = Random(31);
    let (x, r) = (random.tensor(&[2, 4, 7]), random.tensor(&[2, 4, 4]));
    let graph = dense(&[4]);
    let weights = graph.weights();
    let (w, b) = (numbers(&weights["fc.weight"]), numbers(&weights["fc.bias"]));
    let (xs, rs) = (numbers(&x), numbers(&r));
    let (mut expected, mut bias) = (vec![0.0; xs.len()], 0.0);
    for row in 0..8 {
        for j in 0..4 {
            let z = b[j] + (0..7).map(|i| xs[row * 7 + i] * w[j * 7 + i]).sum::<f64>();
            let s = rs[row * 4 + j] / (z + 0.1 * if z >= 0.0 { 1.0 } else { -1.0 });
            (0..7).for_each(|i| expected[row * 7 + i] += xs[row * 7 + i] * w[j * 7 + i] * s);
            bias += b[j] * s;
        }
    }
    let single = weights.iter().map(|(name, w)| (name.clone(), w.to_dtype(DType::F32).unwrap())).collect();
    let fused = Arc::new(graph.with_weights(single).unwrap());
    for (graph, dtype, bound) in [(graph, DType::F64, 1e-12), (fused, DType::F32, 1e-5)] {
        let [x, r] = [&x, &r].map(|t| t.to_dtype(dtype).unwrap());
        assert_eq!(graph.forward(&x).unwrap().fused().is_some(), dtype == DType::F32);
        let (ours, entry) = through(&graph, &x, &r, Lrp::Epsilon(0.1, Bias::Split));
        let far = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(
            far < bound && (entry.kept.bias - bias).abs() < 10.0 * bound,
            "{dtype:?}: {far:e}, {entry:?} and {bias}"
        );
    }
}

#[test]
fn the_box_rule_says_which_layers_it_is_for() {
    let low = Tensor::zeros((1, 3, 1, 1), DType::F64, &Device::Cpu).unwrap();
    let graph = dense(&[4]);
    let trace = graph.forward(&Random(1).tensor(&[1, 4, 7])).unwrap();
    let rule = Lrp::ZBox(low.clone(), low.ones_like().unwrap()).rule();
    let composite = Composite::gradient().with(Selector::parse("linear").unwrap(), rule);
    let seed = Random(2).tensor(&[1, 4, 4]);
    let error = Walk { composite, ..Walk::gradient(&trace, vec![(graph.output, seed)]) }.run().unwrap_err();
    assert!(
        format!("{error:#}").contains("the layer's input of shape [1, 4, 7]; choose a rule without bounds"),
        "{error:#}"
    );
}

#[test]
fn an_unfolded_batch_norm_distributes_by_magnitude() {
    let mut b = Builder::new(&[2, 4, 4]);
    let x = b.add("bn", op::BatchNorm::new(2, 1e-5), &[0]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 32, output: 3, bias: false }, &[x]).unwrap();
    let graph = drawn(&b.finish(x).unwrap(), true);
    let relevance = relevance(&graph, vec![("batch_norm", Lrp::Absolute), ("linear", EPSILON)]);
    assert_accounted(&relevance);
    let norm = graph.find("bn").unwrap();
    let (into, out) = (numbers(&relevance.values[&norm]), numbers(relevance.input().unwrap()));
    let x = ((Random(5).tensor(&[1, 2, 4, 4]) + 1.0).unwrap() * 0.5).unwrap();
    let value = |x: &Tensor| numbers(&graph.nodes[norm].forward(&[x]).unwrap());
    let (y, shift) = (value(&x), value(&x.zeros_like().unwrap()));
    for i in 0..32 {
        let own = (y[i] - shift[i]).abs();
        let expected = into[i] * own / (own + shift[i].abs());
        assert!((out[i] - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{i}: {} and {expected}", out[i]);
    }
}

#[test]
fn a_proportional_pool_distributes_relevance_by_value() {
    let mut b = Builder::new(&[1, 2, 2]);
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let x = b.add("pool", op::MaxPool { pool }, &[0]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let graph = Arc::new(b.finish(x).unwrap());
    let x = Tensor::new(&[[[[1.0f64, 2.0], [3.0, 4.0]]]], &Device::Cpu).unwrap();
    let trace = graph.forward(&x).unwrap();
    let rule = Lrp::Proportional.rule();
    let composite = Composite::gradient().with(Selector::parse("max_pool").unwrap(), rule);
    let seed = Tensor::new(&[[10.0f64]], &Device::Cpu).unwrap();
    let relevance = Walk { composite, ..Walk::gradient(&trace, vec![(graph.output, seed)]) }.run().unwrap();
    let shares = numbers(relevance.input().unwrap());
    assert!(shares.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{shares:?}");
}

/// A transformer block over 5 tokens of 8 features, after a class token and position embeddings; a gate weights the class token.
fn block() -> Arc<Graph> {
    let mut b = Builder::new(&[5, 8]);
    let linear = || op::Linear { input: 8, output: 8, bias: true };
    let norm = || op::LayerNorm { normalized_shape: vec![8], epsilon: 1e-5, affine: true, bias: true };
    let class = b.add("class", op::Parameter { shape: vec![1, 1, 8], batch: true }, &[]).unwrap();
    let place = b.add("place", op::Parameter { shape: vec![1, 6, 8], batch: true }, &[]).unwrap();
    let x = b.add("tokens", op::Concat { dim: 1 }, &[class, 0]).unwrap();
    let x = b.add("placed", op::Add, &[x, place]).unwrap();
    let y = b.add("norm", norm(), &[x]).unwrap();
    let [q, k, v] = ["q", "k", "v"].map(|name| b.add(name, linear(), &[y]).unwrap());
    let k = b.add("k_t", op::Transpose { dim0: 1, dim1: 2 }, &[k]).unwrap();
    let scores = b.add("scores", op::Matmul, &[q, k]).unwrap();
    let scores = b.add("scaled", op::Scale { factor: 0.5, shift: 0.0 }, &[scores]).unwrap();
    let weights = b.add("softmax", op::Softmax { dim: 2 }, &[scores]).unwrap();
    let y = b.add("mixed", op::Matmul, &[weights, v]).unwrap();
    let layer_scale = b.add("gamma", op::Parameter { shape: vec![1, 8], batch: false }, &[]).unwrap();
    let y = b.add("layer_scale", op::Mul, &[y, layer_scale]).unwrap();
    let x = b.add("residual", op::Add, &[x, y]).unwrap();
    let x = b.add("rms", op::RmsNorm { features: 8, epsilon: 1e-6, affine: true }, &[x]).unwrap();
    let x = b.add("select", op::Select { dim: 1, index: 0 }, &[x]).unwrap();
    let gate = b.add("fc", linear(), &[x]).unwrap();
    let gate = b.add("sigmoid", op::Sigmoid, &[gate]).unwrap();
    let x = b.add("gated", op::Mul, &[x, gate]).unwrap();
    let x = b.add("head", op::Linear { input: 8, output: 4, bias: true }, &[x]).unwrap();
    drawn(&b.finish(x).unwrap(), true)
}

/// AttnLRP, or CP-LRP with `conservative`.
fn attention_rules(conservative: bool) -> Vec<(&'static str, Lrp)> {
    let product = if conservative { Lrp::SignalTakesAll(1e-9) } else { Lrp::Bilinear(1e-9) };
    vec![
        ("linear|scale", EPSILON),
        ("layer_norm|rms_norm", Lrp::DetachedStd(1e-9, Bias::Full)),
        ("softmax", Lrp::Softmax),
        ("mul|matmul", product),
        ("sigmoid", Lrp::Pass),
    ]
}

#[test]
fn the_ledger_of_a_transformer_accounts_for_all_relevance() {
    for conservative in [false, true] {
        let relevance = relevance(&block(), attention_rules(conservative));
        assert_accounted(&relevance);
        let entry = |name: &str| relevance.ledger[&relevance.graph.find(name).unwrap()].clone();
        let kept: f64 = relevance.ledger.values().map(|e| e.kept.total()).sum();
        let (from, to) = (start(&relevance), sum(&relevance));
        assert!((from - to - kept).abs() < 1e-4 * from.abs().max(to.abs()), "{from} − {to} − {kept}");
        for absorbs in ["norm", "placed", "tokens", "head"] {
            assert!(entry(absorbs).kept.bias.abs() > 1e-6, "{absorbs}: {:?}", entry(absorbs));
        }
        for passes in ["layer_scale", "gated", "mixed", "rms", "select", "k_t"] {
            let e = entry(passes);
            assert!((e.into - e.out).abs() < 1e-4 * (1.0 + e.into.abs()), "{passes} conserves relevance: {e:?}");
        }
        assert_eq!(entry("softmax").kept.bias.abs() > 1e-6, !conservative, "{:?}", entry("softmax"));
        let reached = |name: &str| numbers(relevance.get(name).unwrap()).iter().map(|v| v.abs()).sum::<f64>();
        assert_eq!(reached("q") > 0.0, !conservative);
        assert_eq!(reached("fc") > 0.0, !conservative, "the gate");
        assert!(reached("v") > 0.0);
    }
}

/// The relevance that a rule gives to each input of the node `name`, for relevance `r` of its value.
fn at_node(graph: &Arc<Graph>, name: &str, x: &Tensor, r: impl Fn(&[usize]) -> Tensor, rule: Lrp) -> Vec<Vec<f64>> {
    let trace = graph.forward(x).unwrap();
    let site = trace.site(graph.find(name).unwrap());
    let r = r(trace.get(name).unwrap().dims());
    rule.rule()(&site, &r).unwrap().iter().map(numbers).collect()
}

#[test]
fn factors_of_a_product_get_half_each_and_constants_and_gates_nothing() {
    let graph = block();
    let x = Random(3).tensor(&[1, 5, 8]);
    let one = |dims: &[usize]| Tensor::ones(dims, DType::F64, &Device::Cpu).unwrap();
    let all = |value: f64, list: &[f64]| assert!(list.iter().all(|&v| (v - value).abs() < 1e-12), "{value}: {list:?}");
    let of = |name: &str, rule: Lrp| at_node(&graph, name, &x, one, rule);
    let [half, signal] = [Lrp::Bilinear(1e-9), Lrp::SignalTakesAll(1e-9)];
    let gated = of("gated", half.clone());
    all(0.5, &gated[0]);
    all(0.5, &gated[1]);
    let gated = of("gated", signal.clone());
    all(1.0, &gated[0]);
    all(0.0, &gated[1]);
    let scaled = of("layer_scale", half.clone());
    all(1.0, &scaled[0]);
    all(0.0, &scaled[1]);
    let mixed = of("mixed", signal);
    all(0.0, &mixed[0]);
    let total = |list: &[f64]| list.iter().sum::<f64>();
    assert!((total(&mixed[1]) - 48.0).abs() < 1e-3, "{}", total(&mixed[1]));
    let scores = of("scores", half);
    assert!((total(&scores[0]) - 18.0).abs() < 1e-3 && (total(&scores[1]) - 18.0).abs() < 1e-3, "half of 36 each");
}

#[test]
fn softmax_and_norms_follow_their_formulas() {
    let graph = block();
    let x = Random(3).tensor(&[1, 5, 8]);
    let trace = graph.forward(&x).unwrap();
    let value = |name: &str| numbers(trace.get(name).unwrap());
    let r = |dims: &[usize]| Random(4).tensor(dims);
    let near = |what: &str, ours: &[f64], theirs: &[f64]| {
        let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(ours.len() == theirs.len() && apart < 1e-9, "{what}: {apart:e}");
    };
    let (input, s, rs) = (value("scaled"), value("softmax"), numbers(&r(&[1, 6, 6])));
    let expected: Vec<_> =
        (0..36).map(|i| input[i] * (rs[i] - s[i] * rs[i / 6 * 6..i / 6 * 6 + 6].iter().sum::<f64>())).collect();
    near("softmax", &at_node(&graph, "softmax", &x, r, Lrp::Softmax)[0], &expected);

    let (input, y, rs) = (value("placed"), value("norm"), numbers(&r(&[1, 6, 8])));
    let rows = (0..6).flat_map(|row| {
        let at = row * 8..row * 8 + 8;
        let (x, y, r) = (&input[at.clone()], &y[at.clone()], &rs[at]);
        let mean = x.iter().sum::<f64>() / 8.0;
        let std = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 8.0 + 1e-5).sqrt();
        let q: Vec<_> = (0..8).map(|j| r[j] / (y[j] + 0.1 * if y[j] < 0.0 { -1.0 } else { 1.0 }) / std).collect();
        let shared = q.iter().sum::<f64>() / 8.0;
        (0..8).map(|j| x[j] * (q[j] - shared)).collect::<Vec<_>>()
    });
    let ours = at_node(&graph, "norm", &x, r, Lrp::DetachedStd(0.1, Bias::Full));
    near("layer norm", &ours[0], &rows.collect::<Vec<_>>());
}

#[test]
fn rules_for_attention_say_which_layers_they_are_for() {
    let graph = block();
    let trace = graph.forward(&Random(3).tensor(&[1, 5, 8])).unwrap();
    let site = trace.site(graph.find("head").unwrap());
    let r = Tensor::ones((1, 4), DType::F64, &Device::Cpu).unwrap();
    for (rule, says) in [
        (Lrp::Softmax, "softmax_taylor applies to softmax"),
        (Lrp::Bilinear(0.1), "apply to mul, matmul and div"),
        (Lrp::DetachedStd(0.1, Bias::Full), "applies to layer_norm"),
    ] {
        let error = format!("{:#}", rule.rule()(&site, &r).unwrap_err());
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn attention_is_found_by_its_structure() {
    let graph = block();
    let [layer] = graph.attention()[..] else { panic!("{:?}", graph.attention()) };
    let names = [layer.weights, layer.scores, layer.product, layer.queries, layer.keys, layer.values];
    assert_eq!(names.map(|id| graph.nodes[id].name.as_str()), ["softmax", "scores", "mixed", "q", "k_t", "v"]);
    let sizes = layer.sizes(&graph);
    assert_eq!([sizes.windows, sizes.heads, sizes.tokens, sizes.sources], [1, 1, 6, 6]);
    assert!(resnet50(false).attention().is_empty());
}
