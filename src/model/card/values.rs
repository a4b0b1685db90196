//! The card values from one source, and their syntax in flags.

use super::source::Source;
use crate::data::Interpolation;
use anyhow::{Context, Error, Result, bail, ensure};
use std::str::FromStr;

/// The card values from one source; values that are `None` are taken from sources with lower precedence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardValues {
    /// Height and width of the network's input.
    pub size: Option<Given<InputSize>>,
    /// How pictures are fitted to the input size.
    pub crop: Option<Given<Crop>>,
    /// How pictures are resized.
    pub interpolation: Option<Given<Interpolation>>,
    /// Mean for normalization, for pixels in `[0, 1]`.
    pub mean: Option<Given<PerChannel>>,
    /// Standard deviation for normalization, for pixels in `[0, 1]`.
    pub std: Option<Given<PerChannel>>,
    /// Names of the classes by index.
    pub labels: Option<Given<Vec<String>>>,
    /// The channel order that the network expects.
    pub channel_order: Option<Given<ChannelOrder>>,
    /// Name of the output to read, for a network in an exported file.
    pub output: Option<Given<String>>,
}

/// A value and its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// The source of the value.
    pub source: Source,
}

/// Height and width of a network's input: `224` or `HxW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize(pub [usize; 2]);

/// How a picture is fitted to the input size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crop {
    /// The entire picture is resized to the input size, without keeping its aspect ratio.
    Whole,
    /// The picture is resized so that the input size is this fraction of its shorter side, then center-cropped.
    Fraction(f64),
    /// The shorter side is resized to this many pixels, then the picture is center-cropped.
    Side(usize),
}

/// The channel order that a network expects. Pictures, means and standard deviations are always in RGB order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as in Caffe and OpenCV.
    Bgr,
}

/// One value per channel, or a single value for all.
#[derive(Clone, Debug, PartialEq)]
pub struct PerChannel(pub Vec<f64>);

impl CardValues {
    /// These values, with flags as their source.
    pub fn as_flags(self) -> Self {
        fn flag<T>(given: Option<Given<T>>) -> Option<Given<T>> {
            given.map(|given| Given { source: Source::Flag, ..given })
        }
        Self {
            size: flag(self.size),
            crop: flag(self.crop),
            interpolation: flag(self.interpolation),
            mean: flag(self.mean),
            std: flag(self.std),
            labels: flag(self.labels),
            channel_order: flag(self.channel_order),
            output: flag(self.output),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl InputSize {
    /// Maximum side length of the input, in pixels.
    const LARGEST: usize = 16_384;

    /// Errors unless each side is from 1 to [`LARGEST`](Self::LARGEST) pixels.
    pub(super) fn checked(sides: [usize; 2]) -> Result<Self> {
        ensure!(
            sides.iter().all(|side| (1..=Self::LARGEST).contains(side)),
            "expected 1 to {} pixels, such as 224 or 224x320",
            Self::LARGEST
        );
        Ok(Self(sides))
    }
}

impl Crop {
    /// Creates a crop from a number: a fraction if at most 1, otherwise the length of the shorter side in pixels.
    pub(super) fn of(number: f64) -> Result<Self> {
        match number {
            n if n > 0.0 && n <= 1.0 => Ok(Self::Fraction(n)),
            n if n > 1.0 && n.fract() == 0.0 && n <= InputSize::LARGEST as f64 => Ok(Self::Side(n as usize)),
            _ => bail!("expected a fraction such as 0.875, the shorter side in pixels such as 256, or none"),
        }
    }
}

impl PerChannel {
    /// Errors unless `numbers` are valid for a mean or, if `positive`, for a standard deviation.
    pub(super) fn checked(numbers: Vec<f64>, positive: bool) -> Result<Self> {
        ensure!(!numbers.is_empty() && numbers.iter().all(|n| n.is_finite()), "expected numbers, one per channel");
        let large = numbers.iter().copied().find(|n| n.abs() > 2.0);
        if let Some(large) = large {
            bail!(
                "{large} looks like a value for pixels in 0–255; divide by 255, because gradscope scales pixels to 0–1"
            );
        }
        ensure!(!positive || numbers.iter().all(|n| *n > 0.0), "standard deviations must be positive");
        Ok(Self(numbers))
    }

    /// Parses the comma-separated list `text` as a mean or, if `positive`, as a standard deviation.
    pub(super) fn listed(text: &str, positive: bool) -> Result<Self> {
        let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        Self::checked(numbers.context("expected numbers separated by commas, one per channel")?, positive)
    }

    /// Parses a mean, such as `0.485,0.456,0.406`.
    pub fn mean(text: &str) -> Result<Self> {
        Self::listed(text, false)
    }

    /// Parses a standard deviation, such as `0.229,0.224,0.225`.
    pub fn std(text: &str) -> Result<Self> {
        Self::listed(text, true)
    }
}

impl FromStr for InputSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| text.trim().parse().context("expected a size or HxW in pixels, such as 224 or 224x320");
        Self::checked([side(height)?, side(width)?])
    }
}

impl FromStr for ChannelOrder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_lowercase().as_str() {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            _ => bail!("expected rgb or bgr"),
        }
    }
}

impl std::fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Bgr { "bgr" } else { "rgb" })
    }
}

impl FromStr for Crop {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" { Ok(Self::Whole) } else { Self::of(text.parse().unwrap_or(f64::NAN)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_take_sides_fractions_and_lists() {
        assert_eq!("224".parse::<InputSize>().unwrap(), InputSize([224, 224]));
        assert_eq!("48x64".parse::<InputSize>().unwrap(), InputSize([48, 64]));
        assert_eq!("0.875".parse::<Crop>().unwrap(), Crop::Fraction(0.875));
        assert_eq!("256".parse::<Crop>().unwrap(), Crop::Side(256));
        assert_eq!("none".parse::<Crop>().unwrap(), Crop::Whole);
        assert_eq!(PerChannel::mean("0.5, 0.25,-0.1").unwrap().0, [0.5, 0.25, -0.1]);
    }

    #[test]
    fn other_values_are_errors_that_suggest_valid_ones() {
        let said = |error: Result<()>| error.unwrap_err().to_string();
        for text in ["", "0", "2x", "99999", "1x2x3"] {
            assert!(said(text.parse::<InputSize>().map(drop)).contains("224x320"), "{text}");
        }
        for text in ["", "-1", "0", "1.5", "NaN", "1e9"] {
            assert!(said(text.parse::<Crop>().map(drop)).contains("0.875"), "{text}");
        }
        for text in ["", "a", "0.5;0.5", "inf"] {
            assert!(said(PerChannel::mean(text).map(drop)).contains("per channel"), "{text}");
        }
        assert!(said(PerChannel::mean("123.675,116.28,103.53").map(drop)).contains("divide by 255"));
        assert!(said(PerChannel::std("0.2,0").map(drop)).contains("positive"));
    }
}
