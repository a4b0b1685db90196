//! Activation functions that act on each number alone.

use super::{Form, Op, Site};
use crate::kernel;
use anyhow::Result;
use candle_core::Tensor;

/// `max(0, x)`, with derivative 0 at 0 as in PyTorch.
#[derive(Debug)]
pub struct Relu;

impl Op for Relu {
    fn kind(&self) -> &'static str {
        "relu"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Relu
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        kernel::relu(x[0])
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        kernel::relu_vjp(dy, at.sign()?)
    }
}

/// `x` where positive, else `slope · x`.
#[derive(Debug)]
pub struct LeakyRelu {
    /// Factor for negative numbers.
    pub slope: f64,
}

impl Op for LeakyRelu {
    fn kind(&self) -> &'static str {
        "leaky_relu"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::leaky_relu(x[0], self.slope)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let factor = ((crate::tensor::positive(at.x(0)?)? * (1.0 - self.slope))? + self.slope)?;
        Ok((dy * factor)?)
    }
}

/// The sine: the activation of networks of waves (Sitzmann et al. 2020, arXiv:2006.09661).
#[derive(Debug)]
pub struct Sin;

impl Op for Sin {
    fn kind(&self) -> &'static str {
        "sin"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].sin()?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy * at.x(0)?.cos()?)?)
    }
}

/// `1 / (1 + e⁻ˣ)`.
#[derive(Debug)]
pub struct Sigmoid;

impl Op for Sigmoid {
    fn kind(&self) -> &'static str {
        "sigmoid"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::sigmoid(x[0])?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let slope = (at.y()? * (1.0 - at.y()?)?)?;
        Ok((dy * slope)?)
    }
}

/// Hyperbolic tangent.
#[derive(Debug)]
pub struct Tanh;

impl Op for Tanh {
    fn kind(&self) -> &'static str {
        "tanh"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].tanh()?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy * (1.0 - at.y()?.sqr()?)?)?)
    }
}
