//! Properties of backward passes.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::Tensor;
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::exec::Trace;
use gradscope::explain::{Composite, Rule, Selector, Walk, logit};
use gradscope::graph::op::Saved;
use gradscope::graph::{Builder, Graph, op};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

fn conv(input: usize, output: usize, bias: bool) -> op::Conv {
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    op::Conv { input, output, kernel: (3, 3), slide, bias }
}

/// A network with a skip connection, a concatenation and a pool, in f64.
fn network(bias: bool) -> Arc<Graph> {
    let mut b = Builder::new(&[2, 6, 6]);
    let first = b.add("conv1", conv(2, 3, bias), &[0]).unwrap();
    let first = b.add("relu1", op::Relu, &[first]).unwrap();
    let second = b.add("conv2", conv(3, 3, bias), &[first]).unwrap();
    let sum = b.add("add", op::Add, &[second, first]).unwrap();
    let sum = b.add("relu2", op::Relu, &[sum]).unwrap();
    let both = b.add("cat", op::Concat::default(), &[sum, first]).unwrap();
    let pool = Pool2d { h: Window::new(3, 2, 0, 1), w: Window::new(3, 2, 0, 1), ceil_mode: true };
    let x = b.add("pool", op::MaxPool { pool }, &[both]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 54, output: 4, bias }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let mut r = Random(3);
    let weights = graph.parameters().into_iter().map(|p| (p.name, (r.tensor(&p.shape) * 0.5).unwrap()));
    Arc::new(graph.with_weights(weights.collect()).unwrap())
}

fn trace(graph: &Arc<Graph>) -> Trace {
    graph.forward(&Random(5).tensor(&[2, 2, 6, 6])).unwrap()
}

fn seed(trace: &Trace, class: usize) -> Vec<(usize, Tensor)> {
    vec![(trace.graph.output, logit(&trace.logits().unwrap(), &[class]).unwrap())]
}

fn class_score(graph: &Arc<Graph>, x: &Tensor, class: usize) -> f64 {
    numbers(&graph.forward(x).unwrap().logits().unwrap().narrow(1, class, 1).unwrap()).iter().sum()
}

#[test]
fn the_gradient_through_skips_and_concatenations_matches_finite_differences() {
    let graph = network(true);
    let trace = trace(&graph);
    let gradient = numbers(Walk::gradient(&trace, seed(&trace, 2)).run().unwrap().input().unwrap());
    for place in (0..gradient.len()).step_by(7) {
        let moved = |by: f64| {
            let mut x = numbers(trace.input());
            x[place] += by;
            class_score(&graph, &Tensor::from_vec(x, trace.input().dims(), trace.input().device()).unwrap(), 2)
        };
        let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        assert!((gradient[place] - slope).abs() < 1e-6, "{place}: {} instead of {slope}", gradient[place]);
    }
}

#[test]
fn parameter_gradients_match_finite_differences() {
    let graph = network(true);
    let trace = trace(&graph);
    let walk = Walk { params: true, to: vec![], keep: false, ..Walk::gradient(&trace, seed(&trace, 1)) };
    let answer = walk.run().unwrap();
    assert_eq!(answer.params.len(), 6);
    for (name, gradient) in &answer.params {
        for place in [0, numbers(gradient).len() - 1] {
            let moved = |by: f64| {
                let mut weights: BTreeMap<_, _> = graph.weights();
                let mut w = numbers(&weights[name]);
                w[place] += by;
                let tensor = Tensor::from_vec(w, weights[name].dims(), trace.input().device()).unwrap();
                weights.insert(name.clone(), tensor);
                class_score(&Arc::new(graph.with_weights(weights).unwrap()), trace.input(), 1)
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let ours = numbers(gradient)[place];
            assert!((ours - slope).abs() < 1e-6 * (1.0 + slope.abs()), "{name}[{place}]: {ours} instead of {slope}");
        }
    }
}

#[test]
fn several_seeds_add_up() {
    let graph = network(true);
    let trace = trace(&graph);
    let inner = graph.find("relu1").unwrap();
    let own = vec![(inner, trace.value(inner).unwrap().ones_like().unwrap())];
    let walk = |seeds| Walk::gradient(&trace, seeds).run().unwrap().input().unwrap().clone();
    let both = walk([seed(&trace, 0), own.clone()].concat());
    assert_close("both", &both, &(walk(seed(&trace, 0)) + walk(own)).unwrap(), 1e-12);
}

#[test]
fn a_backward_pass_to_a_layer_visits_only_the_nodes_down_to_it() {
    let graph = network(true);
    let trace = trace(&graph);
    let passed = RefCell::new(vec![]);
    let tick = |node: &gradscope::graph::Node| {
        passed.borrow_mut().push(node.name.clone());
        Ok(())
    };
    let to = graph.find("relu2").unwrap();
    let answer =
        Walk { to: vec![to], keep: false, tick: &tick, ..Walk::gradient(&trace, seed(&trace, 0)) }.run().unwrap();
    assert_eq!(answer.values.keys().copied().collect::<Vec<_>>(), [to]);
    assert_eq!(*passed.borrow(), ["fc", "flatten", "pool", "cat", "relu2"]);
    let whole = Walk::gradient(&trace, seed(&trace, 0)).run().unwrap();
    assert_close("at relu2", &answer.values[&to], whole.get("relu2").unwrap(), 1e-15);
    assert!(answer.input().unwrap_err().to_string().contains("did not reach layer"));
}

/// A rule that returns zero for every input.
fn nothing<'a>() -> Rule<'a> {
    Box::new(|site, _| Ok((0..site.reads()).map(|i| site.x(i).unwrap().zeros_like().unwrap()).collect()))
}

/// The gradient, as a rule.
fn gradient<'a>() -> Rule<'a> {
    Box::new(|site, r| (0..site.reads()).map(|i| site.vjp(r, i)).collect())
}

fn composite<'a>(rules: Vec<(&str, Rule<'a>)>) -> Composite<'a> {
    let add = |all: Composite<'a>, (name, rule)| all.with(Selector::parse(name).unwrap(), rule);
    rules.into_iter().fold(Composite::gradient(), add)
}

