//! The fast kernels against plain loops, for sizes that cover all of their code paths.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{
    Conv2d, Pool2d, Window, avg_pool2d, avg_pool2d_vjp, conv2d, conv2d_input_vjp, conv2d_weight_vjp, max_pool2d,
    max_pool2d_vjp,
};

/// Sizes of a convolution.
struct Sizes {
    n: usize,
    input: usize,
    output: usize,
    size: (usize, usize),
    kernel: (usize, usize),
    slide: Conv2d,
}

fn sizes(n: usize, (input, output): (usize, usize), size: (usize, usize), kernel: (usize, usize)) -> Sizes {
    let slide = Conv2d::default();
    Sizes { n, input, output, size, kernel, slide }
}

/// Large and small, 1x1, 3x3, 7x7 with stride, grouped, depthwise, dilated, asymmetric.
fn convolutions() -> Vec<Sizes> {
    let same = |padding, s: Sizes| Sizes { slide: Conv2d { padding: (padding, padding), ..s.slide }, ..s };
    let stride = |stride, s: Sizes| Sizes { slide: Conv2d { stride: (stride, stride), ..s.slide }, ..s };
    let groups = |groups, s: Sizes| Sizes { slide: Conv2d { groups, ..s.slide }, ..s };
    vec![
        sizes(2, (16, 24), (14, 14), (1, 1)),
        stride(2, sizes(1, (8, 12), (15, 13), (1, 1))),
        same(1, sizes(2, (16, 24), (20, 18), (3, 3))),
        stride(2, same(1, sizes(2, (16, 32), (17, 18), (3, 3)))),
        stride(2, same(3, sizes(1, (3, 16), (40, 38), (7, 7)))),
        same(1, groups(4, sizes(2, (8, 12), (11, 10), (3, 3)))),
        same(1, groups(12, sizes(3, (12, 12), (9, 9), (3, 3)))),
        groups(6, sizes(1, (6, 18), (8, 8), (1, 1))),
        sizes(1, (3, 2), (6, 7), (6, 7)),
        Sizes {
            slide: Conv2d { stride: (2, 1), padding: (2, 0), dilation: (2, 3), groups: 1, ..Conv2d::default() },
            ..sizes(2, (5, 7), (13, 16), (3, 2))
        },
    ]
}

