//! Synthetic handwritten digits.

use super::pen::{self, PenPoint};
use super::random::{Random, drawn};
use crate::data::Dataset;
use anyhow::Result;
use std::f32::consts::TAU;

/// Height and width of a picture in pixels.
pub const SIDE: usize = 28;

/// Side length of the box that contains a digit, as in MNIST, in pixels.
const BOX: f32 = 20.0;

/// The strokes of a digit in a unit box, x to the right and y down; a repeated point marks a corner.
type Glyph = &'static [&'static [PenPoint]];

/// The handwritten variants of each digit.
const GLYPHS: [&[Glyph]; 10] = [
    &[
        &[&[
            [0.5, 0.02],
            [0.2, 0.12],
            [0.06, 0.45],
            [0.14, 0.82],
            [0.45, 0.98],
            [0.8, 0.85],
            [0.93, 0.5],
            [0.8, 0.14],
            [0.5, 0.02],
        ]],
        &[&[
            [0.62, 0.1],
            [0.35, 0.03],
            [0.08, 0.35],
            [0.12, 0.8],
            [0.45, 0.99],
            [0.82, 0.8],
            [0.92, 0.4],
            [0.7, 0.06],
            [0.4, 0.08],
        ]],
    ],
    &[
        &[&[[0.5, 0.0], [0.5, 0.5], [0.5, 1.0]]],
        &[&[[0.25, 0.24], [0.52, 0.02], [0.52, 0.02], [0.52, 0.5], [0.52, 1.0]]],
        &[&[[0.25, 0.26], [0.52, 0.02], [0.52, 0.02], [0.52, 0.5], [0.52, 1.0]], &[[0.2, 1.0], [0.85, 1.0]]],
    ],
    &[
        &[&[
            [0.1, 0.25],
            [0.3, 0.03],
            [0.65, 0.03],
            [0.85, 0.25],
            [0.65, 0.55],
            [0.1, 0.98],
            [0.1, 0.98],
            [0.5, 0.96],
            [0.92, 0.98],
        ]],
        &[&[
            [0.12, 0.22],
            [0.4, 0.0],
            [0.8, 0.15],
            [0.75, 0.45],
            [0.4, 0.8],
            [0.12, 0.97],
            [0.08, 0.82],
            [0.3, 0.8],
            [0.6, 0.95],
            [0.95, 0.9],
        ]],
    ],
    &[
        &[&[
            [0.12, 0.15],
            [0.45, 0.0],
            [0.82, 0.15],
            [0.75, 0.38],
            [0.4, 0.48],
            [0.4, 0.48],
            [0.8, 0.58],
            [0.88, 0.82],
            [0.5, 1.0],
            [0.1, 0.88],
        ]],
        &[&[
            [0.12, 0.15],
            [0.45, 0.0],
            [0.8, 0.2],
            [0.62, 0.42],
            [0.36, 0.48],
            [0.62, 0.5],
            [0.88, 0.74],
            [0.58, 0.98],
            [0.1, 0.9],
        ]],
        &[&[
            [0.1, 0.03],
            [0.85, 0.03],
            [0.85, 0.03],
            [0.45, 0.4],
            [0.45, 0.4],
            [0.82, 0.52],
            [0.84, 0.85],
            [0.45, 1.0],
            [0.1, 0.88],
        ]],
    ],
    &[
        &[
            &[[0.22, 0.02], [0.1, 0.52], [0.1, 0.52], [0.5, 0.54], [0.92, 0.5]],
            &[[0.75, 0.05], [0.72, 0.5], [0.68, 1.0]],
        ],
        &[&[[0.7, 0.02], [0.05, 0.64], [0.05, 0.64], [0.95, 0.62]], &[[0.7, 0.02], [0.69, 0.5], [0.68, 1.0]]],
        &[&[[0.2, 0.05], [0.14, 0.4], [0.4, 0.54], [0.8, 0.45]], &[[0.86, 0.02], [0.78, 0.5], [0.7, 1.0]]],
    ],
    &[
        &[
            &[
                [0.2, 0.02],
                [0.15, 0.42],
                [0.15, 0.42],
                [0.5, 0.36],
                [0.88, 0.62],
                [0.75, 0.92],
                [0.4, 1.0],
                [0.08, 0.88],
            ],
            &[[0.2, 0.02], [0.85, 0.02]],
        ],
        &[&[
            [0.88, 0.02],
            [0.25, 0.04],
            [0.25, 0.04],
            [0.2, 0.42],
            [0.2, 0.42],
            [0.6, 0.4],
            [0.86, 0.66],
            [0.6, 0.96],
            [0.1, 0.95],
        ]],
    ],
    &[
        &[&[
            [0.7, 0.02],
            [0.35, 0.2],
            [0.12, 0.6],
            [0.25, 0.95],
            [0.65, 0.97],
            [0.85, 0.74],
            [0.6, 0.52],
            [0.3, 0.6],
            [0.16, 0.78],
        ]],
        &[&[
            [0.55, 0.0],
            [0.3, 0.35],
            [0.15, 0.72],
            [0.38, 0.99],
            [0.76, 0.9],
            [0.74, 0.62],
            [0.45, 0.55],
            [0.2, 0.72],
        ]],
    ],
    &[
        &[&[[0.08, 0.06], [0.88, 0.04], [0.88, 0.04], [0.6, 0.45], [0.4, 1.0]]],
        &[&[[0.08, 0.06], [0.88, 0.04], [0.88, 0.04], [0.6, 0.45], [0.4, 1.0]], &[[0.28, 0.52], [0.8, 0.48]]],
        &[&[[0.1, 0.24], [0.12, 0.05], [0.12, 0.05], [0.9, 0.05], [0.9, 0.05], [0.56, 0.55], [0.45, 1.0]]],
    ],
    &[
        &[&[
            [0.76, 0.14],
            [0.45, 0.0],
            [0.18, 0.2],
            [0.45, 0.46],
            [0.8, 0.74],
            [0.5, 1.0],
            [0.15, 0.78],
            [0.45, 0.48],
            [0.8, 0.22],
            [0.7, 0.06],
        ]],
        &[
            &[[0.5, 0.02], [0.24, 0.1], [0.24, 0.36], [0.5, 0.46], [0.76, 0.36], [0.76, 0.1], [0.5, 0.02]],
            &[[0.5, 0.46], [0.15, 0.6], [0.15, 0.88], [0.5, 1.0], [0.85, 0.88], [0.85, 0.6], [0.5, 0.46]],
        ],
    ],
    &[
        &[&[
            [0.8, 0.2],
            [0.5, 0.0],
            [0.16, 0.22],
            [0.3, 0.48],
            [0.65, 0.42],
            [0.82, 0.15],
            [0.82, 0.15],
            [0.8, 0.5],
            [0.7, 1.0],
        ]],
        &[&[
            [0.8, 0.25],
            [0.55, 0.02],
            [0.2, 0.15],
            [0.22, 0.42],
            [0.55, 0.48],
            [0.8, 0.25],
            [0.85, 0.6],
            [0.65, 0.95],
            [0.25, 0.97],
        ]],
    ],
];

