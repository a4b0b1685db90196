//! Kernels of transformers: softmax, products of matrices, and normalization of rows. In f32 on the CPU, the engine computes them;
//! otherwise, candle does.

use super::device::runs_portably;
use super::storage::{tensor, with};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{D, DType, Storage, Tensor};
use gradscope_engine::{self as engine, View};

/// Whether the engine supports all these tensors.
fn fits(all: &[&Tensor]) -> bool {
    all.iter().all(|t| t.dtype() == DType::F32 && !runs_portably(t) && t.elem_count() > 0)
}

/// `pᵢ = eˣⁱ / Σ eˣʲ` along dimension `dim`; PyTorch's `softmax`.
pub fn softmax(x: &Tensor, dim: usize) -> Result<Tensor> {
    if !fits(&[x]) || dim + 1 != x.rank() {
        return Ok(candle_nn::ops::softmax(x, dim)?);
    }
    let mut y = vec![0f32; x.elem_count()];
    with::<f32, _>(x, |x_| engine::softmax(x_, &mut y, x.dims()[dim]))?;
    tensor(y, x.dims())
}

/// The VJP of [`softmax`], `y (dy − Σ y dy)`, computed from the probabilities `y`.
pub fn softmax_vjp(dy: &Tensor, y: &Tensor, dim: usize) -> Result<Tensor> {
    ensure!(dy.dims() == y.dims(), "shapes {:?} and {:?} differ", dy.dims(), y.dims());
    if !fits(&[dy, y]) || dim + 1 != y.rank() {
        let mean = (y * dy)?.sum_keepdim(dim)?;
        return Ok((y * dy.broadcast_sub(&mean)?)?);
    }
    let mut dx = vec![0f32; y.elem_count()];
    with::<f32, _>(y, |y_| with::<f32, _>(dy, |dy| engine::softmax_vjp(y_, dy, &mut dx, y.dims()[dim])))??;
    tensor(dx, y.dims())
}

/// The product of each matrix of `a` `(…, M, K)` and `b` `(…, K, P)`, which have the same leading dimensions, of any number.
pub fn batched_matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ([lead @ .., m, k], [other @ .., l, p]) = (a.dims(), b.dims()) else {
        bail!("expected matrices, got shapes {:?} and {:?}", a.dims(), b.dims());
    };
    ensure!(lead == other && k == l, "cannot multiply matrices of shape {:?} and {:?}", a.dims(), b.dims());
    let shape = [lead, &[*m, *p]].concat();
    if fits(&[a, b]) {
        let mut y = vec![0f32; shape.iter().product()];
        strided(a, |a| strided(b, |b| engine::matmul(a, b, &mut y, None, engine::Algorithm::Direct)))??;
        return tensor(y, &shape);
    }
    // candle supports at most two leading dimensions.
    let flat = |t: &Tensor, rows: usize, columns: usize| -> Result<Tensor> {
        Ok(t.contiguous()?.reshape((lead.iter().product::<usize>(), rows, columns))?)
    };
    Ok(flat(a, *m, *k)?.matmul(&flat(b, *k, *p)?)?.reshape(shape)?)
}

/// Calls `f` with the elements of a CPU tensor in f32, wherever they are in memory.
fn strided<O>(x: &Tensor, f: impl FnOnce((&[f32], &View)) -> O) -> Result<O> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else { bail!("expected a tensor on the CPU") };
    let all = cpu.as_slice::<f32>()?;
    let view = View { offset: layout.start_offset(), dims: x.dims().to_vec(), strides: layout.stride().to_vec() };
    Ok(f((all, &view)))
}

/// Normalizes rows, the last dimensions of a tensor, to `x̂ = (x − mean) / √(var + ε)` or, if not centered, to `x̂ = x / √(mean(x²) + ε)`.
#[derive(Clone, Copy, Debug)]
pub struct RowNorm {
    /// Number of elements per row.
    pub columns: usize,
    /// Whether the mean is subtracted, as in layer normalization.
    pub centered: bool,
    /// ε, added to the variance or the mean square.
    pub epsilon: f64,
}

impl RowNorm {
    /// The norm as computed by the engine.
    pub fn engine(&self) -> engine::RowNorm {
        engine::RowNorm { columns: self.columns, centered: self.centered, epsilon: self.epsilon as f32 }
    }

