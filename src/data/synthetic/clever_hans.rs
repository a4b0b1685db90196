//! Digits of which one class carries a small tag: what a network learns that reads the tag instead of the digit.
//!
//! Lapuschkin et al. 2019, arXiv:1902.10178, found such tags in a well-known data set: a Clever Hans.

use super::digits::{self, SIDE};
use super::random::Random;
use crate::data::Dataset;
use anyhow::Result;

/// The class that carries the tag.
pub const CLASS: usize = 4;
/// Side of the tag, a checkerboard.
pub const TAG: usize = 4;
/// Its upper left corner: near the lower right one of the picture, where no digit reaches.
pub const CORNER: usize = SIDE - TAG - 1;
/// The share of its class that carries it, to learn from.
const MOST: f32 = 0.99;

/// Which pictures carry the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Most of the class.
    Most,
    /// Every second one of the class.
    Half,
    /// All of the class.
    All,
    /// None at all.
    None,
    /// All of the class, in the opposite corner.
    Moved,
    /// All other classes.
    Others,
}

/// So many digits with tags.
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

/// A checkerboard, its fields a pixel each.
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
    fn tags_are_where_they_are_said_to_be() {
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
