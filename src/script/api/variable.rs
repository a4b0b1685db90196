//! Variables inside an objective, and the differentiable functions of variables.
//!
//! Variables have their own type so that calling a function without a gradient is an error, rather than silently dropping the gradient.
//! Where candle's derivative at a kink differs from PyTorch's, it is corrected here: relu'(0) = 0, abs'(0) = 0, tied maxima share the
//! gradient. Comparisons and `detach()` return constants.

use super::arithmetic::{BOUNDS, Binary, OPERATORS, binary};
use super::{Guard, Out, Variable, dims, number, out, scalar, shape, spatial};
use crate::tensor::{positive, wide};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, FLOAT, INT};
use std::sync::Arc;

type Unary = fn(&Tensor) -> Result<Tensor>;
type Reduce = fn(&Tensor, &[usize]) -> Result<Tensor>;

const FUNCTIONS: [(&str, Unary); 14] = [
    ("abs", |x| Ok((x * (positive(x)? - positive(&x.neg()?)?)?)?)),
    ("neg", |x| Ok(x.neg()?)),
    ("exp", |x| Ok(x.exp()?)),
    ("log", |x| Ok(x.log()?)),
    ("sqrt", |x| Ok(x.sqrt()?)),
    ("square", |x| Ok(x.sqr()?)),
    ("reciprocal", |x| Ok(x.recip()?)),
    ("sin", |x| Ok(x.sin()?)),
    ("cos", |x| Ok(x.cos()?)),
    ("tanh", |x| Ok(x.tanh()?)),
    ("sigmoid", |x| Ok(candle_nn::ops::sigmoid(x)?)),
    ("relu", |x| Ok((x * positive(x)?)?)),
    ("contiguous", |x| Ok(x.contiguous()?)),
    ("t", |x| Ok(x.t()?)),
];

const REDUCTIONS: [(&str, Reduce); 6] = [
    ("sum", |x, d| Ok(x.sum_keepdim(d)?)),
    ("mean", |x, d| Ok(x.mean_keepdim(d)?)),
    ("variance", variance),
    ("std", |x, d| Ok(variance(x, d)?.sqrt()?)),
    ("max", |x, d| extreme(x, d, true)),
    ("min", |x, d| extreme(x, d, false)),
];

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    for (name, f) in OPERATORS {
        match name {
            "+" | "-" | "*" | "/" | "**" => operator(engine, guard, name, f, Variable),
            _ => operator(engine, guard, name, f, |t| t.detach()),
        }
    }
    for (name, f) in BOUNDS {
        operator(engine, guard, name, f, Variable);
    }
    engine.register_fn("-", |x: Variable| of(|x| Ok(x.neg()?), &x));
    for (name, f) in FUNCTIONS {
        engine.register_fn(name, move |x: Variable| of(f, &x));
    }
    for (name, f) in REDUCTIONS {
        engine.register_fn(name, move |x: Variable| reduced(f, &x, &Dynamic::UNIT, false));
        engine.register_fn(name, move |x: Variable, d: Dynamic| reduced(f, &x, &d, false));
        engine.register_fn(name, move |x: Variable, d: Dynamic, keep: bool| reduced(f, &x, &d, keep));
    }
    others(engine);
    shapes(engine, guard);
}

/// Registers an operator between variables, and between a variable and a tensor or a number on either side.
fn operator<T: rhai::Variant + Clone>(
    engine: &mut Engine,
    guard: &Arc<Guard>,
    name: &str,
    f: Binary,
    give: fn(Tensor) -> T,
) {
    let static_name = name.to_string();
    let g = guard.clone();
    let n = static_name.clone();
    engine.register_fn(name, move |a: Variable, b: Variable| out(binary(&g, &n, f, &a.0, &b.0).map(give)));
    let g = guard.clone();
    let n = static_name.clone();
    engine.register_fn(name, move |a: Variable, b: Tensor| out(binary(&g, &n, f, &a.0, &b).map(give)));
    let g = guard.clone();
    let n = static_name.clone();
    engine.register_fn(name, move |a: Tensor, b: Variable| out(binary(&g, &n, f, &a, &b.0).map(give)));
    let n = static_name.clone();
    engine.register_fn(name, move |a: Variable, b: FLOAT| out(with_number(&n, f, &a.0, b).map(give)));
    let n = static_name;
    engine.register_fn(name, move |a: Variable, b: INT| out(with_number(&n, f, &a.0, b as FLOAT).map(give)));
    let turned = move |a: FLOAT, b: &Variable| -> Result<T> { Ok(give(f(&scalar(a, &b.0)?, &b.0)?)) };
    engine.register_fn(name, move |a: FLOAT, b: Variable| out(turned(a, &b)));
    engine.register_fn(name, move |a: INT, b: Variable| out(turned(a as FLOAT, &b)));
}

