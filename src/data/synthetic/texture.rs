//! Two-color textures.

use super::pen::PenPoint;
use super::random::Random;
use std::f32::consts::{PI, TAU};

/// An RGB color with components in `[0, 1]`.
pub type Color = [f32; 3];

/// A pattern of two colors.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// Only the first color, without a pattern.
    Plain,
    /// Straight stripes that alternate between the colors.
    Stripes,
    /// A checkerboard of the two colors.
    Checks,
    /// Round spots of the second color on the first.
    Dots,
    /// Soft, irregular patches of the two colors.
    Clouds,
    /// A smooth gradient between the colors across the picture.
    Shade,
}

/// A pattern with its colors, size and direction.
#[derive(Clone, Copy, Debug)]
pub struct Texture {
    /// The pattern.
    pub pattern: Pattern,
    /// The two colors.
    pub colors: [Color; 2],
    /// Length of one period of the pattern in pixels.
    pub period: f32,
    /// Direction of the pattern in radians.
    pub angle: f32,
    /// Offset of the pattern in pixels; also the random seed of [`Pattern::Clouds`].
    pub phase: f32,
}

impl Texture {
    /// A texture of the given colors with a random pattern, period and angle.
    pub fn random(random: &mut Random, colors: [Color; 2]) -> Self {
        use Pattern::{Checks, Clouds, Dots, Plain, Shade, Stripes};
        let pattern = [Plain, Stripes, Checks, Dots, Clouds, Shade][random.below(6)];
        let (period, angle) = (random.within(4.0..12.0), random.within(0.0..PI));
        Self { pattern, colors, period, angle, phase: random.within(0.0..64.0) }
    }

    /// The color of the texture at a point in pixel coordinates.
    pub fn at(&self, [x, y]: PenPoint) -> Color {
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = ((x * cos + y * sin + self.phase) / self.period, (y * cos - x * sin + self.phase) / self.period);
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Stripes => step((TAU * u).sin()),
            Pattern::Checks => step(2.0 * (TAU * u / 2.0).sin() * (TAU * v / 2.0).sin()),
            Pattern::Dots => step(1.2 * ((TAU * u).cos() + (TAU * v).cos()) - 0.9),
            Pattern::Clouds => clouds(u, v, self.phase as u32),
            Pattern::Shade => 0.5 + 0.5 * (TAU * u * self.period / 128.0).sin(),
        };
        mix(self.colors[0], self.colors[1], share)
    }
}

/// Linear interpolation: `a` for a `share` of 0, `b` for a `share` of 1.
pub fn mix(a: Color, b: Color, share: f32) -> Color {
    [0, 1, 2].map(|k| a[k] + share * (b[k] - a[k]))
}

/// A step from 0 to 1 at `x = 0` with a soft edge.
fn step(x: f32) -> f32 {
    (0.5 + x).clamp(0.0, 1.0)
}

/// Value noise: random values on a grid, smoothly interpolated.
fn clouds(u: f32, v: f32, seed: u32) -> f32 {
    let (i, j) = (u.floor(), v.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(u - i), ease(v - j));
    let at = |di: i32, dj: i32| hash(i as i32 + di, j as i32 + dj, seed);
    let (top, bottom) = (at(0, 0) + s * (at(1, 0) - at(0, 0)), at(0, 1) + s * (at(1, 1) - at(0, 1)));
    top + t * (bottom - top)
}

/// A pseudorandom value in `[0, 1)` for a grid point.
fn hash(i: i32, j: i32, seed: u32) -> f32 {
    let mut h =
        (i as u32).wrapping_mul(0x9E37_79B1) ^ (j as u32).wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1u32 << 24) as f32
}
