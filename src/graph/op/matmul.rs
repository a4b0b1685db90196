//! Batched matrix multiplication of two values.

use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved};
use crate::backend;
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
    relevance: DefaultRule::Bilinear,
    draw: |d| {
        let leading: Vec<_> = (0..d.between(1, 4)).map(|_| d.between(1, 3)).collect();
        let (m, k, p) = (d.between(1, 5), d.between(1, 5), d.between(1, 5));
        Case::new(Matmul, &[&[&leading[..], &[m, k]].concat(), &[&leading[..], &[k, p]].concat()])
    },
};

impl Op for Matmul {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Matmul
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [[a @ .., m, k], [b @ .., l, p]] = x else {
            anyhow::bail!("expects two (N, …, rows, columns) inputs, got {x:?}");
        };
        ensure!(!a.is_empty() && a == b && k == l, "cannot multiply matrices of shape {:?} and {:?}", x[0], x[1]);
        Ok([a, &[*m, *p]].concat())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::batched_matmul(x[0], x[1])
    }

    /// The VJPs of the product `x y`: `dy yᵀ` for `x`, `xᵀ dy` for `y`.
    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let other = at.x(1 - i)?.t()?;
        if i == 0 { backend::batched_matmul(dy, &other) } else { backend::batched_matmul(&other, dy) }
    }
}
