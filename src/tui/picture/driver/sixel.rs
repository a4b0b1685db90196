//! Sixel graphics: six shades per channel, ordered dithering, and run-length encoding.
//!
//! All pictures share one palette, so that they do not compete for color registers.

use super::spec::{Driver, DriverSpec, PicturePart, RowPicture, Standing, go, row_area};
use crate::tui::picture::sample::{self, bayer};
use crate::tui::picture::stream;
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::layout::Rect;
use std::fmt::Write;

/// The driver table's entry for sixels.
pub const SPEC: DriverSpec = DriverSpec {
    name: "sixel",
    summary: "Sixels",
    suits: |caps, environment, depth| depth != Depth::None && caps.sixel && !environment.tmux,
    driver: |_, _| DRIVER,
};

/// The driver for sixels.
pub const DRIVER: &dyn Driver = &Sixel;

/// Draws pictures as sixels.
#[derive(Debug)]
struct Sixel;

/// Height of a strip of a picture, in rows of cells.
const ROWS: u16 = 1;

impl Driver for Sixel {
    fn name(&self) -> &'static str {
        "sixel"
    }

    fn standing(&self) -> Standing {
        Standing::Overlay
    }

    fn sized(&self, image: &RgbImage, pixels: (u32, u32)) -> Option<RgbImage> {
        Some(sample::fitted(image, pixels))
    }

    /// Encodes one strip per row of cells, so that key presses can be echoed between strips.
    fn encode(&self, image: &RgbImage, (_, cell): (u16, u16)) -> Vec<PicturePart> {
        let (width, height) = image.dimensions();
        let step = u32::from(ROWS * cell.max(1));
        let strip = |top: u32| {
            let part = image::imageops::crop_imm(image, 0, top, width, step.min(height - top)).to_image();
            ((top / u32::from(cell.max(1))) as u16, encode(&part))
        };
        (0..height).step_by(step as usize).map(strip).collect()
    }

    fn commands(&self, parts: &[PicturePart], _: u32, rect: Rect) -> Vec<Vec<u8>> {
        parts.iter().map(|(row, bytes)| [go(rect.x, rect.y + row), bytes.clone()].concat()).collect()
    }

    fn in_strips(&self) -> bool {
        true
    }

    fn stream_row(&self, pictures: &[RowPicture<'_>], _: Depth) -> Vec<u8> {
        let one = |p: &RowPicture<'_>| (p.rect, encode(&sample::fitted(p.image, p.pixels)));
        stream::over_blanks(row_area(pictures).height, &pictures.iter().map(one).collect::<Vec<_>>())
    }
}

/// Number of shades per color channel.
const SHADES: usize = 6;

/// The bytes that draw a picture at the cursor, with one sixel pixel per pixel.
fn encode(image: &RgbImage) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut out = format!("\x1bP0;1q\"1;1;{width};{height}");
    palette(&mut out, image);
    let mut rows = vec![vec![0u8; width]; SHADES * SHADES * SHADES];
    for top in (0..height).step_by(6) {
        band(&mut out, image, top, &mut rows);
    }
    out.push_str("\x1b\\");
    out.into_bytes()
}

/// Defines the color registers used by a picture, with channels in percent.
fn palette(out: &mut String, image: &RgbImage) {
    let hundredths = |shade: usize| shade * 100 / (SHADES - 1);
    let mut used = [false; SHADES * SHADES * SHADES];
    image.enumerate_pixels().for_each(|(x, y, pixel)| used[register(pixel.0, x as usize, y as usize)] = true);
    for n in (0..used.len()).filter(|n| used[*n]) {
        let (r, g, b) = (n / 36, n / 6 % 6, n % 6);
        let _ = write!(out, "#{};2;{};{};{}", number(n), hundredths(r), hundredths(g), hundredths(b));
    }
}

/// Encodes a band of six rows of pixels, starting at row `top`: one row of sixels for each color, overlaid.
fn band(out: &mut String, image: &RgbImage, top: usize, rows: &mut [Vec<u8>]) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut used = [false; SHADES * SHADES * SHADES];
    for bit in 0..6.min(height - top) {
        (0..width).for_each(|x| {
            let color = register(image.get_pixel(x as u32, (top + bit) as u32).0, x, top + bit);
            used[color] = true;
            rows[color][x] |= 1 << bit;
        });
    }
    let mut first = true;
    for color in (0..used.len()).filter(|c| used[*c]) {
        if !std::mem::take(&mut first) {
            out.push('$');
        }
        let _ = write!(out, "#{}", number(color));
        runs(out, &rows[color]);
        rows[color].fill(0);
    }
    out.push('-');
}

