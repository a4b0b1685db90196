//! Bounds of a measured number: `at_least`, `at_most` or both.

use super::expectation::Verdict;
use crate::script::api::options::CallOptions;
use anyhow::{Result, ensure};

/// The options that set bounds.
pub(super) const KEYS: [&str; 2] = ["at_least", "at_most"];

/// Bounds of a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    least: Option<f64>,
    most: Option<f64>,
}

impl Bounds {
    /// Reads the bounds; at least one must be given.
    pub fn of(options: &CallOptions) -> Result<Self> {
        let [least, most] = KEYS.map(|key| options.has(key).then(|| options.number(key, 0.0)).transpose());
        let bounds = Self { least: least?, most: most? };
        ensure!(bounds.least.is_some() || bounds.most.is_some(), "it needs `at_least` or `at_most`");
        Ok(bounds)
    }

    /// Only a lower bound.
    pub fn at_least(least: f64) -> Self {
        Self { least: Some(least), most: None }
    }

    /// Whether `value`, which is what `name` names, is within the bounds. A value that is not finite is not.
    pub fn judge(self, name: &str, value: f64) -> Verdict {
        let within = self.least.is_none_or(|least| value >= least) && self.most.is_none_or(|most| value <= most);
        let parts = [("at least", self.least), ("at most", self.most)];
        let parts = parts.into_iter().filter_map(|(text, bound)| Some(format!("{text} {}", bound?)));
        Verdict {
            measured: format!("{name} is {}", rounded(value)),
            wanted: parts.collect::<Vec<_>>().join(" and "),
            met: value.is_finite() && within,
        }
    }
}

/// A number with four significant decimals.
fn rounded(value: f64) -> String {
    if value == 0.0 || (value.abs() >= 1e-3 && value.abs() < 1e6) {
        return format!("{:.4}", value).trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.4e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_both_bounds() {
        let both = Bounds { least: Some(0.25), most: Some(0.5) };
        let met = |value| both.judge("share", value).met;
        assert_eq!([0.2, 0.25, 0.5, 0.51, f64::NAN].map(met), [false, true, true, false, false]);
        let text = both.judge("share", 0.123456).to_string();
        assert_eq!(text, "share is 0.1235, expected at least 0.25 and at most 0.5");
        assert_eq!(Bounds::at_least(0.0).judge("x", 2.5e-5).to_string(), "x is 2.5000e-5");
    }
}
