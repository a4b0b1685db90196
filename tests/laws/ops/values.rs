//! The values of operations without fast kernels, against their definitions.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::{Device, Tensor};
use gradscope::backend::Conv2d;
use gradscope::graph::op::*;

/// Kinds that `kernels.rs` compares with plain loops.
const KERNELS: [&str; 4] = ["conv", "max_pool", "avg_pool", "interpolate"];

/// A height and a width.
type Two = (usize, usize);
/// Four sizes, or four indices, of maps.
type Four = [usize; 4];

/// The inputs of an operation.
struct Read {
    x: Vec<Tensor>,
    w: Vec<Tensor>,
}

impl Read {
    /// Element `[n, c, h, w]` of input `i`; indices of dimensions that it lacks are ignored.
    fn x(&self, i: usize, at: Four) -> f64 {
        let dims = self.x[i].dims();
        let place = dims.iter().zip(at).fold(0, |place, (size, index)| place * size + index);
        numbers(&self.x[i])[place]
    }

    fn w(&self, i: usize, at: usize) -> f64 {
        numbers(&self.w[i])[at]
    }
}

/// All indices of a shape with at most four dimensions.
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

/// Compares an operation on random inputs with a formula for the element at each index.
fn check(op: impl Op, inputs: &[&[usize]], shape: &[usize], formula: impl Fn(&Read, Four) -> f64) -> &'static str {
    let mut r = Random(inputs.concat().iter().sum::<usize>() as u64);
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

/// Cell `i` of `out` along an axis.
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
        check(Dropout::default(), &[maps], maps, |r, i| r.x(0, i)),
        check(Dropout { channels: true, ..Dropout::default() }, &[maps], maps, |r, i| r.x(0, i)),
        [
            check(Gelu, &[maps], maps, |r, i| r.x(0, i) * normal(r.x(0, i))),
            check(GeluTanh, &[maps], maps, |r, i| {
                let x = r.x(0, i);
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }),
        ][0],
        check(Scale { factor: -2.5, shift: 0.75 }, &[maps], maps, |r, i| 0.75 - 2.5 * r.x(0, i)),
        check(Sub, &[maps, maps], maps, |r, i| r.x(0, i) - r.x(1, i)),
        check(Div, &[maps, maps], maps, |r, i| r.x(0, i) / r.x(1, i)),
        check(Add, &[maps, maps, maps], maps, |r, i| r.x(0, i) + r.x(1, i) + r.x(2, i)),
        check(Mul, &[maps, maps, maps], maps, |r, i| r.x(0, i) * r.x(1, i) * r.x(2, i)),
        // Broadcasting: a gate per channel, a single row, a scalar per picture.
        check(Mul, &[maps, &[2, 3, 1, 1]], maps, |r, i| r.x(0, i) * r.x(1, [i[0], i[1], 0, 0])),
        check(Sub, &[&[2, 1, 4, 1], maps], maps, |r, i| r.x(0, [i[0], 0, i[2], 0]) - r.x(1, i)),
        check(Div, &[maps, &[1, 3, 1, 5]], maps, |r, i| r.x(0, i) / r.x(1, [0, i[1], 0, i[3]])),
        check(BatchNorm::new(3, 0.01), &[maps], maps, |r, i| {
            let [gamma, beta, mu, var] = [0, 1, 2, 3].map(|k| r.w(k, i[1]));
            gamma * (r.x(0, i) - mu) / (var + 0.01).sqrt() + beta
        }),
    ]
}

/// Compares each operation whose test cases have a plain definition with it, also where the function saturates.
fn functions() -> Vec<&'static str> {
    let compared = |spec: &&OpSpec| {
        let case = (spec.draw)(&mut Draw::new(1));
        let (definition, shape) = (case.definition?, &case.inputs[0]);
        let x = (Random(2).tensor(shape) * 8.0).unwrap();
        let plain: Vec<_> = numbers(&x).into_iter().map(definition).collect();
        let plain = Tensor::from_vec(plain, shape.as_slice(), &Device::Cpu).unwrap();
        assert_close(&format!("{:?}", case.op), &case.op.forward(&[&x], &[]).unwrap(), &plain, 1e-12);
        Some(spec.kind)
    };
    SPECS.iter().filter_map(compared).collect()
}

