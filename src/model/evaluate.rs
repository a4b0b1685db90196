//! Accuracy: how many pictures of a data set a model names rightly.

use super::{ClassMap, Model};
use crate::data::Dataset;
use crate::exec::ScoresNotFinite;
use crate::graph::{Graph, Scores, named};
use crate::tensor::numbers;
use anyhow::Result;
use candle_core::{DType, Tensor};

/// How many pictures were named rightly, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Those whose label the network names: its greatest logit, or of independent scores `p > 0.5`.
    pub correct: usize,
    /// Those whose scores are not finite, which are not right.
    pub not_finite: usize,
    /// Those seen.
    pub total: usize,
}

impl Accuracy {
    /// The share named rightly, in `[0, 1]`; 0 where none was seen.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
    }
}

/// What else the answers of independent classes can be held against; of others both are the number named rightly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Pictures whose greatest logit is that of their label.
    pub top_label: usize,
    /// Pictures of which the network names the label and nothing else.
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

/// Runs a model on every picture of a data set, and calls `on` with the count so far before the first batch and behind
/// each; an error from `on` stops it.
///
/// Classes are those of [`ClassMap::between`], whose errors are told before anything runs.
/// That no picture has finite scores is an error at the end.
pub fn evaluate(model: &Model, data: &Dataset, on: &mut dyn FnMut(Accuracy) -> Result<()>) -> Result<Accuracy> {
    matches(model, data, on).map(|(count, _)| count)
}

/// The same, and how often a label is the greatest, or the only one named.
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
        let x = data.batch(numbers, &preprocess)?;
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

/// The class that a network names each of the first `count` pictures as; `on` is told how many are done.
///
/// Errors: pictures that cannot be read, scores that are not finite; what `on` returns.
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
        let x = data.batch(numbers, &preprocess)?;
        let logits = model.graph.check_scores(&x, model.graph.logits(&x)?)?;
        answers.extend(named(&logits)?.into_iter().flatten());
    }
    on(answers.len())?;
    Ok(answers)
}

/// How many labels the network names.
fn right(scores: Scores, logits: &Tensor, labels: &[usize]) -> Result<usize> {
    Ok(scores.right(logits, labels)?.into_iter().filter(|right| *right).count())
}

/// How many rows of `(N, classes)` logits are highest at their label; of equal ones the first counts, and none of a row that
/// is not finite does.
pub fn correct(logits: &Tensor, labels: &[usize]) -> Result<usize> {
    Ok(agreeing(&named(logits)?, labels))
}

/// The same error, of every picture of a data set.
fn of_all(error: anyhow::Error, count: usize) -> anyhow::Error {
    match error.downcast::<ScoresNotFinite>() {
        Ok(error) => ScoresNotFinite { pictures: (count, count), ..error }.into(),
        Err(error) => error,
    }
}

fn agreeing(named: &[Option<usize>], labels: &[usize]) -> usize {
    named.iter().zip(labels).filter(|(class, label)| **class == Some(**label)).count()
}

/// How many pictures run at once: at most 256, and few enough that their activations take a quarter of a gigabyte.
pub(super) fn batch_size(graph: &Graph) -> usize {
    graph.pictures_within(1 << 26, &graph.nodes[0].shape[1..]).min(256)
}
