//! Compares vectorized activations with the same formulas in f64, alone and in the epilogue of a convolution.
#![allow(clippy::unwrap_used)]

use gradscope_engine::simd::{available, set_level};
use gradscope_engine::{
    Activation, Algorithm, Compiled, Epilogue, Filter, Map, MapMut, Pointwise, Real, Saves, Sizes, Slide, pass,
};

/// Declares formulas that use one function as both value and slope.
macro_rules! formulas {
    ($($Name:ident, $NAME:ident: $f:expr;)*) => {
        $(
            struct $Name;

            impl Pointwise for $Name {
                const SAVES: Saves = Saves::Input;

                #[inline(always)]
                fn value<R: Real>(x: R, p: [R; 2]) -> R {
                    let f: fn(R, [R; 2]) -> R = $f;
                    f(x, p)
                }

                #[inline(always)]
                fn slope<R: Real>(x: R, p: [R; 2]) -> R {
                    Self::value(x, p)
                }
            }

            static $NAME: Compiled = Compiled::of::<$Name>();
        )*
    };
}

formulas! {
    Exp, EXP: |x, _| x.exp();
    Tanh, TANH: |x, _| x.tanh();
    Erf, ERF: |x, _| x.erf();
    Sigmoid, SIGMOID: |x, _| x.sigmoid();
    Silu, SILU: |x, _| x.clone() * x.sigmoid();
    Softplus, SOFTPLUS: |x, _| x.clone().at_least(R::of(0.0)) + (-x.abs()).exp().ln_1p();
    Bounded, BOUNDED: |x, [low, high]| x.at_least(low).at_most(high);
    Leaky, LEAKY: |x, [slope, _]| x.clone().choose(x.clone(), slope * x);
}

/// The largest error of a function over a range. It is relative where the value is large, else absolute.
fn error<P: Pointwise>(compiled: &'static Compiled, (low, high): (f64, f64), parameters: [f32; 2]) -> f64 {
    // Miri takes about 4 ms per value.
    let count = if cfg!(miri) { 131 } else { 40_003 };
    let x: Vec<f32> = (0..count).map(|i| (low + (high - low) * f64::from(i) / f64::from(count - 1)) as f32).collect();
    let mut y = vec![0f32; x.len()];
    Activation::Other(compiled, parameters).value(&x, &mut y);
    let exact = |x: f32| P::value(f64::from(x), parameters.map(f64::from));
    let of = |(x, y): (&f32, &f32)| (f64::from(*y) - exact(*x)).abs() / exact(*x).abs().max(1.0);
    x.iter().zip(&y).map(of).fold(0.0, f64::max)
}

#[test]
fn vector_functions_match_scalar_functions() {
    for level in available() {
        set_level(level);
        let errors = [
            ("exp", error::<Exp>(&EXP, (-104.0, 88.7), [0.0; 2]), 3e-7),
            ("tanh", error::<Tanh>(&TANH, (-12.0, 12.0), [0.0; 2]), 4e-7),
            ("erf", error::<Erf>(&ERF, (-6.0, 6.0), [0.0; 2]), 4e-7),
            ("sigmoid", error::<Sigmoid>(&SIGMOID, (-100.0, 100.0), [0.0; 2]), 2e-7),
            ("silu", error::<Silu>(&SILU, (-100.0, 100.0), [0.0; 2]), 3e-7),
            ("softplus", error::<Softplus>(&SOFTPLUS, (-100.0, 100.0), [0.0; 2]), 4e-7),
            ("bounded", error::<Bounded>(&BOUNDED, (-10.0, 10.0), [0.0, 6.0]), 0.0),
            ("leaky", error::<Leaky>(&LEAKY, (-10.0, 10.0), [0.125, 0.0]), 0.0),
        ];
        for (what, error, most) in errors {
            assert!(error <= most, "{what} at {level:?}: {error:e}");
        }
    }
}

#[test]
fn non_finite_values_pass_through() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 100.0, -0.0];
    for level in available() {
        set_level(level);
        let all: [(&'static Compiled, [f32; 4]); 5] = [
            (&EXP, [f32::INFINITY, 0.0, f32::INFINITY, 1.0]),
            (&TANH, [1.0, -1.0, 1.0, 0.0]),
            (&ERF, [1.0, -1.0, 1.0, 0.0]),
            (&SIGMOID, [1.0, 0.0, 1.0, 0.5]),
            (&BOUNDED, [6.0, 0.0, 6.0, 0.0]),
        ];
        for (i, (compiled, expected)) in all.into_iter().enumerate() {
            let mut y = [0f32; 5];
            Activation::Other(compiled, [0.0, 6.0]).value(&x, &mut y);
            assert!(y[0].is_nan(), "NaN through {i} at {level:?} gives {}", y[0]);
            let near = y[1..].iter().zip(&expected).all(|(y, e)| y == e || (y - e).abs() < 1e-6);
            assert!(near, "{i} at {level:?}: {y:?} instead of {expected:?}");
        }
    }
}

