//! Accuracy: how many pictures of a data set a model names rightly.

use super::{ClassMap, Model};
use crate::data::Dataset;
use crate::graph::Graph;
use anyhow::Result;
use candle_core::{DType, Tensor};

/// How many pictures were named rightly, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those whose highest logit is that of their label.
    pub correct: usize,
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
pub fn evaluate(model: &Model, data: &Dataset, on: &mut dyn FnMut(Count) -> Result<()>) -> Result<Count> {
    let classes = ClassMap::between(data, &model.card, model.classes())?;
    let preprocess = model.card.preprocess();
    let numbers: Vec<_> = (0..data.len()).collect();
    let mut count = Count::default();
    on(count)?;
    for numbers in numbers.chunks(batch_size(&model.graph)) {
        let logits = model.graph.logits(&data.batch(numbers, &preprocess)?)?;
        let labels = numbers.iter().map(|&i| classes.class(data.label(i))).collect::<Result<Vec<_>>>()?;
        count.correct += correct(&logits, &labels)?;
        count.total += numbers.len();
        on(count)?;
    }
    Ok(count)
}

/// The class that a network names each of the first `count` pictures as; `on` is told how many are done.
///
/// Errors: pictures that cannot be read; what `on` returns.
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
        let logits = model.graph.logits(&data.batch(numbers, &preprocess)?)?;
        answers.extend(logits.argmax(1)?.to_vec1::<u32>()?.into_iter().map(|class| class as usize));
    }
    on(answers.len())?;
    Ok(answers)
}

/// How many rows of `(N, classes)` logits are highest at their label; of equal ones the first counts, NaN never does.
pub fn correct(logits: &Tensor, labels: &[usize]) -> Result<usize> {
    let rows = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let leads = |(row, &label): (&Vec<f32>, &usize)| {
        let Some(&own) = row.get(label) else { return false };
        row.iter().enumerate().all(|(j, &v)| if j < label { v < own } else { v <= own })
    };
    Ok(rows.iter().zip(labels).filter(|pair| leads(*pair)).count())
}

/// How many pictures run at once: at most 256, and few enough that their activations take a quarter of a gigabyte.
pub(super) fn batch_size(graph: &Graph) -> usize {
    graph.pictures_within(1 << 26, &graph.nodes[0].shape[1..]).min(256)
}
