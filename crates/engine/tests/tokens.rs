//! Compares the kernels of transformers with plain loops in f64: strided views, matrix products, softmax and row norms, in every
//! instruction set.

#[path = "common/random.rs"]
mod random;

use gradscope_engine::simd::{available, set_level};
use gradscope_engine::{Algorithm, RowNorm, View, add_view, gather, matmul, scatter_add, softmax, softmax_vjp};
use random::Random;

fn near(what: &str, found: &[f32], expected: &[f64], scale: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*f) - e).abs() <= 1e-5 * (scale + e.abs()), "{what}, element {i}: {f} instead of {e}");
    }
}

/// The index of each element of a view in its slice, in row-major order.
fn places(view: &View) -> Vec<usize> {
    let mut all = vec![view.offset];
    for (&size, &stride) in view.dims.iter().zip(&view.strides) {
        all = all.iter().flat_map(|at| (0..size).map(move |i| at + i * stride)).collect();
    }
    all
}

/// A random view: a contiguous tensor that is permuted, sliced and sometimes reshaped.
fn drawn(r: &mut Random) -> (View, usize) {
    let dims: Vec<_> = (0..r.between(1, 5)).map(|_| r.between(1, 9)).collect();
    let mut view = View::dense(&dims);
    let len = view.elements();
    for _ in 0..r.between(0, 4) {
        let (a, b) = (r.between(0, view.dims.len() - 1), r.between(0, view.dims.len() - 1));
        view = match r.between(0, 3) {
            0 => view.transpose(a, b),
            1 => {
                let (size, step) = (view.dims[a], r.between(1, 3));
                let start = r.between(0, size - 1);
                view.slice(a, start, (size - start).div_ceil(step), step)
            }
            2 if view.dims.len() > 1 => view.select(a, r.between(0, view.dims[a] - 1)),
            _ => {
                let flat: Vec<_> = std::iter::once(view.dims[0]).chain([view.dims[1..].iter().product()]).collect();
                view.reshape(&flat).unwrap_or(view)
            }
        };
    }
    (view, len)
}

#[test]
fn gathered_and_scattered_elements_are_those_of_the_view() {
    for level in available() {
        set_level(level);
        let r = &mut Random(7);
        for _ in 0..if cfg!(miri) { 10 } else { 500 } {
            let (view, len) = drawn(r);
            let (x, at) = (r.numbers(len), places(&view));
            assert!(view.extent() <= len && view.is_injective() && at.len() == view.elements(), "{view:?}");
            let mut y = vec![0.0; at.len()];
            gather(&x, &view, &mut y);
            assert_eq!(y, at.iter().map(|&i| x[i]).collect::<Vec<_>>(), "{view:?} at {level:?}");
            let (mut dx, dy) = (x.clone(), r.numbers(at.len()));
            scatter_add(&dy, &view, &mut dx);
            let mut expected = x;
            at.iter().zip(&dy).for_each(|(&i, dy)| expected[i] += dy);
            assert_eq!(dx, expected, "{view:?} at {level:?}");
        }
    }
}

#[test]
fn a_broadcast_sum_adds_the_element_of_the_view_to_each_element() {
    for level in available() {
        set_level(level);
        let r = &mut Random(9);
        for _ in 0..if cfg!(miri) { 10 } else { 300 } {
            let (mut view, len) = drawn(r);
            for d in 0..view.dims.len() {
                if r.between(0, 2) == 0 {
                    view.strides[d] = 0;
                }
            }
            let (at, z) = (places(&view), r.numbers(len));
            let x = r.numbers(at.len());
            let mut y = vec![0.0; x.len()];
            add_view(&x, &z, &view, &mut y);
            assert_eq!(y, x.iter().zip(&at).map(|(x, &i)| x + z[i]).collect::<Vec<_>>(), "{view:?} at {level:?}");
        }
    }
}

