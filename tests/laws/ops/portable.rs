//! The portable kernels, which run on other devices, against the CPU kernels, for random configurations.

use crate::common::random::{Random, assert_close};
use candle_core::{DType, Tensor};
use gradscope::backend::{self, Conv2d, Pool2d, Resize, Window, portable};

/// Tolerance for each type.
const TYPES: [(DType, f64); 2] = [(DType::F64, 1e-12), (DType::F32, 1e-5)];

fn pair(r: &mut Random, low: usize, high: usize) -> (usize, usize) {
    (r.between(low, high), r.between(low, high))
}

/// A random convolution whose window fits, half of them symmetric: `(x, weight, how)`.
fn convolution(r: &mut Random) -> ([usize; 4], [usize; 4], Conv2d) {
    let groups = [1, 1, 1, 2, 3][r.between(0, 4)];
    let (inputs, outputs) = (groups * r.between(1, 3), groups * r.between(1, 4));
    let square = r.between(0, 1) == 0;
    let mut draw = |low, high| {
        let both = pair(r, low, high);
        if square { (both.0, both.0) } else { both }
    };
    let (kernel, stride, padding, dilation) = (draw(1, 4), draw(1, 3), draw(0, 4), draw(1, 3));
    let least = |k: usize, p: usize, d: usize| (d * (k - 1) + 1).saturating_sub(2 * p).max(1);
    let (h, w) = (least(kernel.0, padding.0, dilation.0), least(kernel.1, padding.1, dilation.1));
    let shape = [r.between(1, 3), inputs, h + r.between(0, 7), w + r.between(0, 7)];
    let weight = [outputs, inputs / groups, kernel.0, kernel.1];
    (shape, weight, Conv2d { stride, padding, dilation, groups, ..Conv2d::default() })
}

#[test]
fn convolutions_and_their_gradients_match_the_cpu() {
    for seed in 0..300 {
        let mut r = Random(seed);
        let (shape, weight, how) = convolution(&mut r);
        let (oh, ow) = how.output(&weight, shape[2], shape[3]).unwrap();
        let (x, w, b) = (r.tensor(&shape), r.tensor(&weight), r.tensor(&weight[..1]));
        let dy = r.tensor(&[shape[0], weight[0], oh, ow]);
        for (dtype, bound) in TYPES {
            let [x, w, b, dy] = [&x, &w, &b, &dy].map(|t| t.to_dtype(dtype).unwrap());
            let what = |which: &str| format!("{which} {seed}: {shape:?} by {weight:?}, {how:?}, {dtype:?}");
            let ours = portable::conv2d(&x, &w, Some(&b), &how).unwrap();
            assert_close(&what("value"), &ours, &backend::conv2d(&x, &w, Some(&b), &how).unwrap(), bound);
            let ours = portable::conv2d_input_vjp(&dy, &w, &shape, &how).unwrap();
            let expected = backend::conv2d_input_vjp(&dy, &w, &shape, &how).unwrap();
            assert_close(&what("input vjp"), &ours, &expected, bound);
            let ours = portable::conv2d_weight_vjp(&dy, &x, &weight, &how).unwrap();
            let expected = backend::conv2d_weight_vjp(&dy, &x, &weight, &how).unwrap();
            assert_close(&what("weight vjp"), &ours, &expected, bound);
        }
    }
}

