//! Draws text onto pictures with an 8 x 8 bitmap font.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};
use image::{Rgb, RgbImage};

/// Width and height of a character in pixels.
pub(super) const LETTER: u32 = 8;

/// Width of a string in pixels.
pub(super) fn width(text: &str) -> u32 {
    text.chars().count() as u32 * LETTER
}

/// Shortens a line to at most `letters` characters: `..` replaces its middle, so that names with the same start stay distinct.
pub(super) fn fitting(line: &str, letters: usize) -> String {
    let count = line.chars().count();
    if count <= letters {
        return line.into();
    }
    let Some(kept) = letters.checked_sub(2).filter(|kept| *kept > 0) else { return String::new() };
    let (start, end) = (kept.div_ceil(2), kept / 2);
    line.chars().take(start).chain("..".chars()).chain(line.chars().skip(count - end)).collect()
}

/// Draws a string with its top-left corner at `(x, y)`, clipped to the picture.
pub(super) fn write(image: &mut RgbImage, (x, y): (i64, i64), text: &str, color: Rgb<u8>) {
    for (i, letter) in text.chars().enumerate() {
        let left = x + i as i64 * i64::from(LETTER);
        for (row, bits) in (0i64..).zip(glyph(letter)) {
            for column in (0..8i64).filter(|c| bits >> c & 1 == 1) {
                put(image, left + column, y + row, color);
            }
        }
    }
}

fn put(image: &mut RgbImage, x: i64, y: i64, color: Rgb<u8>) {
    if (0..i64::from(image.width())).contains(&x) && (0..i64::from(image.height())).contains(&y) {
        image.put_pixel(x as u32, y as u32, color);
    }
}

/// Bitmap of a right arrow, which the fonts lack.
const ARROW: [u8; 8] = [0x00, 0x10, 0x30, 0x7f, 0x30, 0x10, 0x00, 0x00];

/// Bitmap of a character: one byte per row, with the leftmost pixel in the lowest bit. A question mark if the fonts lack the
/// character.
fn glyph(letter: char) -> [u8; 8] {
    if letter == '→' {
        return ARROW;
    }
    let known = || BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| GREEK_FONTS.get(letter));
    known().or_else(|| BASIC_FONTS.get('?')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_line_keeps_its_start_and_end() {
        assert_eq!(["abcdef", "abcdefg", "éèêëēě7"].map(|line| fitting(line, 6)), ["abcdef", "ab..fg", "éè..ě7"]);
        assert_eq!((fitting("abc", 2), fitting("abc", 0)), ("".into(), "".into()));
    }

    #[test]
    fn letters_are_side_by_side_and_clipped_to_the_picture() {
        let mut image = RgbImage::new(20, 10);
        write(&mut image, (1, 1), "iε漢", Rgb([255, 255, 255]));
        let ink = |x: std::ops::Range<u32>| {
            x.flat_map(|x| (0..10).map(move |y| (x, y))).filter(|p| image.get_pixel(p.0, p.1).0[0] > 0).count()
        };
        assert!(ink(1..9) > 5 && ink(9..17) > 5 && ink(17..20) > 0);
        write(&mut image, (-5, -5), "x", Rgb([255, 0, 0]));
        assert_eq!(width("iε漢"), 24);
    }
}