#[test]
fn a_reshaped_view_has_the_same_elements_and_one_that_needs_a_copy_is_refused() {
    let map = View::dense(&[6, 8]);
    assert_eq!(map.reshape(&[2, 3, 4, 2]), Some(View::dense(&[2, 3, 4, 2])));
    assert_eq!(map.transpose(0, 1).reshape(&[48]), None);
    let heads = View::dense(&[10, 3, 4, 8]).permute(&[1, 2, 0, 3]);
    assert_eq!(
        heads.select(0, 1).reshape(&[2, 2, 10, 8]).map(|v| (v.offset, v.strides)),
        Some((32, vec![16, 8, 96, 1]))
    );
    assert_eq!(heads.reshape(&[12, 10, 8]).map(|v| v.strides), Some(vec![8, 96, 1]));
    assert_eq!(heads.reshape(&[3, 40, 8]), None);
    assert_eq!(map.slice(1, 0, 8, 1).reshape(&[1, 6, 1, 8, 1]).map(|v| places(&v)), Some((0..48).collect()));
    assert!(!View { offset: 0, dims: vec![3, 3], strides: vec![2, 1] }.is_injective());
}

#[test]
fn products_of_views_match_plain_sums() {
    for level in available() {
        set_level(level);
        let r = &mut Random(11);
        for case in 0..if cfg!(miri) { 4 } else { 60 } {
            let most = if case % 10 == 9 && !cfg!(miri) { 210 } else { 40 };
            let (heads, n) = (r.between(1, 3), r.between(1, 2));
            let [m, k, p] = [0; 3].map(|_| r.between(1, most));
            // Rows of tokens that contain all heads, rows of one head, or transposed rows.
            let mut view = |rows: usize, columns: usize| match r.between(0, 2) {
                0 => View::dense(&[rows, heads, columns]).transpose(0, 1).batch(n, rows * heads * columns),
                1 => View::dense(&[n, heads, rows, columns]),
                _ => View::dense(&[n, heads, columns, rows]).transpose(2, 3),
            };
            let (a, b) = (view(m, k), view(k, p));
            let (x, w) = (r.numbers(a.extent()), r.numbers(b.extent()));
            let mut y = vec![0.0; n * heads * m * p];
            matmul((&x, &a), (&w, &b), &mut y, None, Algorithm::Direct);
            let (a, b) = (places(&a), places(&b));
            let element = |i: usize| {
                let (matrix, row, column) = (i / (m * p), i / p % m, i % p);
                let term = |t: usize| {
                    let (x, w) = (x[a[(matrix * m + row) * k + t]], w[b[(matrix * k + t) * p + column]]);
                    f64::from(x) * f64::from(w)
                };
                (0..k).map(term).sum()
            };
            let expected: Vec<f64> = (0..y.len()).map(element).collect();
            near(&format!("{n}x{heads} products {m}x{k}x{p} at {level:?}"), &y, &expected, k as f64);
        }
    }
}

#[test]
fn softmax_and_its_gradient_match_plain_loops() {
    for level in available() {
        set_level(level);
        let r = &mut Random(13);
        for (rows, columns, scale) in [(1, 1, 1.0), (3, 5, 10.0), (7, 16, 1.0), (20, 197, 30.0), (4, 33, 200.0)] {
            let x: Vec<_> = r.numbers(rows * columns).iter().map(|v| v * scale - 50.0).collect();
            let dy = r.numbers(x.len());
            let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            softmax(&x, &mut y, columns);
            let what = format!("{rows}x{columns} at {level:?}");
            let plain = |x: &[f32]| {
                let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let e: Vec<_> = x.iter().map(|v| f64::from(v - most).exp()).collect();
                let sum: f64 = e.iter().sum();
                e.iter().map(|e| e / sum).collect::<Vec<_>>()
            };
            let expected: Vec<f64> = x.chunks(columns).flat_map(plain).collect();
            near(&format!("softmax of {what}"), &y, &expected, 0.1);
            softmax_vjp(&y, &dy, &mut dx, columns);
            let back = |(y, dy): (&[f64], &[f32])| {
                let mean: f64 = y.iter().zip(dy).map(|(y, dy)| y * f64::from(*dy)).sum();
                y.iter().zip(dy).map(|(y, dy)| y * (f64::from(*dy) - mean)).collect::<Vec<_>>()
            };
            let expected: Vec<f64> = expected.chunks(columns).zip(dy.chunks(columns)).flat_map(back).collect();
            near(&format!("its gradient for {what}"), &dx, &expected, 0.2);
        }
    }
}