#[test]
fn the_first_matching_rule_applies() {
    let graph = network(true);
    let trace = trace(&graph);
    let walk = |rules| {
        let walk = Walk { composite: composite(rules), ..Walk::gradient(&trace, seed(&trace, 0)) };
        walk.run().unwrap().input().unwrap().clone()
    };
    let plain = walk(vec![]);
    let same = walk(vec![("conv|linear|relu|add|concat|max_pool|flatten", gradient()), ("conv", nothing())]);
    assert_close("the gradient as a rule", &same, &plain, 1e-15);
    assert!(numbers(&walk(vec![("conv1", nothing()), ("conv", gradient())])).iter().all(|v| *v == 0.0));
}

#[test]
fn relevance_by_the_epsilon_rule_is_conserved_without_biases() {
    let graph = network(false);
    let trace = trace(&graph);
    let epsilon: Rule = Box::new(|site, r| {
        let share = (r / gradscope::tensor::stabilize(site.y().unwrap(), 1e-9)?)?;
        (0..site.reads()).map(|i| Ok((site.x(i).unwrap() * site.vjp(&share, i)?)?)).collect()
    });
    let rules = composite(vec![("conv|linear|add", epsilon), ("relu", Box::new(|_, r| Ok(vec![r.clone()])))]);
    let output = trace.graph.output;
    let start = (logit(&trace.logits().unwrap(), &[1]).unwrap() * trace.logits().unwrap()).unwrap();
    let total: f64 = numbers(&start).iter().sum();
    let walk = Walk { composite: rules, ..Walk::gradient(&trace, vec![(output, start)]) };
    let answer = walk.run().unwrap();
    let arrived: f64 = numbers(answer.input().unwrap()).iter().sum();
    assert!((arrived - total).abs() < 1e-6 * total.abs(), "{arrived} of {total} arrived");
}

#[test]
fn a_seed_or_rule_result_of_the_wrong_shape_is_an_error() {
    let graph = network(true);
    let trace = trace(&graph);
    let wrong = Walk::gradient(&trace, vec![(graph.output, Random(1).tensor(&[2, 3]))]).run().unwrap_err();
    assert!(wrong.to_string().contains("a seed of shape [2, 3] at \"fc\""), "{wrong}");
    let composite = composite(vec![("linear", Box::new(|_, r| Ok(vec![r.clone()])))]);
    let wrong = Walk { composite, ..Walk::gradient(&trace, seed(&trace, 0)) }.run().unwrap_err();
    assert!(format!("{wrong:#}").contains("at layer \"fc\": the rule returned relevance of shape"), "{wrong:#}");
}

#[test]
fn folding_batch_norms_preserves_values_and_gradients() {
    let mut b = Builder::new(&[2, 6, 6]);
    let x = b.add("conv1", conv(2, 3, false), &[0]).unwrap();
    let x = b.add("bn1", op::BatchNorm::new(3, 1e-5), &[x]).unwrap();
    let first = b.add("relu1", op::Relu, &[x]).unwrap();
    let conv2 = op::StdConv { conv: conv(3, 3, true), epsilon: 1e-5 };
    let x = b.add("conv2", conv2, &[first]).unwrap();
    let x = b.add("bn2", op::BatchNorm::new(3, 1e-5), &[x]).unwrap();
    let x = b.add("add", op::Add, &[x, first]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 108, output: 4, bias: true }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let mut r = Random(8);
    let weight = |p: gradscope::graph::Parameter| {
        let t = r.tensor(&p.shape);
        (p.name.clone(), if p.name.ends_with("running_var") { (t.sqr().unwrap() + 0.5).unwrap() } else { t })
    };
    let graph = Arc::new(graph.with_weights(graph.parameters().into_iter().map(weight).collect()).unwrap());
    let folded = graph.folded().unwrap();
    assert!(folded.nodes.iter().all(|n| n.op.kind() != "batch_norm"));
    let (before, after) = (trace(&graph), trace(&folded));
    for name in ["bn1", "relu1", "bn2", "fc"] {
        assert_close(name, after.get(name).unwrap(), before.get(name).unwrap(), 1e-12);
    }
    let gradient = |t: &Trace| Walk::gradient(t, seed(t, 1)).run().unwrap().input().unwrap().clone();
    assert_close("gradient", &gradient(&after), &gradient(&before), 1e-12);
}

