//! Draws pictures as ordinary cells: quadrants or half blocks in the terminal's colors, or ASCII art.

use super::sample::Samples;
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

/// The kind of characters that a picture is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocks {
    /// Quadrants, which have the highest resolution. With few colors, half blocks look better.
    #[default]
    Quadrant,
    /// Half blocks, for fonts without quadrants and terminals with few colors.
    Half,
    /// ASCII characters chosen by brightness.
    Letters,
}

/// ASCII characters from dark to bright.
const RAMP: &[u8] = b" .:-=+*#%@";

/// Quadrant characters, indexed by a bit mask of the filled quarters: 1 top left, 2 top right, 4 bottom left, 8 bottom right.
const QUADRANTS: [&str; 16] = [" ", "▘", "▝", "▀", "▖", "▌", "▞", "▛", "▗", "▚", "▐", "▜", "▄", "▙", "▟", "█"];

/// Fills a rectangle of cells with the signs of a map in diverging colors: `-` and `=` for negative values, `+` and `#` for positive
/// ones, blanks near zero. Used where there are no colors.
pub fn signs(buf: &mut Buffer, rect: Rect, image: &RgbImage) {
    let rect = rect.intersection(buf.area);
    let s = Samples::new(image, usize::from(rect.width), usize::from(rect.height));
    for (x, y) in cells(rect) {
        let [red, _, blue] = s.at(x, y).map(i32::from);
        let sign = match red - blue {
            ..-110 => "=",
            -110..-30 => "-",
            -30..=30 => " ",
            31..=110 => "+",
            _ => "#",
        };
        put(buf, rect, x, y, sign, Color::Reset, Color::Reset);
    }
}

/// Fills a rectangle of cells with a picture.
pub fn paint(buf: &mut Buffer, rect: Rect, image: &RgbImage, blocks: Blocks, depth: Depth) {
    let rect = rect.intersection(buf.area);
    if rect.is_empty() {
        return;
    }
    match (blocks, depth) {
        (Blocks::Letters, _) | (_, Depth::None) => letters(buf, rect, image),
        (Blocks::Quadrant, depth) => quadrants(buf, rect, image, depth),
        (Blocks::Half, depth) => halves(buf, rect, image, depth),
    }
}

/// Approximate number of bytes needed to draw a cell.
const CELL: usize = 40;

/// Limits the changed cells of pictures to about `room` bytes, starting at row `sweep`. The remaining cells keep their current
/// content. Cells covered by `cover` do not count. Returns whether any cells were held back.
pub fn hold_back(
    buf: &mut Buffer,
    screen: &Buffer,
    (pictures, cover): (&[Rect], Option<Rect>),
    room: usize,
    sweep: &mut u16,
) -> bool {
    if screen.area != buf.area {
        return false;
    }
    let (mut left, height) = (room / CELL, buf.area.height.max(1));
    let (start, mut held) = (*sweep % height, false);
    for y in (0..height).map(|row| (start + row) % height) {
        let columns = pictures.iter().filter(|r| (r.y..r.bottom()).contains(&y)).flat_map(|r| r.x..r.right());
        for x in columns.filter(|x| cover.is_none_or(|c| !c.contains((*x, y).into()))) {
            let (Some(new), Some(old)) = (buf.cell_mut((x, y)), screen.cell((x, y))) else { continue };
            match (new == old, left) {
                (true, _) => {}
                (false, 0) => {
                    *new = old.clone();
                    *sweep = if held { *sweep } else { y };
                    held = true;
                }
                (false, _) => left -= 1,
            }
        }
    }
    held
}

fn quadrants(buf: &mut Buffer, rect: Rect, image: &RgbImage, depth: Depth) {
    let s = Samples::new(image, usize::from(rect.width) * 2, usize::from(rect.height) * 2);
    for (x, y) in cells(rect) {
        let quarters = [s.at(x * 2, y * 2), s.at(x * 2 + 1, y * 2), s.at(x * 2, y * 2 + 1), s.at(x * 2 + 1, y * 2 + 1)];
        let (mask, fg, bg) = two_colors(&quarters);
        put(buf, rect, x, y, QUADRANTS[mask], color(fg, x, y * 2, depth), color(bg, x, y * 2 + 1, depth));
    }
}

/// The terminal color nearest to an RGB color.
pub fn nearest_color(color: [u8; 3], depth: Depth) -> Color {
    match depth {
        Depth::True => rgb(color),
        Depth::Indexed => Color::Indexed(indexed(color)),
        Depth::Sixteen => SIXTEEN[nearest(color, &SIXTEEN_RGB)],
        Depth::None => Color::Reset,
    }
}

