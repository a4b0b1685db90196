//! Pictures of a single word on a line, as in a scanned document.

use super::pen::{self, PenPoint};
use super::random::{Random, drawn};
use crate::data::Dataset;
use anyhow::Result;

/// Height and width of a line in pixels.
const SIZE: [usize; 2] = [20, 96];

/// The classes: words that share letters, so that a single letter can distinguish two of them.
const WORDS: [&str; 10] = ["gradient", "grid", "tensor", "sensor", "noise", "loss", "logit", "layer", "linear", "relu"];

/// The strokes of each letter in a unit box, x to the right and y down; a repeated point is a corner.
const LETTERS: [(char, &[&[PenPoint]]); 13] = [
    ('a', &[&[[0.0, 1.0], [0.5, 0.0], [0.5, 0.0], [1.0, 1.0]], &[[0.2, 0.62], [0.8, 0.62]]]),
    ('d', &[&[[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.6, 0.95], [0.95, 0.5], [0.6, 0.05], [0.0, 0.0]]]),
    ('e', &[&[[0.9, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.9, 1.0]], &[[0.0, 0.5], [0.7, 0.5]]]),
    (
        'g',
        &[&[
            [0.9, 0.15],
            [0.5, 0.0],
            [0.05, 0.5],
            [0.5, 1.0],
            [0.95, 0.8],
            [0.95, 0.8],
            [0.95, 0.55],
            [0.95, 0.55],
            [0.6, 0.55],
        ]],
    ),
    ('i', &[&[[0.5, 0.0], [0.5, 1.0]], &[[0.25, 0.0], [0.75, 0.0]], &[[0.25, 1.0], [0.75, 1.0]]]),
    ('l', &[&[[0.05, 0.0], [0.05, 1.0], [0.05, 1.0], [0.85, 1.0]]]),
    ('n', &[&[[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]]),
    ('o', &[&[[0.5, 0.0], [0.05, 0.5], [0.5, 1.0], [0.95, 0.5], [0.5, 0.0]]]),
    (
        'r',
        &[
            &[[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.7, 0.02], [0.85, 0.27], [0.6, 0.5], [0.0, 0.52]],
            &[[0.4, 0.52], [0.95, 1.0]],
        ],
    ),
    ('s', &[&[[0.88, 0.12], [0.5, 0.0], [0.12, 0.25], [0.5, 0.5], [0.88, 0.75], [0.5, 1.0], [0.1, 0.88]]]),
    ('t', &[&[[0.0, 0.0], [1.0, 0.0]], &[[0.5, 0.0], [0.5, 1.0]]]),
    ('u', &[&[[0.05, 0.0], [0.05, 0.65], [0.5, 1.0], [0.95, 0.65], [0.95, 0.0]]]),
    ('y', &[&[[0.0, 0.0], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], &[[0.5, 0.5], [0.5, 1.0]]]),
];

/// A data set of `count` lines of shape `(1, 20, 96)`, white on black; labels cycle through the classes.
pub fn set(name: &str, seed: u64, count: usize) -> Result<Dataset> {
    let pixels = drawn(seed, count, SIZE[0] * SIZE[1], |random, i, line| write(random, WORDS[i % WORDS.len()], line));
    let labels = (0..count).map(|i| i % WORDS.len()).collect();
    Dataset::of_bytes(name, WORDS.map(String::from).to_vec(), [1, SIZE[0], SIZE[1]], pixels, labels)
}

/// Draws a word at a random position; the letters share one size and slant, and each is slightly displaced.
fn write(random: &mut Random, word: &str, picture: &mut [u8]) {
    let (wide, tall) = (random.within(5.5..7.5), random.within(10.0..13.0));
    let (step, slant) = (wide + random.within(2.6..3.6), random.within(-0.05..0.2));
    let room = SIZE[1] as f32 - step * word.len() as f32 - 3.0;
    let (left, top) = (2.5 + random.within(0.0..1.0) * room.max(0.0), random.within(2.5..17.0 - tall));
    let (radius, softness) = (random.within(0.6..1.0), random.within(0.8..1.3));
    let mut paper = [0.0; SIZE[0] * SIZE[1]];
    for (i, letter) in word.chars().enumerate() {
        let aside: PenPoint = [left + step * i as f32 + 0.25 * random.bell(), top + 0.3 * random.bell()];
        for stroke in strokes(letter) {
            let place = |p: PenPoint| [aside[0] + wide * p[0] + slant * tall * (0.5 - p[1]), aside[1] + tall * p[1]];
            let line: Vec<_> = pen::curve(stroke).into_iter().map(place).collect();
            pen::draw(&mut paper, SIZE[1], &line, |_| radius, softness);
        }
    }
    let grain = random.within(0.0..0.06);
    for (byte, ink) in picture.iter_mut().zip(paper) {
        *byte = ((ink + grain * random.bell().abs()).clamp(0.0, 1.0) * 255.0).round() as u8;
    }
}

fn strokes(letter: char) -> &'static [&'static [PenPoint]] {
    LETTERS.iter().find(|(known, _)| *known == letter).map_or(&[], |(_, strokes)| strokes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_every_word_has_strokes() {
        assert!(WORDS.iter().flat_map(|word| word.chars()).all(|letter| !strokes(letter).is_empty()));
    }
}