#[test]
fn softmax_keeps_nan_and_infinity_as_pytorch_does() {
    let inf = f32::INFINITY;
    let rows = [[0.0, -inf, 0.0], [f32::NAN, 0.0, 1.0], [inf, 0.0, 1.0], [-inf, -inf, -inf], [-1e30, -1e30, -2e30]];
    let (x, mut y) = (rows.concat(), vec![0.0; 15]);
    softmax(&x, &mut y, 3);
    assert_eq!(y[..3], [0.5, 0.0, 0.5]);
    assert!(y[3..12].iter().all(|v| v.is_nan()), "{y:?}");
    assert_eq!(y[12..], [0.5, 0.5, 0.0]);
}

#[test]
fn row_norms_and_their_gradients_match_plain_loops() {
    for level in available() {
        set_level(level);
        let r = &mut Random(17);
        for (rows, columns) in [(1, 2), (3, 5), (40, 16), (65, 192), (2, 385)] {
            if cfg!(miri) && rows * columns > 1000 {
                continue;
            }
            for (centered, detached) in [(true, false), (true, true), (false, false), (false, true)] {
                let norm = RowNorm { columns, centered, epsilon: 1e-3 };
                let x: Vec<_> = r.numbers(rows * columns).iter().map(|v| v + 3.0).collect();
                let (dy, gamma, beta) = (r.numbers(x.len()), r.numbers(columns), r.numbers(columns));
                let what = format!("{rows}x{columns}, centered: {centered}, detached: {detached}, at {level:?}");
                let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
                let [x64, dy64, gamma64, beta64] = [&x, &dy, &gamma, &beta].map(|v| wide(v));
                let (mut y, mut dx) = (vec![0f64; x.len()], vec![0f64; x.len()]);
                let mut parameters = [vec![0f64; columns], vec![0f64; columns]];
                for row in 0..rows {
                    let range = row * columns..(row + 1) * columns;
                    let (x, dy) = (&x64[range.clone()], &dy64[range]);
                    let average = |f: &dyn Fn(usize) -> f64| (0..columns).map(f).sum::<f64>() / columns as f64;
                    let mean = if centered { average(&|i| x[i]) } else { 0.0 };
                    let inverse = (average(&|i| (x[i] - mean).powi(2)) + 1e-3).sqrt().recip();
                    let hat = |i: usize| (x[i] - mean) * inverse;
                    let along = if detached { 0.0 } else { average(&|i| gamma64[i] * dy[i] * hat(i)) };
                    let shift = if centered { average(&|i| gamma64[i] * dy[i]) } else { 0.0 };
                    for i in 0..columns {
                        y[row * columns + i] = gamma64[i] * hat(i) + beta64[i];
                        dx[row * columns + i] = inverse * (gamma64[i] * dy[i] - shift - hat(i) * along);
                        parameters[0][i] += dy[i] * hat(i);
                        parameters[1][i] += dy[i];
                    }
                }
                let (mut found, mut back) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                norm.forward(&x, &mut found, Some(&gamma), Some(&beta));
                near(&format!("norm of {what}"), &found, &y, 5.0);
                norm.vjp(&x, &dy, &mut back, Some(&gamma), detached);
                near(&format!("its gradient for {what}"), &back, &dx, 20.0);
                let [dg, db] = norm.parameter_vjp(&x, &dy);
                near(&format!("gradient of γ of {what}"), &dg, &parameters[0], 5.0 * rows as f64);
                near(&format!("gradient of β of {what}"), &db, &parameters[1], rows as f64);
            }
        }
    }
}
