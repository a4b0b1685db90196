//! Compares linear layers, pools and passes with plain loops, on every instruction set of this machine.
#![allow(clippy::unwrap_used)]

use gradscope_engine::simd::{available, set_level};
use gradscope_engine::{
    Activation, Algorithm, Epilogue, Map, MapMut, Pool, Sizes, Slide, StridedSlice, WeightGradient, gate_vjp, linear,
    linear_vjp, linear_weight_gradient, multiply_maps, pass, sum_pictures,
};

/// Values in [-1, 1) from a Weyl sequence.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + seed * 7919 + 1) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0) as f32).collect()
}

fn near(what: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(*g) - e).abs() <= 2e-6 * largest, "{what}: {g} instead of {e} at {i}");
    }
}

#[test]
fn linear_layers_and_their_gradients_equal_the_plain_sums() {
    for level in available() {
        set_level(level);
        for (n, input, output) in
            [(1, 1, 1), (1, 400, 120), (3, 77, 10), (7, 64, 33), (64, 130, 20), (2, 9216, 5), (600, 70, 40)]
                .into_iter()
                .filter(|(n, i, o)| !cfg!(miri) || n * i * o < 20_000)
        {
            let (x, w, b) = (numbers(n * input, 1), numbers(output * input, 2), numbers(output, 3));
            let dy = numbers(n * output, 4);
            let (mut y, mut dx) = (vec![0f32; n * output], vec![0f32; n * input]);
            linear(&x, &w, Some(&b), &mut y, (n, input, output), Some(Activation::Relu));
            linear_vjp(&dy, &w, &mut dx, (n, input, output));
            let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
            let sum = |r: usize, o: usize| (0..input).map(|i| product(x[r * input + i], w[o * input + i])).sum::<f64>();
            let value = |i: usize| (sum(i / output, i % output) + f64::from(b[i % output])).max(0.0);
            near(&format!("linear at {level:?}"), &y, &(0..n * output).map(value).collect::<Vec<_>>());
            let back =
                |r: usize, i: usize| (0..output).map(|o| product(dy[r * output + o], w[o * input + i])).sum::<f64>();
            let gradient = |i: usize| back(i / input, i % input);
            near(&format!("its vjp at {level:?}"), &dx, &(0..n * input).map(gradient).collect::<Vec<_>>());
            let mut dw = vec![f32::NAN; output * input];
            linear_weight_gradient(&dy, &x, &mut dw, (n, input, output));
            let outer = |o: usize, i: usize| (0..n).map(|r| product(dy[r * output + o], x[r * input + i])).sum::<f64>();
            let gradient = |i: usize| outer(i / input, i % input);
            near(
                &format!("its weight gradient at {level:?}"),
                &dw,
                &(0..output * input).map(gradient).collect::<Vec<_>>(),
            );
        }
    }
}

