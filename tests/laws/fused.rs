//! Fused runs agree with node-by-node runs: values and gradients of all nodes.

use crate::common::random::{Random, numbers};
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::exec::{PixelWindow, Trace};
use gradscope::explain::Walk;
use gradscope::graph::op::{Family, Op, OpSpec, SPECS};
use gradscope::graph::{Builder, Graph, NodeId, op};
use std::sync::Arc;

/// Number of nodes of a random network.
const NODES: usize = 22;

/// Generates networks in which any operation may follow any other, values have several readers, and concatenations are nested.
struct Draw {
    random: Random,
    builder: Builder,
    maps: Vec<NodeId>,
    /// Whether to use max pools rather than saturating activations: with both, windows have ties that rounding decides.
    pools: bool,
}

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.random.between(0, n - 1)
    }

    /// A recent map, so that networks become deep.
    fn map(&mut self) -> NodeId {
        let recent = self.maps.len().min(4);
        let back = self.below(recent);
        self.maps[self.maps.len() - 1 - back]
    }

    fn conv(&mut self, from: NodeId, output: usize, stride: usize) -> NodeId {
        let input = self.builder.shape(from)[1];
        let k = [1, 3, 5][self.below(3)];
        // Ungrouped, grouped, or depthwise.
        let groups = match self.below(4) {
            0 if output.is_multiple_of(input) => input,
            1 if input.is_multiple_of(2) && output.is_multiple_of(2) => 2,
            _ => 1,
        };
        let slide = Conv2d { stride: (stride, stride), padding: (k / 2, k / 2), groups, ..Conv2d::default() };
        let bias = self.below(2) == 0;
        let conv = op::Conv { input, output, kernel: (k, k), slide, bias };
        if k > 1 && output.is_multiple_of(3) {
            return self.add(op::StdConv { conv, epsilon: 1e-3 }, &[from]);
        }
        self.add(conv, &[from])
    }

    /// Pooling windows that keep the map's size, or any others that fit it: dilated up to `dilation`, extending past the edge,
    /// or larger than the map.
    fn pool(&mut self, size: [usize; 2], dilation: usize) -> Option<Pool2d> {
        if self.below(3) == 0 {
            let window = Window::new(3, 1, 1, 1);
            return Some(Pool2d { h: window, w: window, ceil_mode: false });
        }
        let mut window = || {
            let (kernel, dilation) = (1 + self.below(4), 1 + self.below(dilation));
            let padding = if dilation == 1 { self.below(kernel / 2 + 1) } else { 0 };
            Window::new(kernel, 1 + self.below(3), padding, dilation)
        };
        let pool = Pool2d { h: window(), w: window(), ceil_mode: self.below(3) > 0 };
        pool.output(size[0], size[1]).is_ok().then_some(pool)
    }

    fn add(&mut self, op: impl Op + 'static, from: &[NodeId]) -> NodeId {
        let name = format!("{}{}", op.kind(), self.below(1 << 40));
        self.builder.add(&name, op, from).unwrap()
    }

    /// Any of the fusible activations, including those added in the future.
    fn activation(&mut self, x: NodeId) -> NodeId {
        let all: Vec<_> = SPECS.iter().filter(|spec| spec.family == Family::Activation).collect();
        let fuses = |op: &Arc<dyn Op>| matches!(op.pattern(&[1]), op::Pattern::Activation(_));
        loop {
            let (spec, seed): (&OpSpec, _) = (all[self.below(all.len())], self.below(1 << 20) as u64);
            let op = (spec.draw)(&mut op::Draw::new(seed)).op;
            if fuses(&op) && !(self.pools && saturates(&*op)) {
                let name = format!("{}{}", op.kind(), self.below(1 << 40));
                return self.builder.add_shared(&name, op, &[x]).unwrap();
            }
        }
    }

    /// Turns a map's pixels into tokens, applies layers over their features, and turns them back into a map.
    fn tokens(&mut self, x: NodeId) -> NodeId {
        let [_, c, h, w] = self.builder.shape(x).to_vec()[..] else { unreachable!("a map") };
        let rows = self.add(op::Permute { dims: vec![0, 2, 3, 1] }, &[x]);
        let tokens = self.add(op::Reshape { dims: vec![Some(h * w), Some(c)] }, &[rows]);
        let normed =
            self.add(op::LayerNorm { normalized_shape: vec![c], epsilon: 1e-3, affine: true, bias: true }, &[tokens]);
        let wide = self.add(op::Linear { input: c, output: 2 * c, bias: true }, &[normed]);
        let wide = self.activation(wide);
        let narrow = self.add(op::Linear { input: 2 * c, output: c, bias: false }, &[wide]);
        let scale = self.add(op::Parameter { shape: vec![1, c], batch: false }, &[]);
        let scaled = self.add(op::Mul, &[narrow, scale]);
        let sum = self.add(op::Add, &[tokens, scaled]);
        let maps = self.add(op::Reshape { dims: vec![Some(h), Some(w), Some(c)] }, &[sum]);
        self.add(op::Permute { dims: vec![0, 3, 1, 2] }, &[maps])
    }

    /// Attention over a map's pixels, with the heads in any order in memory, or within windows, or for some tokens only.
    fn attention(&mut self, x: NodeId) -> NodeId {
        let [_, c, h, w] = self.builder.shape(x).to_vec()[..] else { unreachable!("a map") };
        let (t, heads, d) = (h * w, 1 + self.below(3), 1 + self.below(9));
        let flat = self.add(op::Reshape { dims: vec![Some(c), None] }, &[x]);
        let tokens = self.add(op::Transpose { dim0: 1, dim1: 2 }, &[flat]);
        let [q, k, v] = if self.below(2) == 0 {
            let all = self.add(op::Linear { input: c, output: 3 * heads * d, bias: true }, &[tokens]);
            let all = self.add(op::Reshape { dims: [t, 3, heads, d].map(Some).to_vec() }, &[all]);
            let all = self.add(op::Permute { dims: vec![0, 2, 3, 1, 4] }, &[all]);
            [0, 1, 2].map(|index| self.add(op::Select { dim: 1, index }, &[all]))
        } else {
            [0; 3].map(|_| {
                let part = self.add(op::Linear { input: c, output: heads * d, bias: false }, &[tokens]);
                let part = self.add(op::Reshape { dims: [t, heads, d].map(Some).to_vec() }, &[part]);
                self.add(op::Transpose { dim0: 1, dim1: 2 }, &[part])
            })
        };
        // Sometimes, an elementwise layer reads a view as well.
        let q = if self.below(3) == 0 { self.add(op::Tanh, &[q]) } else { q };
        let some = self.below(3) == 0;
        let v = if some { self.add(op::Add, &[v, k]) } else { v };
        let turned = self.add(op::Transpose { dim0: 2, dim1: 3 }, &[k]);
        let scores = self.add(op::Matmul, &[q, turned]);
        let scores = self.add(op::Scale { factor: 0.3, shift: 0.0 }, &[scores]);
        let scores = if some {
            // A bias for pairs of tokens, as a table that is shifted and turned.
            let table = self.add(op::Parameter { shape: vec![1, t, t], batch: false }, &[]);
            let table = self.add(op::Scale { factor: -0.7, shift: 0.1 }, &[table]);
            let bias = self.add(op::Reshape { dims: vec![Some(1), Some(t), None] }, &[table]);
            let bias = self.add(op::Transpose { dim0: 2, dim1: 3 }, &[bias]);
            self.add(op::Add, &[bias, scores])
        } else {
            scores
        };
        let shares = self.add(op::Softmax { dim: 3 }, &[scores]);
        let mixed = self.add(op::Matmul, &[shares, v]);
        let rows = self.add(op::Transpose { dim0: 1, dim1: 2 }, &[mixed]);
        let rows = self.add(op::Reshape { dims: [t, heads * d].map(Some).to_vec() }, &[rows]);
        let rows = self.add(op::RmsNorm { features: heads * d, epsilon: 1e-3, affine: true }, &[rows]);
        let y = self.add(op::Linear { input: heads * d, output: c, bias: true }, &[rows]);
        let y = self.add(op::Add, &[y, tokens]);
        let y = self.add(op::Transpose { dim0: 1, dim1: 2 }, &[y]);
        self.add(op::Reshape { dims: [c, h, w].map(Some).to_vec() }, &[y])
    }

    fn node(&mut self) -> Option<NodeId> {
        let (x, other) = (self.map(), self.map());
        let (shape, others) = (self.builder.shape(x).to_vec(), self.builder.shape(other).to_vec());
        let channels = shape[1];
        Some(match self.below(20) {
            16 => self.activation(x),
            17 => self.activation(x),
            // A gate per channel, as in squeeze-and-excitation.
            18 => {
                let pooled = self.add(op::Mean { dims: vec![2, 3], keepdim: true }, &[x]);
                let gate = self.conv(pooled, channels, 1);
                let gate = self.add(op::Sigmoid, &[gate]);
                self.add(op::Mul, &[x, gate])
            }
            19 if shape[2] * shape[3] <= 200 && self.below(2) == 0 => self.attention(x),
            19 => self.tokens(x),
            0 | 1 => {
                let output = 1 + self.below(20);
                let stride = if shape[2] > 6 { 1 + self.below(2) } else { 1 };
                self.conv(x, output, stride)
            }
            2 | 3 => self.conv(x, channels, 1),
            4 | 5 => self.add(op::Relu, &[x]),
            6 => self.add(op::BatchNorm::new(channels, 1e-5), &[x]),
            7 if shape == others => self.add(op::Add, &[x, other]),
            8 if shape[2..] == others[2..] && channels + others[1] < 90 => self.add(op::Concat::default(), &[x, other]),
            9 => self.add(op::Dropout::default(), &[x]),
            10 if self.pools => {
                let pool = self.pool([shape[2], shape[3]], 2)?;
                self.add(op::MaxPool { pool }, &[x])
            }
            11 => {
                let pool = self.pool([shape[2], shape[3]], 1)?;
                let include_pad = self.below(2) == 0;
                self.add(op::AvgPool { pool, include_pad }, &[x])
            }
            12 => self.activation(x),
            14 if shape[2] > 6 => {
                let (dim, step) = (2 + self.below(2), 1 + self.below(2));
                let start = [0, 1, -5][self.below(3)];
                let x = self.add(op::Slice { dim, start, end: None, step }, &[x]);
                let end = [None, Some(-1)][self.below(2)];
                self.add(op::Slice { dim: 2, start: 0, end, step: 1 }, &[x])
            }
            15 if channels < 40 => {
                let (before, after) = (self.below(3), self.below(3));
                self.add(op::Pad { dim: 1, before, after, value: 0.0 }, &[x])
            }
            13 if shape == others => self.add(op::Mul, &[x, other]),
            _ => return None,
        })
    }
}

