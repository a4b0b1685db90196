//! The functions of `cx.data`, which gives access to the pictures of a data set and their classes.

use super::{Guard, classes, out, size};
use crate::data::{Dataset, Preprocess};
use crate::model::{ClassMap, Model};
use crate::script::method::context::Cx;
use crate::tensor;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

/// A data set as exposed to scripts, with the model that determines its preprocessing and classes.
#[derive(Clone)]
pub(super) struct Pictures {
    pub(super) set: Arc<Dataset>,
    model: Model,
}

impl Pictures {
    fn preprocess(&self) -> Preprocess {
        self.model.card.preprocess()
    }

    /// The mapping from the classes of the data set to those of the network. Errors if they cannot be matched.
    fn classes(&self) -> Result<ClassMap> {
        ClassMap::of_classes(&self.set, &self.model.card, &self.model.graph)
    }
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_get("data", |cx: &mut Cx| out(cx.data.get().map(|set| Pictures { set, model: cx.model.clone() })));
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
    engine.register_fn("labels", |p: &mut Pictures, which: Tensor| out(tensor_of(&which, |all| labels(p, all))));
    engine.register_fn("labels", |p: &mut Pictures, start: INT, end: INT| {
        out(range(p, start, end).and_then(|all| labels(p, all)))
    });
    engine.register_fn("labels", |p: &mut Pictures, which: Array| {
        out(classes(&which.into()).and_then(|all| labels(p, all)))
    });
    engine
        .register_fn("own_labels", |p: &mut Pictures, which: Tensor| out(tensor_of(&which, |all| own_labels(p, all))));
    engine.register_fn("pick_own", |p: &mut Pictures, count: INT, how: &str, class: INT| {
        out(size(class, "a class").and_then(|class| picked(p, count, how, Some(&[class]))))
    });
    engine.register_fn("file", |p: &mut Pictures, number: INT| {
        usize::try_from(number).ok().and_then(|i| p.set.file(i)).map_or(Dynamic::UNIT, Dynamic::from)
    });
}

fn range(pictures: &Pictures, start: INT, end: INT) -> Result<Vec<usize>> {
    let (start, end) = (size(start, "a picture index")?, size(end, "a picture index")?);
    let count = pictures.set.len();
    ensure!(
        start < end && end <= count,
        "pictures {start} to {end} are out of range: \"{}\" has {count} pictures",
        pictures.set.name
    );
    Ok((start..end).collect())
}

/// The pictures with the indices `which`, preprocessed for the model, as a tensor `(N, C, H, W)` in `[0, 1]`.
fn batch(guard: &Guard, pictures: &Pictures, which: Result<Vec<usize>>) -> Result<Tensor> {
    let which = which?;
    let [c, h, w] = pictures.preprocess().input;
    guard.reserve(&[which.len(), c, h, w], 4)?;
    pictures.model.take(&pictures.set.batch(&which, &pictures.preprocess())?)
}

/// The class of each picture in `which`, as an index into the classes of the data set.
fn own_labels(pictures: &Pictures, which: Vec<usize>) -> Result<Array> {
    let set = &pictures.set;
    ensure!(set.labelled, "\"{}\" has no labels; put its pictures into one folder per class", set.name);
    let label = |i: usize| {
        ensure!(i < set.len(), "no picture {i} in \"{}\"; it has {} pictures", set.name, set.len());
        Ok(Dynamic::from(set.label(i) as INT))
    };
    which.into_iter().map(label).collect()
}

/// The class of each picture in `which`, as a class index of the network.
fn labels(pictures: &Pictures, which: Vec<usize>) -> Result<Array> {
    let classes = pictures.classes()?;
    let class = |label: Dynamic| Ok(Dynamic::from(classes.class(label.as_int().unwrap_or_default() as usize)? as INT));
    own_labels(pictures, which)?.into_iter().map(class).collect()
}

/// Converts a tensor of picture indices to integers. Errors if a value is not a nonnegative integer.
pub(super) fn numbers(which: &Tensor) -> Result<Vec<usize>> {
    let number = |v: f64| {
        ensure!(v >= 0.0 && v.fract() == 0.0, "a picture index must be a nonnegative integer, got {v}");
        Ok(v as usize)
    };
    tensor::numbers(which)?.into_iter().map(number).collect()
}

/// A tensor with the indices of `count` pictures of the data set (0 for all). If `how` is `first`, these are the first pictures; if
/// `spread`, they are spread evenly over the data set. With `class`, only pictures of that class of the network are selected.
fn pick(pictures: &Pictures, count: INT, how: &str, class: Option<INT>) -> Result<Tensor> {
    let Some(class) = class else { return picked(pictures, count, how, None) };
    let labels = pictures.classes()?.labels(size(class, "a class")?);
    let label = pictures.model.card.label(size(class, "a class")?);
    ensure!(!labels.is_empty(), "\"{}\" has no picture of the class \"{label}\"", pictures.set.name);
    picked(pictures, count, how, Some(&labels))
}

/// Like [`pick`], but `labels` restricts the selection to classes of the data set instead of the network.
fn picked(pictures: &Pictures, count: INT, how: &str, labels: Option<&[usize]>) -> Result<Tensor> {
    let set = &pictures.set;
    let wanted = |i: &usize| labels.is_none_or(|labels| labels.contains(&set.label(*i)));
    let all: Vec<usize> = (0..set.len()).filter(wanted).collect();
    ensure!(!all.is_empty(), "\"{}\" has no picture of class {}", set.name, labels.map_or(0, |labels| labels[0]));
    let count = match size(count, "the number of pictures")? {
        0 => all.len(),
        count => count.min(all.len()),
    };
    let number = |i: usize| match how {
        "first" => Ok(all[i] as f32),
        "spread" => {
            // Picks one picture from each of `count` equal ranges, at varying offsets, because classes often alternate
            // regularly.
            let (from, to) = (i * all.len() / count, (i + 1) * all.len() / count);
            let part = (i as f64 * 0.618_033_988_749_894_9).fract();
            Ok(all[from + ((to - from) as f64 * part) as usize] as f32)
        }
        other => bail!("unknown order \"{other}\"; expected \"first\" or \"spread\""),
    };
    Ok(Tensor::from_vec((0..count).map(number).collect::<Result<Vec<_>>>()?, count, &pictures.model.graph.device())?)
}

/// Calls `labels` with the picture indices `which` and returns the classes as a tensor `(N)`.
fn tensor_of(which: &Tensor, labels: impl Fn(Vec<usize>) -> Result<Array>) -> Result<Tensor> {
    let (which, device) = (numbers(which)?, which.device().clone());
    let count = which.len();
    let labels = labels(which)?;
    let labels: Vec<f32> = labels.iter().map(|l| l.as_int().unwrap_or_default() as f32).collect();
    Ok(Tensor::from_vec(labels, count, &device)?)
}
