//! The functions of `cx`, through which a method reads its input and parameters, draws random numbers and reports progress.

use super::{Guard, LabeledTrace, Out, figures, number, one_or_many, out, sizes};
use crate::model::Model;
use crate::script::api::gaussian;
use crate::script::method::context::Cx;
use crate::script::method::params::Params;
use crate::tensor::like;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::thread_team::parts;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rhai::{Array, Dynamic, Engine, INT};
use std::sync::Arc;

/// Number of random numbers drawn per parallel task; it is even, because normal numbers are drawn in pairs.
const PART: usize = 16 * 1024;

/// The value of `cx.params`, which gives access to parameters by name.
#[derive(Clone)]
pub(super) struct Named {
    params: Arc<Params>,
    model: Model,
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_get("model", |cx: &mut Cx| cx.model.clone());
    engine.register_get("input", |cx: &mut Cx| cx.input.clone());
    engine.register_get("target", |cx: &mut Cx| out(cx.targets.clone().map_err(Into::into)).map(|t| one_or_many(&t)));
    engine.register_get("step", |cx: &mut Cx| cx.step as INT);
    engine.register_get("asked_by", |cx: &mut Cx| -> Dynamic {
        let by = cx.asked.len().checked_sub(2).and_then(|i| cx.asked.get(i));
        by.map_or(Dynamic::UNIT, |name| name.clone().into())
    });
    engine.register_get("params", |cx: &mut Cx| Named { params: cx.params.clone(), model: cx.model.clone() });
    engine.register_indexer_get(|p: &mut Named, name: &str| out(p.params.get(name, &p.model)));
    engine.register_get("goal", |cx: &mut Cx| cx.goal().map_or(Dynamic::UNIT, |class| Dynamic::from(class as INT)));
    engine.register_get("stop", |cx: &mut Cx| cx.stops());
    engine.register_fn("fooled", |cx: &mut Cx, logits: Tensor| out(fooled(cx, &logits)));
    let g = guard.clone();
    engine.register_get("nothing_to_do", move |cx: &mut Cx| out(nothing_to_do(&g, cx)));
    engine.register_fn("show", |cx: &mut Cx, answer: Dynamic| out(figures(answer)).map(|f| cx.observer.show(f)));
    engine.register_fn("progress", |cx: &mut Cx, what: &str, done: INT, total: INT| {
        cx.observer.progress(what, done.max(0) as usize, total.max(0) as usize);
    });
    engine.register_get("own", |cx: &mut Cx| -> Dynamic {
        let own = cx.source.as_deref().and_then(|source| cx.data.number_of(source));
        own.map_or(Dynamic::UNIT, |own| Dynamic::from(own as INT))
    });
    engine.register_fn("used", |cx: &mut Cx, name: &str, value: Dynamic| out(used(cx, name, &value)));
    let g = guard.clone();
    engine.register_fn("at_most", move |cx: &mut Cx, name: &str, limit: Dynamic| out(at_most(&g, cx, name, limit)));
    let g = guard.clone();
    engine.register_fn("note", move |_: &mut Cx, text: &str| g.note(text.into()));
    let g = guard.clone();
    engine.register_fn("randn", move |cx: &mut Cx, shape: Array| -> Out<Tensor> { out(draw(&g, cx, &shape, true)) });
    let g = guard.clone();
    engine.register_fn("rand", move |cx: &mut Cx, shape: Array| -> Out<Tensor> { out(draw(&g, cx, &shape, false)) });
}

/// Records the effective value of the parameter `name`, so that it is reported with the result.
fn used(cx: &Cx, name: &str, value: &Dynamic) -> Result<()> {
    cx.used.tell(name, cx.params.written(name, value)?);
    Ok(())
}

/// Returns the smaller of the parameter's value and `limit`, and records it as the parameter's effective value. If the user set a
/// larger value, adds a note that it was capped.
fn at_most(guard: &Guard, cx: &Cx, name: &str, limit: Dynamic) -> Result<Dynamic> {
    let asked = cx.params.get(name, &cx.model)?;
    if number(&asked)? <= number(&limit)? {
        used(cx, name, &asked)?;
        return Ok(asked);
    }
    let limit = if asked.is_float() { number(&limit)?.into() } else { limit };
    used(cx, name, &limit)?;
    if cx.params.is_changed(name) {
        let (asked, limit) = (cx.params.written(name, &asked)?, cx.params.written(name, &limit)?);
        guard.note(format!("{name}={asked} is more than available; using {limit}"));
    }
    Ok(limit)
}

/// A tensor `(N)` with 1 for each row of `logits` for which the attack succeeded, and 0 for the others.
fn fooled(cx: &Cx, logits: &Tensor) -> Result<Tensor> {
    let rows = cx.fooled(logits)?.into_iter().map(|yes| f64::from(u8::from(yes))).collect::<Vec<_>>();
    let count = rows.len();
    like(rows, count, logits)
}

/// Returns why the first picture needs no attack, or `()` if any picture in the batch needs one.
fn nothing_to_do(guard: &Guard, cx: &Cx) -> Result<Dynamic> {
    let fooled = cx.fooled(&LabeledTrace::logits(guard, &cx.model, &cx.input)?)?;
    Ok(if fooled.contains(&false) { Dynamic::UNIT } else { cx.why_nothing(guard)?.into() })
}

/// A tensor of the given shape filled with random numbers, in the dtype of the input: standard normal if `normal` is true,
/// otherwise uniform in `[0, 1)`.
fn draw(guard: &Guard, cx: &Cx, shape: &Array, normal: bool) -> Result<Tensor> {
    let shape = sizes(shape)?;
    guard.reserve(&shape, 4)?;
    let values = drawn(&cx.random(), shape.iter().product(), normal);
    Ok(Tensor::from_vec(values, shape, cx.input.device())?.to_dtype(cx.input.dtype())?)
}

/// The first `count` random numbers of a generator, normal or uniform. They are drawn in parallel, with the same result as
/// drawing them in sequence.
fn drawn(random: &ChaCha8Rng, count: usize, normally: bool) -> Vec<f32> {
    let mut values = vec![0.0; count];
    // Each task seeks to its own position in the random stream; a uniform number consumes one word, a normal number two.
    let words = if normally { 2 } else { 1 };
    parts(&mut values, PART, |i, part| {
        let mut random = random.clone();
        random.set_word_pos((i * PART * words) as u128);
        match normally {
            true => gaussian::fill(&mut random, part),
            false => part.fill_with(|| random.random()),
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn drawing_in_parts_gives_the_same_numbers_as_drawing_at_once() {
        let count = 2 * PART + 5;
        let mut random = ChaCha8Rng::from_seed([7; 32]);
        let uniform: Vec<f32> = (0..count).map(|_| random.random()).collect();
        assert_eq!(drawn(&ChaCha8Rng::from_seed([7; 32]), count, false), uniform);
        let mut random = ChaCha8Rng::from_seed([7; 32]);
        let mut normal = vec![0.0; count];
        gaussian::fill(&mut random, &mut normal);
        assert_eq!(drawn(&ChaCha8Rng::from_seed([7; 32]), count, true), normal);
    }
}