/// The terminal color that approximates an RGB color, dithered by position if the terminal has few colors.
fn color(color: [u8; 3], x: usize, y: usize, depth: Depth) -> Color {
    match depth {
        Depth::True => rgb(color),
        Depth::Indexed => Color::Indexed(indexed(dithered(color, x, y, 20.0))),
        _ => SIXTEEN[nearest(dithered(vivid(color), x, y, 110.0), &SIXTEEN_RGB)],
    }
}

fn halves(buf: &mut Buffer, rect: Rect, image: &RgbImage, depth: Depth) {
    let s = Samples::new(image, usize::from(rect.width), usize::from(rect.height) * 2);
    let color = |x: usize, y: usize| color(s.at(x, y), x, y, depth);
    for (x, y) in cells(rect) {
        put(buf, rect, x, y, "▀", color(x, y * 2), color(x, y * 2 + 1));
    }
}

fn letters(buf: &mut Buffer, rect: Rect, image: &RgbImage) {
    let s = Samples::new(image, usize::from(rect.width), usize::from(rect.height));
    for (x, y) in cells(rect) {
        let place = (brightness(s.at(x, y)) / 255.0 * (RAMP.len() - 1) as f32).round() as usize;
        let letter = char::from(RAMP[place.min(RAMP.len() - 1)]);
        put(buf, rect, x, y, letter.encode_utf8(&mut [0; 4]), Color::Reset, Color::Reset);
    }
}

/// The two colors that approximate four quarters with the least error, preceded by a bit mask of the quarters with the first
/// color.
fn two_colors(quarters: &[[u8; 3]; 4]) -> (usize, [u8; 3], [u8; 3]) {
    let split = |mask: usize| {
        let of = |inside: bool| (0..4).filter(move |q| (mask >> q & 1 == 1) == inside).map(|q| quarters[q]);
        let (fg, bg) = (mean(of(true)), mean(of(false)));
        let error: u32 =
            of(true).map(|c| distance(c, fg)).sum::<u32>() + of(false).map(|c| distance(c, bg)).sum::<u32>();
        (error, mask, fg, bg)
    };
    let (_, mask, fg, bg) = (0..8).map(split).min_by_key(|s| s.0).unwrap_or((0, 0, [0; 3], [0; 3]));
    (mask, fg, bg)
}

fn mean(colors: impl Iterator<Item = [u8; 3]>) -> [u8; 3] {
    let (sum, count) = colors.fold(([0u32; 3], 0), |(s, n), c| ([0, 1, 2].map(|i| s[i] + u32::from(c[i])), n + 1));
    sum.map(|s| (s + count / 2).checked_div(count).unwrap_or(0) as u8)
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    (0..3).map(|i| u32::from(a[i].abs_diff(b[i])).pow(2)).sum()
}

/// Brightness (luma) of a color, 0 to 255.
fn brightness([r, g, b]: [u8; 3]) -> f32 {
    0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)
}

/// Increases a color's saturation, because the sixteen-color palette has few colors near gray.
fn vivid(color: [u8; 3]) -> [u8; 3] {
    let gray = brightness(color);
    color.map(|c| (gray + 2.0 * (f32::from(c) - gray)).clamp(0.0, 255.0) as u8)
}

/// Adds the ordered dither pattern at a position to a color, to compensate for missing shades.
pub fn dithered(color: [u8; 3], x: usize, y: usize, strength: f32) -> [u8; 3] {
    let by = (super::sample::bayer(x, y) - 0.5) * strength;
    color.map(|c| (f32::from(c) + by).clamp(0.0, 255.0) as u8)
}

/// Index of the nearest of the 240 fixed colors in the 256-color palette: six shades per channel and 24 grays.
fn indexed(color: [u8; 3]) -> u8 {
    const SHADES: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let shade = |c: u8| (0..6).min_by_key(|i| SHADES[*i].abs_diff(c)).unwrap_or(0);
    let [r, g, b] = color.map(shade);
    let gray = ((i32::from(mean([[color[0]; 3], [color[1]; 3], [color[2]; 3]].into_iter())[0]) - 3) / 10).clamp(0, 23);
    let of_cube = distance(color, [SHADES[r], SHADES[g], SHADES[b]]);
    let of_gray = distance(color, [(8 + 10 * gray) as u8; 3]);
    if of_gray < of_cube { 232 + gray as u8 } else { (16 + 36 * r + 6 * g + b) as u8 }
}

