//! Color ranges: the values at the ends of a colormap.

use super::figure::{Body, Figure, Scale};

/// Label of a range without finite values.
const NOTHING: &str = "no finite values";

/// The values at the ends of a colormap and how they were chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Value of the first color, which is also used for smaller values.
    pub low: f32,
    /// Value of the last color, which is also used for larger values.
    pub high: f32,
    /// How the ends were chosen, as shown in captions, such as `symmetric`.
    pub chosen: &'static str,
    /// Whether the range is centered at zero and uses diverging colors.
    pub symmetric: bool,
}

impl Range {
    /// The range of `values` according to a scale.
    pub fn of(values: &[f32], scale: Scale) -> Self {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let greatest = finite().fold(f32::NEG_INFINITY, f32::max);
        let least = finite().fold(f32::INFINITY, f32::min);
        let (low, high, chosen) = match scale {
            _ if least > greatest => (0.0, 0.0, NOTHING),
            Scale::Range => (least, greatest, "min to max"),
            Scale::Positive => (0.0, greatest.max(0.0), "from zero"),
            Scale::Percentile => (0.0, percentile(finite().collect(), 0.99).max(0.0), "99th percentile"),
            Scale::Symmetric => {
                let most = greatest.abs().max(least.abs());
                (-most, most, "symmetric")
            }
            Scale::SymmetricPercentile => {
                let most = percentile(finite().map(f32::abs).collect(), 0.99);
                (-most, most, "99th percentile")
            }
            Scale::Fixed(low, high) => (low, high, "fixed"),
        };
        let symmetric = matches!(scale, Scale::Symmetric | Scale::SymmetricPercentile) || (low == -high && high > 0.0);
        Self { low, high, chosen, symmetric }
    }

    /// Whether no value was finite, so that the ends are meaningless.
    pub fn is_empty(&self) -> bool {
        self.chosen == NOTHING
    }

    /// Position of a value in the colormap, 0 to 1; NaN if the value is not finite. If the range has zero width, 0.5 if it is
    /// symmetric and 0 otherwise.
    pub fn place(&self, value: f32) -> f32 {
        if !value.is_finite() {
            return f32::NAN;
        }
        if self.high <= self.low {
            return if self.symmetric { 0.5 } else { 0.0 };
        }
        let [value, low, high] = [value, self.low, self.high].map(f64::from);
        ((value - low) / (high - low)).clamp(0.0, 1.0) as f32
    }
}

/// Color range of a heatmap or montage; `None` for other figures and for montages with separately scaled tiles.
pub fn range(figure: &Figure) -> Option<Range> {
    match &figure.body {
        Body::Map { values, scale, .. } => Some(Range::of(&values.plane(figure.quantity.channels).data, *scale)),
        Body::Montage { tiles, scale, each: false, .. } => Some(Range::of(&tiles.data, *scale)),
        _ => None,
    }
}

fn percentile(mut values: Vec<f32>, part: f64) -> f32 {
    let place = ((values.len() - 1) as f64 * part).round() as usize;
    *values.select_nth_unstable_by(place, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_map_stays_dark() {
        let range = Range::of(&[0.0; 4], Scale::Range);
        assert_eq!(range.place(0.0), 0.0);
        assert_eq!(Range::of(&[0.0; 4], Scale::Symmetric).place(0.0), 0.5);
    }

    #[test]
    fn zero_is_the_middle_of_a_symmetric_scale() {
        let range = Range::of(&[-1.0, 3.0, f32::NAN], Scale::Symmetric);
        assert_eq!((range.low, range.high, range.place(0.0)), (-3.0, 3.0, 0.5));
    }

    #[test]
    fn an_outlier_does_not_darken_the_rest_with_the_percentile() {
        let mut values = vec![1.0; 999];
        values.push(1000.0);
        assert_eq!(Range::of(&values, Scale::Percentile).high, 1.0);
    }

    #[test]
    fn an_outlier_does_not_fade_the_rest_with_the_symmetric_percentile() {
        let mut values = vec![-1.0; 999];
        values.push(1000.0);
        let range = Range::of(&values, Scale::SymmetricPercentile);
        assert_eq!((range.low, range.high, range.symmetric), (-1.0, 1.0, true));
    }

    #[test]
    fn non_finite_values_have_no_position_but_the_largest_floats_do() {
        let range = Range::of(&[f32::MAX, f32::MIN, f32::INFINITY], Scale::Range);
        assert_eq!([f32::MIN, 0.0, f32::MAX].map(|v| range.place(v)), [0.0, 0.5, 1.0]);
        let flat = Range::of(&[1.0], Scale::Symmetric);
        let none = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        assert!([range, flat].iter().all(|r| none.iter().all(|&v| r.place(v).is_nan())));
    }

    #[test]
    fn without_finite_values_there_is_no_range() {
        assert_eq!(Range::of(&[f32::NAN], Scale::Percentile).chosen, NOTHING);
    }
}
