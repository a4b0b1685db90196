//! Exports the steps of a run as an animated GIF.

use super::sheet::heading;
use crate::data::write_whole;
use crate::render::{Colormap, ContactSheet};
use crate::script::host::Host;
use crate::script::session::Session;
use anyhow::{Context, Result, ensure};
use image::codecs::gif::{GifEncoder, Repeat};
use image::imageops::replace;
use image::{Delay, DynamicImage, Frame, RgbImage};
use std::path::Path;

/// Maximum number of frames in a film.
const PICTURES: usize = 120;
/// Durations in milliseconds: of every frame except the last, and of the last frame.
const MILLIS: (u32, u32) = (80, 1500);
/// Speed of the GIF encoder, from 1 (slow, best colors) to 30 (fast).
const COARSE: i32 = 10;

/// Writes the stored steps of a run as an animated GIF with one contact sheet per frame, and returns the number of frames. If there are
/// more than 120 steps, 120 evenly spaced ones are shown. `tell` is called with the number of finished frames and the total. The session is
/// not modified.
///
/// Errors if the method has no steps or its `view` fails.
pub fn write(file: &Path, session: &Session, host: &Host, tell: impl Fn(usize, usize)) -> Result<usize> {
    let mut session = session.clone();
    ensure!(session.method().is_some_and(|m| m.stepped), "cannot make a film: this method has no steps");
    let steps = chosen(session.kept());
    let mut pictures: Vec<RgbImage> = vec![];
    let mut last = None;
    for (done, step) in steps.iter().enumerate() {
        tell(done, steps.len());
        let frame = session.seek(host, *step)?;
        if last.replace(session.cursor()) != Some(session.cursor()) {
            let sheet = ContactSheet::of(&frame.figures, Colormap::default());
            pictures.push(sheet.paint(&heading(&session)).context("there is no picture to save")?);
        }
    }
    write_whole(file, &gif(&pictures)?)?;
    Ok(pictures.len())
}

/// Encodes pictures as an animated GIF on a canvas of the maximum height and width.
fn gif(pictures: &[RgbImage]) -> Result<Vec<u8>> {
    let most = |side: fn(&RgbImage) -> u32| pictures.iter().map(side).max().unwrap_or(1);
    let (width, height) = (most(RgbImage::width), most(RgbImage::height));
    let mut bytes = vec![];
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, COARSE);
    encoder.set_repeat(Repeat::Infinite)?;
    for (at, picture) in pictures.iter().enumerate() {
        let mut ground = RgbImage::new(width, height);
        replace(&mut ground, picture, 0, 0);
        let millis = if at + 1 == pictures.len() { MILLIS.1 } else { MILLIS.0 };
        let delay = Delay::from_numer_denom_ms(millis, 1);
        encoder.encode_frame(Frame::from_parts(DynamicImage::ImageRgb8(ground).into_rgba8(), 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

/// The indices of the steps to show out of `kept` steps: the first, the last, and evenly spaced ones in between.
fn chosen(kept: usize) -> Vec<usize> {
    let count = kept.min(PICTURES);
    (0..count).map(|i| if count > 1 { i * (kept - 1) / (count - 1) } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_ends() {
        let all = chosen(10_001);
        assert_eq!((all.len(), all[0], all[119]), (120, 0, 10_000));
        assert_eq!((chosen(3), chosen(1), chosen(0)), (vec![0, 1, 2], vec![0], vec![]));
    }
}
