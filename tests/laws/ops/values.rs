//! The values of kinds that need no fast kernel, against their definitions.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::{Device, Tensor};
use gradscope::graph::op::*;
use gradscope::kernel::Conv2d;

/// Kinds whose values are held to plain loops in `kernels.rs`.
const KERNELS: [&str; 3] = ["conv", "max_pool", "avg_pool"];

/// Height and width.
type Two = (usize, usize);
/// The four sizes, or the four indices, of maps.
type Four = [usize; 4];

/// What an operation reads.
struct Read {
    x: Vec<Tensor>,
    w: Vec<Tensor>,
}

impl Read {
    /// Number `[n, c, h, w]` of input `i`; dimensions that it lacks are left out.
    fn x(&self, i: usize, at: Four) -> f64 {
        let dims = self.x[i].dims();
        let place = dims.iter().zip(at).fold(0, |place, (size, index)| place * size + index);
        numbers(&self.x[i])[place]
    }

    fn w(&self, i: usize, at: usize) -> f64 {
        numbers(&self.w[i])[at]
    }
}

/// Every index of a shape, which has four sizes at most.
fn indices(shape: &[usize]) -> Vec<Four> {
    let count = shape.iter().product();
    let index = |mut place: usize| {
        let mut at = [0; 4];
        for (k, size) in shape.iter().enumerate().rev() {
            (at[k], place) = (place % size, place / size);
        }
        at
    };
    (0..count).map(index).collect()
}

/// Compares an operation on drawn numbers with a formula for the number at each index.
fn check(op: impl Op, inputs: &[&[usize]], shape: &[usize], formula: impl Fn(&Read, Four) -> f64) -> &'static str {
    let mut r = Random(inputs[0].iter().sum::<usize>() as u64);
    let x = inputs.iter().map(|shape| r.tensor(shape)).collect();
    let w = op.params().iter().map(|p| (r.tensor(&p.shape) + 1.5).unwrap()).collect();
    let read = Read { x, w };
    let ours = op.forward(&read.x.iter().collect::<Vec<_>>(), &read.w).unwrap();
    let plain: Vec<_> = indices(shape).into_iter().map(|at| formula(&read, at)).collect();
    let plain = Tensor::from_vec(plain, shape, &Device::Cpu).unwrap();
    assert_close(&format!("{op:?} of {inputs:?}"), &ours, &plain, 1e-12);
    op.kind()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<_> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// The cell `i` of `out` over an axis.
fn cell(i: usize, out: usize, size: usize) -> std::ops::Range<usize> {
    (i as f64 * size as f64 / out as f64).floor() as usize..((i + 1) as f64 * size as f64 / out as f64).ceil() as usize
}

fn each_number() -> Vec<&'static str> {
    let maps: &[usize] = &[2, 3, 4, 5];
    let (mean, std) = (vec![0.1, 0.2, 0.3], vec![0.5, 0.25, 0.75]);
    vec![
        check(Input, &[maps], maps, |r, i| r.x(0, i)),
        check(Normalize { mean: mean.clone(), std: std.clone() }, &[maps], maps, |r, i| {
            (r.x(0, i) - mean[i[1]]) / std[i[1]]
        }),
        check(Relu, &[maps], maps, |r, i| r.x(0, i).max(0.0)),
        check(LeakyRelu { slope: 0.2 }, &[maps], maps, |r, i| r.x(0, i).max(0.2 * r.x(0, i))),
        check(Sigmoid, &[maps], maps, |r, i| 1.0 / (1.0 + (-r.x(0, i)).exp())),
        check(Tanh, &[maps], maps, |r, i| 1.0 - 2.0 / ((2.0 * r.x(0, i)).exp() + 1.0)),
        check(Sin, &[maps], maps, |r, i| (r.x(0, i) - std::f64::consts::FRAC_PI_2).cos()),
        check(Dropout::default(), &[maps], maps, |r, i| r.x(0, i)),
        check(Dropout { channels: true, ..Dropout::default() }, &[maps], maps, |r, i| r.x(0, i)),
        check(Add, &[maps, maps, maps], maps, |r, i| r.x(0, i) + r.x(1, i) + r.x(2, i)),
        check(Mul, &[maps, maps, maps], maps, |r, i| r.x(0, i) * r.x(1, i) * r.x(2, i)),
        check(BatchNorm { channels: 3, epsilon: 0.01 }, &[maps], maps, |r, i| {
            let [gamma, beta, mu, var] = [0, 1, 2, 3].map(|k| r.w(k, i[1]));
            gamma * (r.x(0, i) - mu) / (var + 0.01).sqrt() + beta
        }),
    ]
}

