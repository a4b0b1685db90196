//! Seeds of a backward pass: the gradient of an objective with respect to the logits, `(N, classes)`.
//!
//! Functions take one class per row of the batch, or a single class for all rows. `∂ f` denotes the gradient of `f` with
//! respect to the logits.

use crate::graph::Scores;
use crate::tensor::{like, log_softmax, wide};
use anyhow::{Result, ensure};
use candle_core::{D, Tensor};

/// `∂ logit[class]`, which is 1 at the class and 0 elsewhere.
pub fn logit(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    one_hot(logits, classes)
}

/// `∂ Σ logits`, which is 1 at every class; PyTorch's `output.sum().backward()`.
pub fn sum(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.ones_like()?)
}

/// `∂ score[class]`. It equals `∂ logit[class]`, except for the first class of a pair: the score of that class is `−z`, so its
/// gradient is −1 at `z`.
pub fn score(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    match scores {
        Scores::Pair => Ok(hot.matmul(&like([0.0, -1.0, 0.0, 1.0], (2, 2), &hot)?)?),
        _ => Ok(hot),
    }
}

/// `∂ loss[class]`: the gradient of the cross-entropy or, for independent scores, of the class's own binary cross-entropy.
pub fn loss(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    match scores {
        Scores::Independent => binary_cross_entropy(logits, classes),
        _ => cross_entropy(logits, classes),
    }
}

/// `∂ CE(softmax(logits), class) = p − onehot(class)`, for each picture of the batch.
///
/// The class's own term is computed as minus the sum of the other probabilities, so that it does not vanish when f32 rounds its
/// probability to 1.
pub fn cross_entropy(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    let others = (candle_nn::ops::softmax(logits, D::Minus1)? * (1.0 - &hot)?)?;
    let own = hot.broadcast_mul(&others.sum_keepdim(D::Minus1)?)?;
    Ok((others - own)?)
}

/// `∂ BCE(σ(logits[class]), 1) = −σ(−logits[class])`, for each picture of the batch; other classes do not contribute.
pub fn binary_cross_entropy(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    Ok((candle_nn::ops::sigmoid(&logits.neg()?)? * one_hot(logits, classes)?)?.neg()?)
}

/// The training loss, averaged over rows with one label each, and its gradient with respect to the logits. For exclusive scores
/// it is PyTorch's `CrossEntropyLoss`, for independent scores `BCEWithLogitsLoss` with a one-hot target.
///
/// Errors if there is not one label per row, or a label is out of range.
pub fn loss_of_labels(scores: Scores, logits: &Tensor, labels: &[usize]) -> Result<(f64, Tensor)> {
    match scores {
        Scores::Independent => binary_cross_entropy_of_labels(logits, labels),
        _ => Ok((cross_entropy_loss(logits, labels)?, cross_entropy_labels(logits, labels)?)),
    }
}

/// `∂ mean CE(softmax(logits), labels)` for one label per row: the gradient of PyTorch's `CrossEntropyLoss`.
///
/// Errors if there is not one label per row, or a label is out of range.
pub fn cross_entropy_labels(logits: &Tensor, labels: &[usize]) -> Result<Tensor> {
    check_rows(logits, labels)?;
    Ok((cross_entropy(logits, labels)? / labels.len() as f64)?)
}

/// `mean CE(softmax(logits), labels)` for one label per row; PyTorch's `CrossEntropyLoss`.
pub fn cross_entropy_loss(logits: &Tensor, labels: &[usize]) -> Result<f64> {
    check_rows(logits, labels)?;
    let hot = one_hot(logits, labels)?;
    let own = (log_softmax(logits)? * hot)?.sum_all()?;
    let own = wide(&own)?.to_scalar::<f64>()?;
    Ok(-own / labels.len() as f64)
}

/// `mean [log(1 + eᶻ) − z y]` over rows and classes with one-hot `y`, and its gradient `(σ(z) − y) / (N · classes)`.
fn binary_cross_entropy_of_labels(logits: &Tensor, labels: &[usize]) -> Result<(f64, Tensor)> {
    check_rows(logits, labels)?;
    let hot = one_hot(logits, labels)?;
    let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    let loss = wide(&(softplus - (logits * &hot)?)?.mean_all()?)?.to_scalar::<f64>()?;
    let gradient = (candle_nn::ops::sigmoid(logits)? - hot)?;
    Ok((loss, (gradient / logits.elem_count() as f64)?))
}

/// `∂ margin[class]`: the gradient of the margin by which the logit of the class exceeds that of the runner-up or, for independent
/// scores, 0 (`p = 0.5`).
pub fn lead(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    match scores {
        Scores::Independent => one_hot(logits, classes),
        _ => margin(logits, classes),
    }
}

/// `∂ (logit[class] − max of the other logits)`: the gradient of the margin of a class (Carlini & Wagner 2017).
pub fn margin(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    let rest = hot.ne(0.0)?.where_cond(&(logits.ones_like()? * f64::NEG_INFINITY)?, logits)?;
    let best: Vec<_> = rest.argmax(D::Minus1)?.to_vec1::<u32>()?.into_iter().map(|c| c as usize).collect();
    Ok((hot - one_hot(logits, &best)?)?)
}

/// One-hot rows for `(N, classes)` logits, with a 1 at the chosen class of each row; a single class applies to all rows.
fn one_hot(logits: &Tensor, chosen: &[usize]) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    ensure!(
        chosen.len() == batch || chosen.len() == 1,
        "got {} classes for {batch} rows of logits; expected one class per row, or one for all rows",
        chosen.len()
    );
    let mut hot = vec![0f32; batch * classes];
    for (row, &class) in hot.chunks_exact_mut(classes.max(1)).zip(chosen.iter().cycle()) {
        ensure!(class < classes, "class {class} is out of range for {classes} classes; the last is {}", classes - 1);
        row[class] = 1.0;
    }
    Ok(Tensor::from_vec(hot, (batch, classes), logits.device())?.to_dtype(logits.dtype())?)
}

fn check_rows(logits: &Tensor, labels: &[usize]) -> Result<()> {
    let batch = logits.dims2()?.0;
    ensure!(
        batch == labels.len() && batch > 0,
        "got {} labels for {batch} rows of logits; expected one label per row",
        labels.len()
    );
    Ok(())
}
