//! `cx.data`: pictures of a data set in batches, with the class of each.

use super::{Guard, classes, out, size};
use crate::data::{Dataset, Preprocess};
use crate::script::context::Cx;
use crate::tensor::{self, device};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

/// A data set as scripts hold it: with what its pictures become for the network.
#[derive(Clone)]
pub(super) struct Pictures {
    pub(super) set: Arc<Dataset>,
    preprocess: Preprocess,
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_type_with_name::<Pictures>("Dataset");
    engine.register_get("data", |cx: &mut Cx| {
        out(cx.data.get().map(|set| Pictures { set, preprocess: cx.model.card.preprocess() }))
    });
    engine.register_get("name", |p: &mut Pictures| p.set.name.clone());
    engine.register_get("labelled", |p: &mut Pictures| p.set.labelled);
    engine.register_get("classes", |p: &mut Pictures| -> Array {
        p.set.classes.iter().map(|name| name.clone().into()).collect()
    });
    engine.register_fn("pick", |p: &mut Pictures, count: INT, how: &str| out(pick(p, count, how, None)));
    engine.register_fn("pick", |p: &mut Pictures, count: INT, how: &str, class: INT| {
        out(pick(p, count, how, Some(class)))
    });
    engine.register_fn("len", |p: &mut Pictures| p.set.len() as INT);
    let g = guard.clone();
    engine.register_fn("batch", move |p: &mut Pictures, start: INT, end: INT| out(batch(&g, p, range(p, start, end))));
    let g = guard.clone();
    engine.register_fn("batch", move |p: &mut Pictures, which: Array| out(batch(&g, p, classes(&which.into()))));
    let g = guard.clone();
    engine.register_fn("batch", move |p: &mut Pictures, which: Tensor| out(batch(&g, p, numbers(&which))));
    engine.register_fn("labels", |p: &mut Pictures, which: Tensor| out(label_tensor(p, &which)));
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

/// Numbers of pictures that a tensor holds.
pub(super) fn numbers(which: &Tensor) -> Result<Vec<usize>> {
    let number = |v: f64| {
        ensure!(v >= 0.0 && v.fract() == 0.0, "a picture's number is whole and 0 or more, got {v}");
        Ok(v as usize)
    };
    tensor::numbers(which)?.into_iter().map(number).collect()
}

/// Numbers of so many pictures (0: all), the first ones or evenly `spread` over the set; of one class where it is given.
fn pick(pictures: &Pictures, count: INT, how: &str, class: Option<INT>) -> Result<Tensor> {
    let set = &pictures.set;
    let wanted = |i: &usize| class.is_none_or(|class| set.label(*i) as INT == class);
    let all: Vec<usize> = (0..set.len()).filter(wanted).collect();
    ensure!(!all.is_empty(), "\"{}\" has no picture of class {}", set.name, class.unwrap_or_default());
    let count = match size(count, "a count of pictures")? {
        0 => all.len(),
        count => count.min(all.len()),
    };
    let number = |i: usize| match how {
        "first" => Ok(all[i] as f32),
        "spread" => {
            // One of each stretch, not always its first: classes often come in turns.
            let (from, to) = (i * all.len() / count, (i + 1) * all.len() / count);
            let part = (i as f64 * 0.618_033_988_749_894_9).fract();
            Ok(all[from + ((to - from) as f64 * part) as usize] as f32)
        }
        other => bail!("pictures are picked \"first\" or \"spread\", got \"{other}\""),
    };
    Ok(Tensor::from_vec((0..count).map(number).collect::<Result<Vec<_>>>()?, count, &device())?)
}

/// The class of each picture as numbers of a tensor.
fn label_tensor(pictures: &Pictures, which: &Tensor) -> Result<Tensor> {
    let which = numbers(which)?;
    let count = which.len();
    let labels = labels(pictures, Ok(which))?;
    let labels: Vec<f32> = labels.iter().map(|l| l.as_int().unwrap_or_default() as f32).collect();
    Ok(Tensor::from_vec(labels, count, &device())?)
}
