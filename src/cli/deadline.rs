//! `--time-limit`: cancels the work when the time is up, with an error message and exit code 1.

use super::out;
use crate::data::wait_for_writes;
use crate::script::Guard;
use anyhow::{Result, ensure};
use std::process::exit;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Grace period for cancelled work to stop cleanly.
const GRACE: Duration = Duration::from_secs(1);

/// A time limit given on the command line, in seconds or with a unit: `90`, `10m`, `1.5h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline(Duration);

impl FromStr for Deadline {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, unit) = match text.as_bytes().last() {
            Some(b's') => (&text[..text.len() - 1], 1.0),
            Some(b'm') => (&text[..text.len() - 1], 60.0),
            Some(b'h') => (&text[..text.len() - 1], 3600.0),
            _ => (text, 1.0),
        };
        let seconds = number.trim().parse::<f64>().unwrap_or(0.0) * unit;
        ensure!(
            (0.001..1e9).contains(&seconds),
            "\"{text}\" is not a valid time limit; write seconds, or a number with a unit, such as 10m or 2h"
        );
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

/// Cancels the work under `guard` when `limit` has passed, and exits if the work has not stopped a second later. Does nothing if
/// there is no limit.
pub fn begin(limit: Option<Deadline>, guard: &Arc<Guard>) -> Result<()> {
    let Some(Deadline(limit)) = limit else { return Ok(()) };
    let guard = guard.clone();
    std::thread::Builder::new().name("deadline".into()).spawn(move || {
        std::thread::sleep(limit);
        let why = format!("time limit of {} s exceeded; raise it with --time-limit", limit.as_secs_f64());
        guard.end(why.clone());
        std::thread::sleep(GRACE);
        wait_for_writes(Duration::from_secs(10));
        out::tell(&format!("error: {why}"));
        exit(1);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        let seconds = |text: &str| text.parse::<Deadline>().map(|l| l.0.as_secs_f64());
        for (text, expected) in [("90", 90.0), ("0.5", 0.5), ("30s", 30.0), ("10m", 600.0), ("1.5h", 5400.0)] {
            assert_eq!(seconds(text).unwrap(), expected);
        }
        for wrong in ["", "0", "-1", "h", "1d", "inf", "NaN", "1e99", "é"] {
            assert!(seconds(wrong).unwrap_err().to_string().contains("seconds"), "{wrong}");
        }
    }
}
