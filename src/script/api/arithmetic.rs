//! Broadcasting operators `+ - * / **` and comparisons, between two tensors or between a tensor and a number on either side.

use super::{Guard, Out, broadcast, out, promoted, scalar};
use crate::backend;
use anyhow::{Context, Result};
use candle_core::Tensor;
use rhai::{Engine, FLOAT, INT};
use std::sync::Arc;

pub(super) type Binary = fn(&Tensor, &Tensor) -> Result<Tensor>;

/// All binary operators and the functions that compute them. Comparisons return 1 or 0 in the dtype of the left operand.
pub(super) const OPERATORS: [(&str, Binary); 11] = [
    ("+", backend::add),
    ("-", backend::sub),
    ("*", backend::mul),
    ("/", backend::div),
    ("**", |a, b| Ok(a.broadcast_pow(b)?)),
    ("==", |a, b| Ok(a.broadcast_eq(b)?.to_dtype(a.dtype())?)),
    ("!=", |a, b| Ok(a.broadcast_ne(b)?.to_dtype(a.dtype())?)),
    ("<", |a, b| Ok(a.broadcast_lt(b)?.to_dtype(a.dtype())?)),
    ("<=", |a, b| Ok(a.broadcast_le(b)?.to_dtype(a.dtype())?)),
    (">", |a, b| Ok(a.broadcast_gt(b)?.to_dtype(a.dtype())?)),
    (">=", |a, b| Ok(a.broadcast_ge(b)?.to_dtype(a.dtype())?)),
];

/// The elementwise functions `maximum` and `minimum` of two tensors, or of a tensor and a number.
pub(super) const BOUNDS: [(&str, Binary); 2] = [("maximum", backend::maximum), ("minimum", backend::minimum)];

/// The function `divide_no_nan`, which returns `a / b`, or 0 where `b` is 0. It is meant for divisors that can be zero, such as norms,
/// standard deviations and maxima.
pub(super) const RATIO: (&str, Binary) = ("divide_no_nan", backend::divide_no_nan);

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_fn(RATIO.0, |a: FLOAT, b: FLOAT| if b == 0.0 { a * 0.0 } else { a / b });
    for (name, f) in OPERATORS.into_iter().chain([RATIO]) {
        let g = guard.clone();
        engine.register_fn(name, move |a: Tensor, b: Tensor| -> Out<Tensor> { out(binary(&g, name, f, &a, &b)) });
        engine.register_fn(name, move |a: Tensor, b: FLOAT| out(right(name, f, &a, b)));
        engine.register_fn(name, move |a: Tensor, b: INT| out(right(name, f, &a, b as FLOAT)));
        engine.register_fn(name, move |a: FLOAT, b: Tensor| out(left(f, a, &b)));
        engine.register_fn(name, move |a: INT, b: Tensor| out(left(f, a as FLOAT, &b)));
    }
    for (name, f) in BOUNDS {
        let g = guard.clone();
        engine.register_fn(name, move |a: Tensor, b: Tensor| -> Out<Tensor> { out(binary(&g, name, f, &a, &b)) });
        engine.register_fn(name, move |a: Tensor, b: FLOAT| out(right(name, f, &a, b)));
        engine.register_fn(name, move |a: Tensor, b: INT| out(right(name, f, &a, b as FLOAT)));
    }
    engine.register_fn("-", |a: Tensor| -> Out<Tensor> { out(a.neg().map_err(Into::into)) });
    engine.register_fn("+", |a: Tensor| a);
}

/// Computes `a ∘ b` for the operator `name`, after reserving memory for the result. Errors if the shapes cannot be broadcast
/// or the result would exceed the memory limit.
pub(super) fn binary(guard: &Guard, name: &str, f: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let [a, b] = &promoted([a, b])?;
    broadcast(guard, name, a, b)?;
    f(a, b).with_context(|| format!("{:?} {name} {:?}", a.dims(), b.dims()))
}

/// Computes `a ∘ b` for the operator `name` and a number `b`, if possible without creating a tensor for `b`.
fn right(name: &str, f: Binary, a: &Tensor, b: f64) -> Result<Tensor> {
    Ok(match name {
        "+" => backend::affine(a, 1.0, b)?,
        "-" => backend::affine(a, 1.0, -b)?,
        "*" => backend::affine(a, b, 0.0)?,
        "**" if b == 2.0 => backend::square(a)?,
        "**" => a.powf(b)?,
        _ => f(a, &scalar(b, a)?)?,
    })
}

fn left(f: Binary, a: f64, b: &Tensor) -> Result<Tensor> {
    f(&scalar(a, b)?, b)
}
