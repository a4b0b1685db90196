//! Interpolation: its VJP is its adjoint, and its values agree with the definition and PyTorch.

use crate::common::random::{Random, assert_close, numbers};
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{Resize, interpolate, interpolate_vjp};

const MODES: [Resize; 4] = [Resize::Nearest, Resize::Bilinear, Resize::BilinearAntialias, Resize::BilinearCorners];

#[test]
fn the_gradient_of_interpolation_is_its_adjoint() {
    for (seed, mode) in MODES.into_iter().enumerate() {
        for (from, to) in
            [((5, 7), (11, 3)), ((8, 8), (8, 8)), ((1, 4), (6, 9)), ((13, 13), (40, 31)), ((9, 20), (1, 1))]
        {
            let mut r = Random(seed as u64);
            let x = r.tensor(&[2, 3, from.0, from.1]);
            let dy = r.tensor(&[2, 3, to.0, to.1]);
            let forth = numbers(&interpolate(&x, to, mode).unwrap());
            let back = numbers(&interpolate_vjp(&dy, from, mode).unwrap());
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let (left, right) = (dot(&forth, &numbers(&dy)), dot(&numbers(&x), &back));
            assert!((left - right).abs() < 1e-10, "{mode:?} {from:?} to {to:?}: {left} and {right}");
        }
    }
}

/// The weight of pixel `a` in pixel `i` of `out`.
fn weight(mode: Resize, size: usize, out: usize, i: usize, a: usize) -> f64 {
    let hat = |distance: f64| (1.0 - distance.abs()).max(0.0);
    let (last, scale) = ((size - 1) as f64, size as f64 / out as f64);
    let center = (i as f64 + 0.5) * scale;
    match mode {
        Resize::Nearest => f64::from(a == i * size / out),
        Resize::Bilinear => hat((center - 0.5).clamp(0.0, last) - a as f64),
        Resize::BilinearCorners => hat(i as f64 * last / (out.max(2) - 1) as f64 - a as f64),
        Resize::BilinearAntialias => {
            let wide = |a: usize| hat((a as f64 + 0.5 - center) / scale.max(1.0));
            wide(a) / (0..size).map(wide).sum::<f64>()
        }
    }
}

#[test]
fn interpolation_is_a_weighted_sum_of_pixels() {
    for (seed, mode) in MODES.into_iter().enumerate() {
        for (from, to) in
            [((5, 7), (11, 3)), ((8, 6), (8, 6)), ((1, 4), (6, 9)), ((13, 13), (40, 31)), ((33, 20), (1, 7))]
        {
            let x = Random(seed as u64).tensor(&[2, 3, from.0, from.1]);
            let v = numbers(&x);
            let pixel = |m: usize, i: usize, j: usize| {
                let row = |a: usize| {
                    (0..from.1)
                        .map(|b| weight(mode, from.1, to.1, j, b) * v[(m * from.0 + a) * from.1 + b])
                        .sum::<f64>()
                };
                (0..from.0).map(|a| weight(mode, from.0, to.0, i, a) * row(a)).sum::<f64>()
            };
            let places = (0..6).flat_map(|m| (0..to.0).flat_map(move |i| (0..to.1).map(move |j| (m, i, j))));
            let plain: Vec<_> = places.map(|(m, i, j)| pixel(m, i, j)).collect();
            let plain = Tensor::from_vec(plain, (2, 3, to.0, to.1), &Device::Cpu).unwrap();
            for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
                let ours = interpolate(&x.to_dtype(dtype).unwrap(), to, mode).unwrap();
                assert_close(&format!("{mode:?} {from:?} to {to:?} in {dtype:?}"), &ours, &plain, bound);
            }
        }
    }
}

#[test]
fn interpolation_matches_pytorch() {
    let row = Tensor::new(&[[[[0f64, 1.0, 4.0, 9.0]]]], &Device::Cpu).unwrap();
    // torch.nn.functional.interpolate(row, size=(1, 6 or 2), mode=…), torch 1.13
    let cases: [(Resize, usize, &[f64]); 6] = [
        (Resize::Nearest, 6, &[0.0, 0.0, 1.0, 4.0, 4.0, 9.0]),
        (Resize::Bilinear, 6, &[0.0, 0.5, 1.5, 3.5, 6.5, 9.0]),
        (Resize::BilinearCorners, 6, &[0.0, 0.6, 1.6, 3.4, 6.0, 9.0]),
        (Resize::BilinearAntialias, 2, &[1.0, 40.0 / 7.0]),
        (Resize::Bilinear, 2, &[0.5, 6.5]),
        (Resize::BilinearCorners, 2, &[0.0, 9.0]),
    ];
    for (mode, width, expected) in cases {
        let ours = interpolate(&row, (1, width), mode).unwrap();
        let expected = Tensor::new(expected, &Device::Cpu).unwrap().reshape((1, 1, 1, width)).unwrap();
        assert_close(&format!("{mode:?} to {width}"), &ours, &expected, 1e-9);
    }
}
