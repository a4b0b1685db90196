//! Accuracy: how many pictures of a data set a model names rightly.

use super::{ClassMap, Model};
use crate::data::Dataset;
use crate::graph::{Graph, ScoresNotFinite, named};
use anyhow::Result;
use candle_core::Tensor;

/// How many pictures were named rightly, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those whose highest logit is that of their label.
    pub correct: usize,
    /// Those whose scores are not finite, which are not right.
    pub not_finite: usize,
    /// Those seen.
    pub total: usize,
}

impl Count {
    /// The share named rightly, in `[0, 1]`; 0 where none was seen.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
    }
}

/// Runs a model on every picture of a data set, and calls `on` with the count so far before the first batch and behind
/// each; an error from `on` stops it.
///
/// Classes are those of [`ClassMap::between`], whose errors are told before anything runs.
/// That no picture has finite scores is an error at the end.
pub fn evaluate(model: &Model, data: &Dataset, on: &mut dyn FnMut(Count) -> Result<()>) -> Result<Count> {
    let classes = ClassMap::between(data, &model.card, model.classes())?;
    let preprocess = model.card.preprocess();
    let numbers: Vec<_> = (0..data.len()).collect();
    let mut count = Count::default();
    on(count)?;
    for numbers in numbers.chunks(batch_size(&model.graph)) {
        let x = data.batch(numbers, &preprocess)?;
        let logits = model.graph.logits(&x)?;
        let labels = numbers.iter().map(|&i| classes.class(data.label(i))).collect::<Result<Vec<_>>>()?;
        let named = named(&logits)?;
        count.correct += agreeing(&named, &labels);
        count.not_finite += named.iter().filter(|class| class.is_none()).count();
        count.total += numbers.len();
        on(count)?;
        if count.not_finite == data.len() {
            model.graph.check_scores(&x, logits).map_err(|e| of_all(e, data.len()))?;
        }
    }
    Ok(count)
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
