//! Textured objects on textured backgrounds.

use super::fill::coverage;
use super::outline::{KINDS, crumb, outlines};
use super::pen::PenPoint;
use super::random::{Random, drawn};
use super::texture::{Color, Pattern, Texture, mix};
use crate::data::Dataset;
use anyhow::Result;
use std::f32::consts::TAU;
use std::ops::Range;

/// Height and width of a picture in pixels.
const SIDE: usize = 64;

/// Position, size and rotation of an outline, in pixels and radians.
#[derive(Clone, Copy)]
struct Place {
    center: PenPoint,
    radius: f32,
    turn: f32,
}

/// A data set of `count` pictures of shape `(3, 64, 64)`, each with an object; labels cycle through the classes.
/// `company` is the fraction of pictures with a second object of another class.
pub fn set(name: &str, seed: u64, count: usize, company: f32) -> Result<Dataset> {
    let draw = |random: &mut Random, i: usize, bytes: &mut [u8]| scene(random, i % KINDS.len(), company).write(bytes);
    let pixels = drawn(seed, count, 3 * SIDE * SIDE, draw);
    dataset(name, pixels, (0..count).map(|i| i % KINDS.len()).collect())
}

/// Pictures of two objects of different classes, side by side; the label is the class of the left one.
pub fn welcome(name: &str) -> Result<Dataset> {
    const PAIRS: [(&str, &str); 8] = [
        ("heart", "star"),
        ("ring", "triangle"),
        ("crescent", "cross"),
        ("arrow", "disc"),
        ("bolt", "square"),
        ("star", "ring"),
        ("triangle", "crescent"),
        ("disc", "bolt"),
    ];
    let class = |kind: &str| KINDS.iter().position(|k| *k == kind).unwrap_or_default();
    let draw = |random: &mut Random, i: usize, bytes: &mut [u8]| {
        let (left, right) = PAIRS[i];
        pair(random, [class(left), class(right)]).write(bytes);
    };
    dataset(name, drawn(5, PAIRS.len(), 3 * SIDE * SIDE, draw), PAIRS.map(|(left, _)| class(left)).to_vec())
}

fn dataset(name: &str, pixels: Vec<u8>, labels: Vec<usize>) -> Result<Dataset> {
    Dataset::of_bytes(name, KINDS.map(String::from).to_vec(), [3, SIDE, SIDE], pixels, labels)
}

/// Draws a background, with fragments in two out of three cases, and an object of class `kind`; with probability `company`, also an
/// object of another class.
fn scene(random: &mut Random, kind: usize, company: f32) -> Canvas {
    let ground = color(random);
    let mut canvas = Canvas::new(&texture(random, ground, 0.25));
    let crumbs = if random.chance(0.67) { 1 + random.below(6) } else { 0 };
    for _ in 0..crumbs {
        let place = Place {
            center: [0, 1].map(|_| random.within(0.0..SIDE as f32)),
            radius: random.within(2.5..6.0),
            turn: random.within(0.0..TAU),
        };
        let color = color(random);
        canvas.fill(&[crumb(random)], place, &texture(random, color, 0.2));
    }
    let own = Place::random(random, 0.15..0.3);
    let other = random.chance(company).then(|| beside(random, &own)).flatten();
    if let Some(other) = other {
        let kind = (kind + 1 + random.below(KINDS.len() - 1)) % KINDS.len();
        object(random, &mut canvas, kind, other, ground);
    }
    object(random, &mut canvas, kind, own, ground);
    canvas
}

/// Draws an object of class `kind` in a color that contrasts with the background color `ground`.
fn object(random: &mut Random, canvas: &mut Canvas, kind: usize, place: Place, ground: Color) {
    let own = other_color(random, &[ground], 0.3);
    canvas.fill(&outlines(kind), place, &texture(random, own, 0.35));
}

/// A random placement that does not overlap `other`; `None` after 20 failed attempts.
fn beside(random: &mut Random, other: &Place) -> Option<Place> {
    let apart = |place: &Place| {
        let [x, y] = [0, 1].map(|k| place.center[k] - other.center[k]);
        x.hypot(y) > place.radius + other.radius
    };
    (0..20).map(|_| Place::random(random, 0.15..0.25)).find(apart)
}

impl Place {
    /// A random position inside the picture with a rotation of up to 34 degrees. The range `radius` is a fraction of the picture's
    /// side length.
    fn random(random: &mut Random, radius: Range<f32>) -> Self {
        let side = SIDE as f32;
        let radius = side * random.within(radius);
        let center = [0, 1].map(|_| random.within(radius..side - radius));
        Self { center, radius, turn: random.within(-0.6..0.6) }
    }
}

/// Draws two upright objects of classes `kinds`, left and right, on a low-contrast background.
fn pair(random: &mut Random, kinds: [usize; 2]) -> Canvas {
    let ground = color(random).map(|v| 0.3 + 0.25 * v);
    let paper = Texture { pattern: Pattern::Clouds, ..texture(random, ground, 0.12) };
    let mut canvas = Canvas::new(&paper);
    let mut colors = vec![ground];
    for (i, kind) in kinds.into_iter().enumerate() {
        let center = [SIDE as f32 * [0.26, 0.74][i], SIDE as f32 * random.within(0.38..0.62)];
        let place = Place { center, radius: SIDE as f32 * 0.21, turn: 0.15 * random.bell() };
        colors.push(other_color(random, &colors, 0.4));
        canvas.fill(&outlines(kind), place, &texture(random, colors[i + 1], 0.25));
    }
    canvas
}

fn color(random: &mut Random) -> Color {
    [0, 1, 2].map(|_| random.within(0.05..0.95))
}

/// A random color whose squared distance from each of `others` is greater than `far`.
fn other_color(random: &mut Random, others: &[Color], far: f32) -> Color {
    let distance = |a: &Color, b: &Color| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    loop {
        let own = color(random);
        if others.iter().all(|other| distance(&own, other) > far) {
            return own;
        }
    }
}

/// A random texture of `color` and a second color that differs from it by at most `range` per channel.
fn texture(random: &mut Random, color: Color, range: f32) -> Texture {
    let second = color.map(|v| (v + random.within(-range..range)).clamp(0.0, 1.0));
    Texture::random(random, [color, second])
}

/// A picture that is being drawn, row by row in RGB.
struct Canvas(Vec<Color>);

impl Canvas {
    fn new(ground: &Texture) -> Self {
        Self((0..SIDE * SIDE).map(|i| ground.at(pixel(i))).collect())
    }

    fn fill(&mut self, outlines: &[Vec<PenPoint>], place: Place, texture: &Texture) {
        let (sin, cos) = place.turn.sin_cos();
        let put = |[x, y]: PenPoint| {
            let turned = [x * cos - y * sin, x * sin + y * cos];
            [0, 1].map(|k| place.center[k] + place.radius * turned[k])
        };
        let outlines: Vec<Vec<_>> = outlines.iter().map(|o| o.iter().map(|p| put(*p)).collect()).collect();
        for (i, share) in coverage(&outlines, SIDE).into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
            self.0[i] = mix(self.0[i], texture.at(pixel(i)), share);
        }
    }

    /// Writes the picture as bytes, one channel after another.
    fn write(&self, bytes: &mut [u8]) {
        for (plane, k) in bytes.chunks_exact_mut(SIDE * SIDE).zip(0..3) {
            plane.iter_mut().zip(&self.0).for_each(|(byte, c)| *byte = (c[k].clamp(0.0, 1.0) * 255.0).round() as u8);
        }
    }
}

fn pixel(i: usize) -> PenPoint {
    [(i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5]
}
