//! Arithmetic on tensors that several floors need.

use anyhow::Result;
use candle_core::{D, Tensor};

/// `x + ε·sign(x)` with `sign(0) = +1`: a denominator that cannot vanish (Bach et al. 2015).
pub fn stabilize(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let sign = ((x.ge(0.0)?.to_dtype(x.dtype())? * 2.0)? - 1.0)?;
    Ok((x + (sign * epsilon)?)?)
}

/// 1 where `x > 0`, else 0, in the type of `x`.
pub fn positive(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.to_dtype(x.dtype())?)
}

/// `log softmax` over the last dimension, without overflow.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    Ok(x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

/// Shape as people write it: `1x3x224x224`.
pub fn shape_text(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