/// Run-length encodes a row of sixels, omitting trailing empty ones.
fn runs(out: &mut String, row: &[u8]) {
    let end = row.iter().rposition(|s| *s != 0).map_or(0, |at| at + 1);
    for run in row[..end].chunk_by(|a, b| a == b) {
        let sixel = char::from(63 + run[0]);
        match run.len() {
            1..=3 => (0..run.len()).for_each(|_| out.push(sixel)),
            count => {
                let _ = write!(out, "!{count}{sixel}");
            }
        }
    }
}

/// The number of a color register in the stream. No number ends in 38 or 48, because software that scans for 24-bit text colors
/// would mistake `#148;2;…` for one.
fn number(register: usize) -> usize {
    register + [38, 47, 136, 145].iter().filter(|&&from| register >= from).count()
}

fn register(color: [u8; 3], x: usize, y: usize) -> usize {
    let threshold = bayer(x, y);
    let shade = |c: u8| (((f32::from(c) / 255.0) * (SHADES - 1) as f32 + threshold) as usize).min(SHADES - 1);
    36 * shade(color[0]) + 6 * shade(color[1]) + shade(color[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// Decodes a sixel picture to the number of the color register of each pixel.
    fn decode(bytes: &[u8], width: usize, height: usize) -> Vec<Option<usize>> {
        let text = std::str::from_utf8(bytes).unwrap();
        let body = &text[text.find('#').unwrap()..text.len() - 2];
        let mut pixels = vec![None; width * height.div_ceil(6) * 6];
        let (mut x, mut top, mut color, mut count) = (0, 0, 0, 1);
        let mut chars = body.chars().peekable();
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut n = 0;
            while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
                n = n * 10 + d as usize;
                chars.next();
            }
            n
        };
        while let Some(c) = chars.next() {
            match c {
                '#' => {
                    color = number(&mut chars);
                    while chars.next_if_eq(&';').is_some() {
                        number(&mut chars);
                    }
                }
                '!' => count = number(&mut chars),
                '$' => x = 0,
                '-' => (x, top) = (0, top + 6),
                sixel => {
                    for _ in 0..std::mem::replace(&mut count, 1) {
                        let bits = sixel as usize - 63;
                        (0..6).filter(|b| bits >> b & 1 == 1).for_each(|b| pixels[(top + b) * width + x] = Some(color));
                        x += 1;
                    }
                }
            }
        }
        pixels.truncate(width * height);
        pixels
    }

    #[test]
    fn every_pixel_decodes_to_its_color() {
        let image = RgbImage::from_fn(17, 13, |x, y| Rgb([x as u8 * 15, y as u8 * 19, 255 - x as u8 * 9]));
        let back = decode(&encode(&image), 17, 13);
        for (x, y, pixel) in image.enumerate_pixels() {
            let (x, y) = (x as usize, y as usize);
            assert_eq!(back[y * 17 + x], Some(number(register(pixel.0, x, y))), "at {x},{y}");
        }
    }

    #[test]
    fn register_numbers_are_unique_and_look_like_no_text_color() {
        let all: std::collections::BTreeSet<_> = (0..SHADES * SHADES * SHADES).map(number).collect();
        assert!(all.len() == 216 && all.iter().all(|n| *n < 256 && n % 100 != 38 && n % 100 != 48));
    }

    #[test]
    fn dithering_keeps_the_mean_of_a_uniform_gray() {
        let mean = (0..64).map(|i| register([100; 3], i % 8, i / 8) % 6).sum::<usize>() as f32 / 64.0 * 51.0;
        assert!((mean - 100.0).abs() < 2.0, "mean {mean}");
    }

    #[test]
    fn a_uniform_picture_is_encoded_compactly() {
        let palette = encode(&RgbImage::new(1, 1)).len();
        assert!(encode(&RgbImage::new(600, 600)).len() < palette + 100 * 12);
    }

    #[test]
    fn a_picture_in_a_stream_is_drawn_over_blank_rows() {
        let bytes = DRIVER.stream(&RgbImage::new(8, 8), Depth::True, Rect::new(0, 0, 6, 3), (48, 48), 0);
        let said = String::from_utf8(bytes).expect("sixels are text");
        assert!(said.starts_with("\n\n\n\x1b[3A\x1b7\x1bP0;1q") && said.ends_with("\x1b8\x1b[3B\r"), "{said:?}");
    }
}
