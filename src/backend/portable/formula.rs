//! Elementwise formulas evaluated with candle's operations.

use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value in a formula: a constant, a tensor, or the error of a failed operation.
#[derive(Clone, Debug)]
pub enum Portable {
    /// A constant.
    Number(f64),
    /// One value per element, or the error of the operation that computes them.
    Tensor(std::result::Result<Tensor, String>),
}

use Portable::Number;

impl Portable {
    /// Evaluates a formula at each element of `x`.
    pub fn run(x: &Tensor, formula: impl FnOnce(Self) -> Self) -> Result<Tensor> {
        match formula(Self::Tensor(Ok(x.clone()))) {
            Number(v) => Ok((x.zeros_like()? + v)?),
            Self::Tensor(y) => y.map_err(anyhow::Error::msg),
        }
    }

    fn map(self, number: impl FnOnce(f64) -> f64, f: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>) -> Self {
        match self {
            Number(v) => Number(number(v)),
            Self::Tensor(x) => Self::Tensor(x.and_then(|x| f(&x).map_err(|e| e.to_string()))),
        }
    }

    /// Converts a constant to a tensor with the shape and dtype of `other`. Tensors are returned unchanged.
    fn like(self, other: &Tensor) -> std::result::Result<Tensor, String> {
        match self {
            Number(v) => other.zeros_like().and_then(|zero| zero + v).map_err(|e| e.to_string()),
            Self::Tensor(x) => x,
        }
    }

    fn zip(
        self,
        other: Self,
        number: impl FnOnce(f64, f64) -> f64,
        f: impl FnOnce(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
    ) -> Self {
        match (self, other) {
            (Number(a), Number(b)) => Number(number(a, b)),
            (Self::Tensor(Err(e)), _) | (_, Self::Tensor(Err(e))) => Self::Tensor(Err(e)),
            (Self::Tensor(Ok(a)), b) => Self::Tensor(b.like(&a).and_then(|b| f(&a, &b).map_err(|e| e.to_string()))),
            (a, Self::Tensor(Ok(b))) => Self::Tensor(a.like(&b).and_then(|a| f(&a, &b).map_err(|e| e.to_string()))),
        }
    }
}

macro_rules! operator {
    ($Trait:ident::$f:ident) => {
        impl $Trait for Portable {
            type Output = Self;

            fn $f(self, other: Self) -> Self {
                self.zip(other, |a, b| a.$f(b), |a, b| a.$f(b))
            }
        }
    };
}

operator!(Add::add);
operator!(Sub::sub);
operator!(Mul::mul);
operator!(Div::div);

impl Neg for Portable {
    type Output = Self;

    fn neg(self) -> Self {
        self.map(|v| -v, Tensor::neg)
    }
}

impl Real for Portable {
    fn of(v: f64) -> Self {
        Number(v)
    }

    fn exp(self) -> Self {
        self.map(f64::exp, Tensor::exp)
    }

    fn ln_1p(self) -> Self {
        self.map(f64::ln_1p, |x| (x + 1.0)?.log())
    }

    fn tanh(self) -> Self {
        self.map(f64::tanh, Tensor::tanh)
    }

    fn erf(self) -> Self {
        self.map(Real::erf, Tensor::erf)
    }

    fn at_least(self, low: Self) -> Self {
        self.zip(low, Real::at_least, |x, low| x.lt(low)?.where_cond(low, x))
    }

    fn at_most(self, high: Self) -> Self {
        self.zip(high, Real::at_most, |x, high| x.gt(high)?.where_cond(high, x))
    }

    fn choose(self, positive: Self, otherwise: Self) -> Self {
        let mask = match self {
            Number(v) => return if v > 0.0 { positive } else { otherwise },
            Self::Tensor(Err(e)) => return Self::Tensor(Err(e)),
            Self::Tensor(Ok(mask)) => mask,
        };
        let both = positive.like(&mask).and_then(|a| otherwise.like(&mask).map(|b| (a, b)));
        let chosen = |(a, b): (Tensor, Tensor)| mask.gt(0.0)?.where_cond(&a, &b);
        Self::Tensor(both.and_then(|both| chosen(both).map_err(|e| e.to_string())))
    }
}
