//! `cx.data`: pictures of a data set in batches, with the class of each.

use super::{Guard, classes, out, size};
use crate::data::{Dataset, Preprocess};
use crate::script::context::Cx;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

/// A data set as scripts hold it: with what its pictures become for the network.
#[derive(Clone)]
struct Pictures {
    set: Arc<Dataset>,
    preprocess: Preprocess,
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_type_with_name::<Pictures>("Dataset");
    engine.register_get("data", |cx: &mut Cx| {
        out(cx.data.get().map(|set| Pictures { set, preprocess: cx.model.card.preprocess() }))
    });
    engine.register_get("name", |p: &mut Pictures| p.set.name.clone());
    engine.register_fn("len", |p: &mut Pictures| p.set.len() as INT);
    let g = guard.clone();
    engine.register_fn("batch", move |p: &mut Pictures, start: INT, end: INT| out(batch(&g, p, range(p, start, end))));
    let g = guard.clone();
    engine.register_fn("batch", move |p: &mut Pictures, which: Array| out(batch(&g, p, classes(&which.into()))));
    engine.register_fn("labels", |p: &mut Pictures, start: INT, end: INT| out(labels(p, range(p, start, end))));
    engine.register_fn("labels", |p: &mut Pictures, which: Array| out(labels(p, classes(&which.into()))));
}

fn range(pictures: &Pictures, start: INT, end: INT) -> Result<Vec<usize>> {
    let (start, end) = (size(start, "a picture's number")?, size(end, "a picture's number")?);
    let count = pictures.set.len();
    ensure!(start < end && end <= count, "pictures {start} to {end} of the {count} in \"{}\"", pictures.set.name);
    Ok((start..end).collect())
}

/// `(N, C, H, W)` in `[0, 1]`.
fn batch(guard: &Guard, pictures: &Pictures, which: Result<Vec<usize>>) -> Result<Tensor> {
    let which = which?;
    let [c, h, w] = pictures.preprocess.input;
    guard.reserve(&[which.len(), c, h, w], 4)?;
    pictures.set.batch(&which, &pictures.preprocess)
}

/// A class each.
fn labels(pictures: &Pictures, which: Result<Vec<usize>>) -> Result<Array> {
    let set = &pictures.set;
    ensure!(set.labelled, "\"{}\" has no labels; put its pictures into a folder for each class", set.name);
    let label = |i: usize| {
        ensure!(i < set.len(), "no picture {i} in \"{}\"; it has {}", set.name, set.len());
        Ok(Dynamic::from(set.label(i) as INT))
    };
    which?.into_iter().map(label).collect()
}
