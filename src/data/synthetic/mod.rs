//! Generated data sets, which need no files and contain the same pictures on every machine.

mod random;
mod pen;
mod digits;
mod fill;
mod outline;
mod texture;
mod color;
mod solid;
mod light;
mod place;
mod canvas;
mod scene;
mod welcome;
mod shapes;
mod moons;
mod waves;
mod words;
pub mod clever_hans;

use super::Dataset;
use anyhow::{Result, bail};
use clever_hans::Tags;

/// Names of the generated data sets.
pub const NAMES: [&str; 7] = ["digits", "shapes", "welcome", "tagged", "moons", "waves", "words"];

/// Opens a generated data set; `#train` selects the training set, and `#test` or no suffix the test set. The pictures are always the
/// same; those of `shapes` and `welcome` are drawn when they are read, all others on each call, in parallel.
///
/// - `digits`: 28 x 28 gray, handwritten digits, white on black.
/// - `shapes`: 128 x 128 color, a solid object on a textured ground. More than half of the pictures have one or two smaller objects
///   behind it; the label is the class of the largest.
/// - `welcome`: a few pictures of two objects each; no splits.
/// - `tagged`: digits; most 4s in the training set carry a small tag. The tag is on every other 4 in `#test`, on every 4 in
///   `#all`, on no digit in `#none`, on every 4 but in another corner in `#moved`, and on every digit except the 4s in
///   `#others`.
/// - `moons`: 2 x 1 x 1, noisy points along two half moons; the training set is small.
/// - `waves`: 1 x 1 x 128, waveforms.
/// - `words`: 1 x 20 x 96, a single word.
///
/// Errors if the name or split is unknown.
pub fn open(name: &str) -> Result<Dataset> {
    match name.split_once('#').unwrap_or((name, "test")) {
        ("digits", "train") => digits::set("made:digits#train", 1, 20_000),
        ("digits", "test") => digits::set("made:digits", 2, 2_000),
        ("shapes", "train") => shapes::set("made:shapes#train", 3, 24_000),
        ("shapes", "test") => shapes::set("made:shapes", 4, 1_000),
        ("moons", "train") => moons::set("made:moons#train", 6, 80),
        ("moons", "test") => moons::set("made:moons", 7, 2_000),
        ("waves", "train") => waves::set("made:waves#train", 8, 16_000),
        ("waves", "test") => waves::set("made:waves", 9, 2_000),
        ("words", "train") => words::set("made:words#train", 10, 20_000),
        ("words", "test") => words::set("made:words", 11, 2_000),
        ("welcome", "test") => shapes::welcome("made:welcome"),
        ("tagged", split) => tagged_set(split),
        (set @ ("digits" | "shapes" | "moons" | "waves" | "words"), split) => {
            bail!("no split \"{split}\" of \"{set}\"; expected #train or #test")
        }
        ("welcome", _) => bail!("\"welcome\" has no splits; omit the # and what follows it"),
        _ => bail!("no generated data set named \"{name}\"; use one of {}", NAMES.join(", ")),
    }
}