/// Whether it saturates, mapping different large inputs to the same value.
fn saturates(op: &dyn Op) -> bool {
    let y = op.forward(&[&Tensor::new(&[15f32, 30.0], &Device::Cpu).unwrap()], &[]).unwrap();
    let y = numbers(&y);
    (y[0] - y[1]).abs() < 1e-3
}

fn network(seed: u64) -> Arc<Graph> {
    network_for(seed, [12, 13])
}

fn network_for(seed: u64, size: [usize; 2]) -> Arc<Graph> {
    drawn(seed, size, true)
}

/// A network that flattens its last map, which ties it to one input size, or one that accepts any size.
fn drawn(seed: u64, [h, w]: [usize; 2], tied: bool) -> Arc<Graph> {
    let mut d =
        Draw { random: Random(seed), builder: Builder::new(&[3, h, w]), maps: vec![0], pools: seed.is_multiple_of(2) };
    if d.below(2) == 0 {
        let normalize = op::Normalize { mean: vec![0.4, 0.5, 0.6], std: vec![0.2, 0.3, 0.25] };
        let id = d.add(normalize, &[0]);
        d.maps = vec![id];
    }
    while d.maps.len() < NODES {
        if let Some(id) = d.node() {
            d.maps.push(id);
        }
    }
    let last = *d.maps.last().unwrap();
    let x = if d.below(2) == 0 && tied { last } else { d.add(op::GlobalAvgPool, &[last]) };
    let x = if d.builder.shape(x).len() == 2 { x } else { d.add(op::Flatten, &[x]) };
    let input = d.builder.shape(x)[1];
    let x = d.add(op::Linear { input, output: 6, bias: true }, &[x]);
    let x = d.add(op::Relu, &[x]);
    let x = d.add(op::Linear { input: 6, output: 4, bias: false }, &[x]);
    Arc::new(loaded(&d.builder.finish(x).unwrap(), &mut Random(seed + 1)))
}

