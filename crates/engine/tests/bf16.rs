//! Compares products in bf16 with plain sums in f64 of the rounded values, on every instruction set that has them, and in plain arithmetic.
#![allow(clippy::unwrap_used)]

#[path = "common/random.rs"]
mod random;
#[path = "common/sizes.rs"]
mod sizes;

use gradscope_engine::simd::{Bf16, Level, level, multiplies_bf16, set_bf16, set_level};
use gradscope_engine::{Activation, Algorithm, Epilogue, Filter, Map, MapMut, Sizes, Slide, View, matmul};
use random::Random;
use sizes::output_size;
use std::sync::{Mutex, MutexGuard};

/// Number of random cases.
const CASES: usize = if cfg!(miri) { 3 } else { 150 };

/// The instruction set and the use of bf16 belong to the process, so the tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

/// Calls `f` in plain arithmetic, and with the instructions for bf16 if the CPU has any.
fn everywhere(mut f: impl FnMut(&str)) {
    let _turn = turn();
    let best = level();
    set_level(Level::Scalar);
    set_bf16(Bf16::Emulated);
    assert!(multiplies_bf16());
    f("plain arithmetic");
    set_level(best);
    set_bf16(Bf16::Detected);
    if multiplies_bf16() {
        f("bf16 instructions");
    }
}

/// The nearest bf16 value, ties to even.
fn rounded(v: f32) -> f32 {
    let bits = v.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
}

/// A convolution, or its input gradient.
struct Case {
    n: usize,
    sizes: Sizes,
    slide: Slide,
    backward: bool,
    x: Vec<f32>,
    w: Vec<f32>,
}

impl Case {
    fn random(r: &mut Random) -> Option<Self> {
        let groups = [1, 1, 1, 2, 3][r.between(0, 4)];
        let (input, output) = (groups * r.between(1, 70), groups * r.between(1, 40));
        let k = [1, 1, 2, 3, 5][r.between(0, 4)];
        let slide = Slide {
            kernel: (k, [k, 1, 3][r.between(0, 2)]),
            stride: (r.between(1, 2), r.between(1, 3)),
            padding: (r.between(0, 2), r.between(0, 2)),
            dilation: (r.between(1, 2), r.between(1, 2)),
            groups,
        };
        let from = (r.between(1, 13), r.between(1, 13));
        Self::new(r, r.0 as usize % 2 + 1, (input, output), from, slide)
    }

    fn new(
        r: &mut Random,
        n: usize,
        (input, output): (usize, usize),
        from: (usize, usize),
        slide: Slide,
    ) -> Option<Self> {
        let Slide { kernel: k, groups, .. } = slide;
        let sizes = Sizes { input, output, from, to: output_size(from, slide)? };
        let backward = r.between(0, 1) == 1;
        let [x, _] = maps(n, sizes, backward);
        let x = r.numbers(x.iter().product());
        Some(Self { n, sizes, slide, backward, x, w: r.numbers(output * input / groups * k.0 * k.1) })
    }

    /// The sum that each element of the output is, and the sum of the absolute products.
    fn sums(&self, round: impl Fn(f32) -> f32) -> Vec<(f64, f64)> {
        let Sizes { input, output, from, to } = self.sizes;
        let Slide { kernel: k, stride: s, padding: p, dilation: d, groups } = self.slide;
        let (ig, og) = (input / groups, output / groups);
        let mut sums = vec![(0.0, 0.0); maps(self.n, self.sizes, self.backward)[1].iter().product()];
        for i in 0..self.n * to.0 * to.1 * k.0 * k.1 {
            let (n, y, x) = (i / (to.0 * to.1 * k.0 * k.1), i / (to.1 * k.0 * k.1) % to.0, i / (k.0 * k.1) % to.1);
            let (ky, kx) = (i / k.1 % k.0, i % k.1);
            let row = (y * s.0 + ky * d.0).wrapping_sub(p.0);
            let column = (x * s.1 + kx * d.1).wrapping_sub(p.1);
            if row >= from.0 || column >= from.1 {
                continue;
            }
            for (o, c) in (0..output).flat_map(|o| (0..ig).map(move |c| (o, c))) {
                let a = ((n * from.0 + row) * from.1 + column) * input + o / og * ig + c;
                let b = ((n * to.0 + y) * to.1 + x) * output + o;
                let (x, y) = if self.backward { (b, a) } else { (a, b) };
                let w = self.w[((o * ig + c) * k.0 + ky) * k.1 + kx];
                let product = f64::from(round(self.x[x])) * f64::from(round(w));
                sums[y] = (sums[y].0 + product, sums[y].1 + product.abs());
            }
        }
        sums
    }

