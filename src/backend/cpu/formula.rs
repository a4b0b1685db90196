//! Elementwise formulas: vectorized in f32, scalar in f64.

use crate::backend::storage::{read, tensor, unsupported, with};
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::{Activation, Pointwise};
use rayon::prelude::*;

/// Number of elements per task.
const GRAIN: usize = 4 * 1024;

/// Applies the formula `P` with `parameters` to each element of `x`; `activation` is the engine's version of the
/// same formula with the same parameters.
pub fn pointwise<P: Pointwise>(x: &Tensor, activation: Activation, parameters: [f64; 2]) -> Result<Tensor> {
    match x.dtype() {
        DType::F32 => {
            let mut y = vec![0f32; x.elem_count()];
            with::<f32, _>(x, |x| activation.value(x, &mut y))?;
            tensor(y, x.dims())
        }
        DType::F64 => {
            let value = |x: &f64| P::value(*x, parameters);
            let y = with::<f64, _>(x, |x| x.par_iter().with_min_len(GRAIN).map(value).collect::<Vec<_>>())?;
            tensor(y, x.dims())
        }
        other => unsupported(other),
    }
}

/// The VJP of [`pointwise`], `f′ · dy`. The derivative `f′` is computed from the value that the formula saves: its input or its
/// output.
pub fn pointwise_vjp<P: Pointwise>(
    dy: &Tensor,
    saved: &Tensor,
    activation: Activation,
    parameters: [f64; 2],
) -> Result<Tensor> {
    match dy.dtype() {
        DType::F32 => {
            let mut dx = vec![0f32; dy.elem_count()];
            read::<f32, _>(dy, |dy| with::<f32, _>(saved, |saved| activation.vjp(saved, dy, &mut dx)))?;
            tensor(dx, dy.dims())
        }
        DType::F64 => {
            let slope = |(saved, dy): (&f64, &f64)| dy * P::slope(*saved, parameters);
            let both = |dy: &[f64], saved: &[f64]| -> Vec<f64> {
                saved.par_iter().zip(dy).with_min_len(GRAIN).map(slope).collect()
            };
            tensor(read::<f64, _>(dy, |dy| with::<f64, _>(saved, |saved| both(dy, saved)))?, dy.dims())
        }
        other => unsupported(other),
    }
}
