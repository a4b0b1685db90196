//! Sums and products of values of the same shape.

use super::{Form, Op, Site};
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `x₁ + x₂ + …`: skip connections.
#[derive(Debug)]
pub struct Add;

/// `x₁ · x₂ · …`: gates.
#[derive(Debug)]
pub struct Mul;

fn same(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "it reads two values or more, got {}", x.len());
    ensure!(x.iter().all(|s| s == &x[0]), "its inputs must have one shape, got {x:?}");
    Ok(x[0].to_vec())
}

impl Op for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Add
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        x[1..].iter().try_fold(x[0].clone(), |sum, x| Ok((sum + *x)?))
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}

impl Op for Mul {
    fn kind(&self) -> &'static str {
        "mul"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        x[1..].iter().try_fold(x[0].clone(), |product, x| Ok((product * *x)?))
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        (0..at.reads()).filter(|k| *k != i).try_fold(dy.clone(), |product, k| Ok((product * at.x(k)?)?))
    }
}