    fn filter(&self, algorithm: Algorithm) -> Filter {
        match self.backward {
            true => Filter::backward(&self.w, self.sizes, self.slide, algorithm),
            false => Filter::forward(&self.w, self.sizes, self.slide, algorithm),
        }
    }

    fn run(&self, filter: &Filter, epilogue: Epilogue) -> Vec<f32> {
        self.run_with_gaps(0, filter, epilogue)
    }

    /// Runs the filter on an input with `gap` NaNs between the channels of adjacent pixels, and none after the last pixel.
    fn run_with_gaps(&self, gap: usize, filter: &Filter, epilogue: Epilogue) -> Vec<f32> {
        let [x, y] = maps(self.n, self.sizes, self.backward);
        let gaps = vec![f32::NAN; gap];
        let input = self.x.chunks(x[3]).collect::<Vec<_>>().join(&gaps[..]);
        let mut out = vec![7.0; y.iter().product()];
        filter.run(&Map::new(&input, x, x[3] + gap), &mut MapMut::new(&mut out, y, y[3]), epilogue);
        out
    }

    fn describe(&self) -> String {
        format!("{} of {:?} and {:?}", if self.backward { "gradient" } else { "value" }, self.sizes, self.slide)
    }
}

/// The sizes of the input and output maps.
fn maps(n: usize, sizes: Sizes, backward: bool) -> [[usize; 4]; 2] {
    let from = [n, sizes.from.0, sizes.from.1, sizes.input];
    let to = [n, sizes.to.0, sizes.to.1, sizes.output];
    if backward { [to, from] } else { [from, to] }
}

/// The bound for sums in f32 with products up to `most` in total: each of at most 4,000 roundings adds 2⁻²⁴ of it, but they average out.
fn close(found: f32, (sum, most): (f64, f64)) -> bool {
    (f64::from(found) - sum).abs() <= 3e-6 * most + 1e-30
}

#[test]
fn convolutions_and_their_gradients_sum_products_of_rounded_values_in_f32() {
    everywhere(|how| {
        let mut r = Random(0x1234_5678_9abc);
        for case in std::iter::from_fn(|| Some(Case::random(&mut r))).flatten().take(CASES) {
            let mut case = case;
            case.x.iter_mut().chain(&mut case.w).for_each(|v| *v = rounded(*v));
            let filter = case.filter(Algorithm::Bf16);
            if filter.is_winograd() {
                continue;
            }
            for gap in 0..3 {
                let out = case.run_with_gaps(gap, &filter, Epilogue::default());
                for (i, (found, sum)) in out.iter().zip(case.sums(|v| v)).enumerate() {
                    assert!(close(*found, sum), "{how}: {found}, not {sum:?}, at {i} in the {}", case.describe());
                }
            }
        }
    });
}

#[test]
fn inputs_and_weights_are_rounded_to_the_nearest_bf16_value() {
    everywhere(|how| {
        let mut r = Random(77);
        for kernel in [1, 3] {
            let slide =
                Slide { kernel: (kernel, kernel), stride: (2, 1), padding: (1, 0), dilation: (1, 1), groups: 1 };
            let mut case = Case::new(&mut r, 2, (67, 45), (9, 9), slide).unwrap();
            // Halfway between two values, in both directions.
            (case.x[5], case.x[6]) = (1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0);
            let out = case.run(&case.filter(Algorithm::Bf16), Epilogue::default());
            for (found, sum) in out.iter().zip(case.sums(rounded)) {
                assert!(close(*found, sum), "{how}: {found}, not {sum:?}");
            }
        }
    });
}

#[test]
fn a_bias_and_an_activation_apply_to_the_sums() {
    everywhere(|how| {
        let mut r = Random(3);
        for (kernel, size) in [(1, 5), (3, 7), (1, 20)] {
            let slide =
                Slide { kernel: (kernel, kernel), stride: (2, 2), padding: (0, 0), dilation: (1, 1), groups: 1 };
            let mut case = Case::new(&mut r, 1, (35, 50), (size, size), slide).unwrap();
            case.backward = false;
            case.x = r.numbers(size * size * 35);
            let bias = r.numbers(50);
            let epilogue = Epilogue { bias: Some(&bias), activation: Some(Activation::Relu), ..Epilogue::default() };
            let out = case.run(&case.filter(Algorithm::Bf16), epilogue);
            for (i, (found, (sum, most))) in out.iter().zip(case.sums(rounded)).enumerate() {
                let v = (sum + f64::from(bias[i % 50])).max(0.0);
                assert!(close(*found, (v, most + 1.0)), "{how}: {found}, not {v}");
            }
        }
    });
}

