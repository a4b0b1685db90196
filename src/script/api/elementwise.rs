//! Elementwise functions of tensors.

use super::{Guard, Out, broadcast, number, out, promoted, tensor_or_number};
use crate::backend;
use crate::tensor::stabilize;
use anyhow::Result;
use candle_core::Tensor;
use rhai::{Dynamic, Engine, FLOAT, INT};
use std::sync::Arc;

type Unary = fn(&Tensor) -> Result<Tensor>;

const FUNCTIONS: [(&str, Unary); 20] = [
    ("abs", backend::abs),
    ("neg", |x| Ok(x.neg()?)),
    ("sign", backend::sign),
    ("exp", |x| Ok(x.exp()?)),
    ("log", |x| Ok(x.log()?)),
    ("sqrt", |x| Ok(x.sqrt()?)),
    ("square", backend::square),
    ("reciprocal", |x| Ok(x.recip()?)),
    ("sin", |x| Ok(x.sin()?)),
    ("cos", |x| Ok(x.cos()?)),
    ("tanh", |x| Ok(x.tanh()?)),
    ("sigmoid", |x| Ok(candle_nn::ops::sigmoid(x)?)),
    ("relu", backend::relu),
    ("floor", |x| Ok(x.floor()?)),
    ("ceil", |x| Ok(x.ceil()?)),
    ("round", |x| Ok(x.round()?)),
    ("isnan", |x| Ok(x.ne(x)?.to_dtype(x.dtype())?)),
    ("isfinite", |x| Ok(x.affine(0.0, 0.0)?.eq(0.0)?.to_dtype(x.dtype())?)),
    ("contiguous", |x| Ok(x.contiguous()?)),
    ("to_8_bit", |x| Ok((backend::clamp(x, 0.0, 1.0)?.affine(255.0, 0.0)?.round()? / 255.0)?)),
];

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    for (name, f) in FUNCTIONS {
        engine.register_fn(name, move |x: Tensor| out(f(&x)));
    }
    let g = guard.clone();
    engine.register_fn("clamp", move |x: Tensor, low: Dynamic, high: Dynamic| out(clamp(&g, &x, &low, &high)));
    engine.register_fn("pow", |x: Tensor, e: FLOAT| -> Out<Tensor> { out(x.powf(e).map_err(Into::into)) });
    engine.register_fn("pow", |x: Tensor, e: INT| -> Out<Tensor> { out(x.powf(e as FLOAT).map_err(Into::into)) });
    let g = guard.clone();
    engine.register_fn("where", move |cond: Tensor, a: Dynamic, b: Dynamic| out(choose(&g, &cond, &a, &b)));
    engine.register_fn("stabilize", |x: Tensor, e: FLOAT| out(stabilize(&x, e)));
    engine.register_fn("leaky_relu", |x: Tensor, slope: FLOAT| -> Out<Tensor> {
        out(candle_nn::ops::leaky_relu(&x, slope).map_err(Into::into))
    });
    engine.register_fn("softmax", |x: &mut Tensor, d: INT| {
        out(super::dim(x, d).and_then(|d| Ok(candle_nn::ops::softmax(x, d)?)))
    });
    engine.register_fn("log_softmax", |x: &mut Tensor, d: INT| {
        out(super::dim(x, d).and_then(|d| Ok(candle_nn::ops::log_softmax(x, d)?)))
    });
}

/// Clamps `x` elementwise to the bounds `low` and `high`, which are numbers or tensors that can be broadcast.
fn clamp(guard: &Guard, x: &Tensor, low: &Dynamic, high: &Dynamic) -> Result<Tensor> {
    if let (Ok(low), Ok(high)) = (number(low), number(high)) {
        return backend::clamp(x, low, high);
    }
    let [x, low, high] = &promoted([x, &tensor_or_number(low, x)?, &tensor_or_number(high, x)?])?;
    broadcast(guard, "clamp", x, low)?;
    broadcast(guard, "clamp", x, high)?;
    backend::minimum(&backend::maximum(x, low)?, high)
}

/// `a` where `condition` is nonzero and `b` elsewhere; both are tensors or numbers.
fn choose(guard: &Guard, condition: &Tensor, a: &Dynamic, b: &Dynamic) -> Result<Tensor> {
    let [a, b] = &promoted([&tensor_or_number(a, condition)?, &tensor_or_number(b, condition)?])?;
    let shape =
        broadcast(guard, "where", condition, &broadcast(guard, "where", a, b).and_then(|s| Ok(a.broadcast_as(s)?))?)?;
    let condition = condition.ne(0.0)?.broadcast_as(&shape)?;
    Ok(condition.where_cond(&a.broadcast_as(&shape)?, &b.broadcast_as(&shape)?)?)
}
