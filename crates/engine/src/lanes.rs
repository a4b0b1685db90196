//! Polynomial approximations of elementary functions on vectors.

use crate::real::Real;
use crate::simd::Simd;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// An f32 vector that implements [`Real`]. Errors are at most 2 ulp for `exp`, and 4e-7 for `tanh`, `erf` and `ln_1p`.
pub(crate) struct Lanes<S: Simd>(pub S::V);

impl<S: Simd> Clone for Lanes<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Lanes<S> {}

macro_rules! operator {
    ($Trait:ident::$f:ident) => {
        impl<S: Simd> $Trait for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $f(self, other: Self) -> Self {
                Self(S::$f(self.0, other.0))
            }
        }
    };
}

operator!(Add::add);
operator!(Sub::sub);
operator!(Mul::mul);
operator!(Div::div);

impl<S: Simd> Neg for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self::of(0.0) - self
    }
}

impl<S: Simd> Lanes<S> {
    /// `self · b + c`.
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(S::fma(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(S::round(self.0))
    }

    /// `2ⁿ` for integers `n` from -126 to 127.
    #[inline(always)]
    fn exp2(self) -> Self {
        Self(S::exp2(self.0))
    }

    /// The polynomial `Σ cᵢ xⁱ`, with the coefficient of the highest power first.
    #[inline(always)]
    fn polynomial<const N: usize>(self, coefficients: [f64; N]) -> Self {
        let mut sum = Self::of(coefficients[0]);
        for c in &coefficients[1..] {
            sum = sum.fma(self, Self::of(*c));
        }
        sum
    }
}

impl<S: Simd> Real for Lanes<S> {
    #[inline(always)]
    fn of(v: f64) -> Self {
        // SAFETY: values of `Lanes` exist only within tasks, which run only if the CPU supports the instruction set.
        Self(unsafe { S::splat(v as f32) })
    }

    /// Computes `eˣ` as `2ⁿ · eʳ` with `|r| ≤ ln 2 / 2`, where `eʳ` is computed by its Taylor polynomial.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = self.at_least(Self::of(-104.0)).at_most(Self::of(89.0));
        let n = (x * Self::of(std::f64::consts::LOG2_E)).round();
        // `ln 2` is split into two parts. The first has few enough bits for its product with `n` to be exact.
        let r = n.fma(Self::of(-0.693_359_375), x);
        let r = n.fma(Self::of(2.121_944_4e-4), r);
        let e = r.polynomial([1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]);
        // Multiplies in two steps, since `n` may exceed the exponent range of f32.
        let half = (n * Self::of(0.5)).round();
        e * half.exp2() * (n - half).exp2()
    }

    /// Computes `ln(1 + x)` as `2 artanh(x / (2 + x))`, using the power series.
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let s = self / (Self::of(2.0) + self);
        let q = s * s;
        let series =
            q.polynomial([1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0]);
        Self::of(2.0) * s * series
    }

    /// Computes the hyperbolic tangent with a rational approximation.
    #[inline(always)]
    fn tanh(self) -> Self {
        let x = self.at_least(Self::of(-7.905_311)).at_most(Self::of(7.905_311));
        let q = x * x;
        let above = q.polynomial([
            -2.760_768_5e-16,
            2.000_187_9e-13,
            -8.604_671_5e-11,
            5.122_297e-8,
            1.485_722_4e-5,
            6.372_619_3e-4,
            4.893_524_6e-3,
        ]);
        let below = q.polynomial([1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3]);
        x * above / below
    }

    /// Computes the error function as `1 − t(a₁ + … + a₅ t⁴) e^(−x²)` (Abramowitz & Stegun 7.1.26), or near 0 with its power
    /// series.
    #[inline(always)]
    fn erf(self) -> Self {
        let a = self.abs();
        let t = Self::of(1.0) / (Self::of(1.0) + Self::of(0.327_591_1) * a);
        let tail = t.polynomial([1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592, 0.0]);
        let far = Self::of(1.0) - tail * (-(a * a)).exp();
        let q = self * self;
        let near = self
            * q.polynomial([
                -0.000_854_832_7,
                0.005_223_977_6,
                -0.026_866_170_6,
                0.112_837_916_7,
                -0.376_126_389,
                std::f64::consts::FRAC_2_SQRT_PI,
            ]);
        (a - Self::of(0.5)).choose(self.choose(far, -far), near)
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        // `S::max` returns its second operand if either is NaN.
        Self(S::max(low.0, self.0))
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        // `S::min` returns its second operand if either is NaN.
        Self(S::min(high.0, self.0))
    }

    #[inline(always)]
    fn choose(self, positive: Self, otherwise: Self) -> Self {
        Self(S::choose(self.0, positive.0, otherwise.0))
    }
}
