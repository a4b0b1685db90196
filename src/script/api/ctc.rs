//! The function `ctc_loss(logits, target)`, which computes the CTC loss of a label sequence.

use super::{finite, out};
use crate::explain::ctc;
use crate::tensor::{like, numbers};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, Map};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("ctc_loss", |logits: Tensor, target: Array| out(loss(&logits, &target)));
}

/// The CTC loss of logits of shape `(N, labels, 1, steps)` or `(N, labels, steps)` for one target shared by all rows; label 0 is
/// the blank.
///
/// Returns `#{ loss, gradient }`: the loss summed over rows, and the gradient of that loss with respect to the logits, in the
/// shape of the logits.
fn loss(logits: &Tensor, target: &Array) -> Result<Map> {
    let shape = logits.dims();
    let fits = matches!(shape, [_, _, 1, _] | [_, _, _]);
    finite(logits, "ctc_loss")?;
    ensure!(fits, "ctc_loss expects logits of shape (N, labels, 1, steps) or (N, labels, steps), got {shape:?}");
    let label = |k: &Dynamic| k.as_int().ok().and_then(|k| usize::try_from(k).ok());
    let target: Vec<_> =
        target.iter().map(label).collect::<Option<_>>().context("ctc_loss: labels must be integers")?;
    let (classes, steps) = (shape[1], shape[shape.len() - 1]);
    ensure!(
        classes > 1 && steps > 0,
        "ctc_loss needs at least one time step and one label besides the blank, got logits of shape {shape:?}"
    );
    let (mut loss, mut gradient) = (0.0, vec![]);
    for row in numbers(logits)?.chunks(classes * steps) {
        let one = ctc(row, classes, steps, &target)?;
        loss += one.loss;
        gradient.extend(one.gradient);
    }
    let gradient = like(gradient, shape, logits)?;
    Ok(Map::from([("loss".into(), Dynamic::from(loss)), ("gradient".into(), Dynamic::from(gradient))]))
}