/// xterm's sixteen-color palette. The palettes of other terminals are similar.
const SIXTEEN_RGB: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

const SIXTEEN: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

/// Index of the nearest color in a palette, with perceptual channel weights: green counts most, blue least.
fn nearest(color: [u8; 3], palette: &[[u8; 3]]) -> usize {
    const WEIGHTS: [u32; 3] = [3, 6, 2];
    let far = |p: &[u8; 3]| (0..3).map(|i| WEIGHTS[i] * u32::from(p[i].abs_diff(color[i])).pow(2)).sum::<u32>();
    (0..palette.len()).min_by_key(|i| far(&palette[*i])).unwrap_or(0)
}

fn rgb([r, g, b]: [u8; 3]) -> Color {
    Color::Rgb(r, g, b)
}

fn cells(rect: Rect) -> impl Iterator<Item = (usize, usize)> {
    let (width, height) = (usize::from(rect.width), usize::from(rect.height));
    (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)))
}

fn put(buf: &mut Buffer, rect: Rect, x: usize, y: usize, symbol: &str, fg: Color, bg: Color) {
    if let Some(cell) = buf.cell_mut((rect.x + x as u16, rect.y + y as u16)) {
        cell.set_symbol(symbol).set_style(Style::new().fg(fg).bg(bg));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const RED: [u8; 3] = [255, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 255];

    fn painted(image: &RgbImage, blocks: Blocks, depth: Depth, width: u16, height: u16) -> Buffer {
        let rect = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(rect);
        paint(&mut buf, rect, image, blocks, depth);
        buf
    }

    fn image(pixels: &[[u8; 3]], width: u32) -> RgbImage {
        RgbImage::from_fn(width, pixels.len() as u32 / width, |x, y| Rgb(pixels[(y * width + x) as usize]))
    }

    #[test]
    fn a_quadrant_shows_four_pixels_of_two_colors_exactly() {
        let image = image(&[RED, BLUE, BLUE, RED], 2);
        let cell = painted(&image, Blocks::Quadrant, Depth::True, 1, 1)[(0, 0)].clone();
        let colors = (cell.symbol(), cell.fg, cell.bg);
        assert!([("▚", rgb(RED), rgb(BLUE)), ("▞", rgb(BLUE), rgb(RED))].contains(&colors), "{colors:?}");
    }

    #[test]
    fn half_blocks_show_the_upper_pixel_as_foreground() {
        let cell = painted(&image(&[RED, BLUE], 1), Blocks::Half, Depth::True, 1, 1)[(0, 0)].clone();
        assert_eq!((cell.symbol(), cell.fg, cell.bg), ("▀", rgb(RED), rgb(BLUE)));
    }

    #[test]
    fn few_colors_use_only_the_terminals_palette() {
        let ramp = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, 128]));
        for (depth, allowed) in [(Depth::Indexed, 240), (Depth::Sixteen, 16)] {
            let buf = painted(&ramp, Blocks::Quadrant, depth, 16, 8);
            let mut colors: Vec<_> = buf.content.iter().flat_map(|c| [c.fg, c.bg]).collect();
            assert!(colors.iter().all(|c| !matches!(c, Color::Rgb(..))), "{depth:?}");
            colors.sort_by_key(|c| format!("{c:?}"));
            colors.dedup();
            assert!(colors.len() > 4 && colors.len() <= allowed, "{depth:?} has {}", colors.len());
        }
    }

    #[test]
    fn dithering_keeps_the_mean_brightness() {
        let gray = RgbImage::from_pixel(32, 32, Rgb([100, 100, 100]));
        let buf = painted(&gray, Blocks::Half, Depth::Sixteen, 32, 16);
        let shade = |c: Color| SIXTEEN.iter().position(|s| *s == c).map_or(0.0, |i| brightness(SIXTEEN_RGB[i]));
        let mean = buf.content.iter().map(|c| (shade(c.fg) + shade(c.bg)) / 2.0).sum::<f32>() / 512.0;
        assert!((mean - 100.0).abs() < 30.0, "mean {mean}");
    }

    #[test]
    fn without_colors_brightness_becomes_letters() {
        let buf = painted(&image(&[[0; 3], [255; 3]], 2), Blocks::Quadrant, Depth::None, 2, 1);
        assert_eq!((buf[(0, 0)].symbol(), buf[(1, 0)].symbol()), (" ", "@"));
        assert!(buf.content.iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    }
}
