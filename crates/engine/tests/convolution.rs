//! Compares the fast convolutions with plain sums in f64, for random sizes and on every instruction set of this machine.
#![allow(clippy::unwrap_used)]

#[path = "common/random.rs"]
mod random;
#[path = "common/sizes.rs"]
mod sizes;

use gradscope_engine::simd::{available, set_level};
use gradscope_engine::{Activation, Algorithm, Epilogue, Filter, Map, MapMut, Sizes, Slide, WeightGradient};
use random::Random;
use sizes::output_size;

struct Case {
    n: usize,
    sizes: Sizes,
    slide: Slide,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    x_pitch: usize,
    y_pitch: usize,
}

impl Case {
    fn new(
        r: &mut Random,
        n: usize,
        (input, output): (usize, usize),
        from: (usize, usize),
        slide: Slide,
    ) -> Option<Self> {
        let Slide { kernel: k, groups, .. } = slide;
        let to = output_size(from, slide)?;
        let (x_pitch, y_pitch) = (input + r.between(0, 1) * 5, output + r.between(0, 1) * 3);
        Some(Self {
            n,
            sizes: Sizes { input, output, from, to },
            slide,
            x: r.numbers(n * from.0 * from.1 * x_pitch),
            w: r.numbers(output * input / groups * k.0 * k.1),
            dy: r.numbers(n * to.0 * to.1 * y_pitch),
            x_pitch,
            y_pitch,
        })
    }

    /// Calls `each` with the pixel and channel of the output, the pixel and channel of the input, and the index of the weight.
    fn taps(&self, mut each: impl FnMut((usize, usize), (usize, usize), usize)) {
        let Sizes { input, output, from, to } = self.sizes;
        let Slide { kernel: k, stride: s, padding: p, dilation: d, groups } = self.slide;
        let (ig, og) = (input / groups, output / groups);
        for n in 0..self.n {
            for (y, x) in (0..to.0).flat_map(|y| (0..to.1).map(move |x| (y, x))) {
                for (ky, kx) in (0..k.0).flat_map(|a| (0..k.1).map(move |b| (a, b))) {
                    let row = (y * s.0 + ky * d.0).wrapping_sub(p.0);
                    let column = (x * s.1 + kx * d.1).wrapping_sub(p.1);
                    if row >= from.0 || column >= from.1 {
                        continue;
                    }
                    let (at, out) = ((n * from.0 + row) * from.1 + column, (n * to.0 + y) * to.1 + x);
                    for o in 0..output {
                        for c in 0..ig {
                            each((out, o), (at, o / og * ig + c), ((o * ig + c) * k.0 + ky) * k.1 + kx);
                        }
                    }
                }
            }
        }
    }

    fn maps(&self) -> (Map<'_>, Map<'_>) {
        let Sizes { input, output, from, to } = self.sizes;
        let x = Map::new(&self.x, [self.n, from.0, from.1, input], self.x_pitch);
        (x, Map::new(&self.dy, [self.n, to.0, to.1, output], self.y_pitch))
    }

    fn check(&self, what: &str, sums: Algorithm) {
        let Sizes { input, output, from, to } = self.sizes;
        let (xp, yp) = (self.n * from.0 * from.1, self.n * to.0 * to.1);
        let (mut y, mut dx) = (vec![0f64; yp * output], vec![0f64; xp * input]);
        let mut dw = vec![0f64; self.w.len()];
        self.taps(|(out, o), (at, c), w| {
            let x = f64::from(self.x[at * self.x_pitch + c]);
            let dy = f64::from(self.dy[out * self.y_pitch + o]);
            y[out * output + o] += x * f64::from(self.w[w]);
            dx[at * input + c] += dy * f64::from(self.w[w]);
            dw[w] += x * dy;
        });
        let (x, dy) = self.maps();
        let filter = Filter::forward(&self.w, self.sizes, self.slide, sums);
        let bound = |filter: &Filter| if filter.is_winograd() { 4e-6 } else { 2e-6 };
        let mut out = vec![7f32; yp * (output + 2)];
        filter.run(&x, &mut MapMut::new(&mut out, [self.n, to.0, to.1, output], output + 2), Epilogue::default());
        compare(&format!("value of {what}"), &out, output + 2, &y, output, bound(&filter));
        self.epilogues(what, &filter, &y, bound(&filter));
        let filter = Filter::backward(&self.w, self.sizes, self.slide, sums);
        let mut out = vec![7f32; xp * input];
        filter.run(&dy, &mut MapMut::new(&mut out, [self.n, from.0, from.1, input], input), Epilogue::default());
        compare(&format!("input gradient of {what}"), &out, input, &dx, input, bound(&filter));
        let mut out = vec![0f32; dw.len()];
        WeightGradient::new(self.sizes, self.slide, sums).run(&dy, &x, &mut out);
        compare(&format!("weight gradient of {what}"), &out, 1, &dw, 1, 3e-6);
    }

