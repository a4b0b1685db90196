//! `cx`: the question, its parameters, random numbers, and the stage.

use super::{Guard, Out, figures, one_or_many, out, sizes};
use crate::model::Model;
use crate::script::context::{Cx, normal_pair};
use crate::script::params::Params;
use anyhow::Result;
use candle_core::Tensor;
use rand::Rng;
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

/// `cx.params`: parameters by name.
#[derive(Clone)]
struct Named {
    params: Arc<Params>,
    model: Model,
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_type_with_name::<Cx>("Context");
    engine.register_type_with_name::<Named>("Parameters");
    engine.register_get("model", |cx: &mut Cx| cx.model.clone());
    engine.register_get("input", |cx: &mut Cx| cx.input.clone());
    engine.register_get("target", |cx: &mut Cx| one_or_many(&cx.targets));
    engine.register_get("step", |cx: &mut Cx| cx.step as INT);
    engine.register_get("params", |cx: &mut Cx| Named { params: cx.params.clone(), model: cx.model.clone() });
    engine.register_indexer_get(|p: &mut Named, name: &str| out(p.params.get(name, &p.model)));
    engine.register_fn("show", |cx: &mut Cx, answer: Dynamic| out(figures(answer)).map(|f| cx.stage.show(f)));
    engine.register_fn("progress", |cx: &mut Cx, what: &str, done: INT, total: INT| {
        cx.stage.progress(what, done.max(0) as usize, total.max(0) as usize);
    });
    let g = guard.clone();
    engine.register_fn("randn", move |cx: &mut Cx, shape: Array| -> Out<Tensor> { out(draw(&g, cx, &shape, true)) });
    let g = guard.clone();
    engine.register_fn("rand", move |cx: &mut Cx, shape: Array| -> Out<Tensor> { out(draw(&g, cx, &shape, false)) });
}

/// Normal or uniform numbers in the type of the input.
fn draw(guard: &Guard, cx: &Cx, shape: &Array, normal: bool) -> Result<Tensor> {
    let shape = sizes(shape)?;
    guard.reserve(&shape, 4)?;
    let count = shape.iter().product::<usize>();
    let mut random = cx.random();
    let mut values: Vec<f32> = Vec::with_capacity(count + 1);
    while values.len() < count {
        if normal { values.extend(normal_pair(&mut random)) } else { values.push(random.random()) }
    }
    values.truncate(count);
    Ok(Tensor::from_vec(values, shape, cx.input.device())?.to_dtype(cx.input.dtype())?)
}
