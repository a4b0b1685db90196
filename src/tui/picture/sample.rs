//! Resizes pictures: averages pixels when shrinking, and repeats them when enlarging.

use image::{Rgb, RgbImage};

/// Small pictures are enlarged before sending, to at most this many pixels per side, so that their pixels stay sharp.
const SHARP: u32 = 256;
/// Pictures with more pixels than this are sent with 7 bits per color channel.
const LARGE: u32 = 128 * 128;
/// The pixels of a resized picture.
#[derive(Clone, Debug)]
pub struct Samples {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Samples {
    /// Resizes a picture to `width` x `height` pixels.
    pub fn new(image: &RgbImage, width: usize, height: usize) -> Self {
        let columns = spans(image.width() as usize, width);
        let rows = spans(image.height() as usize, height);
        let mut pixels = Vec::with_capacity(width * height);
        for &(top, bottom) in &rows {
            pixels.extend(columns.iter().map(|&(left, right)| mean(image, left, right, top, bottom)));
        }
        Self { width, pixels }
    }

    /// The color of a pixel.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// The resized picture as an image.
    pub fn image(&self) -> RgbImage {
        let height = self.pixels.len() / self.width.max(1);
        RgbImage::from_fn(self.width as u32, height as u32, |x, y| Rgb(self.at(x as usize, y as usize)))
    }
}

/// Shrinks a picture to its size on screen in pixels, or enlarges a small one so that its pixels stay sharp.
pub fn sized(image: &RgbImage, pixels: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    if width > pixels.0 && height > pixels.1 {
        return fitted(image, pixels);
    }
    let times = (SHARP / width.max(height).max(1)).max(1);
    Samples::new(image, (width * times) as usize, (height * times) as usize).image()
}

/// Clears the lowest bit of every color channel of a large picture. The difference is invisible, and the smaller PNG offsets the
/// size overhead of base64.
pub fn light(mut image: RgbImage) -> RgbImage {
    if image.width() * image.height() > LARGE {
        image.iter_mut().for_each(|value| *value &= !1);
    }
    image
}

/// Resizes a picture to the pixel size of its cells.
pub fn fitted(image: &RgbImage, pixels: (u32, u32)) -> RgbImage {
    Samples::new(image, pixels.0 as usize, pixels.1 as usize).image()
}

/// Value of the 8x8 ordered dither pattern (Bayer 1973) at a position, in `[0, 1)`.
pub fn bayer(x: usize, y: usize) -> f32 {
    let bit = |v: usize, n: usize| (v >> n) & 1;
    let digit = |n: usize| 2 * (bit(x, n) ^ bit(y, n)) + bit(y, n);
    (16 * digit(0) + 4 * digit(1) + digit(2)) as f32 / 64.0
}

/// For each of `to` pixels, the range of the `from` source pixels that it covers; each range contains at least one.
fn spans(from: usize, to: usize) -> Vec<(usize, usize)> {
    let at = |i: usize| i * from / to.max(1);
    (0..to).map(|i| (at(i).min(from.saturating_sub(1)), at(i + 1).max(at(i) + 1).min(from))).collect()
}

fn mean(image: &RgbImage, left: usize, right: usize, top: usize, bottom: usize) -> [u8; 3] {
    let mut sum = [0u32; 3];
    for y in top..bottom {
        for x in left..right {
            let Rgb(pixel) = *image.get_pixel(x as u32, y as u32);
            sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += u32::from(p));
        }
    }
    let count = ((right - left) * (bottom - top)).max(1) as u32;
    sum.map(|s| ((s + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_enlarging_copies() {
        let image = RgbImage::from_fn(2, 1, |x, _| Rgb([x as u8 * 100; 3]));
        assert_eq!(Samples::new(&image, 1, 1).at(0, 0), [50; 3]);
        let large = Samples::new(&image, 4, 2);
        assert_eq!([large.at(1, 1), large.at(2, 0)], [[0; 3], [100; 3]]);
    }

    #[test]
    fn the_pattern_has_every_threshold_once() {
        let mut all: Vec<_> = (0..64).map(|i| (bayer(i % 8, i / 8) * 64.0) as usize).collect();
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<_>>());
    }
}
