//! Formats numbers.

/// Formats a number compactly, with about three significant digits.
pub fn brief(v: f32) -> String {
    let size = v.abs();
    match size {
        _ if v == 0.0 => "0".into(),
        _ if !(1e-3..1e5).contains(&size) => format!("{v:.2e}"),
        _ if size >= 100.0 => format!("{v:.0}"),
        _ if size >= 1.0 => format!("{v:.2}"),
        _ => format!("{v:.3}"),
    }
}
