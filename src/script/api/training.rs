//! Reads the training options passed by scripts.

use super::options::{CallOptions, text};
use crate::train::{Adversary, TrainingOptions as Training};
use anyhow::{Context, Result};
use std::str::FromStr;

/// Names of the options read by [`options`], the same as on the command line.
pub(in crate::script) const OPTIONS: [&str; 17] = [
    "epochs",
    "batch",
    "rate",
    "optimizer",
    "schedule",
    "weight_decay",
    "init",
    "seed",
    "shift",
    "flip",
    "adversary",
    "attack_steps",
    "attack_step",
    "random_start",
    "alpha",
    "warmup",
    "patience",
];

/// Reads training options from `o`; `usual` provides the defaults. Attack radii and step sizes are in units of 1/255.
pub(in crate::script) fn options(o: &CallOptions, usual: Training) -> Result<Training> {
    Ok(Training {
        epochs: o.size("epochs", usual.epochs)?,
        batch: o.size("batch", usual.batch)?,
        rate: o.number("rate", usual.rate)?,
        optimizer: parsed(o, "optimizer")?.unwrap_or(usual.optimizer),
        schedule: parsed(o, "schedule")?.unwrap_or(usual.schedule),
        weight_decay: o.number("weight_decay", usual.weight_decay)?,
        init: parsed(o, "init")?.unwrap_or(usual.init),
        seed: o.size("seed", usual.seed as usize)? as u64,
        shift: o.size("shift", usual.shift)?,
        flip: o.switch("flip", usual.flip)?,
        adversary: if o.has("adversary") { Some(adversary(o)?) } else { usual.adversary },
        patience: o.size("patience", usual.patience)?,
    })
}

fn adversary(o: &CallOptions) -> Result<Adversary> {
    let epsilon = o.number("adversary", 0.0)? / 255.0;
    let usual = Adversary::new(epsilon, o.size("attack_steps", 1)?, o.switch("random_start", false)?);
    Ok(Adversary {
        step: if o.has("attack_step") { o.number("attack_step", 0.0)? / 255.0 } else { usual.step },
        alpha: o.number("alpha", usual.alpha)?,
        warmup: o.number("warmup", usual.warmup)?,
        ..usual
    })
}

fn parsed<T: FromStr<Err = anyhow::Error>>(o: &CallOptions, key: &str) -> Result<Option<T>> {
    let Some(value) = o.raw(key) else { return Ok(None) };
    text(value)?.parse().map(Some).with_context(|| format!("option \"{key}\" of training"))
}