    fn epilogues(&self, what: &str, filter: &Filter, y: &[f64], bound: f64) {
        let (o, to) = (self.sizes.output, self.sizes.to);
        let pixels = self.n * to.0 * to.1;
        let mut r = Random(99);
        let (bias, scale, shift) = (r.numbers(o), r.numbers(o), r.numbers(o));
        let (add, mask) = (r.numbers(pixels * o), r.numbers(pixels * (o + 1)));
        let add_map = Map::new(&add, [self.n, to.0, to.1, o], o);
        let mask_map = Map::new(&mask, [self.n, to.0, to.1, o], o + 1);
        let mut out = vec![0f32; pixels * o];
        let epilogue = Epilogue {
            bias: Some(&bias),
            affine: Some((&scale, &shift)),
            add: Some(add_map),
            save: None,
            activation: Some(Activation::Relu),
            slope: Some((Activation::Relu, mask_map)),
        };
        filter.run(&self.maps().0, &mut MapMut::new(&mut out, [self.n, to.0, to.1, o], o), epilogue);
        let expected: Vec<f64> = (0..pixels * o)
            .map(|i| {
                let (p, c) = (i / o, i % o);
                let v = (y[i] + f64::from(bias[c])) * f64::from(scale[c]) + f64::from(shift[c]) + f64::from(add[i]);
                if mask[p * (o + 1) + c] > 0.0 { v.max(0.0) } else { 0.0 }
            })
            .collect();
        compare(&format!("epilogue of {what}"), &out, o, &expected, o, bound);
    }
}

/// Checks that all differences, relative to the largest expected value, are within `bound`, and that nothing else was written.
fn compare(what: &str, got: &[f32], pitch: usize, expected: &[f64], columns: usize, bound: f64) {
    let largest = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, e) in expected.iter().enumerate() {
        let g = f64::from(got[i / columns * pitch + i % columns]);
        assert!((g - e).abs() <= bound * largest, "{what}: {g} instead of {e} at {i} (largest {largest})");
    }
    for row in got.chunks(pitch).filter(|r| r.len() == pitch) {
        assert!(row[columns..].iter().all(|&v| v == 7.0), "{what}: wrote outside the channels");
    }
}

fn slide(kernel: (usize, usize), stride: usize, padding: usize) -> Slide {
    Slide { kernel, stride: (stride, stride), padding: (padding, padding), dilation: (1, 1), groups: 1 }
}

fn every_level(mut check: impl FnMut(&str)) {
    for level in available() {
        set_level(level);
        check(&format!("{level:?}"));
    }
}

/// Whether a case with this number of multiplications runs: all of them, but only small ones under Miri, which takes about 1 ms each.
fn runs(multiplications: usize) -> bool {
    !cfg!(miri) || multiplications < 10_000
}