/// The network with random weights, in f32.
fn loaded(graph: &Graph, r: &mut Random) -> Graph {
    let weights = graph.parameters().into_iter().map(|p| {
        let fan_in = p.shape.get(1..).unwrap_or_default().iter().product::<usize>().max(1) as f64;
        let drawn = (r.tensor(&p.shape) * (3.0 / fan_in).sqrt()).unwrap();
        (p.name.clone(), if p.name.ends_with("running_var") { (drawn.abs().unwrap() + 0.5).unwrap() } else { drawn })
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    graph.to(DType::F32, &Device::Cpu).unwrap()
}

/// The largest difference, relative to the largest magnitude.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (numbers(a), numbers(b));
    let most = b.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs() / most).fold(0.0, f64::max)
}

fn assert_same(what: &str, a: &Tensor, b: &Tensor) {
    let difference = difference(a, b);
    assert!(difference < 1e-3, "{what}: {difference}");
}

fn walk(trace: &Trace, seeds: &[(NodeId, Tensor)], to: NodeId) -> Option<Tensor> {
    let walk = Walk { to: vec![to], keep: false, ..Walk::gradient(trace, seeds.to_vec()) };
    walk.run().unwrap().values.remove(&to)
}

/// The gradient at the input, computed by the same network in f64.
fn exact_gradient(graph: &Graph, x: &Tensor, seeds: &[(NodeId, Tensor)]) -> Tensor {
    let exact = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let trace = Arc::new(graph.to(DType::F64, &Device::Cpu).unwrap()).forward(&exact(x)).unwrap();
    let seeds: Vec<_> = seeds.iter().map(|(id, t)| (*id, exact(t))).collect();
    walk(&trace, &seeds, 0).unwrap()
}