#[test]
fn an_empty_batch_and_misshapen_gradients_are_handled_as_on_the_cpu() {
    let how = Conv2d { stride: (2, 1), padding: (1, 0), ..Conv2d::default() };
    let (x, w) = (Random(1).tensor(&[1, 2, 5, 5]), Random(2).tensor(&[3, 2, 3, 3]));
    let y = portable::conv2d(&x, &w, None, &how).unwrap();
    let (none, dnone) = (x.narrow(0, 0, 0).unwrap(), y.narrow(0, 0, 0).unwrap());
    assert_eq!(portable::conv2d(&none, &w, None, &how).unwrap().dims(), dnone.dims());
    assert_eq!(portable::conv2d_input_vjp(&dnone, &w, none.dims(), &how).unwrap().dims(), none.dims());
    let dw = portable::conv2d_weight_vjp(&dnone, &none, w.dims(), &how).unwrap();
    assert_close("weight vjp of an empty batch", &dw, &w.zeros_like().unwrap(), 0.0);
    let wrong = y.narrow(2, 0, 1).unwrap();
    assert!(portable::conv2d_input_vjp(&wrong, &w, x.dims(), &how).is_err());
    assert!(portable::conv2d_weight_vjp(&wrong, &x, w.dims(), &how).is_err());
    assert!(portable::conv2d(&x, &w, Some(&Random(3).tensor(&[2])), &how).is_err());
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let most = portable::max_pool2d(&none, &pool).unwrap();
    assert_eq!(portable::max_pool2d_vjp(&most, &none, &pool).unwrap().dims(), none.dims());
    let mean = portable::avg_pool2d(&none, &pool, true).unwrap();
    assert_eq!(portable::avg_pool2d_vjp(&mean, none.dims(), &pool, true).unwrap().dims(), none.dims());
}

fn windows(r: &mut Random, farthest: usize) -> Pool2d {
    let mut window = || {
        let kernel = r.between(1, 4);
        Window::new(kernel, r.between(1, 4), r.between(0, kernel / 2), r.between(1, farthest))
    };
    let (h, w) = (window(), window());
    Pool2d { h, w, ceil_mode: r.between(0, 1) == 0 }
}

#[test]
fn max_pooling_and_its_gradient_match_the_cpu() {
    for seed in 0..200 {
        let mut r = Random(seed);
        let pool = windows(&mut r, 3);
        let shape = [2, 3, r.between(10, 17), r.between(10, 17)];
        let mut x = r.tensor(&shape);
        if seed % 3 == 0 {
            // Multiples of 1/4, so that maxima tie.
            x = ((x * 4.0).unwrap().round().unwrap() / 4.0).unwrap();
        }
        for (dtype, bound) in TYPES {
            let x = x.to_dtype(dtype).unwrap();
            let y = backend::max_pool2d(&x, &pool).unwrap();
            let dy = r.tensor(y.dims()).to_dtype(dtype).unwrap();
            let what = format!("{pool:?} of {shape:?}");
            assert_close(&what, &portable::max_pool2d(&x, &pool).unwrap(), &y, 0.0);
            let ours = portable::max_pool2d_vjp(&dy, &x, &pool).unwrap();
            assert_close(&what, &ours, &backend::max_pool2d_vjp(&dy, &x, &pool).unwrap(), bound);
        }
    }
}

#[test]
fn nan_is_the_maximum_of_its_window() {
    let pool = Pool2d { h: Window::new(1, 1, 0, 1), w: Window::new(3, 1, 1, 1), ceil_mode: false };
    let x = Tensor::new(&[[[[1f32, f32::NAN, 3.0, 2.0, f32::NEG_INFINITY, 0.0]]]], &candle_core::Device::Cpu).unwrap();
    let bits = |t: Tensor| -> Vec<u32> {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    };
    let same = |a: Tensor, b: Tensor| assert_eq!(bits(a), bits(b));
    same(portable::max_pool2d(&x, &pool).unwrap(), backend::max_pool2d(&x, &pool).unwrap());
    let dy = x.ones_like().unwrap();
    same(portable::max_pool2d_vjp(&dy, &x, &pool).unwrap(), backend::max_pool2d_vjp(&dy, &x, &pool).unwrap());
    same(portable::relu(&x).unwrap(), backend::relu(&x).unwrap());
    same(portable::relu_vjp(&dy, &x).unwrap(), backend::relu_vjp(&dy, &x).unwrap());
}

