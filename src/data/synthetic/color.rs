//! Random colors for grounds and objects.

use super::random::Random;
use super::texture::Color;

/// The muted color of a ground.
pub fn ground(random: &mut Random) -> Color {
    of_hue(random.within(0.0..6.0), random.within(0.05..0.5), random.within(0.3..0.9))
}

/// The color of an object that contrasts with `others`: mostly a strong color, sometimes nearly white or black.
pub fn object(random: &mut Random, others: &[Color]) -> Color {
    let distance = |a: &Color, b: &Color| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    loop {
        let (saturation, value) = match random.below(8) {
            0 => (random.within(0.0..0.15), random.within(0.85..0.95)),
            1 => (random.within(0.0..0.3), random.within(0.1..0.25)),
            _ => (random.within(0.5..0.95), random.within(0.55..0.98)),
        };
        // Pure greens and yellows would glare.
        let [red, green, blue] = of_hue(random.within(0.0..6.0), saturation, value);
        let own = [red, green * (1.0 - 0.2 * saturation), blue];
        if others.iter().all(|other| distance(&own, other) > 0.15) {
            return own;
        }
    }
}

/// A color that differs from `color` by at most `range` per channel.
pub fn near(random: &mut Random, color: Color, range: f32) -> Color {
    color.map(|v| (v + random.within(-range..range)).clamp(0.0, 1.0))
}

/// The color of a hue in `[0, 6)`, where 0 is red and 2 is green, with a saturation and value in `[0, 1]`.
pub fn of_hue(hue: f32, saturation: f32, value: f32) -> Color {
    let channel = |shift: f32| {
        let t = hue + shift;
        let t = t - 6.0 * (t / 6.0).floor();
        value * (1.0 - saturation * t.min(4.0 - t).clamp(0.0, 1.0))
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_go_around_from_red_over_green_and_blue() {
        assert_eq!(
            [0.0, 2.0, 4.0].map(|hue| of_hue(hue, 1.0, 1.0)),
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        );
        assert_eq!(of_hue(1.0, 1.0, 0.5), [0.5, 0.5, 0.0]);
        assert_eq!(of_hue(3.3, 0.0, 0.7), [0.7; 3]);
    }

    #[test]
    fn objects_contrast_with_the_ground_and_with_each_other() {
        for i in 0..100 {
            let random = &mut Random::of(1, i);
            let mut colors = vec![ground(random)];
            for _ in 0..3 {
                let own = object(random, &colors);
                assert!(
                    colors.iter().all(|c| own.iter().zip(c).any(|(a, b)| (a - b).abs() > 0.2)),
                    "{own:?} on {colors:?}"
                );
                colors.push(own);
            }
        }
    }
}
