//! Formats numbers and times compactly.

use std::time::Duration;

/// Formats a number with about four significant digits.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    match () {
        () if value == 0.0 => "0".into(),
        () if !value.is_finite() => value.to_string(),
        () if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        () if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        () => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.digits$}")
        }
    }
}

/// Formats a number of milliseconds: `15 ms`, `2.4 s`, or minutes and seconds.
pub fn millis(millis: f64) -> String {
    match millis {
        ..1000.0 => format!("{millis:.0} ms"),
        ..100_000.0 => format!("{:.1} s", millis / 1000.0),
        _ => clock(Duration::from_secs_f64((millis / 1000.0).min(1e9))),
    }
}

/// Formats a file size: `45 MB`.
pub fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{b} B"),
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

/// Formats a duration as minutes and seconds: 62 seconds as `1:02`.
pub fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([12, 45_100, 97_800_000, 1_420_000_000].map(bytes), ["12 B", "45 kB", "98 MB", "1.4 GB"]);
    }
}
