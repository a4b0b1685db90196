//! Interpolation methods for resizing pictures, with Pillow's filters.

use anyhow::{Error, bail};
use std::fmt;
use std::str::FromStr;

/// How pictures are resized. All but [`Nearest`](Self::Nearest) are antialiased: when a picture shrinks, the filter widens by the
/// scale factor, as in Pillow and in torchvision's `Resize(antialias=True)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// Triangle filter.
    #[default]
    Bilinear,
    /// Keys' cubic filter with a = −1/2.
    Bicubic,
    /// Sinc filter, windowed to three lobes.
    Lanczos,
    /// The nearest pixel.
    Nearest,
}

impl Interpolation {
    /// All interpolation methods.
    pub const ALL: [Self; 4] = [Self::Bilinear, Self::Bicubic, Self::Lanczos, Self::Nearest];

    /// The name of the method on the command line and in cards.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
            Self::Nearest => "nearest",
        }
    }

    /// The method for Pillow's constant `code`; `None` for Pillow's other two filters, box and Hamming, and for unknown codes.
    pub fn of_pillow(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Nearest),
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    /// Whether an interpolated value can lie outside the range of the surrounding pixels, because some weights are negative.
    pub fn overshoots(self) -> bool {
        matches!(self, Self::Bicubic | Self::Lanczos)
    }

    /// Half the width of the filter when upscaling, in pixels; 0 if only one pixel is used.
    pub(super) fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
            Self::Nearest => 0.0,
        }
    }

    /// The weight of a pixel at distance `x`, before the weights are normalized to sum to 1.
    pub(super) fn filter(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic => cubic(x),
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
            Self::Nearest => 1.0,
        }
    }
}

/// Keys' cubic with a = −1/2 at `x ≥ 0`: `(a+2)x³ − (a+3)x² + 1` below 1, `ax³ − 5ax² + 8ax − 4a` below 2 (Keys 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x {
        _ if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        _ if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// `sin(πx) / πx`.
fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Interpolation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(found) = Self::ALL.into_iter().find(|one| one.name() == text) else {
            bail!("expected {}", Self::ALL.map(Self::name).join(", "));
        };
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_at_distance_0_counts_fully_and_those_at_other_whole_distances_not_at_all() {
        for method in [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos] {
            assert_eq!(method.filter(0.0), 1.0, "{method}");
            assert!((1..5).all(|n| method.filter(f64::from(n)).abs() < 1e-15), "{method}");
        }
    }

    #[test]
    fn every_name_is_read_back_and_others_are_refused_with_the_names() {
        assert!(Interpolation::ALL.into_iter().all(|one| one.name().parse::<Interpolation>().unwrap() == one));
        let error = "cubic".parse::<Interpolation>().unwrap_err().to_string();
        assert_eq!(error, "expected bilinear, bicubic, lanczos, nearest");
    }
}
