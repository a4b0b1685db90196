//! VJPs against central differences.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::{DType, Device, Tensor};
use gradscope::graph::op::{Case, Draw, OpSpec, SPECS, Saved, Values};

/// Cases per kind.
const CASES: u64 = 25;
/// Number of elements of each tensor that are perturbed.
const MOVED: usize = 24;
/// Step of the central differences.
const STEP: f64 = 1e-6;

struct Drawn {
    what: String,
    case: Case,
    x: Vec<Tensor>,
    /// The stored parameters.
    w: Vec<Tensor>,
}

impl Drawn {
    fn new(spec: &OpSpec, seed: u64) -> Self {
        let (mut r, case) = (Random(seed), (spec.draw)(&mut Draw::new(seed)));
        assert_eq!(case.op.kind(), spec.kind);
        let what = format!("{:?} of {:?}", case.op, case.inputs);
        let x = case.inputs.iter().map(|shape| r.apart(shape)).collect();
        let parameter = |p: gradscope::graph::Parameter| match p.name.as_str() {
            "running_var" => (r.tensor(&p.shape).sqr().unwrap() + 0.5).unwrap(),
            _ => r.tensor(&p.shape),
        };
        let w = case.op.params().into_iter().map(parameter).collect();
        Self { what, case, x, w }
    }

    fn effective(&self, w: &[Tensor]) -> Vec<Tensor> {
        if w.is_empty() { vec![] } else { self.case.op.effective(w).unwrap_or_else(|e| panic!("{}: {e:#}", self.what)) }
    }

    fn forward(&self, x: &[Tensor], w: &[Tensor]) -> Tensor {
        let (x, w) = (x.iter().collect::<Vec<_>>(), self.effective(w));
        self.case.op.forward(&x, &w).unwrap_or_else(|e| panic!("{}: {e:#}", self.what))
    }

    fn saved(&self) -> Values {
        Values { x: self.x.clone(), y: self.forward(&self.x, &self.w) }
    }
}

/// `t` with one element changed.
fn moved(t: &Tensor, at: usize, by: f64) -> Tensor {
    let mut v = numbers(t);
    v[at] += by;
    Tensor::from_vec(v, t.dims(), &Device::Cpu).unwrap()
}

/// Compares a gradient with central differences of `value` at some elements.
fn compare(what: &str, gradient: &Tensor, at: &Tensor, r: &mut Random, value: impl Fn(&Tensor) -> f64) {
    assert_eq!(gradient.dims(), at.dims(), "{what}");
    let gradient = numbers(gradient);
    let count = gradient.len();
    for place in (0..MOVED.min(count)).map(|i| if count <= MOVED { i } else { r.between(0, count - 1) }) {
        let slope = (value(&moved(at, place, STEP)) - value(&moved(at, place, -STEP))) / (2.0 * STEP);
        let ours = gradient[place];
        assert!((ours - slope).abs() < 1e-6 * (1.0 + slope.abs()), "{what} at {place}: {ours} instead of {slope}");
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| a * b).sum()
}

/// Tolerance for single precision: inputs are about 1, and their sums may cancel.
fn assert_near(what: &str, ours: &Tensor, expected: &Tensor) {
    let lifted = |t: &Tensor| (t.to_dtype(DType::F64).unwrap() + 0.1).unwrap();
    assert_close(what, &lifted(ours), &lifted(expected), 1e-5);
}

#[test]
fn the_gradient_of_every_operation_matches_finite_differences() {
    for spec in SPECS {
        for seed in 0..CASES {
            let drawn = Drawn::new(spec, seed);
            let (mut r, saved) = (Random(seed + 1000), drawn.saved());
            let dy = r.tensor(saved.y().unwrap().dims());
            for i in 0..drawn.x.len() {
                let gradient = drawn.case.op.vjp(&saved, &drawn.effective(&drawn.w), &dy, i);
                let gradient = gradient.unwrap_or_else(|e| panic!("{}: {e:#}", drawn.what));
                compare(&format!("input {i} of {}", drawn.what), &gradient, &drawn.x[i], &mut r, |t| {
                    let mut x = drawn.x.clone();
                    x[i] = t.clone();
                    dot(&drawn.forward(&x, &drawn.w), &dy)
                });
            }
        }
    }
}

#[test]
fn the_parameter_gradient_of_every_operation_matches_finite_differences() {
    let mut seen = 0;
    for spec in SPECS {
        for seed in 0..CASES {
            let drawn = Drawn::new(spec, seed);
            let (mut r, saved) = (Random(seed + 2000), drawn.saved());
            let dy = r.tensor(saved.y().unwrap().dims());
            let op = &drawn.case.op;
            let gradients = op.vjp_params(&saved, &drawn.effective(&drawn.w), &dy).unwrap();
            let gradients = op.effective_vjp(&drawn.w, gradients).unwrap();
            let parameters = op.params();
            assert_eq!(gradients.len(), parameters.len(), "{}", drawn.what);
            for (k, parameter) in parameters.iter().enumerate().filter(|(_, p)| p.trained) {
                seen += 1;
                let what = format!("{} of {}", parameter.name, drawn.what);
                compare(&what, &gradients[k], &drawn.w[k], &mut r, |t| {
                    let mut w = drawn.w.clone();
                    w[k] = t.clone();
                    dot(&drawn.forward(&drawn.x, &w), &dy)
                });
            }
        }
    }
    assert!(seen > 100, "only {seen} parameters were compared");
}

#[test]
fn the_value_of_every_operation_has_the_declared_shape_and_single_precision_agrees() {
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    for spec in SPECS {
        for seed in 0..CASES {
            let drawn = Drawn::new(spec, seed);
            let saved = drawn.saved();
            let shapes: Vec<&[usize]> = drawn.case.inputs.iter().map(Vec::as_slice).collect();
            match spec.kind {
                "input" => assert!(drawn.case.op.shape(&shapes).is_err(), "the input node has no inputs"),
                _ => assert_eq!(drawn.case.op.shape(&shapes).unwrap(), saved.y().unwrap().dims(), "{}", drawn.what),
            }
            let (x, w): (Vec<_>, Vec<_>) = (drawn.x.iter().map(single).collect(), drawn.w.iter().map(single).collect());
            assert_near(&drawn.what, &drawn.forward(&x, &w), saved.y().unwrap());
            let dy = Random(seed).tensor(saved.y().unwrap().dims());
            let in_single = Values { x, y: single(saved.y().unwrap()) };
            for i in 0..drawn.x.len() {
                let ours = drawn.case.op.vjp(&in_single, &drawn.effective(&w), &single(&dy), i).unwrap();
                let theirs = drawn.case.op.vjp(&saved, &drawn.effective(&drawn.w), &dy, i).unwrap();
                assert_near(&drawn.what, &ours, &theirs);
            }
        }
    }
}

#[test]
fn max_pooling_gives_the_whole_gradient_to_the_first_maximum() {
    use gradscope::backend::{Pool2d, Window};
    use gradscope::graph::op::{MaxPool, Op};
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let x = Tensor::new(&[[[[3f64, 3.0], [1.0, 3.0]]]], &Device::Cpu).unwrap();
    let op = MaxPool { pool };
    let y = op.forward(&[&x], &[]).unwrap();
    let saved = Values { x: vec![x], y };
    let gradient = op.vjp(&saved, &[], &Tensor::new(&[[[[2f64]]]], &Device::Cpu).unwrap(), 0).unwrap();
    assert_eq!(numbers(&gradient), [2.0, 0.0, 0.0, 0.0]);
}
