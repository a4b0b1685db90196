//! What the values of a figure are: their unit, and how the channels of a heatmap become one value per position.

use super::number::brief;
use crate::words;

/// The unit of a figure's values, and the reduction of its channels. Both apply only to what is shown: raw values are saved as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantity {
    /// Unit in which values are shown; `None` to show the raw values.
    pub unit: Option<Unit>,
    /// How a heatmap's channels become one value per position.
    pub channels: Channels,
}

/// A unit in which values are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Name of the unit: a fraction such as `1/255`, of which values are shown as multiples, or a word such as `logits`.
    pub name: String,
    /// The raw value that is shown as zero.
    pub zero: f32,
    /// Factor from raw values, relative to `zero`, to values of which 1 is shown as `255/255`, or as `1 logits`.
    pub gain: f32,
}

/// How the channels of a heatmap become one value per position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// Their sum.
    #[default]
    Sum,
    /// The value with the largest magnitude, with its sign.
    Largest,
}

impl Unit {
    /// A unit without offset: `1/255`, `logits`.
    pub fn new(name: &str) -> Self {
        Self { name: words::name(name).into_owned(), zero: 0.0, gain: 1.0 }
    }

    /// Formats a raw value: `8/255`, or `0.3 logits`.
    pub fn text(&self, value: f32) -> String {
        self.texts(&[value])
    }

    /// Formats raw values that share the unit: `8 -8 3 /255`.
    pub fn texts(&self, values: &[f32]) -> String {
        let numbers: Vec<_> = values.iter().map(|v| self.number(*v)).collect();
        let gap = if numbers.len() == 1 { "" } else { " " };
        match self.parts() {
            Some(parts) => format!("{}{gap}/{parts}", numbers.join(" ")),
            None => format!("{} {}", numbers.join(" "), self.name),
        }
    }

    /// Formats a range of raw values: `±8/255`, or `0 to 8/255`.
    pub fn range(&self, low: f32, high: f32) -> String {
        match self.number(low).strip_prefix('-') {
            Some(low) if low == self.number(high) => format!("±{}", self.text(high)),
            _ => format!("{} to {}", self.number(low), self.text(high)),
        }
    }

    /// The number of units in a raw value, without trailing zeros.
    fn number(&self, value: f32) -> String {
        let text = brief((value - self.zero) * self.gain * self.parts().unwrap_or(1) as f32);
        match text.contains('.') && !text.contains('e') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    }

    /// The denominator, if the unit is a fraction `1/n`.
    fn parts(&self) -> Option<u32> {
        self.name.strip_prefix("1/")?.parse().ok().filter(|parts| *parts > 0)
    }
}

impl Channels {
    /// Describes the reduction of an array of this shape for display: `sum over 3 channels`; `None` if it has only one channel.
    pub fn reduction(self, shape: &[usize]) -> Option<String> {
        let [batch @ .., _, _] = shape else { return None };
        let count: usize = batch.iter().product();
        let what = if batch.len() > 1 && batch[0] > 1 { "maps" } else { "channels" };
        (count > 1).then(|| match self {
            Self::Sum => format!("sum over {count} {what}"),
            Self::Largest => format!("largest of {count} {what}"),
        })
    }

    /// The reduction of two values. NaN if either is NaN.
    pub(super) fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Sum => a + b,
            Self::Largest if b.is_nan() || b.abs() > a.abs() => b,
            Self::Largest => a,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_multiples_of_a_fraction_or_followed_by_a_word() {
        let pixels = Unit::new("1/255");
        assert_eq!(
            [8.0 / 255.0, -0.5 / 255.0, 0.0, 1.0].map(|v| pixels.text(v)),
            ["8/255", "-0.5/255", "0/255", "255/255"]
        );
        assert_eq!(pixels.texts(&[0.1 / 255.0, -3.0 / 255.0]), "0.1 -3 /255");
        assert_eq!(pixels.text(0.53137255 - 0.5), "8/255", "rounding of f32 is not shown");
        assert_eq!(Unit::new("logits").text(0.25), "0.25 logits");
        assert_eq!(Unit::new("1/0").text(0.25), "0.25 1/0");
        assert_eq!(Unit::new("1/255").text(f32::NAN), "NaN/255");
    }

    #[test]
    fn a_magnified_value_is_shown_at_its_true_size() {
        let most = 8.0 / 255.0;
        let magnified = Unit { zero: 0.5, gain: 2.0 * most, ..Unit::new("1/255") };
        assert_eq!([0.0, 0.5, 1.0].map(|v| magnified.text(v)), ["-8/255", "0/255", "8/255"]);
    }

    #[test]
    fn a_range_is_shortened_if_it_is_symmetric() {
        let pixels = Unit::new("1/255");
        assert_eq!(pixels.range(-8.0 / 255.0, 8.0 / 255.0), "±8/255");
        assert_eq!(pixels.range(0.0, 8.0 / 255.0), "0 to 8/255");
        assert_eq!(pixels.range(0.0, 0.0), "0 to 0/255");
    }

    #[test]
    fn the_largest_channel_keeps_its_sign_and_nan() {
        let all = |values: &[f32]| values.iter().copied().reduce(|a, b| Channels::Largest.of(a, b)).unwrap();
        assert_eq!([all(&[1.0, -3.0, 2.0]), all(&[0.0, 0.5, -0.25])], [-3.0, 0.5]);
        assert!(all(&[1.0, f32::NAN, 9.0]).is_nan() && all(&[f32::NAN, 1.0]).is_nan());
    }

    #[test]
    fn a_reduction_is_named_with_its_number_of_channels() {
        let text = |shape: &[usize]| Channels::Largest.reduction(shape);
        assert_eq!(text(&[1, 3, 2, 2]).as_deref(), Some("largest of 3 channels"));
        assert_eq!(text(&[2, 3, 2, 2]).as_deref(), Some("largest of 6 maps"));
        assert_eq!(Channels::Sum.reduction(&[3, 2, 2]).as_deref(), Some("sum over 3 channels"));
        assert_eq!([text(&[1, 1, 2, 2]), text(&[2, 2]), text(&[4])], [None, None, None]);
    }
}