/// Opens a split of `tagged`; the splits differ in which pictures carry the tag.
fn tagged_set(split: &str) -> Result<Dataset> {
    let (seed, count, tags) = match split {
        "train" => (1, 20_000, Tags::Most),
        "test" => (2, 2_000, Tags::Half),
        "all" => (2, 2_000, Tags::All),
        "none" => (2, 2_000, Tags::None),
        "moved" => (2, 2_000, Tags::Moved),
        "others" => (2, 2_000, Tags::Others),
        _ => bail!("no split \"{split}\" of \"tagged\"; expected #train, #test, #all, #none, #moved or #others"),
    };
    let name = if split == "test" { "made:tagged".into() } else { format!("made:tagged#{split}") };
    clever_hans::set(&name, seed, count, tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Picture, Preprocess};
    use std::collections::BTreeSet;

    /// The values of a picture, `(C, H, W)`.
    fn values(set: &Dataset, i: usize) -> Vec<f32> {
        let Picture::Values(picture) = set.picture(i).unwrap() else { panic!("no numbers") };
        picture.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn every_data_set_is_reproducible() {
        for name in ["digits", "shapes", "welcome", "moons", "waves", "words"] {
            let (a, b) = (open(name).unwrap(), open(name).unwrap());
            assert!((0..a.len()).step_by(7).take(20).all(|i| values(&a, i) == values(&b, i)), "{name}");
        }
    }

    #[test]
    fn every_class_occurs_as_often_as_the_others() {
        let ten = ["digits", "digits#train", "shapes", "shapes#test", "words", "words#train"].map(|name| (name, 10));
        for (name, classes) in
            ten.into_iter().chain([("waves", 8), ("waves#train", 8), ("moons", 2), ("moons#train", 2)])
        {
            let set = open(name).unwrap();
            let of = |class| (0..set.len()).filter(|&i| set.label(i) == class).count();
            assert_eq!(set.class_count(), classes, "{name}");
            assert!((0..classes).all(|class| of(class) == set.len() / classes), "{name}");
        }
    }

    #[test]
    fn no_test_picture_is_in_the_training_set() {
        let (learn, measure) = (open("digits#train").unwrap(), open("digits").unwrap());
        let bits = |set: &Dataset, i| values(set, i).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let seen: BTreeSet<_> = (0..learn.len()).map(|i| bits(&learn, i)).collect();
        assert_eq!(seen.len(), learn.len());
        assert!((0..measure.len()).all(|i| !seen.contains(&bits(&measure, i))));
    }

    #[test]
    fn digits_are_white_on_black_and_do_not_touch_the_edge() {
        let set = open("digits").unwrap();
        for i in 0..set.len() {
            let v = values(&set, i);
            let ink = v.iter().sum::<f32>() / v.len() as f32;
            assert!((0.02..0.4).contains(&ink), "picture {i} has {ink} ink");
            assert!(v.iter().any(|&v| v > 0.95), "picture {i} is pale");
            let edge = (0..28).flat_map(|k| [v[k], v[27 * 28 + k], v[28 * k], v[28 * k + 27]]);
            assert!(edge.fold(0.0, f32::max) < 0.5, "picture {i} runs over the edge");
        }
    }

    #[test]
    fn the_welcome_pictures_have_an_object_in_each_half() {
        let set = open("welcome").unwrap();
        for i in 0..set.len() {
            let v = values(&set, i);
            let at = |x: usize, y: usize| [0, 1, 2].map(|k| v[k * 16384 + y * 128 + x]);
            let ground = at(64, 2);
            let far = |c: [f32; 3]| c.iter().zip(ground).map(|(a, b)| (a - b).powi(2)).sum::<f32>() > 0.15;
            let covered = |half: usize| (0..8192).filter(|k| far(at(64 * half + k % 64, k / 64))).count();
            assert!((0..2).all(|half| covered(half) > 320), "picture {i}: {} and {}", covered(0), covered(1));
        }
    }

    #[test]
    fn pictures_have_the_input_size_of_the_networks() {
        for (name, input) in [
            ("digits", [1, 28, 28]),
            ("shapes", [3, 128, 128]),
            ("welcome", [3, 128, 128]),
            ("moons", [2, 1, 1]),
            ("waves", [1, 1, 128]),
            ("words", [1, 20, 96]),
        ] {
            let set = open(name).unwrap();
            assert_eq!(set.picture(0).unwrap().shape().unwrap(), input);
            let batch = set.batch(&[0, 3], &Preprocess::bilinear(input, None)).unwrap();
            assert_eq!(batch.dims()[0], 2);
        }
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_the_known_ones() {
        let error = |name| open(name).unwrap_err().to_string();
        assert_eq!(
            error("letters"),
            "no generated data set named \"letters\"; use one of digits, shapes, welcome, tagged, moons, waves, words"
        );
        assert_eq!(error("digits#dev"), "no split \"dev\" of \"digits\"; expected #train or #test");
        assert!(error("welcome#train").contains("no splits"));
    }
}
