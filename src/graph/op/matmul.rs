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
        match d.between(0, 2) {
            0 => Case::new(Matmul, &[&[n, m, k], &[n, k, p]]),
            1 => Case::new(Matmul, &[&[n, heads, m, k], &[n, heads, k, p]]),
            _ => Case::new(Matmul, &[&[n, 2, heads, m, k], &[n, 2, heads, k, p]]),
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
        Ok(matrices(x[0])?.matmul(&matrices(x[1])?)?.reshape(self.shape(&[x[0].dims(), x[1].dims()])?)?)
    }

    /// The VJPs of the product `x y`: `dy yᵀ` for `x`, `xᵀ dy` for `y`.
    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let (dy, other) = (matrices(dy)?, matrices(&at.x(1 - i)?.t()?)?);
        let product = if i == 0 { dy.matmul(&other)? } else { other.matmul(&dy)? };
        Ok(product.reshape(at.dims(i)?)?)
    }
}

/// Reshapes `(…, M, K)` to `(matrices, M, K)`. candle multiplies values of higher rank only if the strides of all dimensions are in
/// order, even of those with one element.
fn matrices(x: &Tensor) -> Result<Tensor> {
    let [.., m, k] = x.dims() else { anyhow::bail!("expected matrices, got {:?}", x.dims()) };
    Ok(x.contiguous()?.reshape(((), *m, *k))?)
}
