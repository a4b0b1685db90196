//! Accuracy: the number of pictures of a data set that a model classifies correctly.

use super::{ClassMap, Model};
use crate::data::Dataset;
use crate::exec::ScoresNotFinite;
use crate::graph::{Graph, Scores, named};
use crate::tensor::numbers;
use anyhow::Result;
use candle_core::{DType, Tensor};

/// Counts of pictures: classified correctly, with non-finite scores, and in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Number of correctly classified pictures: the label has the largest logit or, for independent classes, `p > 0.5`.
    pub correct: usize,
    /// Number of pictures whose scores are not finite; they count as wrong.
    pub not_finite: usize,
    /// Number of pictures evaluated.
    pub total: usize,
}

impl Accuracy {
    /// Fraction of the pictures classified correctly, in `[0, 1]`; 0 if there were no pictures.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
    }
}

/// Additional metrics for models with independent classes; for other models, both metrics equal [`Accuracy::correct`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Number of pictures whose label has the largest logit.
    pub top_label: usize,
    /// Number of pictures whose label is the only predicted class.
    pub exact: usize,
}

impl Matches {
    fn add(&mut self, scores: Scores, logits: &Tensor, labels: &[usize], named: usize) -> Result<()> {
        let (mut top, mut exact) = (named, named);
        if scores == Scores::Independent {
            let each = numbers(&logits.gt(0.0)?.to_dtype(DType::F32)?.sum(1)?)?;
            let named = scores.right(logits, labels)?;
            top = correct(logits, labels)?;
            exact = named.iter().zip(each).filter(|(named, count)| **named && *count == 1.0).count();
        }
        self.top_label += top;
        self.exact += exact;
        Ok(())
    }
}

/// Evaluates a model on every picture of a data set. Calls `on` with the counts before the first batch and after each batch;
/// an error from `on` stops the evaluation.
///
/// Classes are matched by [`ClassMap::between`]; errors in matching are returned before the model runs. Errors also if no picture
/// has finite scores.
pub fn evaluate(model: &Model, data: &Dataset, on: &mut dyn FnMut(Accuracy) -> Result<()>) -> Result<Accuracy> {
    matches(model, data, on).map(|(count, _)| count)
}

/// Like [`evaluate`](evaluate()), and also counts how often the label has the largest logit or is the only predicted class.
pub fn matches(
    model: &Model,
    data: &Dataset,
    on: &mut dyn FnMut(Accuracy) -> Result<()>,
) -> Result<(Accuracy, Matches)> {
    let classes = ClassMap::of_classes(data, &model.card, &model.graph)?;
    let preprocess = model.card.preprocess();
    let all: Vec<_> = (0..data.len()).collect();
    let (mut count, mut more) = (Accuracy::default(), Matches::default());
    on(count)?;
    for numbers in all.chunks(batch_size(&model.graph)) {
        let x = model.take(&data.batch(numbers, &preprocess)?)?;
        let logits = model.graph.logits(&x)?;
        let labels = numbers.iter().map(|&i| classes.class(data.label(i))).collect::<Result<Vec<_>>>()?;
        count.not_finite += named(&logits)?.iter().filter(|class| class.is_none()).count();
        count.total += numbers.len();
        let named = right(model.graph.scores, &logits, &labels)?;
        count.correct += named;
        more.add(model.graph.scores, &logits, &labels, named)?;
        on(count)?;
        if count.not_finite == data.len() {
            model.graph.check_scores(&x, logits).map_err(|e| of_all(e, data.len()))?;
        }
    }
    Ok((count, more))
}

/// The predicted class of each of the first `count` pictures. `on` is called with the number of pictures completed.
///
/// Errors if a picture cannot be read, if scores are not finite, or if `on` returns an error.
pub fn answers(
    model: &Model,
    data: &Dataset,
    count: usize,
    on: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<usize>> {
    let preprocess = model.card.preprocess();
    let numbers: Vec<_> = (0..count.min(data.len())).collect();
    let mut answers = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(batch_size(&model.graph)) {
        on(answers.len())?;
        let x = model.take(&data.batch(numbers, &preprocess)?)?;
        let logits = model.graph.check_scores(&x, model.graph.logits(&x)?)?;
        answers.extend(named(&logits)?.into_iter().flatten());
    }
    on(answers.len())?;
    Ok(answers)
}

/// Number of rows of `(N, classes)` logits for which the label is predicted.
fn right(scores: Scores, logits: &Tensor, labels: &[usize]) -> Result<usize> {
    Ok(scores.right(logits, labels)?.into_iter().filter(|right| *right).count())
}

/// Number of rows of `(N, classes)` logits whose largest logit is at the label. Ties go to the lower index; rows that are not
/// finite do not count.
pub fn correct(logits: &Tensor, labels: &[usize]) -> Result<usize> {
    Ok(agreeing(&named(logits)?, labels))
}

/// Changes an error about the non-finite scores of one batch so that it covers all `count` pictures of the data set.
fn of_all(error: anyhow::Error, count: usize) -> anyhow::Error {
    match error.downcast::<ScoresNotFinite>() {
        Ok(error) => ScoresNotFinite { pictures: (count, count), ..error }.into(),
        Err(error) => error,
    }
}

fn agreeing(named: &[Option<usize>], labels: &[usize]) -> usize {
    named.iter().zip(labels).filter(|(class, label)| **class == Some(**label)).count()
}

/// Batch size for evaluating a network: at most 256, and small enough that activations take at most a quarter of a gigabyte.
pub(super) fn batch_size(graph: &Graph) -> usize {
    graph.pictures_within(1 << 26, &graph.nodes[0].shape[1..]).min(256)
}