#[test]
fn random_networks_give_the_same_values_and_gradients_when_fused() {
    for seed in 0..60 {
        let graph = network(seed * 17);
        for size in [[2, 3, 12, 13], [1, 3, 12, 13]] {
            let mut r = Random(seed);
            let x = r.tensor(&size).to_dtype(DType::F32).unwrap();
            let fused = graph.forward(&x).unwrap();
            assert!(fused.fused().is_some());
            let plain = graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap();
            for (id, node) in graph.nodes.iter().enumerate() {
                assert_same(&format!("{seed}, {}", node.name), fused.value(id).unwrap(), plain.value(id).unwrap());
            }
            let inner = graph.nodes.len() / 2 + seed as usize % 4;
            let at =
                |id: NodeId, r: &mut Random| (id, r.tensor(&plain.dims(id).unwrap()).to_dtype(DType::F32).unwrap());
            let one = vec![at(graph.output, &mut r)];
            let both = vec![one[0].clone(), at(inner, &mut r)];
            for seeds in [one, both] {
                for (id, node) in graph.nodes.iter().enumerate() {
                    let (ours, theirs) = (walk(&fused, &seeds, id), walk(&plain, &seeds, id));
                    assert_eq!(ours.is_some(), theirs.is_some(), "{seed}, {}", node.name);
                    if let (Some(ours), Some(theirs)) = (ours, theirs) {
                        assert_same(&format!("{seed}, gradient at {}", node.name), &ours, &theirs);
                    }
                }
            }
        }
    }
}

#[test]
fn a_picture_of_one_pixel_is_flattened_for_a_linear_layer() {
    let mut builder = Builder::new(&[3, 1, 1]);
    let flat = builder.add("flatten", op::Flatten, &[0]).unwrap();
    let hidden = builder.add("fc1", op::Linear { input: 3, output: 5, bias: true }, &[flat]).unwrap();
    let scaled = builder.add("norm", op::RmsNorm { features: 5, epsilon: 1e-3, affine: true }, &[hidden]).unwrap();
    let end = builder.add("fc2", op::Linear { input: 5, output: 2, bias: true }, &[scaled]).unwrap();
    let graph = Arc::new(loaded(&builder.finish(end).unwrap(), &mut Random(3)));
    let x = Random(4).tensor(&[7, 3, 1, 1]).to_dtype(DType::F32).unwrap();
    let (fused, plain) = (graph.forward(&x).unwrap(), graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap());
    assert_same("scores", &fused.logits().unwrap(), &plain.logits().unwrap());
    let seeds = vec![(end, Random(5).tensor(&[7, 2]).to_dtype(DType::F32).unwrap())];
    for id in 0..=end {
        assert_same("gradient", &walk(&fused, &seeds, id).unwrap(), &walk(&plain, &seeds, id).unwrap());
    }
}