#[test]
fn pictures_are_summed_elementwise() {
    for level in available() {
        set_level(level);
        for (n, h, w, c, pitch) in [(1, 3, 5, 7, 7), (5, 9, 11, 96, 96), (3, 40, 41, 33, 40)] {
            if cfg!(miri) && n > 1 {
                continue;
            }
            let x = numbers(n * h * w * pitch, n);
            let mut y = vec![0f32; h * w * c];
            sum_pictures(&Map::new(&x, [n, h, w, c], pitch), &mut MapMut::new(&mut y, [1, h, w, c], c));
            let one = |i: usize| (0..n).map(|k| f64::from(x[(k * h * w + i / c) * pitch + i % c])).sum::<f64>();
            near(&format!("sum at {level:?}"), &y, &(0..h * w * c).map(one).collect::<Vec<_>>());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn a_call_keeps_the_instruction_set_that_it_began_with() {
    let (n, input, output) = (3, 300, 20);
    let (dy, w, x) = (numbers(n * output, 1), numbers(output * input, 2), numbers(n * input, 3));
    let (kernel, one) = ((1, 1), (1, 1));
    let slide = Slide { kernel, stride: one, padding: (0, 0), dilation: one, groups: 1 };
    let gradient = WeightGradient::new(Sizes { input, output, from: one, to: one }, slide, Algorithm::Direct);
    let sum = |of: &dyn Fn(usize) -> f32, count: usize| (0..count).map(|i| f64::from(of(i))).sum::<f64>();
    let back = |i: usize| sum(&|o| dy[i / input * output + o] * w[o * input + i % input], output);
    let change = |i: usize| sum(&|r| dy[r * output + i / input] * x[r * input + i % input], n);
    let check = || {
        for _ in 0..300 {
            let (mut dx, mut dw) = (vec![0f32; n * input], vec![0f32; output * input]);
            linear_vjp(&dy, &w, &mut dx, (n, input, output));
            near("vjp", &dx, &(0..n * input).map(back).collect::<Vec<_>>());
            gradient.run(&Map::new(&dy, [n, 1, 1, output], output), &Map::new(&x, [n, 1, 1, input], input), &mut dw);
            near("weights", &dw, &(0..output * input).map(change).collect::<Vec<_>>());
        }
    };
    std::thread::scope(|s| {
        let checks = s.spawn(check);
        available().into_iter().cycle().take_while(|_| !checks.is_finished()).for_each(set_level);
    });
}

#[test]
fn max_pools_take_the_first_maximum_and_send_gradients_there() {
    for level in available() {
        set_level(level);
        for (kernel, stride, padding, size, c) in [
            ((2, 2), (2, 2), (0, 0), (8, 6), 16),
            ((3, 2), (3, 2), (0, 0), (9, 8), 21),
            ((2, 2), (3, 2), (0, 0), (8, 7), 5),
            ((3, 3), (2, 2), (1, 1), (9, 11), 21),
            ((3, 2), (1, 2), (1, 0), (7, 7), 5),
        ] {
            let pool = Pool { kernel, stride, padding, dilation: (1, 1) };
            let count = |s: usize, k: usize, t: usize, p: usize| (s + 2 * p - k) / t + 1;
            let (oh, ow) = (count(size.0, kernel.0, stride.0, padding.0), count(size.1, kernel.1, stride.1, padding.1));
            // Few distinct values, so that some maxima tie.
            let x: Vec<f32> = numbers(2 * size.0 * size.1 * c, 5).iter().map(|v| (v * 3.0).round()).collect();
            let dy = numbers(2 * oh * ow * c, 6);
            let (mut best, mut dx) = (vec![0f64; dy.len()], vec![0f64; x.len()]);
            for i in 0..dy.len() {
                let (k, j, r, n) = (i % c, i / c % ow, i / c / ow % oh, i / c / ow / oh);
                let mut at = None;
                for (a, b) in (0..kernel.0).flat_map(|a| (0..kernel.1).map(move |b| (a, b))) {
                    let row = (r * stride.0 + a).wrapping_sub(padding.0);
                    let column = (j * stride.1 + b).wrapping_sub(padding.1);
                    if row < size.0 && column < size.1 {
                        let place = ((n * size.0 + row) * size.1 + column) * c + k;
                        at = Some(at.filter(|&old: &usize| x[old] >= x[place]).unwrap_or(place));
                    }
                }
                best[i] = f64::from(x[at.unwrap()]);
                dx[at.unwrap()] += f64::from(dy[i]);
            }
            let (mut y, mut back) = (vec![0f32; dy.len()], vec![0f32; x.len()]);
            let from = Map::new(&x, [2, size.0, size.1, c], c);
            pool.max(&from, &mut MapMut::new(&mut y, [2, oh, ow, c], c));
            near("greatest", &y, &best);
            let (y, dy) = (Map::new(&y, [2, oh, ow, c], c), Map::new(&dy, [2, oh, ow, c], c));
            pool.max_vjp(&from, &y, &dy, &mut MapMut::new(&mut back, [2, size.0, size.1, c], c), false);
            near("its vjp", &back, &dx);
            pool.max_vjp(&from, &y, &dy, &mut MapMut::new(&mut back, [2, size.0, size.1, c], c), true);
            let through: Vec<_> = dx.iter().zip(&x).map(|(d, x)| if *x > 0.0 { *d } else { 0.0 }).collect();
            near("its vjp after a ReLU", &back, &through);
        }
    }
}

#[test]
fn pools_propagate_nan() {
    let pool = Pool { kernel: (1, 3), stride: (1, 3), padding: (0, 0), dilation: (1, 1) };
    for level in available() {
        set_level(level);
        let x = [1.0, f32::NAN, 3.0, f32::NAN, 2.0, 1.0, 3.0, 5.0, 4.0];
        let mut y = [0f32; 3];
        pool.max(&Map::new(&x, [1, 1, 9, 1], 1), &mut MapMut::new(&mut y, [1, 1, 3, 1], 1));
        assert!(y[0].is_nan() && y[1].is_nan() && y[2] == 5.0, "{level:?}: {y:?}");
    }
}

#[test]
fn maps_without_pixels_or_channels_are_left_alone() {
    let pool = Pool { kernel: (2, 2), stride: (1, 1), padding: (1, 1), dilation: (1, 1) };
    let pick = StridedSlice { start: (0, 0), step: (1, 1), before: 0 };
    for level in available() {
        set_level(level);
        // Windows over a map without columns lie in its padding.
        let (mut y, dy) = (vec![0f32; 40 * 9], numbers(40 * 9, 1));
        pool.max(&Map::new(&[], [1, 3, 0, 40], 40), &mut MapMut::new(&mut y, [1, 4, 1, 40], 40));
        assert!(y[..4 * 40].iter().all(|&v| v == f32::NEG_INFINITY), "{level:?}: {y:?}");
        let (y, dy) = (Map::new(&y, [1, 4, 1, 40], 40), Map::new(&dy, [1, 4, 1, 40], 40));
        pool.max_vjp(&Map::new(&[], [1, 3, 0, 40], 40), &y, &dy, &mut MapMut::new(&mut [], [1, 3, 0, 40], 40), false);
        // No memory belongs to pixels without channels, whatever their pitch.
        let (of, to) = ([2, 3, 3, 0], [2, 4, 4, 0]);
        let (x, y) = (Map::new(&[], of, 3), Map::new(&[], to, 3));
        pool.max(&x, &mut MapMut::new(&mut [], to, 3));
        pool.max_vjp(&x, &y, &y, &mut MapMut::new(&mut [], of, 3), false);
        pool.mean(&x, &mut MapMut::new(&mut [], to, 3), |_, _| 1.0);
        pool.mean_vjp(&y, &mut MapMut::new(&mut [], of, 3), |_, _| 1.0);
        pick.forward(&x, &mut MapMut::new(&mut [], of, 3));
        pick.backward(&x, &mut MapMut::new(&mut [], of, 3));
        pass(&x, &mut MapMut::new(&mut [], of, 3), Epilogue { add: Some(x), ..Epilogue::default() });
        multiply_maps(&x, &x, &mut MapMut::new(&mut [], of, 3), Epilogue::default());
        gate_vjp(&x, &x, &mut []);
        sum_pictures(&x, &mut MapMut::new(&mut [], [1, 3, 3, 0], 3));
    }
}

#[test]
fn means_and_their_gradients_are_adjoint() {
    let pool = Pool { kernel: (3, 2), stride: (2, 2), padding: (1, 0), dilation: (1, 1) };
    let (x, dy) = (numbers(2 * 7 * 8 * 5, 1), numbers(2 * 4 * 4 * 5, 2));
    let (mut y, mut dx) = (vec![0f32; dy.len()], vec![0f32; x.len()]);
    let divisor = |i: usize, j: usize| (i + 2 * j + 1) as f32;
    pool.mean(&Map::new(&x, [2, 7, 8, 5], 5), &mut MapMut::new(&mut y, [2, 4, 4, 5], 5), divisor);
    pool.mean_vjp(&Map::new(&dy, [2, 4, 4, 5], 5), &mut MapMut::new(&mut dx, [2, 7, 8, 5], 5), divisor);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-5);
    assert!(y.iter().any(|&v| v != 0.0));
}

#[test]
fn gradients_of_sliced_pixels_return_to_their_positions() {
    let pick = StridedSlice { start: (1, 0), step: (2, 3), before: 2 };
    let (x, dy) = (numbers(2 * 7 * 8 * 5, 1), numbers(2 * 3 * 3 * 9, 2));
    let (mut y, mut dx) = (vec![7f32; dy.len()], vec![7f32; x.len()]);
    pick.forward(&Map::new(&x, [2, 7, 8, 5], 5), &mut MapMut::new(&mut y, [2, 3, 3, 9], 9));
    pick.backward(&Map::new(&dy, [2, 3, 3, 9], 9), &mut MapMut::new(&mut dx, [2, 7, 8, 5], 5));
    for (i, v) in y.iter().enumerate() {
        let (k, column, row, n) = (i % 9, i / 9 % 3, i / 27 % 3, i / 81);
        let from = |k: usize| ((n * 7 + 1 + 2 * row) * 8 + 3 * column) * 5 + k;
        assert_eq!(*v, if (2..7).contains(&k) { x[from(k - 2)] } else { 0.0 }, "{i}");
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-9);
    let twice = StridedSlice { start: (1, 0), step: (2, 1), before: 0 }.then(StridedSlice {
        start: (1, 2),
        step: (3, 2),
        before: 4,
    });
    assert_eq!(twice, StridedSlice { start: (3, 2), step: (6, 2), before: 4 });
}

#[test]
fn a_pass_adds_scales_and_masks_in_order() {
    for level in available() {
        set_level(level);
        let (x, add, mask) = (numbers(6 * 21, 1), numbers(6 * 21, 2), numbers(6 * 21, 3));
        let (scale, shift) = (numbers(21, 4), numbers(21, 5));
        let mut y = vec![0f32; x.len()];
        let map = |v| Map::new(v, [1, 2, 3, 21], 21);
        let affine = Some((&scale[..], &shift[..]));
        let (activation, slope) = (Some(Activation::Relu), Some((Activation::Relu, map(&mask))));
        let epilogue = Epilogue { affine, add: Some(map(&add)), activation, slope, ..Epilogue::default() };
        pass(&map(&x), &mut MapMut::new(&mut y, [1, 2, 3, 21], 21), epilogue);
        let value = |i: usize| {
            let v = f64::from(x[i]) * f64::from(scale[i % 21]) + f64::from(shift[i % 21]) + f64::from(add[i]);
            if mask[i] > 0.0 { v.max(0.0) } else { 0.0 }
        };
        near("pass", &y, &(0..y.len()).map(value).collect::<Vec<_>>());
    }
}

#[test]
fn gates_multiply_all_pixels_of_their_picture_and_collect_their_gradients() {
    for level in available() {
        set_level(level);
        for (sizes, pitch) in [([1, 1, 1, 1], 1), ([2, 3, 5, 7], 9), ([3, 4, 4, 33], 33), ([2, 1, 9, 130], 131)] {
            let [n, h, w, c] = sizes;
            let (pixels, what) = (h * w, format!("{sizes:?} at {level:?}"));
            let (x, dy, m) = (numbers(n * pixels * pitch, 1), numbers(n * pixels * pitch, 2), numbers(n * c, 3));
            let add = numbers(n * pixels * c, 4);
            let at = |all: &[f32], pixel: usize, i: usize| f64::from(all[pixel * pitch + i]);
            let maps = (Map::new(&x, sizes, pitch), Map::new(&dy, sizes, pitch), Map::new(&add, sizes, c));
            let mut y = vec![0.0; n * pixels * c];
            let epilogue = Epilogue { add: Some(maps.2), ..Epilogue::default() };
            multiply_maps(&maps.0, &Map::new(&m, [n, 1, 1, c], c), &mut MapMut::new(&mut y, sizes, c), epilogue);
            let element = |i: usize| {
                let (pixel, k) = (i / c, i % c);
                at(&x, pixel, k) * f64::from(m[pixel / pixels * c + k]) + f64::from(add[i])
            };
            near(&format!("gated {what}"), &y, &(0..y.len()).map(element).collect::<Vec<_>>());
            multiply_maps(&maps.0, &maps.1, &mut MapMut::new(&mut y, sizes, c), Epilogue::default());
            let element = |i: usize| at(&x, i / c, i % c) * at(&dy, i / c, i % c);
            near(&format!("product of {what}"), &y, &(0..y.len()).map(element).collect::<Vec<_>>());
            let mut dm = vec![0.0; n * c];
            gate_vjp(&maps.1, &maps.0, &mut dm);
            let sum = |i: usize| {
                let pixels = i / c * pixels..(i / c + 1) * pixels;
                pixels.map(|pixel| at(&x, pixel, i % c) * at(&dy, pixel, i % c)).sum()
            };
            near(&format!("gradient of gates of {what}"), &dm, &(0..n * c).map(sum).collect::<Vec<f64>>());
        }
    }
}
