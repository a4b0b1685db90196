//! Layer normalization and RMS normalization of contiguous rows.

use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use std::ops::Range;

/// Number of elements per task.
const GRAIN: usize = 1 << 14;
/// Number of partial sums of parameter gradients, independent of the number of cores.
const PARTS: usize = 16;

/// Normalizes each row to `x̂ = (x − mean) / √(var + ε)` or, if not centered, to `x̂ = x / √(mean(x²) + ε)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowNorm {
    /// Number of elements per row.
    pub columns: usize,
    /// Whether the mean is subtracted, as in layer normalization.
    pub centered: bool,
    /// ε, added to the variance or the mean square.
    pub epsilon: f32,
}

impl RowNorm {
    /// Computes `y = γ x̂ + β`; a missing γ is 1, a missing β is 0.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn forward(&self, x: &[f32], y: &mut [f32], gamma: Option<&[f32]>, beta: Option<&[f32]>) {
        self.check(&[x.len(), y.len()], &[gamma, beta]);
        let to = SharedPtr(y.as_mut_ptr());
        self.ranges(x.len(), |rows| simd::run(Forward { norm: *self, x, y: to.get(), gamma, beta, rows }));
    }

    /// Computes the VJP of [`forward`](Self::forward) with respect to `x`. If `detached`, the standard deviation is a constant.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn vjp(&self, x: &[f32], dy: &[f32], dx: &mut [f32], gamma: Option<&[f32]>, detached: bool) {
        self.check(&[x.len(), dy.len(), dx.len()], &[gamma]);
        let to = SharedPtr(dx.as_mut_ptr());
        self.ranges(x.len(), |rows| simd::run(Backward { norm: *self, x, dy, dx: to.get(), gamma, detached, rows }));
    }

    /// The gradients of γ and β, `Σ dy x̂` and `Σ dy` over all rows. They do not depend on the number of cores.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn parameter_vjp(&self, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
        self.check(&[x.len(), dy.len()], &[]);
        let (c, rows) = (self.columns, x.len() / self.columns);
        let mut all = vec![0f32; 2 * PARTS * c];
        let to = SharedPtr(all.as_mut_ptr());
        thread_team::run(PARTS, |part| {
            let rows = thread_team::part(rows, part, PARTS);
            simd::run(Parameters { norm: *self, x, dy, to: to.get().wrapping_add(2 * part * c), rows });
        });
        let sum = |k: usize| (0..c).map(|i| (0..PARTS).map(|part| all[(2 * part + k) * c + i]).sum()).collect();
        [sum(0), sum(1)]
    }

    fn check(&self, lengths: &[usize], parameters: &[Option<&[f32]>]) {
        let c = self.columns;
        let fits = c > 0 && lengths.iter().all(|len| *len == lengths[0]) && lengths[0].is_multiple_of(c);
        assert!(fits, "slices of {lengths:?} elements are not rows of {c} elements");
        assert!(parameters.iter().flatten().all(|p| p.len() == c), "expected {c} elements per parameter");
    }

    fn ranges(&self, len: usize, f: impl Fn(Range<usize>) + Sync) {
        thread_team::ranges(len / self.columns, GRAIN / self.columns + 1, f);
    }

    /// The row at `x`, with its mean and standard deviation.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, and `x` must be valid for reads of a row.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, x: *const f32) -> Row<S> {
        // SAFETY: guaranteed by the caller; lanes past the end do not contribute.
        unsafe {
            let (c, count) = (self.columns, self.columns as f32);
            let (whole, mut sum, mut i) = (c / S::LANES * S::LANES, S::splat(0.0), 0);
            while self.centered && i < c {
                sum = S::add(sum, S::load_part(x.add(i), c - i));
                i += S::LANES;
            }
            let mean = S::sum(sum) / count;
            let (shift, mut squares, mut i) = (S::splat(mean), S::splat(0.0), 0);
            while i < whole {
                let v = S::sub(S::load(x.add(i)), shift);
                squares = S::fma(v, v, squares);
                i += S::LANES;
            }
            let mut squares = S::sum(squares);
            while i < c {
                squares += (*x.add(i) - mean) * (*x.add(i) - mean);
                i += 1;
            }
            let inverse = 1.0 / (squares / count + self.epsilon).sqrt();
            Row { x, mean: S::splat(mean), inverse: S::splat(inverse) }
        }
    }
}

/// A row, the mean that is subtracted from it, and the factor by which it is scaled.
#[derive(Clone, Copy)]
struct Row<S: Simd> {
    x: *const f32,
    mean: S::V,
    inverse: S::V,
}