/// A data set of `count` digits of shape `(1, 28, 28)`; labels cycle through the classes.
pub fn set(name: &str, seed: u64, count: usize) -> Result<Dataset> {
    dataset(name, pixels(seed, count))
}

/// The pixels of `count` digits of shape `(1, 28, 28)`, in the order of [`set`].
pub fn pixels(seed: u64, count: usize) -> Vec<u8> {
    drawn(seed, count, SIDE * SIDE, |random, i, picture| write(random, class(i), picture))
}

/// The class of picture `i` of a data set of digits.
pub fn class(i: usize) -> usize {
    i % 10
}

/// A data set of digits with the given pixels; labels cycle through the classes.
pub fn dataset(name: &str, pixels: Vec<u8>) -> Result<Dataset> {
    let classes = (0..10).map(|d: usize| d.to_string()).collect();
    let count = pixels.len() / (SIDE * SIDE);
    Dataset::of_bytes(name, classes, [1, SIDE, SIDE], pixels, (0..count).map(class).collect())
}

/// Draws one digit with random strokes and pen.
fn write(random: &mut Random, digit: usize, picture: &mut [u8]) {
    let glyph = GLYPHS[digit][random.below(GLYPHS[digit].len())];
    let mut lines: Vec<_> = glyph.iter().map(|line| pen::curve(&shaken(random, line))).collect();
    bend(random, &mut lines);
    let (radius, pressure) = (random.within(0.75..1.7), random.within(0.0..0.25));
    fit(random, &mut lines, radius);
    let (softness, phase) = (random.within(1.0..1.5), random.within(0.0..TAU));
    let mut paper = [0.0; SIDE * SIDE];
    for line in &lines {
        let pressed = |i: usize| radius * (1.0 + pressure * (phase + i as f32 * 0.15).sin());
        pen::draw(&mut paper, SIDE, line, pressed, softness);
    }
    picture.iter_mut().zip(paper).for_each(|(byte, ink)| *byte = (ink * 255.0).round() as u8);
}