fn sums() -> Vec<&'static str> {
    let maps: &[usize] = &[2, 6, 4, 5];
    let lrn = |size: usize| {
        check(Lrn { size, alpha: 0.3, beta: 0.75, k: 2.0 }, &[maps], maps, |r, i| {
            let near = (0..6).filter(|&c| c + size / 2 >= i[1] && c + size / 2 < i[1] + size);
            let sum: f64 = near.map(|c| r.x(0, [i[0], c, i[2], i[3]]).powi(2)).sum();
            r.x(0, i) / (2.0 + 0.3 / size as f64 * sum).powf(0.75)
        })
    };
    let cells = |h: usize, w: usize| {
        check(AdaptiveAvgPool { output: (h, w) }, &[maps], &[2, 6, h, w], |r, i| {
            let rows = cell(i[2], h, 4).flat_map(|y| cell(i[3], w, 5).map(move |x| (y, x)));
            mean(rows.map(|(y, x)| r.x(0, [i[0], i[1], y, x])))
        })
    };
    let exp_sum = |r: &Read, i: Four| (0..6).map(|c| r.x(0, [i[0], c, i[2], i[3]]).exp()).sum::<f64>();
    let place = |r: &Read, i: Four, sum: fn(f64) -> f64| mean((0..20).map(|k| sum(r.x(0, [i[0], i[1], k / 5, k % 5]))));
    vec![
        check(InstanceNorm { channels: 6, epsilon: 0.01 }, &[maps], maps, |r, i| {
            let (mu, squares) = (place(r, i, |v| v), place(r, i, |v| v * v));
            r.w(0, i[1]) * (r.x(0, i) - mu) / (squares - mu * mu + 0.01).sqrt() + r.w(1, i[1])
        }),
        transposed((2, 3), (3, 2), (1, 0), (2, 1)),
        [1, 2, 3, 5].map(lrn)[0],
        [(1, 1), (2, 3), (4, 5), (3, 4), (7, 9)].map(|(h, w)| cells(h, w))[0],
        check(GlobalAvgPool, &[maps], &[2, 6], |r, i| mean((0..20).map(|k| r.x(0, [i[0], i[1], k / 5, k % 5])))),
        check(Softmax, &[maps], maps, |r, i| r.x(0, i).exp() / exp_sum(r, i)),
        check(LogSoftmax, &[maps], maps, |r, i| r.x(0, i) - exp_sum(r, i).ln()),
        check(Linear { input: 6, output: 4, bias: true }, &[&[3, 6]], &[3, 4], |r, i| {
            (0..6).map(|k| r.x(0, [i[0], k, 0, 0]) * r.w(0, i[1] * 6 + k)).sum::<f64>() + r.w(1, i[1])
        }),
    ]
}

/// Every number of the input, times the kernel, is added to the places that a convolution would read for it.
fn transposed(kernel: Two, stride: Two, padding: Two, output_padding: Two) -> &'static str {
    let slide = Conv2d { stride, padding, dilation: (1, 1), groups: 2 };
    let op = ConvTranspose { input: 6, output: 4, kernel, slide, output_padding, bias: true };
    let side = |n: usize, k: usize, s: usize, p: usize, more: usize| (n - 1) * s + k + more - 2 * p;
    let (h, w) = (
        side(4, kernel.0, stride.0, padding.0, output_padding.0),
        side(5, kernel.1, stride.1, padding.1, output_padding.1),
    );
    let reads = |to: usize, from: usize, tap: usize, s: usize, p: usize| from * s + tap == to + p;
    check(op, &[&[2, 6, 4, 5]], &[2, 4, h, w], |r, [n, o, y, x]| {
        let mut sum = r.w(1, o);
        for [c, k] in (0..3).flat_map(|c| (0..kernel.0 * kernel.1).map(move |k| [o / 2 * 3 + c, k])) {
            let (a, b) = (k / kernel.1, k % kernel.1);
            for [i, j] in (0..20).map(|k| [k / 5, k % 5]) {
                if reads(y, i, a, stride.0, padding.0) && reads(x, j, b, stride.1, padding.1) {
                    sum += r.x(0, [n, c, i, j]) * r.w(0, (c * 2 + o % 2) * kernel.0 * kernel.1 + k);
                }
            }
        }
        sum
    })
}

