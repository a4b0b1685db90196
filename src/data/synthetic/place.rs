//! Where an object is in a picture.

use super::canvas::SIDE;
use super::pen::PenPoint;
use super::random::Random;
use std::ops::Range;

/// Position, size and rotation of an outline.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The center in pixels.
    pub center: PenPoint,
    /// The radius in pixels.
    pub radius: f32,
    /// Sine and cosine of the rotation.
    turn: [f32; 2],
}

impl Place {
    /// A place with a rotation of `turn` radians.
    pub fn new(center: PenPoint, radius: f32, turn: f32) -> Self {
        Self { center, radius, turn: turn.sin_cos().into() }
    }

    /// A random place inside the picture with a rotation of up to 34 degrees. The range `radius` is a fraction of the picture's side
    /// length.
    pub fn random(random: &mut Random, radius: Range<f32>) -> Self {
        let side = SIDE as f32;
        let radius = side * random.within(radius);
        let center = [0, 1].map(|_| random.within(radius..side - radius));
        Self::new(center, radius, random.within(-0.6..0.6))
    }

    /// Whether the circles around two outlines overlap by at most half the radius of the smaller one.
    pub fn is_clear_of(&self, other: &Self) -> bool {
        let [x, y] = [0, 1].map(|k| self.center[k] - other.center[k]);
        (x * x + y * y).sqrt() > self.radius + other.radius - 0.5 * self.radius.min(other.radius)
    }

    /// The pixels of the picture whose distance from the point `middle` is at most `reach` radii, horizontally and vertically.
    pub fn pixels(&self, middle: PenPoint, reach: f32) -> impl Iterator<Item = usize> + use<> {
        let range = |k: usize| {
            let [from, to] = [-reach, reach].map(|r| (middle[k] + r * self.radius).clamp(0.0, SIDE as f32));
            from as usize..to.ceil() as usize
        };
        let across = range(0);
        range(1).flat_map(move |y| across.clone().map(move |x| y * SIDE + x))
    }

    /// A direction relative to the upright outline, as a direction in the picture.
    pub fn turned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        [x * cos - y * sin, x * sin + y * cos]
    }

    /// A direction in the picture, relative to the upright outline.
    pub fn upright(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        [x * cos + y * sin, y * cos - x * sin]
    }

    /// A point of the upright outline within the unit circle, in pixels.
    pub fn on_picture(&self, at: PenPoint) -> PenPoint {
        let turned = self.turned(at);
        [0, 1].map(|k| self.center[k] + self.radius * turned[k])
    }

    /// A point in pixels, relative to the upright outline within the unit circle.
    pub fn on_outline(&self, at: PenPoint) -> PenPoint {
        let scale = 1.0 / self.radius;
        self.upright([(at[0] - self.center[0]) * scale, (at[1] - self.center[1]) * scale])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_the_outline_is_found_again_from_its_place_in_the_picture() {
        let place = Place::new([40.0, 70.0], 25.0, 0.5);
        for at in [[0.0, 0.0], [1.0, 0.0], [-0.3, 0.8]] {
            let again = place.on_outline(place.on_picture(at));
            assert!(again.iter().zip(at).all(|(a, b)| (a - b).abs() < 1e-6), "{again:?}, not {at:?}");
        }
    }

    #[test]
    fn pixels_are_cut_off_at_the_edges_of_the_picture() {
        let corner = Place::new([0.0, SIDE as f32], 10.0, 0.0);
        let pixels: Vec<_> = corner.pixels(corner.center, 1.0).collect();
        assert_eq!((pixels.len(), pixels[0]), (100, (SIDE - 10) * SIDE));
        assert_eq!(Place::new([-30.0, 0.0], 10.0, 0.0).pixels([-30.0, 0.0], 2.0).count(), 0);
    }
}
