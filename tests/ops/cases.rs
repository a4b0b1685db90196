//! Operations of every kind, over drawn sizes.

use crate::random::Random;
use gradscope::graph::op::*;
use gradscope::kernel::{Conv2d, Pool2d, Window};
use std::sync::Arc;

/// One operation with the shapes of what it reads.
pub struct Case {
    /// The operation.
    pub op: Arc<dyn Op>,
    /// `(N, …)` of each input.
    pub inputs: Vec<Vec<usize>>,
}

fn case(op: impl Op + 'static, inputs: &[&[usize]]) -> Case {
    Case { op: Arc::new(op), inputs: inputs.iter().map(|s| s.to_vec()).collect() }
}

/// One drawn case of a kind; none for a kind that this file does not know.
pub fn draw(kind: &str, r: &mut Random) -> Option<Case> {
    let (n, c) = (r.between(1, 3), r.between(1, 4));
    let (h, w) = (r.between(5, 9), r.between(5, 9));
    let map: &[usize] = &[n, c, h, w];
    Some(match kind {
        "input" => case(Input, &[map]),
        "normalize" => {
            let mean = (0..c).map(|i| 0.3 + 0.1 * i as f64).collect();
            case(Normalize { mean, std: (0..c).map(|i| 0.2 + 0.1 * i as f64).collect() }, &[map])
        }
        "conv" => conv(r, n, h, w),
        "linear" => {
            let (input, output) = (r.between(1, 9), r.between(1, 9));
            case(Linear { input, output, bias: r.between(0, 1) == 1 }, &[&[n, input]])
        }
        "batch_norm" => case(BatchNorm { channels: c, epsilon: 1e-5 }, &[&map[..2 + 2 * r.between(0, 1)]]),
        "conv_transpose" => conv_transpose(r, n),
        "instance_norm" => case(InstanceNorm { channels: c, epsilon: 1e-3 }, &[map]),
        "reflect_pad" => {
            case(ReflectPad { rows: r.between(0, h - 1), columns: r.between(0, 9) }, &[&[n, c, h, r.between(1, 9)]])
        }
        "crop" => case(Crop { rows: r.between(0, (h - 1) / 2), columns: r.between(0, (w - 1) / 2) }, &[map]),
        "lrn" => {
            let size = r.between(1, 5);
            case(Lrn { size, alpha: 0.3, beta: 0.75, k: 1.0 + r.between(0, 1) as f64 }, &[&[n, r.between(1, 7), h, w]])
        }
        "relu" => case(Relu, &[map]),
        "leaky_relu" => case(LeakyRelu { slope: 0.1 }, &[map]),
        "sigmoid" => case(Sigmoid, &[map]),
        "tanh" => case(Tanh, &[map]),
        "sin" => case(Sin, &[map]),
        "max_pool" => {
            let pool = pool(r, true);
            case(MaxPool { pool }, &[&[n, c, side(r, &pool, h), side(r, &pool, w)]])
        }
        "avg_pool" => {
            let pool = pool(r, false);
            let op = AvgPool { pool, include_pad: r.between(0, 1) == 1 };
            case(op, &[&[n, c, side(r, &pool, h), side(r, &pool, w)]])
        }
        "adaptive_avg_pool" => case(AdaptiveAvgPool { output: (r.between(1, 11), r.between(1, 11)) }, &[map]),
        "global_avg_pool" => case(GlobalAvgPool, &[map]),
        "add" => case(Add, &[map, map, map][..r.between(2, 3)]),
        "mul" => case(Mul, &[map, map, map][..r.between(2, 3)]),
        "concat" => case(Concat, &[map, &[n, r.between(1, 3), h, w], map]),
        "flatten" => case(Flatten, &[map]),
        "reshape" => case(Reshape { dims: vec![[Some(h * w), None][r.between(0, 1)], Some(c)] }, &[map]),
        "slice" => {
            let dim = r.between(1, 3);
            let size = map[dim];
            let start = r.between(0, size - 1);
            let end = r.between(start + 1, size);
            // From the end, or to it, half of the time.
            let from_end = |place: usize, back: usize| place as i64 - (back * size) as i64;
            let start = from_end(start, r.between(0, 1));
            let end = [Some(from_end(end, r.between(0, 1))).filter(|&end| end != 0), None][r.between(0, 1)];
            case(Slice { dim, start, end, step: r.between(1, 3) }, &[map])
        }
        "pad" => case(Pad { dim: r.between(1, 3), before: r.between(0, 3), after: r.between(0, 3) }, &[map]),
        "dropout" => case(Dropout::default(), &[map]),
        "softmax" => case(Softmax, &[&[n, r.between(1, 9), 2, 3][..2 + 2 * r.between(0, 1)]]),
        "log_softmax" => case(LogSoftmax, &[&[n, r.between(1, 9), 2, 3][..2 + 2 * r.between(0, 1)]]),
        _ => return None,
    })
}

fn conv(r: &mut Random, n: usize, h: usize, w: usize) -> Case {
    let groups = r.between(1, 3);
    let (input, output) = (groups * r.between(1, 2), groups * r.between(1, 3));
    let mut two = |low, high| (r.between(low, high), r.between(low, high));
    let (kernel, stride, padding, dilation) = (two(1, 3), two(1, 3), two(0, 2), two(1, 2));
    let slide = Conv2d { stride, padding, dilation, groups };
    case(Conv { input, output, kernel, slide, bias: r.between(0, 1) == 1 }, &[&[n, input, h, w]])
}

fn conv_transpose(r: &mut Random, n: usize) -> Case {
    let groups = r.between(1, 3);
    let (input, output) = (groups * r.between(1, 2), groups * r.between(1, 3));
    let mut two = |low, high| (r.between(low, high), r.between(low, high));
    let (kernel, stride, padding, dilation, size) = (two(1, 3), two(1, 3), two(0, 2), two(1, 2), two(3, 6));
    let output_padding = (r.between(0, stride.0 - 1), r.between(0, stride.1 - 1));
    let slide = Conv2d { stride, padding, dilation, groups };
    let op = ConvTranspose { input, output, kernel, slide, output_padding, bias: r.between(0, 1) == 1 };
    case(op, &[&[n, input, size.0, size.1]])
}

/// A side of a map that a pool goes over: `large`, or the smallest of which each window reads something, which they may
/// be larger than.
fn side(r: &mut Random, pool: &Pool2d, large: usize) -> usize {
    let reads = |w: &Window, i: usize, size: usize| (0..w.kernel).any(|t| w.at(i, t, size).is_some());
    let takes = |size: &usize| {
        let all = |w: &Window, count: usize| (0..count).all(|i| reads(w, i, *size));
        pool.output(*size, *size).is_ok_and(|(h, w)| all(&pool.h, h) && all(&pool.w, w))
    };
    if r.between(0, 1) == 1 { large } else { (1..large).find(takes).unwrap_or(large) }
}

fn pool(r: &mut Random, dilated: bool) -> Pool2d {
    let mut window = || {
        let dilation = if dilated { r.between(1, 2) } else { 1 };
        let kernel = r.between(1, if dilation == 1 { 5 } else { 3 });
        Window::new(kernel, r.between(1, 4), r.between(0, kernel / 2), dilation)
    };
    Pool2d { h: window(), w: window(), ceil_mode: r.between(0, 1) == 1 }
}