/// Values in [-1, 1) from a Weyl sequence.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + seed * 7919 + 1) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0) as f32).collect()
}

fn assert_near(what: &str, got: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= 3e-6 * largest, "{what}: {g} instead of {e} at {i}");
    }
}

/// Checks outputs through an activation, the activation's saved input, and gradients times a slope, for all convolution
/// algorithms.
#[test]
fn a_convolution_saves_what_its_activation_reads() {
    let silu = Activation::Other(&SILU, [0.0; 2]);
    for level in available() {
        set_level(level);
        for (input, output, kernel, groups) in
            [(3, 20, 3, 1), (16, 33, 1, 1), (24, 24, 3, 24), (32, 3, 3, 1), (40, 40, 3, 1), (8, 12, 5, 4), (1, 1, 1, 1)]
        {
            // Under Miri, small pictures. The convolution that uses Winograd transforms needs larger ones, but fewer channels.
            let (side, n) = if cfg!(miri) { (if output == 40 { 6 } else { 3 }, 1) } else { (9, 2) };
            let (input, output) = if cfg!(miri) && output == 40 { (16, 16) } else { (input, output) };
            let what = format!("{input} to {output}, {kernel}, {groups} groups, {level:?}");
            let padding = (kernel / 2, kernel / 2);
            let slide = Slide { kernel: (kernel, kernel), stride: (1, 1), padding, dilation: (1, 1), groups };
            let sizes = Sizes { input, output, from: (side, side), to: (side, side) };
            let w = numbers(output * input / groups * kernel * kernel, 3);
            let filter = Filter::forward(&w, sizes, slide, Algorithm::SmallBatch);
            let pixels = n * side * side;
            let (x, saved) = (numbers(pixels * input, 1), numbers(pixels * output, 2));
            let x = Map::new(&x, [n, side, side, input], input);
            let run = |epilogue: Epilogue| {
                let mut y = vec![0f32; pixels * output];
                filter.run(&x, &mut MapMut::new(&mut y, [n, side, side, output], output), epilogue);
                y
            };
            let plain = run(Epilogue::default());
            let mut read = vec![7f32; pixels * (output + 1)];
            let y = {
                let save = MapMut::new(&mut read, [n, side, side, output], output + 1);
                run(Epilogue { activation: Some(silu), save: Some(&save), ..Epilogue::default() })
            };
            let expected: Vec<_> = plain.iter().map(|v| v / (1.0 + (-v).exp())).collect();
            assert_near(&format!("value, {what}"), &y, &expected);
            let kept: Vec<_> = read.chunks(output + 1).flat_map(|pixel| pixel[..output].to_vec()).collect();
            assert_near(&format!("saved, {what}"), &kept, &plain);
            assert!(
                read.chunks_exact(output + 1).all(|pixel| pixel[output] == 7.0),
                "wrote outside the saved values, {what}"
            );
            let map = Map::new(&saved, [n, side, side, output], output);
            let sloped = run(Epilogue { slope: Some((silu, map)), ..Epilogue::default() });
            let expected: Vec<_> = plain.iter().zip(&saved).map(|(v, s)| v * s / (1.0 + (-s).exp())).collect();
            assert_near(&format!("slope, {what}"), &sloped, &expected);
            let mut passed = vec![0f32; pixels * output];
            let epilogue = Epilogue { activation: Some(silu), ..Epilogue::default() };
            let from = Map::new(&plain, [n, side, side, output], output);
            pass(&from, &mut MapMut::new(&mut passed, [n, side, side, output], output), epilogue);
            assert_near(&format!("pass, {what}"), &passed, &y);
        }
    }
}

#[test]
fn gradients_are_multiplied_elementwise() {
    for count in [1, 5, 16, 1000, 100_003] {
        if cfg!(miri) && count > 1000 {
            continue;
        }
        let (saved, dy) = (numbers(count, 1), numbers(count, 2));
        let mut dx = vec![0f32; count];
        Activation::Other(&SIGMOID, [0.0; 2]).vjp(&saved, &dy, &mut dx);
        let expected: Vec<_> = saved.iter().zip(&dy).map(|(s, dy)| dy / (1.0 + (-s).exp())).collect();
        assert_near(&format!("{count} numbers"), &dx, &expected);
        Activation::Relu.vjp(&saved, &dy, &mut dx);
        assert!(dx.iter().zip(saved.iter().zip(&dy)).all(|(dx, (s, dy))| *dx == if *s > 0.0 { *dy } else { 0.0 }));
    }
}
