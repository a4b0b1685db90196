//! Two-color textures.

use super::pen::PenPoint;
use super::random::Random;
use std::f32::consts::PI;

/// An RGB color with components in `[0, 1]`.
pub type Color = [f32; 3];

/// A pattern of two colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Threads woven at right angles.
    Linen,
    /// Irregular lines along one direction, as in wood.
    Grain,
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
    /// Sine and cosine of the pattern's direction.
    pub direction: [f32; 2],
    /// Offset of the pattern in pixels; also the random seed of irregular patterns.
    pub phase: f32,
}

impl Texture {
    /// A texture of the given colors with a random period and angle.
    pub fn random(random: &mut Random, pattern: Pattern, colors: [Color; 2]) -> Self {
        let (period, angle) = (random.within(8.0..24.0), random.within(0.0..PI));
        Self { pattern, colors, period, direction: angle.sin_cos().into(), phase: random.within(0.0..128.0) }
    }

    /// The color of the texture at a point in pixel coordinates.
    pub fn at(&self, [x, y]: PenPoint) -> Color {
        let [sin, cos] = self.direction;
        let (u, v) = ((x * cos + y * sin + self.phase) / self.period, (y * cos - x * sin + self.phase) / self.period);
        let seed = self.phase as u32;
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Stripes => step(self.period / 8.0 * wave(u)),
            Pattern::Checks => step(self.period / 8.0 * wave(u / 2.0) * wave(v / 2.0)),
            Pattern::Dots => step(self.period / 8.0 * (wave(u) + wave(v) - 0.75)),
            Pattern::Clouds => 0.6 * clouds(u, v, seed) + 0.4 * clouds(3.1 * u, 3.1 * v, seed + 1),
            Pattern::Shade => 0.5 + 0.5 * wave(u * self.period / 256.0),
            Pattern::Linen => {
                let (along, across) = (clouds(0.4 * u, 5.0 * v, seed), clouds(5.0 * u, 0.4 * v, seed + 1));
                0.5 * (along + across)
            }
            Pattern::Grain => {
                let bent = v + 0.8 * clouds(0.3 * u, 0.8 * v, seed);
                0.6 * clouds(0.25 * u, 3.0 * bent, seed + 1) + 0.4 * (0.5 + 0.5 * wave(1.5 * bent))
            }
        };
        mix(self.colors[0], self.colors[1], share)
    }
}

/// Linear interpolation: `a` for a `share` of 0, `b` for a `share` of 1.
pub fn mix(a: Color, b: Color, share: f32) -> Color {
    let mix = |a: f32, b: f32| a + share * (b - a);
    [mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])]
}

/// A step from 0 to 1 at `x = 0` with a soft edge.
fn step(x: f32) -> f32 {
    (0.5 + 1.5 * x).clamp(0.0, 1.0)
}

/// A wave of period 1 between -1 and 1, like a sine: two parabolas.
fn wave(t: f32) -> f32 {
    let t = 2.0 * (t - floor(t) as f32) - 1.0;
    4.0 * t * (t.abs() - 1.0)
}

/// The largest integer at most `x`; faster than [`f32::floor`], which is a function call on some processors.
fn floor(x: f32) -> i32 {
    let toward_zero = x as i32;
    toward_zero - i32::from(toward_zero as f32 > x)
}

/// Value noise: random values on a grid, smoothly interpolated.
fn clouds(u: f32, v: f32, seed: u32) -> f32 {
    let (i, j) = (floor(u), floor(v));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(u - i as f32), ease(v - j as f32));
    let at = |di: i32, dj: i32| hash(i + di, j + dj, seed);
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
