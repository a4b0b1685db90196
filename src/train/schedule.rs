//! Learning rate schedules.

use crate::words;
use anyhow::{Context, Error, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::str::FromStr;

/// A learning rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Keeps the rate constant.
    Constant,
    /// Multiplies the rate by `½ (1 + cos(π t / T))`, which decays to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983).
    Cosine,
    /// Raises the rate linearly from 0 to its full value over the first two fifths of the steps, then lowers it linearly to 0
    /// (Smith & Topin 2018, arXiv:1708.07120).
    OneCycle,
    /// Divides the rate by 10 every `every` epochs; PyTorch's `StepLR`.
    Step {
        /// Number of epochs between divisions of the rate, at least 1.
        every: usize,
    },
    /// Multiplies the rate by `γ` after every epoch; PyTorch's `StepLR` with a step size of 1.
    Decay {
        /// Factor `γ`, in `(0, 1]`.
        gamma: f64,
    },
}

impl Schedule {
    /// The factor that multiplies the learning rate at step `t` (zero-based) of `all` steps.
    pub fn factor(&self, t: usize, all: usize, per_epoch: usize) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * t as f64 / all as f64).cos()),
            Self::OneCycle => {
                let (t, peak, all) = (t as f64, 0.4 * all as f64, all as f64);
                if t < peak { t / peak } else { (all - t) / (all - peak) }
            }
            Self::Step { every } => 0.1f64.powf((t / per_epoch / every) as f64),
            Self::Decay { gamma } => gamma.powf((t / per_epoch) as f64),
        }
    }

    /// Errors if a parameter of the schedule is out of range.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            *self != Self::Step { every: 0 },
            "the schedule steps every 0 epochs; the interval must be at least 1 epoch"
        );
        let decay = if let Self::Decay { gamma } = *self { gamma } else { 1.0 };
        ensure!(
            decay > 0.0 && decay <= 1.0,
            "the schedule decays by a factor of {decay}; the factor must be above 0 and at most 1"
        );
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// Parses `constant`, `cosine`, `onecycle`, `step:10` or `decay:0.7`.
    fn from_str(text: &str) -> Result<Self> {
        const KNOWN: &str = "use constant, cosine, onecycle, step:N to divide the rate by 10 every N epochs, or \
                             decay:G to multiply it by G after every epoch";
        match text.split_once(':') {
            None if text == "constant" => Ok(Self::Constant),
            None if text == "cosine" => Ok(Self::Cosine),
            None if text == "onecycle" => Ok(Self::OneCycle),
            Some(("step", n)) => {
                let every =
                    n.parse().with_context(|| format!("no schedule named \"{}\"; {KNOWN}", words::name(text)))?;
                let schedule = Self::Step { every };
                schedule.check()?;
                Ok(schedule)
            }
            Some(("decay", gamma)) => {
                let gamma =
                    gamma.parse().with_context(|| format!("no schedule named \"{}\"; {KNOWN}", words::name(text)))?;
                let schedule = Self::Decay { gamma };
                schedule.check()?;
                Ok(schedule)
            }
            _ => bail!("no schedule named \"{}\"; {KNOWN}", words::name(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_goes_from_one_to_zero() {
        let at = |t| Schedule::Cosine.factor(t, 100, 10);
        assert_eq!(at(0), 1.0);
        assert!((at(50) - 0.5).abs() < 1e-12);
        assert!(at(99) < 0.001);
    }

    #[test]
    fn one_cycle_rises_to_the_rate_and_falls_to_zero() {
        let at = |t| Schedule::OneCycle.factor(t, 100, 10);
        assert_eq!([at(0), at(20), at(40), at(70)], [0.0, 0.5, 1.0, 0.5]);
        assert!(at(99) < 0.02);
    }

    #[test]
    fn steps_divide_by_ten_at_whole_epochs() {
        let at = |t| Schedule::Step { every: 2 }.factor(t, 60, 10);
        assert_eq!([at(0), at(19)], [1.0, 1.0]);
        let decayed = |t| Schedule::Decay { gamma: 0.7 }.factor(t, 60, 10);
        assert!((decayed(9), decayed(10)) == (1.0, 0.7) && (decayed(25) - 0.49).abs() < 1e-15);
        assert!((at(20) - 0.1).abs() < 1e-15 && (at(59) - 0.01).abs() < 1e-15);
    }

    #[test]
    fn schedules_are_parsed_from_text() {
        assert_eq!("step:3".parse::<Schedule>().unwrap(), Schedule::Step { every: 3 });
        assert_eq!("decay:0.7".parse::<Schedule>().unwrap(), Schedule::Decay { gamma: 0.7 });
        assert_eq!("constant".parse::<Schedule>().unwrap(), Schedule::Constant);
        for wrong in ["", "linear", "step", "step:0", "step:x", "decay:0", "decay:2", "decay:NaN"] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong}");
        }
    }
}