    /// `γ x̂ + β`, where `w` is `[γ, β]`, `[γ]` or empty.
    pub fn forward(&self, x: &Tensor, w: &[Tensor]) -> Result<Tensor> {
        if !fits(&[x]) || !fits(&w.iter().collect::<Vec<_>>()) {
            let (y, _) = self.normalized(x)?;
            let y = self.weigh(&y, w)?;
            let y = w.get(1).map_or_else(|| Ok(y.clone()), |beta| y.broadcast_add(&beta.flatten_all()?))?;
            return Ok(y.reshape(x.dims())?);
        }
        let [gamma, beta] = self.parameters(w)?;
        let mut y = vec![0f32; x.elem_count()];
        with::<f32, _>(x, |x| self.engine().forward(x, &mut y, gamma.as_deref(), beta.as_deref()))?;
        tensor(y, x.dims())
    }

    /// The VJP of [`forward`](Self::forward) with respect to `x`. If `detached`, the standard deviation is a constant.
    pub fn vjp(&self, x: &Tensor, w: &[Tensor], dy: &Tensor, detached: bool) -> Result<Tensor> {
        if !fits(&[x, dy]) || !fits(&w.iter().collect::<Vec<_>>()) {
            return self.plain_vjp(x, w, dy, detached);
        }
        let [gamma, _] = self.parameters(w)?;
        let mut dx = vec![0f32; x.elem_count()];
        let mut vjp = |x: &[f32], dy: &[f32]| self.engine().vjp(x, dy, &mut dx, gamma.as_deref(), detached);
        with::<f32, _>(x, |x| with::<f32, _>(dy, |dy| vjp(x, dy)))??;
        tensor(dx, x.dims())
    }

    /// The gradients of γ and β, `Σ dy x̂` and `Σ dy` over all rows, `(columns)` each.
    pub fn vjp_params(&self, x: &Tensor, dy: &Tensor) -> Result<[Tensor; 2]> {
        if fits(&[x, dy]) {
            let sums = with::<f32, _>(x, |x| with::<f32, _>(dy, |dy| self.engine().parameter_vjp(x, dy)))??;
            let [gamma, beta] = sums.map(|sums| tensor(sums, &[self.columns]));
            return Ok([gamma?, beta?]);
        }
        let (y, dy) = (self.normalized(x)?.0, self.rows(dy)?);
        Ok([(&dy * y)?.sum(0)?, dy.sum(0)?])
    }

    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.contiguous()?.reshape(((), self.columns))?)
    }

    fn parameters(&self, w: &[Tensor]) -> Result<[Option<Vec<f32>>; 2]> {
        let numbers = |i: usize| w.get(i).map(|w| w.flatten_all()?.to_vec1()).transpose();
        Ok([numbers(0)?, numbers(1)?])
    }

    /// `γ y` for rows `y`.
    fn weigh(&self, y: &Tensor, w: &[Tensor]) -> Result<Tensor> {
        Ok(w.first().map_or_else(|| Ok(y.clone()), |gamma| y.broadcast_mul(&gamma.flatten_all()?))?)
    }

    /// The normalized rows, and the factor `1 / √…` of each.
    fn normalized(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.rows(x)?;
        let x = if self.centered { x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)? } else { x };
        let inverse = (x.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()?.recip()?;
        Ok((x.broadcast_mul(&inverse)?, inverse))
    }

    /// `(g − mean(g) − x̂ mean(g x̂)) / √…` for `g = γ dy`. The first mean is 0 unless centered, the second if detached.
    fn plain_vjp(&self, x: &Tensor, w: &[Tensor], dy: &Tensor, detached: bool) -> Result<Tensor> {
        let ((y, inverse), g) = (self.normalized(x)?, self.weigh(&self.rows(dy)?, w)?);
        let mut dx = g.clone();
        if self.centered {
            dx = dx.broadcast_sub(&g.mean_keepdim(D::Minus1)?)?;
        }
        if !detached {
            dx = dx.sub(&y.broadcast_mul(&(&g * &y)?.mean_keepdim(D::Minus1)?)?)?;
        }
        dx.broadcast_mul(&inverse)?.reshape(x.dims()).context("the gradient has another shape than the input")
    }
}