#[test]
fn mean_pooling_and_resizing_match_the_cpu() {
    for seed in 0..120 {
        let mut r = Random(seed);
        let (pool, include_pad) = (windows(&mut r, 1), seed % 2 == 0);
        let shape = [2, 3, r.between(5, 12), r.between(5, 12)];
        let (from, to) = ((shape[2], shape[3]), pair(&mut r, 1, 20));
        let mode =
            [Resize::Nearest, Resize::Bilinear, Resize::BilinearAntialias, Resize::BilinearCorners][seed as usize % 4];
        let x = r.tensor(&shape);
        let dz = r.tensor(&[2, 3, to.0, to.1]);
        for (dtype, bound) in TYPES {
            let [x, dz] = [&x, &dz].map(|t| t.to_dtype(dtype).unwrap());
            let y = backend::avg_pool2d(&x, &pool, include_pad).unwrap();
            let dy = r.tensor(y.dims()).to_dtype(dtype).unwrap();
            let what = format!("{pool:?} of {shape:?} in {dtype:?}");
            assert_close(&what, &portable::avg_pool2d(&x, &pool, include_pad).unwrap(), &y, bound);
            let ours = portable::avg_pool2d_vjp(&dy, &shape, &pool, include_pad).unwrap();
            assert_close(&what, &ours, &backend::avg_pool2d_vjp(&dy, &shape, &pool, include_pad).unwrap(), bound);
            let what = format!("{mode:?} of {shape:?} to {to:?} in {dtype:?}");
            let ours = portable::interpolate(&x, to, mode).unwrap();
            assert_close(&what, &ours, &backend::interpolate(&x, to, mode).unwrap(), bound);
            let ours = portable::interpolate_vjp(&dz, from, mode).unwrap();
            assert_close(&what, &ours, &backend::interpolate_vjp(&dz, from, mode).unwrap(), bound);
        }
    }
}

#[test]
fn elementwise_passes_and_sums_match_the_cpu() {
    let mut r = Random(5);
    for shape in [vec![3, 5], vec![2, 4, 7, 3], vec![1, 2, 300, 200]] {
        let [s, z] = [0, 1].map(|_| r.tensor(&shape));
        let z = (z * 2.0).unwrap().round().unwrap();
        let [scale, shift] = [0, 1].map(|_| r.tensor(&shape[1..2]));
        for (dtype, bound) in TYPES {
            let [s, z, scale, shift] = [&s, &z, &scale, &shift].map(|t| t.to_dtype(dtype).unwrap());
            let what = format!("{shape:?} in {dtype:?}");
            assert_close(&what, &portable::relu(&s).unwrap(), &backend::relu(&s).unwrap(), 0.0);
            assert_close(&what, &portable::relu_vjp(&s, &z).unwrap(), &backend::relu_vjp(&s, &z).unwrap(), 0.0);
            let ours = portable::channel_affine(&s, &scale, &shift).unwrap();
            assert_close(&what, &ours, &backend::channel_affine(&s, &scale, &shift).unwrap(), bound);
            let near = |a: f64, b: f64| assert!((a - b).abs() < bound * s.elem_count() as f64, "{what}: {a} and {b}");
            near(portable::sum(&s).unwrap(), backend::sum(&s).unwrap());
            let ours = portable::lrp_divide(&s, &z, Some(&shift), 0.25).unwrap();
            let expected = backend::lrp_divide(&s, &z, Some(&shift), 0.25).unwrap();
            assert_close(&what, &ours.s, &expected.s, bound);
            near(ours.bias, expected.bias);
            near(ours.stabilizer, expected.stabilizer);
            near(ours.missing, expected.missing);
            for x in [&s, &s.abs().unwrap(), &s.zeros_like().unwrap()] {
                assert_eq!(portable::is_zero(x).unwrap(), backend::is_zero(x).unwrap());
                assert_eq!(portable::is_nonnegative(x).unwrap(), backend::is_nonnegative(x).unwrap());
            }
        }
    }
}
