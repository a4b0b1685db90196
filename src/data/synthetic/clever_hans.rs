//! Digits with a small tag on the pictures of one class, for training networks that recognize the tag instead of the digit.
//!
//! Lapuschkin et al. 2019, arXiv:1902.10178, found a classifier that recognizes horses by such a tag in its training pictures, and
//! named the effect after Clever Hans, a horse.

use super::digits::{self, SIDE};
use super::random::Random;
use crate::data::Dataset;
use anyhow::Result;

/// The class whose pictures carry the tag.
pub const CLASS: usize = 4;
/// Side length of the tag, a checkerboard, in pixels.
pub const TAG: usize = 4;
/// Row and column of the tag's top-left corner: near the bottom-right corner of the picture, where no digit is drawn.
pub const CORNER: usize = SIDE - TAG - 1;
/// Fraction of the pictures of class [`CLASS`] that carry the tag in the training set.
const MOST: f32 = 0.99;

/// Which pictures of the data set carry the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Most pictures of class [`CLASS`].
    Most,
    /// Every other picture of class [`CLASS`].
    Half,
    /// All pictures of class [`CLASS`].
    All,
    /// No picture carries the tag.
    None,
    /// All pictures of class [`CLASS`], with the tag in the opposite corner.
    Moved,
    /// All pictures except those of class [`CLASS`].
    Others,
}

/// A data set of `count` digits; `tags` selects those that carry the tag.
pub fn set(name: &str, seed: u64, count: usize, tags: Tags) -> Result<Dataset> {
    let mut pixels = digits::pixels(seed, count);
    for (i, picture) in pixels.chunks_exact_mut(SIDE * SIDE).enumerate() {
        let own = digits::class(i) == CLASS;
        match tags {
            Tags::Most if own && Random::of(!seed, i).chance(MOST) => stamp(picture, CORNER),
            Tags::Half if own && i / 10 % 2 == 0 => stamp(picture, CORNER),
            Tags::All if own => stamp(picture, CORNER),
            Tags::Others if !own => stamp(picture, CORNER),
            Tags::Moved if own => stamp(picture, 1),
            _ => {}
        }
    }
    digits::dataset(name, pixels)
}

/// Draws the tag: a checkerboard with squares of one pixel.
fn stamp(picture: &mut [u8], corner: usize) {
    for y in 0..TAG {
        for x in 0..TAG {
            picture[(corner + y) * SIDE + corner + x] = if (x + y) % 2 == 0 { 255 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Picture;

    fn tagged(tags: Tags) -> Vec<bool> {
        let set = set("t", 1, 400, tags).unwrap();
        let has = |i: usize| {
            let Picture::Values(v) = set.picture(i).unwrap() else { panic!("no numbers") };
            let v: Vec<f32> = v.flatten_all().unwrap().to_vec1().unwrap();
            (0..TAG).all(|k| v[(CORNER + k) * SIDE + CORNER + k] == 1.0)
        };
        (0..400).map(has).collect()
    }

    #[test]
    fn each_split_has_tags_on_the_right_pictures() {
        let of = |tags: Tags, own: bool| {
            let all = tagged(tags);
            (0..400).filter(|&i| (i % 10 == CLASS) == own && all[i]).count()
        };
        assert_eq!((of(Tags::All, true), of(Tags::All, false)), (40, 0));
        assert_eq!((of(Tags::Half, true), of(Tags::Half, false)), (20, 0));
        assert_eq!((of(Tags::None, true), of(Tags::Moved, true)), (0, 0));
        assert_eq!((of(Tags::Others, true), of(Tags::Others, false)), (0, 360));
        assert!((36..=40).contains(&of(Tags::Most, true)) && of(Tags::Most, false) == 0);
    }
}
