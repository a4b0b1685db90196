//! The pictures of `made:welcome`: two objects side by side.

use super::canvas::{Canvas, SIDE};
use super::light::{Finish, Light};
use super::outline::KINDS;
use super::pen::PenPoint;
use super::place::Place;
use super::random::Random;
use super::scene::object;
use super::texture::{Color, Pattern, Texture};

/// Two objects, given by the names of their classes and their colors, on a ground.
pub struct Pair {
    left: (&'static str, Color),
    right: (&'static str, Color),
    ground: (Pattern, Color),
}

const CRIMSON: Color = [0.86, 0.13, 0.22];
const GOLD: Color = [0.98, 0.76, 0.16];
const TEAL: Color = [0.08, 0.62, 0.60];
const CORAL: Color = [0.96, 0.45, 0.32];
const VIOLET: Color = [0.50, 0.30, 0.80];
const LIME: Color = [0.62, 0.80, 0.22];
const SKY: Color = [0.20, 0.52, 0.90];
const IVORY: Color = [0.95, 0.92, 0.84];
const SLATE: Color = [0.34, 0.42, 0.52];
const SAND: Color = [0.80, 0.72, 0.60];
const WALNUT: Color = [0.55, 0.40, 0.29];
const MOSS: Color = [0.42, 0.48, 0.38];

/// All pairs, in order.
pub const PAIRS: [Pair; 8] = [
    Pair { left: ("heart", CRIMSON), right: ("star", GOLD), ground: (Pattern::Linen, SLATE) },
    Pair { left: ("ring", TEAL), right: ("triangle", CORAL), ground: (Pattern::Linen, SAND) },
    Pair { left: ("crescent", GOLD), right: ("cross", SKY), ground: (Pattern::Grain, WALNUT) },
    Pair { left: ("arrow", SKY), right: ("disc", CRIMSON), ground: (Pattern::Clouds, SAND) },
    Pair { left: ("bolt", GOLD), right: ("square", VIOLET), ground: (Pattern::Linen, MOSS) },
    Pair { left: ("star", CORAL), right: ("ring", IVORY), ground: (Pattern::Grain, SLATE) },
    Pair { left: ("triangle", LIME), right: ("crescent", VIOLET), ground: (Pattern::Linen, SAND) },
    Pair { left: ("disc", VIOLET), right: ("bolt", GOLD), ground: (Pattern::Linen, SAND) },
];

/// Where the left and the right object are, as fractions of the picture's sides.
const CENTERS: [PenPoint; 2] = [[0.285, 0.46], [0.715, 0.54]];

impl Pair {
    /// The class of the left object.
    pub fn label(&self) -> usize {
        kind(self.left.0)
    }

    /// Draws both objects, upright and equally large; the left one is in front.
    pub fn draw(&self, random: &mut Random) -> Canvas {
        let (pattern, ground) = self.ground;
        let paper = Texture { period: 18.0, ..Texture::random(random, pattern, [ground, darker(ground, 0.8)]) };
        let mut canvas = Canvas::new(&paper, Light::new([-0.5, -0.58, 0.72], [0.32, 0.25], 0.5));
        for ((name, color), center) in [self.right, self.left].into_iter().zip([CENTERS[1], CENTERS[0]]) {
            let place = Place::new(center.map(|v| v * SIDE as f32), 0.26 * SIDE as f32, 0.12 * random.bell());
            let paint = Texture::random(random, Pattern::Clouds, [color, darker(color, 0.82)]);
            object(&mut canvas, kind(name), place, paint, Finish { relief: 0.62, gloss: 0.4 });
        }
        canvas
    }
}

/// The class with a name in [`KINDS`].
fn kind(name: &str) -> usize {
    KINDS.iter().position(|k| *k == name).unwrap_or_default()
}

fn darker(color: Color, share: f32) -> Color {
    color.map(|v| share * v)
}