#[test]
fn parameter_gradients_are_those_of_the_weights_in_the_file_where_a_layer_standardizes_them() {
    let mut b = Builder::new(&[2, 6, 6]);
    let x = b.add("conv", op::StdConv { conv: conv(2, 3, true), epsilon: 1e-5 }, &[0]).unwrap();
    let x = b.add("sin", op::Sin, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let mut r = Random(11);
    let weights: BTreeMap<_, _> = graph.parameters().into_iter().map(|p| (p.name, r.tensor(&p.shape))).collect();
    let score = |weights: &BTreeMap<String, Tensor>| {
        let trace = trace(&Arc::new(graph.with_weights(weights.clone()).unwrap()));
        (numbers(&trace.logits().unwrap().narrow(1, 5, 1).unwrap()).iter().sum::<f64>(), trace)
    };
    let (_, at) = score(&weights);
    let seeds = vec![(graph.output, logit(&at.logits().unwrap(), &[5, 5]).unwrap())];
    let gradients = Walk { params: true, ..Walk::gradient(&at, seeds) }.run().unwrap().params;
    for (name, weight) in &weights {
        for (place, ours) in numbers(&gradients[name]).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut values = numbers(weight);
                values[place] += by;
                let tensor = Tensor::from_vec(values, weight.dims(), weight.device()).unwrap();
                let mut weights = weights.clone();
                weights.insert(name.clone(), tensor);
                score(&weights).0
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((ours - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{name}, {place}: {ours} instead of {slope}");
        }
    }
}

/// A convolution and its batch norm, without weights; the convolution's value is the class scores.
fn scores_before_the_norm() -> Graph {
    let mut b = Builder::new(&[2, 6, 6]);
    let scores = b.add("conv", conv(2, 3, false), &[0]).unwrap();
    b.set_logits(scores);
    let end = b.add("bn", op::BatchNorm::new(3, 1e-5), &[scores]).unwrap();
    b.finish(end).unwrap()
}

#[test]
fn a_batch_norm_over_tokens_is_not_folded_into_the_linear_layer_before_it() {
    let mut b = Builder::new(&[4, 7]);
    let x = b.add("fc", op::Linear { input: 7, output: 4, bias: true }, &[0]).unwrap();
    let x = b.add("norm", op::BatchNorm::new(4, 1e-5), &[x]).unwrap();
    let x = b.add("end", op::Flatten, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let mut random = Random(7);
    let weights =
        graph.parameters().into_iter().map(|p| (p.name, (random.tensor(&p.shape).abs().unwrap() + 0.1).unwrap()));
    let weights = weights.collect();
    let graph = Arc::new(graph.with_weights(weights).unwrap());
    let x = random.tensor(&[2, 4, 7]);
    let end = |graph: &Arc<Graph>| numbers(&graph.forward(&x).unwrap().logits().unwrap());
    let (plain, folded) = (end(&graph), end(&graph.folded().unwrap()));
    assert!(plain.iter().zip(&folded).all(|(a, b)| (a - b).abs() < 1e-9), "{plain:?} and {folded:?}");
}

#[test]
fn folding_does_not_change_a_layer_that_holds_the_class_scores() {
    let graph = scores_before_the_norm();
    let mut r = Random(9);
    let weight = |p: gradscope::graph::Parameter| (p.name.clone(), (r.tensor(&p.shape) + 1.5).unwrap());
    let graph = Arc::new(graph.with_weights(graph.parameters().into_iter().map(weight).collect()).unwrap());
    let folded = graph.folded().unwrap();
    let (before, after) = (trace(&graph), trace(&folded));
    assert_close("class scores", &after.logits().unwrap(), &before.logits().unwrap(), 1e-12);
    assert_close("bn", after.get("bn").unwrap(), before.get("bn").unwrap(), 1e-12);
}

#[test]
fn folding_without_weights_is_an_error_that_says_so() {
    let mut graph = scores_before_the_norm();
    graph.logits = 2;
    let error = graph.folded().unwrap_err().to_string();
    assert!(error.contains("layer \"conv\" has no weights to fold"), "{error}");
}
