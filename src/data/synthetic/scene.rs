//! Scenes: objects and fragments on a ground.

use super::canvas::{Body, Canvas, SIDE};
use super::color;
use super::light::{Finish, Light};
use super::outline::{KINDS, area, crumb, outlines};
use super::place::Place;
use super::random::Random;
use super::solid::Solid;
use super::texture::{Color, Pattern, Texture};
use std::f32::consts::TAU;

/// Patterns of objects; plain ones are the most frequent.
const PAINTS: [Pattern; 8] = [
    Pattern::Plain,
    Pattern::Plain,
    Pattern::Stripes,
    Pattern::Checks,
    Pattern::Dots,
    Pattern::Clouds,
    Pattern::Shade,
    Pattern::Grain,
];

/// Patterns of grounds.
const GROUNDS: [Pattern; 8] = [
    Pattern::Linen,
    Pattern::Linen,
    Pattern::Grain,
    Pattern::Grain,
    Pattern::Clouds,
    Pattern::Checks,
    Pattern::Stripes,
    Pattern::Dots,
];

/// Draws an object of class `kind`; often also one or two smaller ones of other classes behind it, and fragments.
pub fn scene(random: &mut Random, kind: usize) -> Canvas {
    let ground = color::ground(random);
    let paper = texture(random, &GROUNDS, ground, 0.12);
    let mut canvas = Canvas::new(&paper, Light::random(random));
    crumbs(random, &mut canvas);
    let objects = objects(random, kind);
    let mut colors = vec![ground];
    for (kind, place) in objects.into_iter().rev() {
        let own = color::object(random, &colors);
        colors.push(own);
        let paint = texture(random, &PAINTS, own, 0.3);
        object(&mut canvas, kind, place, paint, finish(random));
    }
    canvas
}

/// The classes and places of an object of class `kind` and of up to two others behind it.
fn objects(random: &mut Random, kind: usize) -> Vec<(usize, Place)> {
    let mut objects = vec![(kind, Place::random(random, 0.19..0.33))];
    for _ in 0..[0, 0, 1, 1, 2][random.below(5)] {
        let other = (kind + 1 + random.below(KINDS.len() - 1)) % KINDS.len();
        objects.extend(behind(random, other, &objects).map(|place| (other, place)));
    }
    objects
}

/// Draws up to six fragments in two out of three cases.
fn crumbs(random: &mut Random, canvas: &mut Canvas) {
    let crumbs = if random.chance(0.67) { 1 + random.below(6) } else { 0 };
    for _ in 0..crumbs {
        let center = [0, 1].map(|_| random.within(0.0..SIDE as f32));
        let place = Place::new(center, random.within(5.0..11.0), random.within(0.0..TAU));
        let own = color::object(random, &[]);
        let (outlines, paint) = ([crumb(random)], texture(random, &PAINTS, own, 0.2));
        let body = Body { outlines: &outlines, solid: &Solid::new(&outlines, 24), paint, finish: finish(random) };
        canvas.put(&body, place);
    }
}

/// Draws an object of class `kind`.
pub fn object(canvas: &mut Canvas, kind: usize, place: Place, paint: Texture, finish: Finish) {
    canvas.put(&Body { outlines: &outlines(kind), solid: Solid::of(kind), paint, finish }, place);
}

/// A place for an object of class `kind` behind the first of `others`, of less than half its area, so that the first object
/// remains the most conspicuous one. `None` after 20 failed attempts to leave most of it visible.
fn behind(random: &mut Random, kind: usize, others: &[(usize, Place)]) -> Option<Place> {
    let (first, front) = others[0];
    let share = area(first) / area(kind);
    let radius = |part: f32| front.radius / SIDE as f32 * (part * share).sqrt();
    let range = radius(0.18)..radius(0.38);
    (0..20).map(|_| Place::random(random, range.clone())).find(|place| others.iter().all(|(_, o)| place.is_clear_of(o)))
}

/// A texture of `color` and a second color that differs from it by at most `range` per channel.
fn texture(random: &mut Random, patterns: &[Pattern], color: Color, range: f32) -> Texture {
    let pattern = patterns[random.below(patterns.len())];
    let second = color::near(random, color, range);
    Texture::random(random, pattern, [color, second])
}

fn finish(random: &mut Random) -> Finish {
    Finish { relief: random.within(0.45..0.8), gloss: random.within(0.05..0.45) }
}

#[cfg(test)]
mod tests {
    use super::super::fill::coverage;
    use super::*;

    /// The fraction of each pixel that an object covers.
    fn covered((kind, place): &(usize, Place)) -> Vec<f32> {
        let outlines = outlines(*kind);
        let on_picture = outlines.iter().map(|o| o.iter().map(|p| place.on_picture(*p)).collect());
        coverage(&on_picture.collect::<Vec<_>>(), [SIDE, SIDE])
    }

    #[test]
    fn the_labeled_object_is_the_largest_and_no_object_is_hidden_by_more_than_a_quarter() {
        let scenes: Vec<_> = (0..400).map(|i| objects(&mut Random::of(1, i), i % KINDS.len())).collect();
        let all = |count| scenes.iter().filter(|objects| objects.len() == count).count();
        assert!(all(1) > 100 && all(2) > 100 && all(3) > 30, "{} {} {}", all(1), all(2), all(3));
        let (mut most, mut hidden) = (0f32, 0);
        for objects in &scenes {
            let covered: Vec<_> = objects.iter().map(covered).collect();
            let areas: Vec<f32> = covered.iter().map(|c| c.iter().sum()).collect();
            for (i, own) in covered.iter().enumerate().skip(1) {
                assert!(areas[i] < 0.5 * areas[0], "{objects:?}");
                let front = |k: usize| covered[..i].iter().map(|c| c[k]).fold(0.0, f32::max);
                let share = own.iter().enumerate().map(|(k, own)| own * front(k)).sum::<f32>() / areas[i];
                most = most.max(share);
                hidden += usize::from(share > 0.01);
            }
        }
        assert!(
            most < 0.25 && hidden > 10,
            "at most {most} of an object is hidden; {hidden} objects are partly hidden"
        );
    }
}