/// The normal distribution function, by Simpson's rule with 2,000 intervals.
fn normal(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let h = x / 2000.0;
    let weight = |k: usize| [2.0, 4.0][k % 2] - f64::from(k == 0 || k == 2000);
    0.5 + (0..=2000).map(|k| weight(k) * density(k as f64 * h)).sum::<f64>() * h / 3.0
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
        check(Softmax::default(), &[maps], maps, |r, i| r.x(0, i).exp() / exp_sum(r, i)),
        check(LogSoftmax::default(), &[maps], maps, |r, i| r.x(0, i) - exp_sum(r, i).ln()),
        check(Softmax { dim: 3 }, &[maps], maps, |r, [n, c, h, w]| {
            r.x(0, [n, c, h, w]).exp() / (0..5).map(|k| r.x(0, [n, c, h, k]).exp()).sum::<f64>()
        }),
        check(LogSoftmax { dim: 2 }, &[maps], maps, |r, [n, c, h, w]| {
            r.x(0, [n, c, h, w]) - (0..4).map(|k| r.x(0, [n, c, k, w]).exp()).sum::<f64>().ln()
        }),
        check(Mean { dims: vec![2, 3], keepdim: false }, &[maps], &[2, 6], |r, i| place(r, i, |v| v)),
        check(Amax { dims: vec![1, 3], keepdim: false }, &[maps], &[2, 4], |r, [n, h, ..]| {
            let all = (0..6).flat_map(|c| (0..5).map(move |w| [n, c, h, w]));
            all.map(|i| r.x(0, i)).fold(f64::NEG_INFINITY, f64::max)
        }),
        check(Sum { dims: vec![1], keepdim: true }, &[maps], &[2, 1, 4, 5], |r, [n, _, h, w]| {
            (0..6).map(|c| r.x(0, [n, c, h, w])).sum()
        }),
        check(Matmul, &[&[2, 3, 4], &[2, 4, 5]], &[2, 3, 5], |r, [n, i, j, _]| {
            (0..4).map(|k| r.x(0, [n, i, k, 0]) * r.x(1, [n, k, j, 0])).sum()
        }),
        check(
            LayerNorm { normalized_shape: vec![5], epsilon: 0.01, affine: true, bias: true },
            &[maps],
            maps,
            |r, i| {
                let row = |k: usize| r.x(0, [i[0], i[1], i[2], k]);
                let (mu, squares) = (mean((0..5).map(row)), mean((0..5).map(|k| row(k).powi(2))));
                r.w(0, i[3]) * (row(i[3]) - mu) / (squares - mu * mu + 0.01).sqrt() + r.w(1, i[3])
            },
        ),
        check(
            LayerNorm { normalized_shape: vec![4, 5], epsilon: 0.01, affine: false, bias: true },
            &[maps],
            maps,
            |r, i| {
                let (mu, squares) = (place(r, i, |v| v), place(r, i, |v| v * v));
                (r.x(0, i) - mu) / (squares - mu * mu + 0.01).sqrt()
            },
        ),
        check(RmsNorm { features: 5, epsilon: 0.01, affine: true }, &[maps], maps, |r, i| {
            let squares = mean((0..5).map(|k| r.x(0, [i[0], i[1], i[2], k]).powi(2)));
            r.w(0, i[3]) * r.x(0, i) / (squares + 0.01).sqrt()
        }),
        check(GroupNorm { groups: 3, channels: 6, epsilon: 0.01, affine: true }, &[maps], maps, |r, i| {
            let first = i[1] / 2 * 2;
            let of = |f: fn(f64) -> f64| mean((0..40).map(|k| f(r.x(0, [i[0], first + k / 20, k / 5 % 4, k % 5]))));
            let (mu, squares) = (of(|v| v), of(|v| v * v));
            r.w(0, i[1]) * (r.x(0, i) - mu) / (squares - mu * mu + 0.01).sqrt() + r.w(1, i[1])
        }),
        check(Linear { input: 5, output: 2, bias: true }, &[maps], &[2, 6, 4, 2], |r, i| {
            (0..5).map(|k| r.x(0, [i[0], i[1], i[2], k]) * r.w(0, i[3] * 5 + k)).sum::<f64>() + r.w(1, i[3])
        }),
        check(Linear { input: 6, output: 4, bias: true }, &[&[3, 6]], &[3, 4], |r, i| {
            (0..6).map(|k| r.x(0, [i[0], k, 0, 0]) * r.w(0, i[1] * 6 + k)).sum::<f64>() + r.w(1, i[1])
        }),
    ]
}

