//! The picture being drawn.

use super::fill::coverage;
use super::light::{Finish, Light};
use super::pen::PenPoint;
use super::place::Place;
use super::solid::Solid;
use super::texture::{Color, Texture, mix};

/// Height and width of a picture in pixels.
pub const SIDE: usize = 128;

/// What an object is made of.
pub struct Body<'a> {
    /// Its outline within the unit circle, with holes.
    pub outlines: &'a [Vec<PenPoint>],
    /// The surface over the outline.
    pub solid: &'a Solid,
    /// Its paint.
    pub paint: Texture,
    /// Its surface.
    pub finish: Finish,
}

/// A picture in linear intensities, row by row in RGB.
pub struct Canvas {
    pixels: Vec<Color>,
    light: Light,
    ground: Color,
}

impl Canvas {
    /// A lit ground.
    pub fn new(ground: &Texture, light: Light) -> Self {
        let lit = |i: usize| {
            let at = pixel(i);
            light.on_ground(linear(ground.at(at)), [at[0] / SIDE as f32, at[1] / SIDE as f32])
        };
        Self { pixels: (0..SIDE * SIDE).map(lit).collect(), ground: linear(ground.colors[0]), light }
    }

    /// Draws an object and, below it, its shadow.
    pub fn put(&mut self, body: &Body, place: Place) {
        self.cast(body.solid, place);
        let outlines: Vec<Vec<_>> =
            body.outlines.iter().map(|o| o.iter().map(|p| place.on_picture(*p)).collect()).collect();
        let covered = coverage(&outlines, [SIDE, SIDE]);
        for i in place.pixels(place.center, 1.05) {
            let share = covered[i];
            if share > 0.0 {
                let slope = place.turned(body.solid.slope(place.on_outline(pixel(i))));
                let color = linear(body.paint.at(pixel(i)));
                let lit = self.light.on_solid(color, slope, body.finish, self.ground);
                self.pixels[i] = mix(self.pixels[i], lit, share.min(1.0));
            }
        }
    }

    /// Darkens the shadow of a solid: a soft one away from the light, and a small one where it touches the ground.
    fn cast(&mut self, solid: &Solid, place: Place) {
        let [x, y] = self.light.shadow();
        let middle = [place.center[0] + 0.7 * x * place.radius, place.center[1] + 0.7 * y * place.radius];
        let [along, across] = place.upright([x, y]);
        for i in place.pixels(middle, 1.45) {
            let [x, y] = place.on_outline(pixel(i));
            let far = solid.shadow([x - along, y - across]);
            let near = solid.shadow([x - along / 3.0, y - across / 3.0]);
            let shade = (1.0 - 0.6 * far) * (1.0 - 0.55 * near * near);
            self.pixels[i] = mix([0.0; 3], self.pixels[i], shade);
        }
    }

    /// Writes the picture as bytes, one channel after another.
    pub fn write(&self, bytes: &mut [u8]) {
        for (plane, k) in bytes.chunks_exact_mut(SIDE * SIDE).zip(0..3) {
            let level = |v: f32| (v.clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8;
            plane.iter_mut().zip(&self.pixels).for_each(|(byte, c)| *byte = level(c[k]));
        }
    }
}

/// The intensities of a color, with a gamma of 2.
fn linear(color: Color) -> Color {
    let [red, green, blue] = color;
    [red * red, green * green, blue * blue]
}

fn pixel(i: usize) -> PenPoint {
    [(i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5]
}
