//! Probabilities from scores, over dimension 1.

use super::{Op, Site};
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `pᵢ = eˣⁱ / Σ eˣʲ`.
#[derive(Debug)]
pub struct Softmax;

/// `log pᵢ`.
#[derive(Debug)]
pub struct LogSoftmax;

fn classes(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() == 1 && x[0].len() >= 2, "it reads one (N, classes, …) value, got {x:?}");
    Ok(x[0].to_vec())
}

impl Op for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        classes(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::softmax(x[0], 1)?)
    }

    /// `p (dy − Σ p dy)`
    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let mean = (at.y()? * dy)?.sum_keepdim(1)?;
        Ok((at.y()? * dy.broadcast_sub(&mean)?)?)
    }
}

impl Op for LogSoftmax {
    fn kind(&self) -> &'static str {
        "log_softmax"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        classes(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::log_softmax(x[0], 1)?)
    }

    /// `dy − p Σ dy`
    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy - at.y()?.exp()?.broadcast_mul(&dy.sum_keepdim(1)?)?)?)
    }
}
