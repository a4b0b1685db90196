//! Masks: pictures whose bright pixels are a region.

use crate::data::{Picture, Preprocess};
use crate::model::Card;
use crate::tensor::numbers;
use crate::words;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Reads a mask and prepares it like a picture for the network. Returns whether each pixel of an input of `[height, width]` is bright.
///
/// Errors if the file cannot be read, the prepared mask has another size, or no pixel is bright.
pub fn bright_pixels(card: &Card, file: &str, [height, width]: [usize; 2]) -> Result<Vec<bool>> {
    let reading = || format!("reading the mask \"{}\"", words::name(file));
    let gray = Preprocess { input: [1, height, width], ..card.preprocess() };
    let mask = Picture::open(Path::new(file)).and_then(|mask| gray.apply(&mask, false)).with_context(reading)?;
    ensure!(mask.dims() == [1, 1, height, width], "the mask \"{}\" does not have the input's size", words::name(file));
    let bright: Vec<bool> = numbers(&mask)?.into_iter().map(|value| value > 0.5).collect();
    ensure!(bright.contains(&true), "the mask \"{}\" has no bright pixels; paint the region white", words::name(file));
    Ok(bright)
}