/// Adds every input element, times the kernel, to the positions that the corresponding convolution would read.
fn transposed(kernel: Two, stride: Two, padding: Two, output_padding: Two) -> &'static str {
    let slide = Conv2d { stride, padding, dilation: (1, 1), groups: 2, ..Conv2d::default() };
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

fn alone() -> Vec<&'static str> {
    let values: Vec<_> = (0..6).map(f64::from).collect();
    vec![
        check(Parameter { shape: vec![1, 2, 3], batch: true }, &[], &[1, 2, 3], |r, [_, i, j, _]| r.w(0, i * 3 + j)),
        check(Constant { shape: vec![1, 2, 3], values }, &[], &[1, 2, 3], |_, [_, i, j, _]| (i * 3 + j) as f64),
    ]
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
        check(Pad { dim, before, after, value: 0.0 }, &[maps], &shape, |r, mut i| {
            let inside = (before..before + maps[dim]).contains(&i[dim]);
            i[dim] = i[dim].saturating_sub(before);
            if inside { r.x(0, i) } else { 0.0 }
        })
    };
    // Back and forth, without repeating the ends: 0 1 2 3 2 1 0 1 …
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
        // TensorFlow: an odd number of zeros has one more after than before.
        [(5, 5), (4, 5), (6, 7), (4, 4)].map(|(h, w)| {
            let top = h % 2;
            let (window, stride) = ((3, 2), (2, 2));
            let shape = [2, 6, h + if h % 2 == 1 { 2 } else { 1 }, w + w % 2];
            check(SamePad { window, stride }, &[&[2, 6, h, w]], &shape, move |r, [n, c, y, x]| {
                if (top..top + h).contains(&y) && x < w { r.x(0, [n, c, y - top, x]) } else { 0.0 }
            })
        })[0],
        check(Crop { rows: 1, columns: 2 }, &[maps], &[2, 6, 2, 1], |r, [n, c, y, x]| r.x(0, [n, c, y + 1, x + 2])),
        check(Concat::default(), &[maps, &[2, 1, 4, 5], maps], &[2, 13, 4, 5], |r, [n, c, h, w]| match c {
            0..6 => r.x(0, [n, c, h, w]),
            6 => r.x(1, [n, 0, h, w]),
            _ => r.x(2, [n, c - 7, h, w]),
        }),
        check(Concat { dim: 3 }, &[maps, &[2, 6, 4, 1]], &[2, 6, 4, 6], |r, [n, c, h, w]| match w {
            5 => r.x(1, [n, c, h, 0]),
            _ => r.x(0, [n, c, h, w]),
        }),
        check(Transpose { dim0: 1, dim1: 3 }, &[maps], &[2, 5, 4, 6], |r, [n, a, b, c]| r.x(0, [n, c, b, a])),
        check(Permute { dims: vec![0, 2, 3, 1] }, &[maps], &[2, 4, 5, 6], |r, [n, a, b, c]| r.x(0, [n, c, a, b])),
        check(Expand { sizes: vec![Some(3), None, Some(5)] }, &[&[2, 1, 4, 5]], &[2, 3, 4, 5], |r, [n, _, h, w]| {
            r.x(0, [n, 0, h, w])
        }),
        check(Select { dim: 2, index: -1 }, &[maps], &[2, 6, 5], |r, [n, c, w, _]| r.x(0, [n, c, 3, w])),
        check(Ablate { dim: 2, indices: vec![0, 3] }, &[maps], maps, |r, i| {
            if [1, 2].contains(&i[2]) { r.x(0, i) } else { 0.0 }
        }),
        check(Gather { dim: 3, index: vec![4, 0, 4] }, &[maps], &[2, 6, 4, 3], |r, [n, c, h, w]| {
            r.x(0, [n, c, h, [4, 0, 4][w]])
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
fn the_values_of_every_operation_match_its_definition() {
    let held = [each_number(), functions(), sums(), alone(), moves(), KERNELS.to_vec()].concat();
    let left: Vec<_> = KINDS.iter().filter(|kind| !held.contains(kind)).collect();
    assert!(
        left.is_empty(),
        "no test covers the values of {left:?}; draw their cases by `Case::elementwise`, or add checks"
    );
}