#[test]
fn a_rerun_with_a_replaced_value_matches_one_node_by_node() {
    let mut continued = 0;
    for seed in 0..40 {
        let graph = network(seed * 17);
        let mut r = Random(seed);
        let x = r.tensor(&[2, 3, 12, 13]).to_dtype(DType::F32).unwrap();
        let (fused, plain) = (graph.forward(&x).unwrap(), graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap());
        let seeds = vec![(graph.output, r.tensor(&[4, 4]).to_dtype(DType::F32).unwrap())];
        for (id, node) in graph.nodes.iter().enumerate().skip(seed as usize % 3).step_by(3) {
            let rerun = |trace: &Trace| {
                let twice = |_: &_, y: Tensor| Ok(Tensor::cat(&[(&y * 0.5)?, (y + 0.3)?], 0)?);
                trace.forward_with(&|n| n.name == node.name, &mut { twice }).unwrap()
            };
            let (ours, theirs) = (rerun(&fused), rerun(&plain));
            continued += usize::from(ours.fused().is_some());
            for (other, read) in graph.nodes.iter().enumerate() {
                let what = format!("{seed}, {} after a change of {}", read.name, node.name);
                assert_same(&what, ours.value(other).unwrap(), theirs.value(other).unwrap());
            }
            let what = format!("{seed}, gradient after a change of {}", node.name);
            assert_same(&what, &walk(&ours, &seeds, id).unwrap(), &walk(&theirs, &seeds, id).unwrap());
        }
    }
    assert!(continued > 100, "only {continued} fused reruns");
}

#[test]
fn networks_run_on_pictures_of_other_sizes_than_they_were_built_for() {
    let mut ran = 0;
    for seed in 0..60 {
        let graph = drawn(seed * 17, [12, 13], false);
        for [h, w] in [[15, 12], [12, 17], [24, 24], [9, 30], [37, 41]] {
            let mut r = Random(seed);
            let x = r.tensor(&[2, 3, h, w]).to_dtype(DType::F32).unwrap();
            let fused = match graph.forward(&x) {
                Ok(fused) => fused,
                Err(e) => {
                    assert!(format!("{e:#}").starts_with(&format!("a {h}x{w} picture does not fit")), "{e:#}");
                    continue;
                }
            };
            ran += 1;
            let shapes = graph.shapes(&[3, h, w]).unwrap();
            let plain = graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap();
            for (id, node) in graph.nodes.iter().enumerate() {
                let (ours, what) = (fused.value(id).unwrap(), format!("{seed}, {h}x{w}, {}", node.name));
                assert_eq!(ours.dims()[1..], shapes[id][1..], "{what}");
                assert_same(&what, ours, plain.value(id).unwrap());
            }
            assert_same(&format!("scores of {seed}"), &graph.logits(&x).unwrap(), &plain.logits().unwrap());
            let seeds = vec![(graph.output, r.tensor(&[2, 4]).to_dtype(DType::F32).unwrap())];
            // If two values differ only by rounding, either may be the maximum of a window.
            let (ours, theirs) = (walk(&fused, &seeds, 0).unwrap(), walk(&plain, &seeds, 0).unwrap());
            let far = difference(&ours, &theirs).min(difference(&ours, &exact_gradient(&graph, &x, &seeds)));
            assert!(far < 1e-3, "gradient of {seed}, {h}x{w}: {far}");
        }
    }
    assert!(ran > 100, "only {ran} runs");
}

#[test]
fn a_sum_over_the_batch_is_the_sum_of_its_gradients() {
    let sum = |trace: &Trace, seeds: &[(NodeId, Tensor)], to| {
        let walk = Walk { to: vec![to], keep: false, sum: true, ..Walk::gradient(trace, seeds.to_vec()) };
        walk.run().unwrap().values.remove(&to)
    };
    for seed in 0..60 {
        let graph = network(seed * 17);
        let mut r = Random(seed);
        let x = r.tensor(&[3, 3, 12, 13]).to_dtype(DType::F32).unwrap();
        let (fused, plain) = (graph.forward(&x).unwrap(), graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap());
        let mut at = |id: NodeId| (id, r.tensor(&plain.dims(id).unwrap()).to_dtype(DType::F32).unwrap());
        let seeds = [at(graph.output), at(1), at(2)];
        for seeds in [&seeds[..1], &seeds[..]] {
            for (id, node) in graph.nodes.iter().enumerate() {
                let each = walk(&plain, seeds, id).map(|g| g.sum_keepdim(0).unwrap());
                for trace in [&fused, &plain] {
                    let ours = sum(trace, seeds, id);
                    assert_eq!(ours.is_some(), each.is_some(), "{seed}, {}", node.name);
                    if let (Some(ours), Some(each)) = (ours, &each) {
                        assert_same(&format!("{seed}, sum at {}", node.name), &ours, each);
                    }
                }
            }
        }
    }
}