fn moves() -> Vec<&'static str> {
    let maps: &[usize] = &[2, 6, 4, 5];
    let slice = |dim: usize, start: usize, end: usize, step: usize| {
        let mut shape = maps.to_vec();
        shape[dim] = (start..end).step_by(step).count();
        check(Slice { dim, start: start as i64, end: Some(end as i64), step }, &[maps], &shape, |r, mut i| {
            i[dim] = start + step * i[dim];
            r.x(0, i)
        })
    };
    let pad = |dim: usize, before: usize, after: usize| {
        let mut shape = maps.to_vec();
        shape[dim] += before + after;
        check(Pad { dim, before, after }, &[maps], &shape, |r, mut i| {
            let inside = (before..before + maps[dim]).contains(&i[dim]);
            i[dim] = i[dim].saturating_sub(before);
            if inside { r.x(0, i) } else { 0.0 }
        })
    };
    // There and back again, the ends once: 0 1 2 3 2 1 0 1 …
    let mirror = |i: usize, pad: usize, size: usize| {
        let ways: Vec<_> = (0..size).chain((1..size.max(2) - 1).rev()).collect();
        ways[(i as i64 - pad as i64).rem_euclid(ways.len() as i64) as usize]
    };
    let unrolled = |i: usize| [i / 20, i / 5 % 4, i % 5];
    vec![
        [(1, 1, 6, 2), (2, 0, 4, 2), (3, 1, 4, 1)].map(|(d, s, e, k)| slice(d, s, e, k))[0],
        [(1, 2, 2), (2, 0, 3), (3, 1, 0), (1, 0, 0)].map(|(d, b, a)| pad(d, b, a))[0],
        [(4, 5, 3, 2), (1, 2, 3, 7), (2, 1, 0, 1), (3, 3, 2, 3)].map(|(h, w, rows, columns)| {
            let shape = [2, 6, h + 2 * rows, w + 2 * columns];
            check(ReflectPad { rows, columns }, &[&[2, 6, h, w]], &shape, |r, [n, c, y, x]| {
                r.x(0, [n, c, mirror(y, rows, h), mirror(x, columns, w)])
            })
        })[0],
        check(Crop { rows: 1, columns: 2 }, &[maps], &[2, 6, 2, 1], |r, [n, c, y, x]| r.x(0, [n, c, y + 1, x + 2])),
        check(Concat, &[maps, &[2, 1, 4, 5], maps], &[2, 13, 4, 5], |r, [n, c, h, w]| match c {
            0..6 => r.x(0, [n, c, h, w]),
            6 => r.x(1, [n, 0, h, w]),
            _ => r.x(2, [n, c - 7, h, w]),
        }),
        check(Flatten, &[maps], &[2, 120], |r, i| {
            let [c, h, w] = unrolled(i[1]);
            r.x(0, [i[0], c, h, w])
        }),
        check(Reshape { dims: vec![Some(10), None] }, &[maps], &[2, 10, 12], |r, i| {
            let [c, h, w] = unrolled(i[1] * 12 + i[2]);
            r.x(0, [i[0], c, h, w])
        }),
    ]
}

#[test]
fn the_values_of_every_kind_are_its_definition() {
    let held = [each_number(), sums(), moves(), KERNELS.to_vec()].concat();
    let left: Vec<_> = KINDS.iter().filter(|kind| !held.contains(kind)).collect();
    assert!(left.is_empty(), "nothing holds the values of {left:?}");
}