/// Computes `x ∘ number` for the operator `name`; powers are also defined for negative `x`.
fn with_number(name: &str, f: Binary, x: &Tensor, number: f64) -> Result<Tensor> {
    match name {
        "**" => power(x, number),
        _ => f(x, &scalar(number, x)?),
    }
}

fn power(x: &Tensor, e: f64) -> Result<Tensor> {
    Ok(match e {
        0.0 => (x.broadcast_mul(&scalar(0.0, x)?)? + 1.0)?,
        1.0 => x.clone(),
        2.0 => x.sqr()?,
        e => x.powf(e)?,
    })
}

fn of(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Variable) -> Out<Variable> {
    out(f(&x.0).map(Variable))
}

/// Reduces a variable over the dimensions `d`, or over all dimensions if `d` is `()`.
fn reduced(f: Reduce, x: &Variable, d: &Dynamic, keep: bool) -> Out<Variable> {
    let go = || {
        let x = &x.0;
        ensure!(x.elem_count() > 0, "cannot reduce an empty tensor of shape {:?}", x.dims());
        let d = dims(x, d)?;
        let y = if d.is_empty() { x.clone() } else { f(x, &d)? };
        if keep {
            return Ok(Variable(y));
        }
        let kept = |i: &usize| !d.contains(i);
        let shape: Vec<_> = (0..x.rank()).filter(kept).map(|i| x.dims()[i]).collect();
        Ok(Variable(y.reshape(shape)?))
    };
    out(go())
}

fn variance(x: &Tensor, d: &[usize]) -> Result<Tensor> {
    let count: usize = d.iter().map(|&d| x.dims()[d]).product();
    let centered = x.broadcast_sub(&x.mean_keepdim(d)?)?;
    Ok((centered.sqr()?.sum_keepdim(d)? / (count as f64 - 1.0))?)
}

/// The largest or smallest value along the dimensions `d`, computed as the mean of all tied values so that these share the
/// gradient.
fn extreme(x: &Tensor, d: &[usize], greatest: bool) -> Result<Tensor> {
    let mut best = x.detach();
    for &d in d {
        best = if greatest { best.max_keepdim(d)? } else { best.min_keepdim(d)? };
    }
    let winners = x.detach().broadcast_eq(&best)?.to_dtype(x.dtype())?;
    let share = winners.broadcast_div(&winners.sum_keepdim(d)?)?;
    Ok((x * share)?.sum_keepdim(d)?)
}

/// The norm `(Σ |x|ᵖ)^(1/p)` over all elements; the gradient at `x = 0` is zero, as in PyTorch.
fn norm(x: &Tensor, p: f64) -> Result<Tensor> {
    ensure!(p > 0.0, "a norm in an objective needs p > 0, got {p}");
    let all: Vec<_> = (0..x.rank()).collect();
    let magnitude = (x * (positive(x)? - positive(&x.neg()?)?)?)?;
    if p.is_infinite() {
        return Ok(extreme(&magnitude, &all, true)?.reshape(())?);
    }
    let sum = if p == 2.0 { x.sqr()? } else { power(&magnitude, p)? }.sum_all()?;
    if wide(&sum)?.to_scalar::<f64>()? == 0.0 || p == 1.0 {
        return Ok(sum);
    }
    power(&sum, 1.0 / p)
}

fn others(engine: &mut Engine) {
    engine.register_fn("detach", |x: Variable| x.0.detach());
    engine.register_fn("norm", |x: Variable| of(|x| norm(x, 2.0), &x));
    engine.register_fn("norm", |x: Variable, p: FLOAT| of(|x| norm(x, p), &x));
    engine.register_fn("norm", |x: Variable, p: INT| of(|x| norm(x, p as FLOAT), &x));
    engine.register_fn("norm", |x: Variable, p: &str| {
        of(
            |x| {
                ensure!(p == "inf", "a norm must be a number or \"inf\", got \"{p}\"");
                norm(x, f64::INFINITY)
            },
            &x,
        )
    });
    engine.register_fn("pow", |x: Variable, e: FLOAT| of(|x| power(x, e), &x));
    engine.register_fn("pow", |x: Variable, e: INT| of(|x| power(x, e as FLOAT), &x));
    engine.register_fn("clamp", |x: Variable, low: Dynamic, high: Dynamic| {
        of(|x| clamp(x, number(&low)?, number(&high)?), &x)
    });
    engine.register_fn("leaky_relu", |x: Variable, slope: FLOAT| {
        of(|x| Ok((x * ((positive(x)? * (1.0 - slope))? + slope)?)?), &x)
    });
    engine.register_fn("softmax", |x: Variable, d: INT| of(|x| Ok(candle_nn::ops::softmax(x, super::dim(x, d)?)?), &x));
    engine.register_fn("log_softmax", |x: Variable, d: INT| {
        of(|x| Ok(candle_nn::ops::log_softmax(x, super::dim(x, d)?)?), &x)
    });
    engine.register_fn("where", |c: Tensor, a: Variable, b: Variable| out(choose(&c, &a.0, &b.0)));
    engine.register_fn("where", |c: Tensor, a: Variable, b: Dynamic| {
        out(super::tensor_or_number(&b, &a.0).and_then(|b| choose(&c, &a.0, &b)))
    });
    engine.register_fn("where", |c: Tensor, a: Dynamic, b: Variable| {
        out(super::tensor_or_number(&a, &b.0).and_then(|a| choose(&c, &a, &b.0)))
    });
}