#[test]
fn parameter_gradients_are_also_available_with_summation_over_the_batch() {
    for seed in 0..20 {
        let graph = network(seed * 17).in_training();
        let mut r = Random(seed);
        let x = r.tensor(&[3, 3, 12, 13]).to_dtype(DType::F32).unwrap();
        let (fused, plain) = (graph.forward(&x).unwrap(), graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap());
        let seeds = vec![(graph.output, r.tensor(&[3, 4]).to_dtype(DType::F32).unwrap())];
        let params = |trace: &Trace, sum: bool| {
            Walk { params: true, keep: false, sum, ..Walk::gradient(trace, seeds.clone()) }.run().unwrap().params
        };
        let theirs = params(&plain, false);
        // A bias that a following batch norm cancels has a gradient of 0 up to rounding: compare with the largest gradient of
        // the network.
        let greatest = |t: &Tensor| numbers(t).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let most = theirs.values().map(greatest).fold(0.0, f64::max);
        for ours in [params(&fused, false), params(&fused, true)] {
            for p in graph.parameters().into_iter().filter(|p| p.trained && theirs.contains_key(&p.name)) {
                let (a, b) = (&ours[&p.name], &theirs[&p.name]);
                let far = greatest(&(a - b).unwrap());
                assert!(far <= 1e-3 * greatest(b).max(1e-2 * most), "{seed}, {}: {far}", p.name);
            }
        }
    }
}

#[test]
fn scores_alone_match_those_of_a_full_run() {
    for seed in 0..60 {
        let graph = network(seed * 17);
        let x = Random(seed).tensor(&[2, 3, 12, 13]).to_dtype(DType::F32).unwrap();
        let alone = graph.logits(&x).unwrap();
        assert_eq!(alone.dims(), [2, 4]);
        assert_eq!(numbers(&alone), numbers(&graph.forward(&x).unwrap().logits().unwrap()), "{seed}");
        // With buffers that contain the values of other runs.
        assert_eq!(numbers(&graph.logits(&x).unwrap()), numbers(&alone), "{seed}");
    }
}

#[test]
fn scores_computed_in_parts_match_the_whole_batch() {
    for seed in 0..20 {
        let graph = network(seed * 17);
        let x = Random(seed).tensor(&[7, 3, 12, 13]).to_dtype(DType::F32).unwrap();
        let whole = graph.logits(&x).unwrap();
        for most in [0, 1, 3, 7, 8] {
            let parts = graph.logits_in_parts(&x, most, &|_| Ok(())).unwrap();
            assert_same(&format!("network {seed}, at most {most}"), &parts, &whole);
        }
    }
}

#[test]
fn one_backward_pass_serves_several_layers() {
    let graph = network(3);
    let x = Random(4).tensor(&[2, 3, 12, 13]).to_dtype(DType::F32).unwrap();
    let plain = graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap();
    let seeds = vec![(graph.output, Random(5).tensor(&[2, 4]).to_dtype(DType::F32).unwrap())];
    let fused = graph.forward(&x).unwrap();
    let to: Vec<_> = (0..graph.nodes.len()).step_by(3).collect();
    let at_once = |trace: &Trace| {
        Walk { to: to.clone(), keep: false, ..Walk::gradient(trace, seeds.clone()) }.run().unwrap().values
    };
    let (ours, theirs) = (at_once(&fused), at_once(&plain));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    ours.iter().for_each(|(id, t)| assert_same(&graph.nodes[*id].name, t, &theirs[id]));
}

#[test]
fn a_run_can_be_stopped_between_steps() {
    let graph = network(5);
    let x = Random(4).tensor(&[1, 3, 12, 13]).to_dtype(DType::F32).unwrap();
    let left = std::cell::Cell::new(5);
    let stopped = graph.forward_until(&x, &|_| {
        left.set(left.get() - 1);
        if left.get() == 0 { anyhow::bail!("stopped") } else { Ok(()) }
    });
    assert_eq!(stopped.unwrap_err().to_string(), "stopped");
}

