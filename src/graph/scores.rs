//! The meaning of class scores: predicted classes, probabilities and margins.

use crate::tensor::{like, numbers, wide};
use anyhow::{Result, ensure};
use candle_core::{D, Tensor};

/// How class scores are interpreted. Logits have shape `(N, classes)`; methods take one class per row, or a single class for all
/// rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// Mutually exclusive classes, `p = softmax(z)`; the network predicts the class with the largest logit.
    Exclusive,
    /// A single logit `z`, treated as the pair `[0, z]`: `p = [1 − σ(z), σ(z)]`. The score of the second class is `z`. The score
    /// of the first class is `−z`, since its own logit is constant.
    Pair,
    /// Independent classes, `p = σ(z)`; the network predicts every class with `p > 0.5`.
    Independent,
    /// A map of values, such as a segmentation or a picture, which has no classes.
    Places,
}

impl Scores {
    /// The interpretation of a value of shape `(N, …)`, given whether its classes are independent.
    pub(super) fn of(shape: &[usize], independent: bool) -> Self {
        match (shape.iter().skip(2).product::<usize>(), shape.get(1)) {
            (1, Some(1)) => Self::Pair,
            (1, _) if independent => Self::Independent,
            (1, _) => Self::Exclusive,
            _ => Self::Places,
        }
    }

    /// The name of this interpretation in model cards and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Pair => "pair",
            Self::Independent => "independent",
            Self::Places => "places",
        }
    }

    /// Extracts the logits, `(N, classes)`, from the value of the node that holds the class scores.
    pub fn logits(self, value: &Tensor) -> Result<Tensor> {
        let flat = value.flatten_from(1)?;
        Ok(match self {
            Self::Pair => Tensor::cat(&[&flat.zeros_like()?, &flat], 1)?,
            _ => flat,
        })
    }

    /// Converts a gradient with respect to the logits, `(N, classes)`, to a gradient with respect to the value of the node that
    /// holds them, of shape `dims`.
    pub(super) fn at_node(self, seed: &Tensor, dims: &[usize]) -> Result<Tensor> {
        Ok(match self {
            Self::Pair if seed.dims().last() == Some(&2) => seed.narrow(D::Minus1, 1, 1)?.reshape(dims)?,
            _ => seed.reshape(dims)?,
        })
    }

    /// The probability of each class, `(N, classes)`.
    pub fn probabilities(self, logits: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Independent => candle_nn::ops::sigmoid(logits)?,
            _ => candle_nn::ops::softmax(logits, D::Minus1)?,
        })
    }

    /// The class with the largest logit in each row; ties go to the first.
    pub fn top(self, logits: &Tensor) -> Result<Vec<usize>> {
        Ok(rows(logits)?
            .iter()
            .map(|row| (0..row.len()).fold(0, |top, i| if row[i] > row[top] { i } else { top }))
            .collect())
    }

    /// Whether the network predicts the label of each row; `false` for a row with non-finite scores.
    pub fn right(self, logits: &Tensor, labels: &[usize]) -> Result<Vec<bool>> {
        let finite = named(logits)?;
        Ok(self
            .names(logits, labels)?
            .into_iter()
            .zip(finite)
            .map(|(right, finite)| right && finite.is_some())
            .collect())
    }

    /// Whether the network predicts the given class in each row: the class has the largest logit (ties go to the first class) or, for
    /// independent classes, `p > 0.5`.
    pub fn names(self, logits: &Tensor, classes: &[usize]) -> Result<Vec<bool>> {
        let rows = rows(logits)?;
        let named = |row: &[f64], class: usize| match self {
            Self::Independent => row[class] > 0.0,
            _ => row.iter().enumerate().all(|(i, &z)| if i < class { z < row[class] } else { z <= row[class] }),
        };
        each(&rows, classes, named)
    }

    /// The margin of a class in each row, `(N)`: its logit minus the largest other logit or, for independent classes, its logit
    /// alone, which is 0 at `p = 0.5`.
    pub fn margin(self, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
        let lead = |row: &[f64], class: usize| {
            let others = row.iter().enumerate().filter(|(i, _)| *i != class).map(|(_, z)| *z);
            match self {
                Self::Independent => row[class],
                _ => row[class] - others.fold(f64::NEG_INFINITY, f64::max),
            }
        };
        column(logits, each(&rows(logits)?, classes, lead)?)
    }

    /// The score of a class in each row, `(N)`, which is the quantity explained by default.
    pub fn score(self, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
        let score = |row: &[f64], class: usize| match (self, class) {
            (Self::Pair, 0) => -row[1],
            _ => row[class],
        };
        column(logits, each(&rows(logits)?, classes, score)?)
    }

    /// The loss of a class in each row, `(N)`: cross-entropy or, for independent classes, the class's own binary cross-entropy,
    /// `log(1 + e⁻ᶻ)`.
    pub fn loss(self, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
        let loss = |row: &[f64], class: usize| match self {
            Self::Independent => (-row[class]).max(0.0) + (-row[class].abs()).exp().ln_1p(),
            _ => {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                most - row[class] + row.iter().map(|z| (z - most).exp()).sum::<f64>().ln()
            }
        };
        column(logits, each(&rows(logits)?, classes, loss)?)
    }
}

/// The rows of `(N, classes)` logits as vectors.
fn rows(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    ensure!(logits.rank() == 2, "logits must have shape (N, classes), got {:?}", logits.dims());
    Ok(wide(logits)?.to_vec2()?)
}

/// A tensor with one value per row, in the dtype of the logits.
fn column(logits: &Tensor, values: Vec<f64>) -> Result<Tensor> {
    let count = values.len();
    like(values, count, logits)
}

/// Applies `ask` to each row and its class; a single class applies to all rows.
fn each<T>(rows: &[Vec<f64>], classes: &[usize], ask: impl Fn(&[f64], usize) -> T) -> Result<Vec<T>> {
    let count = rows.first().map_or(0, Vec::len);
    ensure!(
        classes.len() == rows.len() || classes.len() == 1,
        "got {} classes for {} rows of logits; expected one class per row, or one for all rows",
        classes.len(),
        rows.len()
    );
    let wrong = classes.iter().find(|&&class| class >= count);
    ensure!(wrong.is_none(), "class {} is out of range for {count} classes", wrong.unwrap_or(&0));
    Ok(rows.iter().zip(classes.iter().cycle()).map(|(row, &class)| ask(row, class)).collect())
}

/// The class with the largest score in each row of `(N, classes)`; ties go to the first. `None` for a row with non-finite
/// scores.
pub fn named(logits: &Tensor) -> Result<Vec<Option<usize>>> {
    let classes = logits.dims().last().copied().unwrap_or(0);
    let scores = numbers(logits)?;
    let top = |row: &[f64]| {
        let first = |best: usize, (i, v): (usize, &f64)| if *v > row[best] { i } else { best };
        row.iter().all(|v| v.is_finite()).then(|| row.iter().enumerate().fold(0, first))
    };
    Ok(scores.chunks_exact(classes.max(1)).map(top).collect())
}