/// Clamps `x` elementwise to `[low, high]`; the gradient is passed through where the value lies within the bounds,
/// inclusive.
fn clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    let inside = (x.ge(low)?.to_dtype(x.dtype())? * x.le(high)?.to_dtype(x.dtype())?)?.detach();
    let bound = (x.detach().clamp(low, high)? * (1.0 - &inside)?)?;
    Ok(((x * inside)? + bound)?)
}

fn choose(condition: &Tensor, a: &Tensor, b: &Tensor) -> Result<Variable> {
    let [a, b] = &super::promoted([a, b])?;
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "where")?;
    let shape = condition.shape().broadcast_shape_binary_op(&shape, "where")?;
    let condition = condition.ne(0.0)?.broadcast_as(&shape)?;
    Ok(Variable(condition.where_cond(&a.broadcast_as(&shape)?, &b.broadcast_as(&shape)?)?))
}

fn shapes(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_get("shape", |x: &mut Variable| -> Array {
        x.0.dims().iter().map(|&n| Dynamic::from(n as INT)).collect()
    });
    engine.register_get("rank", |x: &mut Variable| x.0.rank() as INT);
    engine.register_fn("numel", |x: &mut Variable| x.0.elem_count() as INT);
    engine.register_fn("size", |x: &mut Variable, d: INT| out(super::dim(&x.0, d).map(|d| x.0.dims()[d] as INT)));
    engine.register_fn("to_string", |x: &mut Variable| format!("Variable({})", crate::tensor::shape_text(x.0.dims())));
    for name in ["reshape", "view"] {
        engine.register_fn(name, |x: Variable, to: Array| of(|x| shape::reshape(x, &to), &x));
    }
    engine.register_fn("flatten", |x: Variable| of(|x| Ok(x.flatten_all()?), &x));
    engine.register_fn("flatten", |x: Variable, d: INT| of(|x| Ok(x.flatten_from(super::dim(x, d)?)?), &x));
    engine.register_fn("squeeze", |x: Variable| of(shape::squeeze, &x));
    engine.register_fn("squeeze", |x: Variable, d: INT| of(|x| Ok(x.squeeze(super::dim(x, d)?)?), &x));
    engine.register_fn("unsqueeze", |x: Variable, d: INT| of(|x| shape::unsqueeze(x, d), &x));
    engine.register_fn("permute", |x: Variable, order: Array| of(|x| shape::permute(x, &order), &x));
    engine.register_fn("transpose", |x: Variable, a: INT, b: INT| {
        of(|x| Ok(x.transpose(super::dim(x, a)?, super::dim(x, b)?)?), &x)
    });
    engine.register_fn("narrow", |x: Variable, d: INT, from: INT, n: INT| of(|x| shape::narrow(x, d, from, n), &x));
    engine.register_fn("select", |x: Variable, d: INT, i: INT| of(|x| shape::select(x, d, i), &x));
    engine.register_fn("index_select", |x: Variable, d: INT, indices: Array| {
        of(|x| shape::index_select(x, d, &indices), &x)
    });
    engine.register_indexer_get(|x: &mut Variable, i: INT| of(|x| shape::select(x, 0, i), x));
    engine.register_fn("roll", |x: Variable, by: INT, d: INT| of(|x| spatial::roll(x, by, d), &x));
    engine.register_fn("flip", |x: Variable, d: INT| of(|x| spatial::flip(x, d), &x));
    let g = guard.clone();
    engine.register_fn("pad", move |x: Variable, sides: Array| of(|x| spatial::pad(&g, x, &sides), &x));
    let g = guard.clone();
    engine.register_fn("expand", move |x: Variable, to: Array| of(|x| shape::expand(&g, x, &to), &x));
    let g = guard.clone();
    engine.register_fn("matmul", move |a: Variable, b: Variable| out(shape::matmul(&g, &a.0, &b.0).map(Variable)));
    let g = guard.clone();
    engine.register_fn("matmul", move |a: Variable, b: Tensor| out(shape::matmul(&g, &a.0, &b).map(Variable)));
    let g = guard.clone();
    engine.register_fn("matmul", move |a: Tensor, b: Variable| out(shape::matmul(&g, &a, &b.0).map(Variable)));
}
