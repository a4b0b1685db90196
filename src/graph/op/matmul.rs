//! Batched matrix multiplication of two values.

use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// The matrix product of `(…, M, K)` and `(…, K, P)`, batched over the leading dimensions; PyTorch's `matmul`.
#[derive(Debug)]
pub struct Matmul;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "matmul",
    family: Family::Elementwise,
    torch: "x @ y",
    note: "over the last two dimensions",
    onnx: &["MatMul"],
    aten: &["matmul.default", "bmm.default"],
    aliases: &["bmm"],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Matmul)),
    from_shapes: None,
    relevance: DefaultRule::Gradient,
    draw: |d| {
        let (n, heads) = (d.between(1, 3), d.between(1, 3));
        let (m, k, p) = (d.between(1, 5), d.between(1, 5), d.between(1, 5));
        match d.coin() {
            true => Case::new(Matmul, &[&[n, m, k], &[n, k, p]]),
            false => Case::new(Matmul, &[&[n, heads, m, k], &[n, heads, k, p]]),
        }
    },
};

impl Op for Matmul {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [[a @ .., m, k], [b @ .., l, p]] = x else {
            anyhow::bail!("expects two (N, …, rows, columns) inputs, got {x:?}");
        };
        ensure!(!a.is_empty() && a == b && k == l, "cannot multiply matrices of shape {:?} and {:?}", x[0], x[1]);
        Ok([a, &[*m, *p]].concat())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].contiguous()?.matmul(&x[1].contiguous()?)?)
    }

    /// The VJPs of the product `x y`: `dy yᵀ` for `x`, `xᵀ dy` for `y`.
    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let (dy, other) = (dy.contiguous()?, at.x(1 - i)?.t()?.contiguous()?);
        Ok(if i == 0 { dy.matmul(&other)? } else { other.matmul(&dy)? })
    }
}
