//! Changes parameter values by notches or powers of ten.

use crate::script::method::params::EPSILON;
use crate::script::summary::ParamKind;

/// `value` changed by `by` notches; `None` if it would not change. `layers` are the possible values of a layer parameter, and
/// `classes` is the number of classes.
pub fn notched(kind: &ParamKind, value: &str, by: i32, layers: &[String], classes: usize) -> Option<String> {
    let new = match kind {
        ParamKind::Number(low, high) => number(value, f64::from(by) * notch(value, *low, *high), *low, *high)?,
        ParamKind::Pixels(..) if value.ends_with(EPSILON) => share(value, |v| v + f64::from(by) * 0.05)?,
        ParamKind::Pixels(low, high) => {
            number(value, f64::from(by) * if *high <= 32.0 { 0.5 } else { 1.0 }, *low, *high)?
        }
        ParamKind::Integer(low, high) => integer(value, i64::from(by), *low, *high)?,
        ParamKind::Switch => (value != "true").to_string(),
        ParamKind::Choice(choices) => turned(choices, value, by)?,
        ParamKind::Layer(_) => turned(layers, value, by)?,
        ParamKind::Class => optional(value, by, classes),
        ParamKind::Channel => optional(value, by, usize::MAX),
        ParamKind::Text | ParamKind::Array | ParamKind::Pictures => return None,
    };
    (new != value).then_some(new)
}

/// The value multiplied by `10^by`; `None` if the value would not change.
pub fn tenfold(kind: &ParamKind, value: &str, by: i32) -> Option<String> {
    let factor = 10f64.powi(by);
    let new = match kind {
        ParamKind::Pixels(..) if value.ends_with(EPSILON) => share(value, |v| v * factor)?,
        ParamKind::Number(low, high) | ParamKind::Pixels(low, high) => {
            let old: f64 = value.parse().ok()?;
            number(value, old * factor - old, *low, *high)?
        }
        ParamKind::Integer(low, high) => {
            let old: i64 = value.parse().ok()?;
            let new = if by > 0 { old.saturating_mul(10) } else { old / 10 };
            new.clamp(*low, *high).to_string()
        }
        _ => return None,
    };
    (new != value).then_some(new)
}

/// Formats a number without rounding noise: `0.30000000000000004` as `0.3`.
pub fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let digits = (6 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn number(value: &str, by: f64, low: f64, high: f64) -> Option<String> {
    let old: f64 = value.parse().ok()?;
    Some(plain((old + by).clamp(low, high)))
}

/// Applies `change` to the factor of a value such as `0.25eps`; `None` if the value is not a multiple of epsilon.
fn share(value: &str, change: impl Fn(f64) -> f64) -> Option<String> {
    let old: f64 = value.strip_suffix(EPSILON)?.trim().parse().ok()?;
    Some(plain(change(old).max(0.0)) + EPSILON)
}

fn integer(value: &str, by: i64, low: i64, high: i64) -> Option<String> {
    let old: i64 = value.parse().ok()?;
    Some(old.saturating_add(by).clamp(low, high).to_string())
}

/// Size of a notch: 1/50 of the range from `low` to `high` (1 if it is infinite), or 1/10 of the value if the value is smaller than
/// that. Both are rounded down to 1, 2 or 5 times a power of ten.
fn notch(value: &str, low: f64, high: f64) -> f64 {
    let old = value.parse::<f64>().unwrap_or(0.0).abs();
    let span = round(if (high - low).is_finite() { (high - low) / 50.0 } else { 1.0 });
    if old > 0.0 && old < span { round(old / 10.0) } else { span }
}

/// Rounds a positive number down to 1, 2 or 5 times a power of ten.
fn round(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let power = 10f64.powf(x.log10().floor());
    let digit = [5.0, 2.0, 1.0].into_iter().find(|d| x / power + 1e-9 >= *d).unwrap_or(1.0);
    digit * power
}

fn turned(choices: &[String], value: &str, by: i32) -> Option<String> {
    let last = choices.len().checked_sub(1)?;
    let at = choices.iter().position(|c| c == value);
    Some(choices[at.map_or(0, |at| at.saturating_add_signed(by as isize).min(last))].clone())
}

/// Steps an optional index by `by`. Stepping below 0 returns the empty string (no index).
fn optional(value: &str, by: i32, count: usize) -> String {
    let old = value.parse::<i64>().unwrap_or(-1);
    let new = (old + i64::from(by)).clamp(-1, i64::try_from(count).unwrap_or(i64::MAX) - 1);
    if new < 0 { String::new() } else { new.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(kind: &ParamKind, value: &str, by: i32) -> Option<String> {
        notched(kind, value, by, &["a".into(), "b".into()], 10)
    }

    #[test]
    fn every_kind_of_parameter_has_a_notch() {
        let cases = [
            (ParamKind::Number(0.0, 1.0), "0.28", 1, Some("0.3")),
            (ParamKind::Number(0.0, 1.0), "0.000001", 1, Some("0.0000011")),
            (ParamKind::Pixels(0.0, 16.0), "1", 1, Some("1.5")),
            (ParamKind::Pixels(0.0, 64.0), "8", -1, Some("7")),
            (ParamKind::Pixels(0.0, 64.0), "0.25eps", 1, Some("0.3eps")),
            (ParamKind::Pixels(0.0, 64.0), "0.02eps", -1, Some("0eps")),
            (ParamKind::Integer(1, 50), "50", 1, None),
            (ParamKind::Switch, "false", 1, Some("true")),
            (ParamKind::Choice(vec!["max".into(), "l2".into()]), "max", 1, Some("l2")),
            (ParamKind::Layer(vec![]), "b", -1, Some("a")),
            (ParamKind::Class, "0", -1, Some("")),
            (ParamKind::Class, "", 1, Some("0")),
            (ParamKind::Text, "x", 1, None),
        ];
        for (kind, value, by, new) in cases {
            assert_eq!(on(&kind, value, by).as_deref(), new, "{kind:?} {value}");
        }
    }

    #[test]
    fn tenfold_stops_at_the_bounds() {
        assert_eq!(tenfold(&ParamKind::Number(0.0, 1.0), "0.001", 1).as_deref(), Some("0.01"));
        assert_eq!(tenfold(&ParamKind::Integer(1, 50), "20", 1).as_deref(), Some("50"));
        assert_eq!(tenfold(&ParamKind::Switch, "true", 1), None);
    }
}