#[test]
fn nan_and_infinity_reach_the_outputs_that_read_them() {
    everywhere(|how| {
        let mut r = Random(5);
        for channels in [33, 64] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let slide = Slide { kernel: (2, 2), stride: (1, 2), padding: (0, 0), dilation: (1, 1), groups: 1 };
                let mut case = Case::new(&mut r, 1, (channels, 20), (5, 8), slide).unwrap();
                case.backward = false;
                case.x = vec![1.0; 5 * 8 * channels];
                let at = r.between(0, case.x.len() - 1);
                case.x[at] = bad;
                let out = case.run(&case.filter(Algorithm::Bf16), Epilogue::default());
                let (row, column) = (at / channels / 8, at / channels % 8);
                for (i, v) in out.iter().enumerate() {
                    let (y, x) = (i / 20 / 4, i / 20 % 4);
                    let reads = (y..y + 2).contains(&row) && (2 * x..2 * x + 2).contains(&column);
                    assert_eq!(!v.is_finite(), reads, "{how}: {v} at {y}, {x} with {bad} at {row}, {column}");
                }
                // 0 · ∞ is NaN, so no zero inputs may be skipped.
                case.x.fill(0.0);
                case.w[0] = bad;
                let out = case.run(&case.filter(Algorithm::Bf16), Epilogue::default());
                assert!(out.iter().step_by(20).all(|v| v.is_nan()), "{how}");
            }
        }
    });
}

#[test]
fn without_bf16_products_the_results_are_those_of_f32() {
    let _turn = turn();
    set_bf16(Bf16::Off);
    let mut r = Random(8);
    for case in std::iter::from_fn(|| Some(Case::random(&mut r))).flatten().take(CASES / 3) {
        let [expected, found] =
            [Algorithm::SmallBatch, Algorithm::Bf16].map(|a| case.run(&case.filter(a), Epilogue::default()));
        assert_eq!(expected, found, "{}", case.describe());
    }
}

#[test]
fn packed_pairs_take_half_the_memory() {
    everywhere(|how| {
        let slide = Slide { kernel: (1, 1), stride: (1, 1), padding: (0, 0), dilation: (1, 1), groups: 1 };
        let case = Case::new(&mut Random(1), 1, (64, 64), (4, 4), slide).unwrap();
        let bytes = |algorithm| case.filter(algorithm).bytes();
        assert_eq!(2 * bytes(Algorithm::Bf16), bytes(Algorithm::Direct), "{how}");
    });
}

#[test]
fn matrix_products_sum_products_of_rounded_values_in_f32() {
    everywhere(|how| {
        let mut r = Random(21);
        for i in 0..CASES {
            let (n, m, k, p) = (r.between(1, 3), r.between(1, 30), r.between(32, 90), r.between(1, 70));
            let view = |rows: usize, columns: usize, kind: usize| match kind {
                0 => View::dense(&[n, rows, columns]),
                1 => View::dense(&[n, columns, rows]).transpose(1, 2),
                // Neither rows nor columns are adjacent.
                _ => {
                    View { dims: vec![n, rows, columns], strides: vec![rows * columns * 6, columns * 6, 3], offset: 2 }
                }
            };
            let (at, bt) = (view(m, k, i % 3), view(k, p, i / 3 % 3));
            let (a, b) = (r.numbers(at.extent()), r.numbers(bt.extent()));
            let mut y = vec![7.0; n * m * p];
            matmul((&a, &at), (&b, &bt), &mut y, None, Algorithm::Bf16);
            let index = |view: &View, n: usize, i: usize, j: usize| {
                view.offset + n * view.strides[0] + i * view.strides[1] + j * view.strides[2]
            };
            for (e, found) in y.iter().enumerate() {
                let (n, i, j) = (e / (m * p), e / p % m, e % p);
                let products = (0..k)
                    .map(|l| f64::from(rounded(a[index(&at, n, i, l)])) * f64::from(rounded(b[index(&bt, n, l, j)])));
                let sum = products.fold((0.0, 0.0), |sum, v| (sum.0 + v, sum.1 + v.abs()));
                assert!(close(*found, sum), "{how}: {found}, not {sum:?}, for {at:?} and {bt:?}");
            }
        }
    });
}
