//! How well a result agrees with that of the same run in f32.

use crate::render::Figure;
use crate::tensor::numbers;
use crate::words;
use anyhow::Result;
use candle_core::Tensor;
use serde_json::{Value, json};
use std::fmt;

/// How well a result agrees with that of the same run in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The title of each figure with raw values, and Pearson's correlation with the figure in f32; `None` if one of the two is constant or
    /// not finite, or their shapes differ.
    pub figures: Vec<(String, Option<f64>)>,
    /// Whether the predicted classes are the same.
    pub same_class: bool,
    /// The largest absolute difference of a logit.
    pub logits: f64,
}

impl Agreement {
    /// Compares figures, logits and predicted classes with those in f32, which come second.
    pub fn new(figures: [&[Figure]; 2], logits: [&Tensor; 2], classes: [Option<usize>; 2]) -> Result<Self> {
        let [own, other] = figures;
        let figures = own.iter().zip(other).filter_map(|(own, other)| {
            let (a, b) = (own.values()?, other.values()?);
            Some((own.title.clone(), (a.shape == b.shape).then(|| a.correlation(b)).flatten()))
        });
        let [a, b] = [numbers(logits[0])?, numbers(logits[1])?];
        // `max` would ignore NaN.
        let largest = |most: f64, apart: f64| if apart > most || apart.is_nan() { apart } else { most };
        Ok(Self {
            figures: figures.collect(),
            same_class: classes[0] == classes[1],
            logits: a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, largest),
        })
    }

    /// The entry of `result.json`.
    pub(super) fn document(&self) -> Value {
        let figures = self.figures.iter().map(|(title, r)| json!({ "title": title, "correlation": r }));
        json!({
            "figures": figures.collect::<Vec<_>>(),
            "same_top1": self.same_class,
            "largest_logit_difference": self.logits,
        })
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let class = if self.same_class { "same top-1 class" } else { "different top-1 class" };
        write!(f, "compared with f32: {class}, logits differ by at most {:.3e}", self.logits)?;
        for (title, correlation) in &self.figures {
            let correlation = correlation.map_or("undefined".into(), |r| format!("{r:.4}"));
            write!(f, "; correlation of \"{}\": {correlation}", words::name(title))?;
        }
        Ok(())
    }
}
