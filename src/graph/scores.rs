//! What a network's class scores mean: the classes it names, their probabilities, how far each is from being named.

use crate::tensor::{like, numbers, wide};
use anyhow::{Result, ensure};
use candle_core::{D, Tensor};

/// How class scores are read. Logits are `(N, classes)`; a question names one class for each row, or one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// One class out of several, `p = softmax(z)`; the network names the class with the greatest logit.
    Exclusive,
    /// A single logit `z`, read as the pair `[0, z]`: `p = [1 − σ(z), σ(z)]`. The score of the second class is `z`, that
    /// of the first `−z`, since its own logit never changes.
    Pair,
    /// Each class by itself, `p = σ(z)`; the network names every class with `p > 0.5`.
    Independent,
    /// A value at each of several places, as segmentation and pictures have: no classes.
    Places,
}

impl Scores {
    /// How the value of this shape, `(N, …)`, is read.
    pub(super) fn of(shape: &[usize], independent: bool) -> Self {
        match (shape.iter().skip(2).product::<usize>(), shape.get(1)) {
            (1, Some(1)) => Self::Pair,
            (1, _) if independent => Self::Independent,
            (1, _) => Self::Exclusive,
            _ => Self::Places,
        }
    }

    /// The name in an architecture's card and in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Pair => "pair",
            Self::Independent => "independent",
            Self::Places => "places",
        }
    }

    /// Logits, `(N, classes)`, from the value of the node that has them.
    pub fn logits(self, value: &Tensor) -> Result<Tensor> {
        let flat = value.flatten_from(1)?;
        Ok(match self {
            Self::Pair => Tensor::cat(&[&flat.zeros_like()?, &flat], 1)?,
            _ => flat,
        })
    }

    /// A gradient by the logits, `(N, classes)`, as one by the value of their node, of shape `dims`.
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

    /// The class with the greatest logit in each row; of equal ones the first.
    pub fn top(self, logits: &Tensor) -> Result<Vec<usize>> {
        Ok(rows(logits)?
            .iter()
            .map(|row| (0..row.len()).fold(0, |top, i| if row[i] > row[top] { i } else { top }))
            .collect())
    }

    /// Whether each row names its label; no where its scores are not finite.
    pub fn right(self, logits: &Tensor, labels: &[usize]) -> Result<Vec<bool>> {
        let finite = named(logits)?;
        Ok(self
            .names(logits, labels)?
            .into_iter()
            .zip(finite)
            .map(|(right, finite)| right && finite.is_some())
            .collect())
    }

    /// Whether the network names this class: its greatest logit (of equal ones the first), or `p > 0.5` by itself.
    pub fn names(self, logits: &Tensor, classes: &[usize]) -> Result<Vec<bool>> {
        let rows = rows(logits)?;
        let named = |row: &[f64], class: usize| match self {
            Self::Independent => row[class] > 0.0,
            _ => row.iter().enumerate().all(|(i, &z)| if i < class { z < row[class] } else { z <= row[class] }),
        };
        each(&rows, classes, named)
    }

    /// How far each row is from not naming its class any more, `(N)`: its lead over the next best class, or over `p = 0.5`.
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

    /// The score of a class, `(N)`: what is explained when somebody asks for it.
    pub fn score(self, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
        let score = |row: &[f64], class: usize| match (self, class) {
            (Self::Pair, 0) => -row[1],
            _ => row[class],
        };
        column(logits, each(&rows(logits)?, classes, score)?)
    }

    /// The loss of a class, `(N)`: cross-entropy, or the class's own binary cross-entropy, `log(1 + e⁻ᶻ)`.
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

/// Rows of `(N, classes)` logits.
fn rows(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    ensure!(logits.rank() == 2, "logits have the shape (N, classes), got {:?}", logits.dims());
    Ok(wide(logits)?.to_vec2()?)
}

/// Numbers of rows in the type of their logits.
fn column(logits: &Tensor, values: Vec<f64>) -> Result<Tensor> {
    let count = values.len();
    like(values, count, logits)
}

/// What is asked of each row and its class; a single class is that of all rows.
fn each<T>(rows: &[Vec<f64>], classes: &[usize], ask: impl Fn(&[f64], usize) -> T) -> Result<Vec<T>> {
    let count = rows.first().map_or(0, Vec::len);
    ensure!(
        classes.len() == rows.len() || classes.len() == 1,
        "{} classes for {} rows of logits; one each, or one for all",
        classes.len(),
        rows.len()
    );
    let wrong = classes.iter().find(|&&class| class >= count);
    ensure!(wrong.is_none(), "class {} of a network with {count} classes", wrong.unwrap_or(&0));
    Ok(rows.iter().zip(classes.iter().cycle()).map(|(row, &class)| ask(row, class)).collect())
}

/// The class with the greatest of each row of `(N, classes)` scores, the first of equal ones; none where a score of the row
/// is not finite.
pub fn named(logits: &Tensor) -> Result<Vec<Option<usize>>> {
    let classes = logits.dims().last().copied().unwrap_or(0);
    let scores = numbers(logits)?;
    let top = |row: &[f64]| {
        let first = |best: usize, (i, v): (usize, &f64)| if *v > row[best] { i } else { best };
        row.iter().all(|v| v.is_finite()).then(|| row.iter().enumerate().fold(0, first))
    };
    Ok(scores.chunks_exact(classes.max(1)).map(top).collect())
}