impl<S: Simd> Row<S> {
    /// `n` lanes of the normalized row, `x̂`, at `i`.
    ///
    /// # Safety
    /// The row must have `i + n` elements.
    #[inline(always)]
    unsafe fn normalized(&self, i: usize, n: usize) -> S::V {
        // SAFETY: guaranteed by the caller; the mean exists, so the CPU supports the instruction set.
        unsafe { S::mul(S::sub(S::load_part(self.x.add(i), n), self.mean), self.inverse) }
    }
}

/// `n` lanes of a parameter at `i`, or `otherwise` if it is missing.
///
/// # Safety
/// The CPU must support the instruction set `S`, and the parameter must have `i + n` elements.
#[inline(always)]
unsafe fn parameter<S: Simd>(parameter: Option<&[f32]>, i: usize, n: usize, otherwise: f32) -> S::V {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match parameter {
            Some(parameter) => S::load_part(parameter.as_ptr().add(i), n),
            None => S::splat(otherwise),
        }
    }
}

struct Forward<'a> {
    norm: RowNorm,
    x: &'a [f32],
    y: *mut f32,
    gamma: Option<&'a [f32]>,
    beta: Option<&'a [f32]>,
    rows: Range<usize>,
}

impl Task for Forward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `forward` checked the lengths, and each row belongs to one task; the last vector of a row is partial.
        unsafe {
            let c = self.norm.columns;
            for row in self.rows {
                let (x, y) = (self.norm.row::<S>(self.x.as_ptr().add(row * c)), self.y.add(row * c));
                let mut i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let v = S::fma(
                        x.normalized(i, n),
                        parameter::<S>(self.gamma, i, n, 1.0),
                        parameter::<S>(self.beta, i, n, 0.0),
                    );
                    S::store_part(y.add(i), n, v);
                    i += S::LANES;
                }
            }
        }
    }
}

struct Backward<'a> {
    norm: RowNorm,
    x: &'a [f32],
    dy: &'a [f32],
    dx: *mut f32,
    gamma: Option<&'a [f32]>,
    detached: bool,
    rows: Range<usize>,
}

impl Task for Backward<'_> {
    type Out = ();

    /// With `g = γ dy`, computes `(g − mean(g) − x̂ mean(g x̂)) / √(var + ε)`. The first mean is 0 unless centered, the second if detached.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `vjp` checked the lengths, and each row belongs to one task; lanes of `dy` past the end are 0, so that they do not
        // contribute to the means.
        unsafe {
            let c = self.norm.columns;
            for row in self.rows {
                let (x, dy) = (self.norm.row::<S>(self.x.as_ptr().add(row * c)), self.dy.as_ptr().add(row * c));
                let dx = self.dx.add(row * c);
                let (mut sums, mut products) = (S::splat(0.0), S::splat(0.0));
                let mut i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let g = S::mul(S::load_part(dy.add(i), n), parameter::<S>(self.gamma, i, n, 1.0));
                    sums = S::add(sums, g);
                    products = S::fma(g, x.normalized(i, n), products);
                    i += S::LANES;
                }
                let sum = if self.norm.centered { S::sum(sums) / c as f32 } else { 0.0 };
                let product = if self.detached { 0.0 } else { S::sum(products) / c as f32 };
                let (sum, product) = (S::splat(sum), S::splat(product));
                i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let g = S::mul(S::load_part(dy.add(i), n), parameter::<S>(self.gamma, i, n, 1.0));
                    let v = S::sub(S::sub(g, sum), S::mul(x.normalized(i, n), product));
                    S::store_part(dx.add(i), n, S::mul(v, x.inverse));
                    i += S::LANES;
                }
            }
        }
    }
}

/// A task that adds `dy x̂` and `dy` of some rows to the two rows at `to`.
struct Parameters<'a> {
    norm: RowNorm,
    x: &'a [f32],
    dy: &'a [f32],
    to: *mut f32,
    rows: Range<usize>,
}

impl Task for Parameters<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `parameter_vjp` checked the lengths, and each pair of rows of sums belongs to one task.
        unsafe {
            let c = self.norm.columns;
            for row in self.rows {
                let (x, dy) = (self.norm.row::<S>(self.x.as_ptr().add(row * c)), self.dy.as_ptr().add(row * c));
                let mut i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let dy = S::load_part(dy.add(i), n);
                    let (gamma, beta) = (self.to.add(i), self.to.add(c + i));
                    S::store_part(gamma, n, S::fma(dy, x.normalized(i, n), S::load_part(gamma, n)));
                    S::store_part(beta, n, S::add(dy, S::load_part(beta, n)));
                    i += S::LANES;
                }
            }
        }
    }
}
