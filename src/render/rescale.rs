//! The user's color scale for heatmaps, which overrides the scale chosen by the method.

use super::figure::{Body, Figure, Scale};
use super::scale::range;

/// The user's color scale for all heatmaps on screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rescale {
    /// The scale chosen by the method.
    #[default]
    Own,
    /// From the minimum to the maximum of each heatmap.
    Range,
    /// Symmetric around zero, up to the largest magnitude of each heatmap.
    Symmetric,
    /// From zero to the 99th percentile of each heatmap. If the method's scale is symmetric, the range is symmetric around zero, up to the
    /// 99th percentile of magnitudes.
    Percentile,
    /// A common range for all heatmaps on screen.
    Shared,
}

impl Rescale {
    /// All choices, in the app's cycling order.
    pub const ALL: [Self; 5] = [Self::Own, Self::Range, Self::Symmetric, Self::Percentile, Self::Shared];

    /// Name of the choice, on screen and in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Range => "range",
            Self::Symmetric => "symmetric",
            Self::Percentile => "percentile",
            Self::Shared => "shared",
        }
    }

    /// The choice with the given name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scale| scale.name() == name)
    }

    /// The next choice in the cycle.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|scale| *scale == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// Sets the scale of all heatmaps and montages to the user's choice. `Shared` also applies to separately scaled tiles.
pub fn rescale(figures: &mut [&mut Figure], wish: Rescale) {
    let common = (wish == Rescale::Shared).then(|| shared(figures));
    for figure in figures {
        let signed = wish == Rescale::Percentile && range(figure).is_some_and(|r| r.symmetric);
        let Some((scale, each)) = scale_of(figure) else { continue };
        *scale = match wish {
            Rescale::Own => continue,
            Rescale::Range => Scale::Range,
            Rescale::Symmetric => Scale::Symmetric,
            Rescale::Percentile if signed => Scale::SymmetricPercentile,
            Rescale::Percentile => Scale::Percentile,
            Rescale::Shared => common.unwrap_or(*scale),
        };
        if let (Some(each), Rescale::Shared) = (each, wish) {
            *each = false;
        }
    }
}

/// The scale that spans the ranges of all figures. It is symmetric if any of the ranges is symmetric.
fn shared(figures: &mut [&mut Figure]) -> Scale {
    let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
    let mut symmetric = false;
    for figure in figures {
        if let Some((_, Some(each))) = scale_of(figure) {
            *each = false;
        }
        let Some(range) = range(figure) else { continue };
        ends = (ends.0.min(range.low), ends.1.max(range.high));
        symmetric |= range.symmetric;
    }
    let most = ends.0.abs().max(ends.1.abs());
    if symmetric { Scale::Fixed(-most, most) } else { Scale::Fixed(ends.0, ends.1) }
}

fn scale_of(figure: &mut Figure) -> Option<(&mut Scale, Option<&mut bool>)> {
    match &mut figure.body {
        Body::Map { scale, .. } => Some((scale, None)),
        Body::Montage { scale, each, .. } => Some((scale, Some(each))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Array, Cells};
    use super::*;

    fn map(data: &[f32], scale: Scale) -> Figure {
        let values = Array::new(vec![1, data.len()], data.to_vec()).unwrap();
        Figure::new("map", Body::Map { values, scale, over: None, note: String::new(), cells: Cells::default() })
    }

    fn ends(wish: Rescale) -> Vec<(f32, f32)> {
        let (mut a, mut b) = (map(&[0.0, 1.0], Scale::Positive), map(&[-1.0, 3.0], Scale::Range));
        rescale(&mut [&mut a, &mut b], wish);
        [a, b].iter().filter_map(range).map(|r| (r.low, r.high)).collect()
    }

    #[test]
    fn every_scale_does_what_its_name_says() {
        assert_eq!(ends(Rescale::Own), [(0.0, 1.0), (-1.0, 3.0)]);
        assert_eq!(ends(Rescale::Range), [(0.0, 1.0), (-1.0, 3.0)]);
        assert_eq!(ends(Rescale::Symmetric), [(-1.0, 1.0), (-3.0, 3.0)]);
        assert_eq!(ends(Rescale::Percentile), [(0.0, 1.0), (0.0, 3.0)]);
        assert_eq!(ends(Rescale::Shared), [(-1.0, 3.0), (-1.0, 3.0)]);
    }

    #[test]
    fn the_scales_form_a_cycle() {
        let all: Vec<_> = std::iter::successors(Some(Rescale::Own), |s| Some(s.next())).take(6).collect();
        assert_eq!(all[..5], Rescale::ALL);
        assert_eq!(all[5], Rescale::Own);
    }
}