#[test]
fn convolutions_of_all_kinds_equal_the_plain_sums() {
    every_level(|level| {
        let r = &mut Random(7);
        let kinds = [
            (2, (16, 24), (14, 14), slide((1, 1), 1, 0)),
            (1, (40, 70), (9, 13), slide((1, 1), 2, 0)),
            (1, (3, 20), (31, 27), slide((7, 7), 2, 3)),
            (1, (3, 6), (40, 40), slide((11, 11), 4, 2)),
            (3, (1, 6), (28, 28), slide((5, 5), 1, 2)),
            (2, (20, 33), (17, 18), slide((3, 3), 2, 1)),
            (1, (300, 17), (5, 5), slide((3, 3), 1, 1)),
            (2, (5, 7), (6, 7), slide((6, 7), 1, 0)),
            (2, (12, 12), (9, 9), Slide { groups: 12, ..slide((3, 3), 1, 1) }),
            (1, (37, 37), (12, 9), Slide { groups: 37, ..slide((3, 3), 2, 1) }),
            (2, (8, 12), (11, 10), Slide { groups: 4, ..slide((3, 3), 1, 1) }),
            (1, (64, 96), (8, 8), Slide { groups: 2, ..slide((5, 3), 1, 2) }),
            (1, (6, 18), (8, 8), Slide { groups: 6, ..slide((1, 1), 1, 0) }),
            (9, (3, 16), (15, 26), Slide { dilation: (3, 1), ..slide((2, 3), 2, 1) }),
            (1, (3, 70), (37, 41), slide((7, 7), 2, 3)),
            (2, (2, 9), (12, 30), slide((5, 5), 1, 2)),
            (1, (24, 3), (25, 31), slide((9, 9), 1, 4)),
            (2, (33, 4), (16, 25), slide((3, 3), 1, 1)),
            (1, (16, 1), (9, 40), Slide { dilation: (2, 2), ..slide((3, 3), 1, 2) }),
            (1, (4, 5), (3, 3), slide((1, 1), 3, 2)),
            (1, (4, 5), (16, 11), Slide { dilation: (2, 3), ..slide((3, 2), 1, 2) }),
            (2, (5, 4), (13, 16), Slide { stride: (2, 1), padding: (2, 0), dilation: (2, 3), ..slide((3, 2), 1, 0) }),
            (1, (1, 3), (7, 6), slide((3, 3), 1, 1)),
            (1, (3, 5), (5, 6), slide((5, 5), 2, 2)),
            (2, (9, 6), (3, 4), slide((1, 1), 1, 0)),
            (1, (5, 5), (5, 4), Slide { groups: 5, ..slide((3, 3), 1, 1) }),
            (1, (4, 6), (4, 4), Slide { groups: 2, ..slide((3, 3), 2, 1) }),
            (1, (3, 2), (4, 5), Slide { dilation: (2, 1), ..slide((2, 3), 1, 1) }),
        ];
        for (i, (n, channels, from, slide)) in kinds.into_iter().enumerate() {
            if !runs(n * channels.0 * channels.1 / slide.groups * from.0 * from.1 * slide.kernel.0 * slide.kernel.1) {
                continue;
            }
            Case::new(r, n, channels, from, slide)
                .unwrap()
                .check(&format!("kind {i} {slide:?} at {level}"), Algorithm::Direct);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn few_pixels_and_many_weights_give_the_plain_sums() {
    every_level(|level| {
        let r = &mut Random(13);
        for (n, channels, from, slide) in [
            (1, (260, 300), (7, 7), slide((1, 1), 1, 0)),
            (3, (140, 130), (11, 9), slide((3, 3), 2, 1)),
            (1, (513, 257), (14, 13), slide((1, 1), 2, 0)),
            (2, (520, 514), (5, 4), Slide { groups: 2, ..slide((1, 1), 1, 0) }),
        ] {
            let case = Case::new(r, n, channels, from, slide).unwrap();
            case.check(&format!("{channels:?} {from:?} {slide:?} at {level}"), Algorithm::Direct);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn channels_of_zeros_give_the_plain_sums_too() {
    every_level(|level| {
        let r = &mut Random(17);
        for (n, channels, from, slide) in [
            (1, (300, 280), (6, 7), slide((1, 1), 1, 0)),
            (2, (300, 290), (15, 15), slide((1, 1), 1, 0)),
            (1, (30, 80), (9, 9), slide((3, 3), 2, 1)),
        ] {
            for left in [0..0, 270..271, 3..20, 29..30] {
                let mut case = Case::new(r, n, channels, from, slide).unwrap();
                for (numbers, pitch) in [(&mut case.x, case.x_pitch), (&mut case.dy, case.y_pitch)] {
                    numbers
                        .iter_mut()
                        .enumerate()
                        .filter(|(i, _)| !left.contains(&(i % pitch)))
                        .for_each(|(_, v)| *v = 0.0);
                }
                case.check(&format!("{left:?} of {channels:?} {from:?} at {level}"), Algorithm::Direct);
            }
        }
    });
}

#[test]
fn winograd_matches_the_plain_sums_up_to_rounding() {
    every_level(|level| {
        let r = &mut Random(11);
        for (n, channels, from, padding) in [
            (2, (16, 32), (14, 14), 2),
            (1, (24, 20), (11, 9), 3),
            (1, (16, 16), (12, 12), 1),
            (2, (33, 40), (13, 17), 1),
            (1, (64, 20), (30, 30), 0),
            (1, (16, 48), (9, 6), 2),
            (3, (24, 16), (7, 7), 1),
            (1, (270, 18), (14, 14), 1),
            (2, (16, 16), (50, 41), 1),
            (11, (70, 33), (8, 10), 1),
            (1, (16, 16), (12, 12), 3),
            (2, (20, 16), (9, 12), 4),
            (1, (16, 16), (6, 6), 1),
        ] {
            // Under Miri, the smallest case only.
            if cfg!(miri) && from != (6, 6) {
                continue;
            }
            let kernel = if matches!((from, padding), ((14, 14), 2) | ((11, 9), 3)) { (5, 5) } else { (3, 3) };
            let case = Case::new(r, n, channels, from, slide(kernel, 1, padding)).unwrap();
            assert!(Filter::forward(&case.w, case.sizes, case.slide, Algorithm::SmallBatch).is_winograd());
            for sums in [Algorithm::SmallBatch, Algorithm::LargeBatch] {
                case.check(&format!("winograd {channels:?} {from:?} {sums:?} at {level}"), sums);
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn random_convolutions_equal_the_plain_sums() {
    every_level(|level| {
        let r = &mut Random(23);
        let mut done = 0;
        while done < 60 {
            let groups = r.between(1, 3);
            let slide = Slide {
                kernel: (r.between(1, 5), r.between(1, 5)),
                stride: (r.between(1, 3), r.between(1, 3)),
                padding: (r.between(0, 3), r.between(0, 3)),
                dilation: (r.between(1, 2), r.between(1, 2)),
                groups,
            };
            let channels = (groups * r.between(1, 20), groups * r.between(1, 20));
            let (n, from) = (r.between(1, 3), (r.between(1, 20), r.between(1, 20)));
            if let Some(case) = Case::new(r, n, channels, from, slide) {
                case.check(
                    &format!("random {done} {channels:?} {from:?} {slide:?} at {level}"),
                    [Algorithm::Direct, Algorithm::SmallBatch, Algorithm::LargeBatch][done % 3],
                );
                done += 1;
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn a_picture_gives_the_same_result_in_a_batch_as_alone() {
    let r = &mut Random(5);
    for (channels, from, slide) in [
        ((16, 24), (20, 20), slide((3, 3), 1, 1)),
        ((8, 40), (9, 9), slide((3, 3), 2, 1)),
        ((270, 260), (12, 12), slide((1, 1), 1, 0)),
    ] {
        let case = Case::new(r, 5, channels, from, slide).unwrap();
        let filter = Filter::forward(&case.w, case.sizes, case.slide, Algorithm::SmallBatch);
        let (h, w) = case.sizes.to;
        let run = |n: usize, skip: usize| {
            let x = &case.x[skip * from.0 * from.1 * case.x_pitch..];
            let mut y = vec![0f32; n * h * w * channels.1];
            let x = Map::new(x, [n, from.0, from.1, channels.0], case.x_pitch);
            filter.run(&x, &mut MapMut::new(&mut y, [n, h, w, channels.1], channels.1), Epilogue::default());
            y
        };
        let all = run(5, 0);
        for i in 0..5 {
            assert!(run(1, i) == all[i * h * w * channels.1..(i + 1) * h * w * channels.1], "picture {i}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn a_filter_fits_other_sizes_and_paddings_with_the_same_weights() {
    let r = &mut Random(29);
    let kinds = [
        ((16, 24), slide((3, 3), 1, 1)),
        ((3, 20), slide((7, 7), 2, 3)),
        ((20, 3), slide((3, 3), 1, 1)),
        ((40, 50), slide((3, 3), 2, 1)),
        ((70, 90), slide((1, 1), 1, 0)),
        ((12, 12), Slide { groups: 12, ..slide((3, 3), 1, 1) }),
        ((12, 18), Slide { groups: 3, ..slide((3, 3), 1, 1) }),
    ];
    for (channels, slide) in kinds {
        let whole = Case::new(r, 1, channels, (24, 22), slide).unwrap();
        let filter = Filter::forward(&whole.w, whole.sizes, slide, Algorithm::SmallBatch);
        let bare = Slide { padding: (0, 0), ..slide };
        let piece = Case { w: whole.w.clone(), ..Case::new(r, 3, channels, (13, 16), bare).unwrap() };
        let ours = filter.fitted(piece.sizes, slide.padding);
        let theirs = Filter::forward(&piece.w, piece.sizes, bare, Algorithm::Direct);
        let run = |filter: &Filter| {
            let to = piece.sizes.to;
            let mut y = vec![0f32; 3 * to.0 * to.1 * channels.1];
            let mut map = MapMut::new(&mut y, [3, to.0, to.1, channels.1], channels.1);
            filter.run(&piece.maps().0, &mut map, Epilogue::default());
            y
        };
        let expected: Vec<f64> = run(&theirs).into_iter().map(f64::from).collect();
        compare(&format!("{channels:?} {slide:?}"), &run(&ours), channels.1, &expected, channels.1, 8e-6);
    }
}
