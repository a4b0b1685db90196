//! The trait over which formulas are generic, implemented for f32, f64 and vectors of f32.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// The operations that formulas may use. All of them propagate NaN.
pub trait Real:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The constant `v`.
    fn of(v: f64) -> Self;
    /// `eˣ`.
    fn exp(self) -> Self;
    /// `ln(1 + x)` for `x` from 0 to 1.
    fn ln_1p(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `max(low, x)`.
    fn at_least(self, low: Self) -> Self;
    /// `min(high, x)`.
    fn at_most(self, high: Self) -> Self;
    /// `positive` if the value is greater than 0, else `otherwise`.
    fn choose(self, positive: Self, otherwise: Self) -> Self;

    // Provided methods are inlined for the same reason as all code of tasks: otherwise, they lack the instruction set.

    /// `|x|`.
    #[inline(always)]
    fn abs(self) -> Self {
        self.clone().at_least(-self)
    }

    /// `1 / (1 + e⁻ˣ)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::of(1.0) / (Self::of(1.0) + (-self).exp())
    }

    /// `x²`.
    #[inline(always)]
    fn square(self) -> Self {
        self.clone() * self
    }
}

macro_rules! real {
    ($t:ident, $erf:path) => {
        impl Real for $t {
            fn of(v: f64) -> Self {
                v as $t
            }

            fn exp(self) -> Self {
                $t::exp(self)
            }

            fn ln_1p(self) -> Self {
                $t::ln_1p(self)
            }

            fn tanh(self) -> Self {
                $t::tanh(self)
            }

            fn erf(self) -> Self {
                $erf(self)
            }

            fn at_least(self, low: Self) -> Self {
                if self < low { low } else { self }
            }

            fn at_most(self, high: Self) -> Self {
                if self > high { high } else { self }
            }

            fn choose(self, positive: Self, otherwise: Self) -> Self {
                if self > 0.0 { positive } else { otherwise }
            }
        }
    };
}

real!(f32, libm::erff);
real!(f64, libm::erf);
