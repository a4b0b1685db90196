//! Two half moons in the unit square: the smallest data set with a curved decision boundary.

use super::random::{Random, drawn};
use crate::data::Dataset;
use anyhow::Result;
use std::f32::consts::PI;

/// Standard deviation of the noise added to each coordinate, in units of a moon's radius.
const NOISE: f32 = 0.35;

/// A data set of `count` points of shape `(2, 1, 1)`. The channels are x and y; points alternate between the moons,
/// starting with the upper one.
pub fn set(name: &str, seed: u64, count: usize) -> Result<Dataset> {
    let draw = |random: &mut Random, i: usize, point: &mut [u8]| {
        let angle = random.within(0.0..PI);
        let (x, y) = match i % 2 {
            0 => (angle.cos(), angle.sin()),
            _ => (1.0 - angle.cos(), 0.5 - angle.sin()),
        };
        let noisy = [x, y].map(|v| v + NOISE * random.bell());
        let placed = [(noisy[0] + 1.5) / 4.0, (noisy[1] + 1.75) / 4.0];
        point.iter_mut().zip(placed).for_each(|(byte, v)| *byte = (v.clamp(0.0, 1.0) * 255.0).round() as u8);
    };
    let classes = ["upper", "lower"].map(String::from).to_vec();
    Dataset::of_bytes(name, classes, [2, 1, 1], drawn(seed, count, 2, draw), (0..count).map(|i| i % 2).collect())
}
