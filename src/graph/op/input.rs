//! Where a picture enters: the input itself, and the normalisation that follows it.

use super::{Form, Op, Site};
use crate::tensor;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// The picture in `[0, 1]`.
#[derive(Debug)]
pub struct Input;

impl Op for Input {
    fn kind(&self) -> &'static str {
        "input"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        anyhow::bail!("the input reads nothing, got {} inputs", x.len())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].clone())
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}

/// `(x − mean) / std` for each channel: what the model was trained on.
#[derive(Debug)]
pub struct Normalize {
    /// One number a channel, in `[0, 1]` pixel units.
    pub mean: Vec<f64>,
    /// One number a channel, in `[0, 1]` pixel units.
    pub std: Vec<f64>,
}

impl Normalize {
    fn per_channel(&self, values: &[f64], like: &Tensor) -> Result<Tensor> {
        tensor::like(values, (1, values.len(), 1, 1), like)
    }
}

impl Op for Normalize {
    fn kind(&self) -> &'static str {
        "normalize"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Affine
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(x.len() == 1 && x[0].len() >= 2, "it reads one (N, C, …) value, got {x:?}");
        ensure!(
            self.mean.len() == x[0][1] && self.std.len() == x[0][1],
            "{} channels need as many means and deviations, got {} and {}",
            x[0][1],
            self.mean.len(),
            self.std.len()
        );
        ensure!(self.std.iter().all(|&s| s > 0.0), "a standard deviation must be positive");
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let x = x[0];
        Ok(x.broadcast_sub(&self.per_channel(&self.mean, x)?)?.broadcast_div(&self.per_channel(&self.std, x)?)?)
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.broadcast_div(&self.per_channel(&self.std, dy)?)?)
    }
}