/// Displaces the points of a stroke by small random amounts; repeated points stay together.
fn shaken(random: &mut Random, line: &[PenPoint]) -> Vec<PenPoint> {
    let mut shaken: Vec<PenPoint> = Vec::with_capacity(line.len());
    for (i, point) in line.iter().enumerate() {
        let point = match i > 0 && line[i - 1] == *point {
            true => shaken[i - 1],
            false => point.map(|v| v + 0.03 * random.bell()),
        };
        shaken.push(point);
    }
    shaken
}

/// Slants, rotates, stretches and warps the strokes (elastic distortions as in Simard et al. 2003, with sine waves
/// instead of a random displacement field).
fn bend(random: &mut Random, lines: &mut [Vec<PenPoint>]) {
    let (turn, slant) = (0.12 * random.bell(), 0.1 + 0.18 * random.bell());
    let width = random.within(0.55..0.95);
    let waves: [_; 4] = std::array::from_fn(|_| {
        [random.within(-0.7..0.7), random.within(-0.7..0.7), random.within(0.0..1.0), 0.035 * random.bell()]
    });
    let wave = |w: &[f32; 4], p: &PenPoint| w[3] * (TAU * (w[0] * p[0] + w[1] * p[1] + w[2])).sin();
    for p in lines.iter_mut().flatten() {
        let x = p[0] - 0.5 + wave(&waves[0], p) + wave(&waves[1], p);
        let y = p[1] - 0.5 + wave(&waves[2], p) + wave(&waves[3], p);
        let x = width * x - slant * y;
        *p = [x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()];
    }
}

/// Scales the strokes to MNIST's box and approximately centers the ink.
fn fit(random: &mut Random, lines: &mut [Vec<PenPoint>], radius: f32) {
    let points = || lines.iter().flatten();
    let span = |axis: usize| points().fold((f32::MAX, f32::MIN), |(l, h), p| (l.min(p[axis]), h.max(p[axis])));
    let spans = [0, 1].map(span);
    let longest = spans.map(|(low, high)| high - low).into_iter().fold(0.1, f32::max);
    let scale = (BOX - 2.0 * radius) * random.within(0.85..1.0) / longest;
    let count = points().count() as f32;
    let center = [0, 1].map(|axis| points().map(|p| p[axis]).sum::<f32>() / count);
    let free = SIDE as f32 - 1.5 - radius;
    let shift: PenPoint = std::array::from_fn(|axis| {
        let (low, high) = spans[axis];
        let middle = SIDE as f32 / 2.0 + 0.7 * random.bell() - scale * center[axis];
        middle.min(free - scale * high).max(1.5 + radius - scale * low)
    });
    for p in lines.iter_mut().flatten() {
        *p = [0, 1].map(|axis| shift[axis] + scale * p[axis]);
    }
}