#[test]
fn changed_weights_give_changed_values() {
    let graph = network(7);
    let x = Random(4).tensor(&[1, 3, 12, 13]).to_dtype(DType::F32).unwrap();
    let before = graph.forward(&x).unwrap().logits().unwrap();
    let twice = graph.weights().into_iter().map(|(name, w)| (name, (w * 1.1).unwrap())).collect();
    let changed = Arc::new(graph.with_weights(twice).unwrap());
    let after = changed.forward(&x).unwrap().logits().unwrap();
    let plain = changed.forward_with(&x, &mut |_, y| Ok(y)).unwrap().logits().unwrap();
    assert_same("with other weights", &after, &plain);
    assert!(difference(&after, &before) > 1e-2);
}

#[test]
fn covered_windows_match_full_runs() {
    for seed in 0..40 {
        for size in [[12, 13], [41, 38]] {
            let graph = network_for(seed * 31 + 5, size);
            let mut r = Random(seed);
            let x = r.tensor(&[1, 3, size[0], size[1]]).to_dtype(DType::F32).unwrap();
            let fill = r.tensor(&[1, 3, size[0], size[1]]).to_dtype(DType::F32).unwrap();
            let trace = graph.forward(&x).unwrap();
            let window = |r: &mut Random| {
                let (height, width) = (r.between(0, 6), r.between(1, 6));
                let (top, left) = (r.between(0, size[0] - height), r.between(0, size[1] - width));
                PixelWindow { top, left, height, width }
            };
            let windows: Vec<_> = (0..r.between(1, 7)).map(|_| window(&mut r)).collect();
            let ours = trace.occluded(&windows, &fill, &|_| Ok(())).unwrap();
            let whole = trace.occluded_plainly(&windows, &fill, &|_| Ok(())).unwrap();
            assert_same(&format!("{seed}, {size:?}, {windows:?}"), &ours, &whole);
        }
    }
}

#[test]
fn nodes_that_forward_the_picture_have_its_value_even_if_only_a_normalization_reads_it() {
    let mut b = Builder::new(&[3, 1, 1]);
    let dropped = b.add("dropout", op::Dropout::default(), &[0]).unwrap();
    let normalize = op::Normalize { mean: vec![0.4, 0.5, 0.6], std: vec![0.2, 0.3, 0.25] };
    let x = b.add("normalize", normalize, &[dropped]).unwrap();
    let end = b.add("flatten", op::Flatten, &[x]).unwrap();
    let graph = Arc::new(b.finish(end).unwrap());
    let x = Random(4).tensor(&[2, 3, 1, 1]).to_dtype(DType::F32).unwrap();
    let trace = graph.forward(&x).unwrap();
    assert!(trace.fused().is_some());
    assert_same("dropout", trace.get("dropout").unwrap(), &x);
}

/// Rayon tasks that run a network at a new size create plans; packing weights waits on rayon, so a core may start another such
/// task meanwhile. If a lock were held while packing, this would deadlock.
#[test]
fn plans_made_concurrently_do_not_deadlock() {
    let mut builder = Builder::new(&[8, 8, 8]);
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    let mut last = 0;
    for layer in 0..3 {
        let input = if layer == 0 { 8 } else { 64 };
        let conv = op::Conv { input, output: 64, kernel: (3, 3), slide, bias: false };
        last = builder.add(&format!("conv{layer}"), conv, &[last]).unwrap();
        let norm = op::BatchNorm::new(64, 1e-5);
        last = builder.add(&format!("bn{layer}"), norm, &[last]).unwrap();
    }
    let graph = builder.finish(last).unwrap();
    let graph = Arc::new(loaded(&graph, &mut Random(1)));
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        rayon::scope(|scope| {
            for side in 0..48 {
                let graph = graph.clone();
                scope.spawn(move |_| {
                    let x = Tensor::zeros((1, 8, 4 + side % 24, 5 + side / 2), DType::F32, &Device::Cpu).unwrap();
                    graph.forward(&x).unwrap();
                });
            }
        });
        done.send(()).unwrap();
    });
    assert!(ended.recv_timeout(std::time::Duration::from_secs(240)).is_ok(), "deadlock between tasks");
}
