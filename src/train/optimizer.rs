//! Optimizers, as in PyTorch's `torch.optim`.

use crate::words;
use anyhow::{Error, Result, bail, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// An optimizer and its hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// SGD with momentum: `v ← μ v + g; w ← w − η v`, or with Nesterov momentum `w ← w − η (g + μ v)`; PyTorch's `SGD`.
    Sgd {
        /// Momentum `μ`, in `[0, 1)`.
        momentum: f64,
        /// Whether to use Nesterov momentum (Sutskever et al. 2013).
        nesterov: bool,
    },
    /// Adam: `m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; w ← w − η m̂ / (√v̂ + ε)` (Kingma & Ba 2015, arXiv:1412.6980).
    Adam {
        /// Decay rates `β₁, β₂`, in `[0, 1)`.
        betas: [f64; 2],
        /// Stabilizer `ε`, above 0.
        epsilon: f64,
    },
    /// Adadelta: `v ← ρ v + (1 − ρ) g²; Δ = g √(u + ε)/√(v + ε); u ← ρ u + (1 − ρ) Δ²; w ← w − η Δ` (Zeiler 2012,
    /// arXiv:1212.5701).
    Adadelta {
        /// Decay rate `ρ`, in `[0, 1)`.
        rho: f64,
        /// Stabilizer `ε`, above 0.
        epsilon: f64,
    },
}

impl Optimizer {
    /// SGD with a momentum of 0.9, without Nesterov momentum.
    pub fn sgd() -> Self {
        Self::Sgd { momentum: 0.9, nesterov: false }
    }

    /// Adam with the defaults of its paper: `β = (0.9, 0.999)`, `ε = 1e-8`.
    pub fn adam() -> Self {
        Self::Adam { betas: [0.9, 0.999], epsilon: 1e-8 }
    }

    /// Returns the weight `w` after step `t` (one-based), with gradient `g` and learning rate `rate`. The optimizer's state for the
    /// weight `name` is kept in `slots`.
    pub fn step(
        &self,
        w: &Tensor,
        g: &Tensor,
        (name, slots): (&str, &mut BTreeMap<String, Tensor>),
        t: usize,
        rate: f64,
    ) -> Result<Tensor> {
        let mut slot = |kind: &str, decay: f64, new: Tensor| -> Result<Tensor> {
            let key = format!("{kind}.{name}");
            let value = match slots.get(&key) {
                Some(old) => ((old * decay)? + new)?,
                None => new,
            };
            slots.insert(key, value.clone());
            Ok(value)
        };
        let direction = match *self {
            Self::Sgd { momentum: 0.0, .. } => g.clone(),
            Self::Sgd { momentum, nesterov } => {
                let v = slot("momentum_buffer", momentum, g.clone())?;
                if nesterov { (g + (v * momentum)?)? } else { v }
            }
            Self::Adam { betas: [a, b], epsilon } => {
                let m = (slot("exp_avg", a, (g * (1.0 - a))?)? / (1.0 - a.powf(t as f64)))?;
                let v = (slot("exp_avg_sq", b, (g.sqr()? * (1.0 - b))?)? / (1.0 - b.powf(t as f64)))?;
                (m / (v.sqrt()? + epsilon)?)?
            }
            Self::Adadelta { rho, epsilon } => {
                let v = slot("square_avg", rho, (g.sqr()? * (1.0 - rho))?)?;
                // The accumulated updates before this step.
                let u = slot("acc_delta", 1.0, g.zeros_like()?)?;
                let delta = ((u + epsilon)?.sqrt()? / (v + epsilon)?.sqrt()?)?.mul(g)?;
                slot("acc_delta", rho, (delta.sqr()? * (1.0 - rho))?)?;
                delta
            }
        };
        Ok((w - (direction * rate)?)?)
    }

    /// Errors if a hyperparameter is out of range.
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            Self::Sgd { momentum, nesterov } => {
                ensure!(
                    (0.0..1.0).contains(&momentum),
                    "the momentum is {momentum}; it must be at least 0 and below 1"
                );
                ensure!(!nesterov || momentum > 0.0, "Nesterov momentum must be above 0");
            }
            Self::Adam { betas, epsilon } => {
                ensure!(
                    betas.iter().all(|b| (0.0..1.0).contains(b)),
                    "the betas are {betas:?}; they must be at least 0 and below 1"
                );
                ensure!(epsilon > 0.0, "epsilon is {epsilon}; it must be above 0");
            }
            Self::Adadelta { rho, epsilon } => {
                ensure!((0.0..1.0).contains(&rho), "rho is {rho}; it must be at least 0 and below 1");
                ensure!(epsilon > 0.0, "epsilon is {epsilon}; it must be above 0");
            }
        }
        Ok(())
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    /// Parses `sgd`, `nesterov`, `adam` or `adadelta`; hyperparameters have their default values.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sgd" => Ok(Self::sgd()),
            "nesterov" => Ok(Self::Sgd { momentum: 0.9, nesterov: true }),
            "adam" => Ok(Self::adam()),
            "adadelta" => Ok(Self::Adadelta { rho: 0.9, epsilon: 1e-6 }),
            _ => bail!("no optimizer named \"{}\"; use sgd, nesterov, adam or adadelta", words::name(text)),
        }
    }
}
