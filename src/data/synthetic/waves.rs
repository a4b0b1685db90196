//! Waveforms as seen on an oscilloscope, stored as pictures with a single row.

use super::random::{Random, drawn};
use crate::data::Dataset;
use anyhow::Result;
use std::f32::consts::TAU;

/// Number of samples per waveform.
const LENGTH: usize = 128;

/// A waveform: maps a phase in `[0, 1)` to `[-1, 1]`; `at` is the position in the recording, in `[0, 1]`.
type Shape = fn(phase: f32, at: f32) -> f32;

/// The classes: plain waveforms, waveforms whose frequency or amplitude changes, and a heartbeat.
const SHAPES: [(&str, Shape); 8] = [
    ("sine", |p, _| (TAU * p).sin()),
    ("square", |p, _| if p < 0.5 { 1.0 } else { -1.0 }),
    ("triangle", |p, _| 1.0 - 4.0 * (p - 0.5).abs()),
    ("sawtooth", |p, _| 2.0 * p - 1.0),
    ("rising", |p, _| (TAU * p).sin()),
    ("falling", |p, _| (TAU * p).sin()),
    ("fading", |p, at| (TAU * p).sin() * (1.0 - at).powi(2)),
    ("heartbeat", |p, _| {
        bump(p, 0.2, 0.03) * 0.25 + bump(p, 0.38, 0.015) - bump(p, 0.42, 0.015) * 0.5 + bump(p, 0.65, 0.05) * 0.4
    }),
];

/// A data set of `count` waveforms of shape `(1, 1, 128)`, where 0.5 represents an amplitude of zero; labels cycle
/// through the classes.
pub fn set(name: &str, seed: u64, count: usize) -> Result<Dataset> {
    let pixels = drawn(seed, count, LENGTH, |random, i, samples| record(random, i % SHAPES.len(), samples));
    let labels = (0..count).map(|i| i % SHAPES.len()).collect();
    Dataset::of_bytes(name, SHAPES.map(|(name, _)| name.into()).to_vec(), [1, 1, LENGTH], pixels, labels)
}

/// Draws one recording: a few periods with random phase, amplitude and noise.
fn record(random: &mut Random, class: usize, samples: &mut [u8]) {
    let (name, shape) = SHAPES[class];
    let (periods, start) = (random.within(2.5..6.0), random.within(0.0..1.0));
    let (strength, noise) = (random.within(0.5..0.9), random.within(0.02..0.12));
    for (i, sample) in samples.iter_mut().enumerate() {
        let at = i as f32 / LENGTH as f32;
        let bent = match name {
            "rising" => at * at * 1.6,
            "falling" => (2.0 * at - at * at) * 1.3,
            _ => at,
        };
        let value = strength * shape((start + periods * bent).fract(), at) + noise * random.bell();
        *sample = ((0.5 + 0.5 * value).clamp(0.0, 1.0) * 255.0).round() as u8;
    }
}

/// A Gaussian bump of height 1 with mean `center` and standard deviation `width`.
fn bump(phase: f32, center: f32, width: f32) -> f32 {
    (-((phase - center) / width).powi(2) / 2.0).exp()
}
