//! Where a walk starts: the gradient of a question with respect to the logits, `(N, classes)`.
//!
//! A question names a class for each row of the batch, or one for all of them.

use crate::graph::Scores;
use crate::tensor::{like, log_softmax, wide};
use anyhow::{Result, ensure};
use candle_core::{D, Tensor};

/// `∂ logit[class]`: one at the class, zero elsewhere.
pub fn logit(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    one_hot(logits, classes)
}

/// `∂ Σ logits`: one at every class; PyTorch's `output.sum().backward()`.
pub fn sum(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.ones_like()?)
}

/// `∂ score[class]`: that of the logit; of a pair's first class, whose score is `−z`, minus one at `z`.
pub fn score(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    match scores {
        Scores::Pair => Ok(hot.matmul(&like([0.0, -1.0, 0.0, 1.0], (2, 2), &hot)?)?),
        _ => Ok(hot),
    }
}

/// `∂ loss[class]`: cross-entropy, or of independent scores the class's own binary cross-entropy.
pub fn loss(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    match scores {
        Scores::Independent => binary_cross_entropy(logits, classes),
        _ => cross_entropy(logits, classes),
    }
}

/// `∂ CE(softmax(logits), class) = p − onehot(class)`, for each picture of the batch.
///
/// The class's own term is minus the sum of the other probabilities, so that it does not vanish where float32 rounds
/// its probability to 1.
pub fn cross_entropy(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    let others = (candle_nn::ops::softmax(logits, D::Minus1)? * (1.0 - &hot)?)?;
    let own = hot.broadcast_mul(&others.sum_keepdim(D::Minus1)?)?;
    Ok((others - own)?)
}

/// `∂ BCE(σ(logits[class]), 1) = −σ(−logits[class])`, for each picture of the batch; the other classes do not matter.
pub fn binary_cross_entropy(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    Ok((candle_nn::ops::sigmoid(&logits.neg()?)? * one_hot(logits, classes)?)?.neg()?)
}

/// What a network learns from: the mean loss of labels, one a row, and its gradient by the logits. PyTorch's
/// `CrossEntropyLoss`; of independent scores its `BCEWithLogitsLoss`, where the label's class is there and no other.
///
/// Errors where there are not as many labels as rows, or a label is no class.
pub fn loss_of_labels(scores: Scores, logits: &Tensor, labels: &[usize]) -> Result<(f64, Tensor)> {
    match scores {
        Scores::Independent => binary_cross_entropy_of_labels(logits, labels),
        _ => Ok((cross_entropy_loss(logits, labels)?, cross_entropy_labels(logits, labels)?)),
    }
}

/// `∂ mean CE(softmax(logits), labels)`, a label a row: what PyTorch's `CrossEntropyLoss` gives back.
///
/// Errors where there are not as many labels as rows, or a label is no class.
pub fn cross_entropy_labels(logits: &Tensor, labels: &[usize]) -> Result<Tensor> {
    check_rows(logits, labels)?;
    Ok((cross_entropy(logits, labels)? / labels.len() as f64)?)
}

/// `mean CE(softmax(logits), labels)`, a label a row: PyTorch's `CrossEntropyLoss`.
pub fn cross_entropy_loss(logits: &Tensor, labels: &[usize]) -> Result<f64> {
    check_rows(logits, labels)?;
    let hot = one_hot(logits, labels)?;
    let own = (log_softmax(logits)? * hot)?.sum_all()?;
    let own = wide(&own)?.to_scalar::<f64>()?;
    Ok(-own / labels.len() as f64)
}

/// `mean [log(1 + eᶻ) − z y]` over rows and classes, `y` one at the label, and its gradient `(σ(z) − y) / (N · classes)`.
fn binary_cross_entropy_of_labels(logits: &Tensor, labels: &[usize]) -> Result<(f64, Tensor)> {
    check_rows(logits, labels)?;
    let hot = one_hot(logits, labels)?;
    let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    let loss = wide(&(softplus - (logits * &hot)?)?.mean_all()?)?.to_scalar::<f64>()?;
    let gradient = (candle_nn::ops::sigmoid(logits)? - hot)?;
    Ok((loss, (gradient / logits.elem_count() as f64)?))
}

/// How the margin moves by which the class is named: over the next best, or of independent scores over `p = 0.5`.
pub fn lead(scores: Scores, logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    match scores {
        Scores::Independent => one_hot(logits, classes),
        _ => margin(logits, classes),
    }
}

/// `∂ (logit[class] − max of the others)`: the margin by which a class leads (Carlini & Wagner 2017).
pub fn margin(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let hot = one_hot(logits, classes)?;
    let rest = hot.ne(0.0)?.where_cond(&(logits.ones_like()? * f64::NEG_INFINITY)?, logits)?;
    let best: Vec<_> = rest.argmax(D::Minus1)?.to_vec1::<u32>()?.into_iter().map(|c| c as usize).collect();
    Ok((hot - one_hot(logits, &best)?)?)
}

/// One at its class in each row of `(N, classes)`; a single class is that of all rows.
fn one_hot(logits: &Tensor, chosen: &[usize]) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    ensure!(
        chosen.len() == batch || chosen.len() == 1,
        "{} classes for {batch} rows of logits; one each, or one for all",
        chosen.len()
    );
    let mut hot = vec![0f32; batch * classes];
    for (row, &class) in hot.chunks_exact_mut(classes.max(1)).zip(chosen.iter().cycle()) {
        ensure!(class < classes, "class {class} of a network with {classes} classes; the last is {}", classes - 1);
        row[class] = 1.0;
    }
    Ok(Tensor::from_vec(hot, (batch, classes), logits.device())?.to_dtype(logits.dtype())?)
}

fn check_rows(logits: &Tensor, labels: &[usize]) -> Result<()> {
    let batch = logits.dims2()?.0;
    ensure!(batch == labels.len() && batch > 0, "{} labels for {batch} rows of logits", labels.len());
    Ok(())
}