/// The inputs of every output: `(n, output channel, y, x, input channel, row, column, weight index)`.
fn taps(s: &Sizes, mut each: impl FnMut([usize; 4], [usize; 4], [usize; 4])) -> (usize, usize) {
    let out = |size: usize, k: usize, stride: usize, pad: usize, dilation: usize| {
        (size + 2 * pad - dilation * (k - 1) - 1) / stride + 1
    };
    let c = &s.slide;
    let oh = out(s.size.0, s.kernel.0, c.stride.0, c.padding.0, c.dilation.0);
    let ow = out(s.size.1, s.kernel.1, c.stride.1, c.padding.1, c.dilation.1);
    let (ig, og) = (s.input / c.groups, s.output / c.groups);
    for n in 0..s.n {
        for o in 0..s.output {
            for y in 0..oh {
                for x in 0..ow {
                    for i in 0..ig {
                        for ky in 0..s.kernel.0 {
                            for kx in 0..s.kernel.1 {
                                let row = (y * c.stride.0 + ky * c.dilation.0).wrapping_sub(c.padding.0);
                                let column = (x * c.stride.1 + kx * c.dilation.1).wrapping_sub(c.padding.1);
                                if row < s.size.0 && column < s.size.1 {
                                    let from = [n, o / og * ig + i, row, column];
                                    each([n, o, y, x], from, [o, i, ky, kx]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    (oh, ow)
}

/// The offset of an index in a row-major array.
fn at(index: [usize; 4], shape: [usize; 4]) -> usize {
    index.iter().zip(shape).fold(0, |place, (i, n)| place * n + i)
}

#[test]
fn convolution_and_its_gradients_equal_the_plain_sums() {
    for (seed, s) in convolutions().iter().enumerate() {
        let mut r = Random(seed as u64);
        let xs = [s.n, s.input, s.size.0, s.size.1];
        let ws = [s.output, s.input / s.slide.groups, s.kernel.0, s.kernel.1];
        let (x, w, b) = (r.tensor(&xs), r.tensor(&ws), r.tensor(&[s.output]));
        let (xv, wv, bv) = (numbers(&x), numbers(&w), numbers(&b));
        let (oh, ow) = taps(s, |_, _, _| ());
        let ys = [s.n, s.output, oh, ow];
        let mut y: Vec<f64> = (0..ys.iter().product()).map(|p: usize| bv[p / (oh * ow) % s.output]).collect();
        let dy = r.tensor(&ys);
        let dv = numbers(&dy);
        let (mut dx, mut dw) = (vec![0.0; xv.len()], vec![0.0; wv.len()]);
        taps(s, |out, from, weight| {
            let (o, i, k) = (at(out, ys), at(from, xs), at(weight, ws));
            y[o] += xv[i] * wv[k];
            dx[i] += dv[o] * wv[k];
            dw[k] += dv[o] * xv[i];
        });
        let tensor = |v: Vec<f64>, shape: [usize; 4]| Tensor::from_vec(v, &shape[..], &Device::Cpu).unwrap();
        let (y, dx, dw) = (tensor(y, ys), tensor(dx, xs), tensor(dw, ws));
        for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let to = |t: &Tensor| t.to_dtype(dtype).unwrap();
            let (x, w, b, dy) = (to(&x), to(&w), to(&b), to(&dy));
            let what = |which: &str| format!("{which} of convolution {seed} in {dtype:?}");
            assert_close(&what("value"), &conv2d(&x, &w, Some(&b), &s.slide).unwrap(), &y, bound);

            assert_close(&what("input vjp"), &conv2d_input_vjp(&dy, &w, &xs, &s.slide).unwrap(), &dx, bound);

            assert_close(&what("weight vjp"), &conv2d_weight_vjp(&dy, &x, &ws, &s.slide).unwrap(), &dw, bound);
        }
    }
}

#[test]
fn pooling_and_its_gradients_match_plain_windows() {
    for seed in 0..60 {
        let mut r = Random(seed);
        let mut window = || {
            let kernel = r.between(1, 4);
            Window::new(kernel, r.between(1, 4), r.between(0, kernel / 2), 1)
        };
        let (h, w) = (window(), window());
        let pool = Pool2d { h, w, ceil_mode: seed % 2 == 0 };
        // Small maps are distributed in groups, large ones one by one.
        let size = if seed % 10 == 0 { 70 } else { 6 };
        let shape = [2, 3, r.between(size, 2 * size), r.between(size, 2 * size)];
        let x = r.apart(&shape);
        let (oh, ow) = (count(&h, shape[2], pool.ceil_mode), count(&w, shape[3], pool.ceil_mode));
        let dy = r.tensor(&[2, 3, oh, ow]);
        for include_pad in [true, false] {
            let plain = Plain { x: &numbers(&x), dy: &numbers(&dy), shape, out: [oh, ow], pool: &pool, include_pad };
            let what = format!("{pool:?} of {shape:?}");
            let tensor = |v: Vec<f64>, s: [usize; 4]| Tensor::from_vec(v, &s[..], &Device::Cpu).unwrap();
            let [most, mean] = plain.values().map(|v| tensor(v, [2, 3, oh, ow]));
            let [dmost, dmean] = plain.gradients().map(|v| tensor(v, shape));
            assert_close(&what, &max_pool2d(&x, &pool).unwrap(), &most, 1e-12);
            assert_close(&what, &avg_pool2d(&x, &pool, include_pad).unwrap(), &mean, 1e-12);
            assert_close(&what, &max_pool2d_vjp(&dy, &x, &pool).unwrap(), &dmost, 1e-12);
            let ours = avg_pool2d_vjp(&dy, &shape, &pool, include_pad).unwrap();
            assert_close(&what, &ours, &dmean, 1e-12);
        }
    }
}

#[test]
fn dilated_max_pooling_matches_plain_windows() {
    for seed in 0..40 {
        let mut r = Random(seed);
        let mut window = || {
            let kernel = r.between(1, 3);
            Window::new(kernel, r.between(1, 4), r.between(0, kernel / 2), r.between(1, 3))
        };
        let pool = Pool2d { h: window(), w: window(), ceil_mode: seed % 2 == 0 };
        let shape = [2, 2, r.between(7, 12), r.between(7, 12)];
        let x = r.apart(&shape);
        let out = [count(&pool.h, shape[2], pool.ceil_mode), count(&pool.w, shape[3], pool.ceil_mode)];
        let dy = r.tensor(&[2, 2, out[0], out[1]]);
        let plain = Plain { x: &numbers(&x), dy: &numbers(&dy), shape, out, pool: &pool, include_pad: true };
        let tensor = |v: Vec<f64>, s: &[usize]| Tensor::from_vec(v, s, &Device::Cpu).unwrap();
        let what = format!("{pool:?} of {shape:?}");
        let [most, _] = plain.values();
        assert_close(&what, &max_pool2d(&x, &pool).unwrap(), &tensor(most, dy.dims()), 1e-12);
        let [dmost, _] = plain.gradients();
        assert_close(&what, &max_pool2d_vjp(&dy, &x, &pool).unwrap(), &tensor(dmost, &shape), 1e-12);
    }
}

#[test]
fn sizes_of_zero_are_errors_but_an_empty_batch_is_not() {
    let zeros = |shape: [usize; 4]| Tensor::zeros(&shape[..], DType::F32, &Device::Cpu).unwrap();
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    let pool = Pool2d { h: Window::new(2, 1, 1, 1), w: Window::new(2, 1, 1, 1), ceil_mode: false };
    let (x, w, dy) = (zeros([1, 2, 3, 3]), zeros([4, 2, 2, 2]), zeros([1, 4, 4, 4]));
    for (x, w) in [([1, 2, 0, 3], [4, 2, 2, 2]), ([1, 2, 3, 3], [0, 2, 2, 2]), ([1, 0, 3, 3], [4, 0, 2, 2])] {
        assert!(conv2d(&zeros(x), &zeros(w), None, &slide).is_err(), "{x:?} {w:?}");
        assert!(conv2d_input_vjp(&dy, &zeros(w), &x, &slide).is_err(), "{x:?} {w:?}");
        assert!(conv2d_weight_vjp(&dy, &zeros(x), &w, &slide).is_err(), "{x:?} {w:?}");
    }
    let flat = zeros([1, 2, 0, 3]);
    assert!(max_pool2d(&flat, &pool).is_err() && max_pool2d_vjp(&dy, &flat, &pool).is_err());
    assert!(avg_pool2d(&flat, &pool, true).is_err() && avg_pool2d_vjp(&dy, flat.dims(), &pool, true).is_err());
    let (none, dnone) = (x.narrow(0, 0, 0).unwrap(), dy.narrow(0, 0, 0).unwrap());
    assert_eq!(conv2d(&none, &w, None, &slide).unwrap().dims(), dnone.dims());
    assert_eq!(conv2d_input_vjp(&dnone, &w, none.dims(), &slide).unwrap().dims(), none.dims());
    let dw = conv2d_weight_vjp(&dnone, &none, w.dims(), &slide).unwrap();
    assert_close("weight vjp of an empty batch", &dw, &w, 0.0);
    assert_eq!(max_pool2d_vjp(&max_pool2d(&none, &pool).unwrap(), &none, &pool).unwrap().dims(), none.dims());
}

/// The number of windows along an axis in PyTorch (`pooling_output_shape` in `aten/src/ATen/native/Pool.h`).
fn count(w: &Window, size: usize, ceil_mode: bool) -> usize {
    let over = if ceil_mode { w.stride - 1 } else { 0 };
    let count = (size + 2 * w.padding - w.dilation * (w.kernel - 1) - 1 + over) / w.stride + 1;
    let starts_behind = (count - 1) * w.stride >= size + w.padding;
    if ceil_mode && starts_behind { count - 1 } else { count }
}

/// Pooling, as PyTorch's documentation defines it.
struct Plain<'a> {
    x: &'a [f64],
    dy: &'a [f64],
    shape: [usize; 4],
    out: [usize; 2],
    pool: &'a Pool2d,
    include_pad: bool,
}

impl Plain<'_> {
    /// Input offsets of window `o` of map `m`, and the divisor of its mean.
    fn window(&self, m: usize, o: usize) -> (Vec<usize>, f64) {
        let [_, _, h, w] = self.shape;
        let (oy, ox) = (o / self.out[1], o % self.out[1]);
        let span = |window: &Window, index: usize, size: usize| {
            let first = (index * window.stride) as i64 - window.padding as i64;
            let taps: Vec<_> = (0..window.kernel).map(|t| first + (t * window.dilation) as i64).collect();
            let padded = taps.iter().filter(|&&t| t < (size + window.padding) as i64).count();
            (taps.into_iter().filter(|t| (0..size as i64).contains(t)).map(|t| t as usize).collect::<Vec<_>>(), padded)
        };
        let ((rows, tall), (columns, wide)) = (span(&self.pool.h, oy, h), span(&self.pool.w, ox, w));
        let places: Vec<_> = rows.iter().flat_map(|y| columns.iter().map(move |x| (m * h + y) * w + x)).collect();
        let count = if self.include_pad { (tall * wide) as f64 } else { places.len() as f64 };
        (places, count)
    }

    fn each(&self, mut f: impl FnMut(usize, &[usize], f64)) {
        let outs = self.out[0] * self.out[1];
        for m in 0..self.shape[0] * self.shape[1] {
            for o in 0..outs {
                let (places, count) = self.window(m, o);
                f(m * outs + o, &places, count);
            }
        }
    }

    fn first_greatest(&self, places: &[usize]) -> usize {
        places.iter().copied().fold(places[0], |best, p| if self.x[p] > self.x[best] { p } else { best })
    }

    fn values(&self) -> [Vec<f64>; 2] {
        let mut both = [vec![], vec![]];
        self.each(|_, places, count| {
            both[0].push(self.x[self.first_greatest(places)]);
            both[1].push(places.iter().map(|&p| self.x[p]).sum::<f64>() / count);
        });
        both
    }

    fn gradients(&self) -> [Vec<f64>; 2] {
        let mut both = [vec![0.0; self.x.len()], vec![0.0; self.x.len()]];
        self.each(|o, places, count| {
            both[0][self.first_greatest(places)] += self.dy[o];
            places.iter().for_each(|&p| both[1][p] += self.dy[o] / count);
        });
        both
    }
}
