//! Light from the upper left on glossy surfaces.

use super::pen::PenPoint;
use super::random::Random;
use super::texture::Color;

/// The light of a picture. Colors are linear in intensity.
pub struct Light {
    /// Unit vector towards the light: x to the right, y down, z towards the viewer.
    towards: [f32; 3],
    /// Unit vector halfway between the light and the viewer.
    halfway: [f32; 3],
    /// Where the light falls brightest, as fractions of the picture's sides.
    center: PenPoint,
    /// How much darker the corner farthest from `center` is.
    falloff: f32,
}

/// A surface's properties apart from its color.
#[derive(Clone, Copy)]
pub struct Finish {
    /// How far the surface bulges, relative to a sphere.
    pub relief: f32,
    /// Strength of highlights.
    pub gloss: f32,
}

const KEY: Color = [1.0, 0.96, 0.88];
const SKY: Color = [0.30, 0.34, 0.40];

impl Light {
    /// Light from a random direction in the upper left.
    pub fn random(random: &mut Random) -> Self {
        let aside = random.within(-0.25..0.25);
        let center = [random.within(0.25..0.45), random.within(0.2..0.4)];
        Self::new([-0.52 + aside, -0.56 - aside, 0.72], center, random.within(0.25..0.55))
    }

    /// Light from the direction `towards`.
    pub fn new(towards: [f32; 3], center: PenPoint, falloff: f32) -> Self {
        let towards = unit(towards);
        Self { towards, halfway: unit([towards[0], towards[1], towards[2] + 1.0]), center, falloff }
    }

    /// The offset of shadows on the ground below an object of radius 1.
    pub fn shadow(&self) -> PenPoint {
        [0, 1].map(|k| -0.3 * self.towards[k] / self.towards[2])
    }

    /// The color of a flat surface of color `color` at `place`, in fractions of the picture's sides.
    pub fn on_ground(&self, color: Color, place: PenPoint) -> Color {
        let (x, y) = (place[0] - self.center[0], place[1] - self.center[1]);
        let strength = 1.0 - self.falloff * (x * x + y * y).min(1.0);
        [0, 1, 2].map(|k| color[k] * (KEY[k] * self.towards[2] + SKY[k]) * strength)
    }

    /// The color of a surface of color `color` with the slopes `slope`, above a ground of color `ground`.
    pub fn on_solid(&self, color: Color, slope: [f32; 2], finish: Finish, ground: Color) -> Color {
        let [x, y, z] = unit([-finish.relief * slope[0], -finish.relief * slope[1], 1.0]);
        let along = |v: [f32; 3]| (x * v[0] + y * v[1] + z * v[2]).max(0.0);
        let (key, shine) = (along(self.towards), along(self.halfway));
        let up = 0.5 - 0.5 * y;
        let shine = power_of_32(shine);
        let edge = (1.0 - z) * (1.0 - z);
        [0, 1, 2].map(|k| {
            let ambient = SKY[k] * (0.35 + 0.65 * up) + 0.35 * ground[k] * (1.0 - up);
            color[k] * (1.05 * KEY[k] * key + ambient * (0.55 + 0.45 * z)) + finish.gloss * (shine + 0.12 * edge * up)
        })
    }
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let length = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    v.map(|v| v / length)
}

fn power_of_32(x: f32) -> f32 {
    (0..5).fold(x, |x, _| x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_comes_from_the_upper_left() {
        let finish = Finish { relief: 0.6, gloss: 0.3 };
        for i in 0..20 {
            let light = Light::random(&mut Random::of(1, i));
            let sum = |slope| light.on_solid([0.5; 3], slope, finish, [0.2; 3]).iter().sum::<f32>();
            // A surface that rises to the lower right faces the upper left.
            assert!(sum([1.0, 1.0]) > sum([0.0, 0.0]) && sum([0.0, 0.0]) > sum([-1.0, -1.0]));
            assert!(light.shadow().iter().all(|v| *v > 0.0));
            let ground = |place| light.on_ground([0.5; 3], place)[1];
            assert!(ground([0.35, 0.3]) > ground([1.0, 1.0]));
        }
    }
}
