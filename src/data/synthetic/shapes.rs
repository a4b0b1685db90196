//! Solid objects on a textured ground: `made:shapes` and `made:welcome`.

use super::canvas::{Canvas, SIDE};
use super::outline::KINDS;
use super::random::Random;
use super::scene::scene;
use super::welcome::{PAIRS, Pair};
use crate::data::Dataset;
use anyhow::Result;

/// A data set of `count` pictures of shape `(3, 128, 128)`; labels cycle through the classes.
pub fn set(name: &str, seed: u64, count: usize) -> Result<Dataset> {
    dataset(name, seed, |random, i| scene(random, i % KINDS.len()), (0..count).map(|i| i % KINDS.len()).collect())
}

/// Pictures of two objects of different classes, side by side; the label is the class of the left one.
pub fn welcome(name: &str) -> Result<Dataset> {
    dataset(name, 5, |random, i| PAIRS[i].draw(random), PAIRS.iter().map(Pair::label).collect())
}

fn dataset(name: &str, seed: u64, draw: fn(&mut Random, usize) -> Canvas, labels: Vec<usize>) -> Result<Dataset> {
    let draw = move |i: usize, bytes: &mut [u8]| draw(&mut Random::of(seed, i), i).write(bytes);
    Dataset::drawn(name, KINDS.map(String::from).to_vec(), [3, SIDE, SIDE], draw, labels)
}
