//! Softmax over contiguous rows.

use crate::lanes::Lanes;
use crate::packed::SharedPtr;
use crate::real::Real;
use crate::simd::{self, MOST_LANES, Simd, Task};
use crate::thread_team;
use std::ops::Range;

/// Number of elements per task.
const GRAIN: usize = 1 << 13;

/// Computes `yᵢ = eˣⁱ / Σ eˣʲ` for each row of `columns` elements.
///
/// # Panics
/// If the lengths differ or are not a multiple of `columns`.
pub fn softmax(x: &[f32], y: &mut [f32], columns: usize) {
    assert!(
        columns > 0 && x.len() == y.len() && x.len().is_multiple_of(columns),
        "expected rows of {columns} elements"
    );
    let to = SharedPtr(y.as_mut_ptr());
    thread_team::ranges(x.len() / columns, GRAIN / columns + 1, |rows| {
        simd::run(Forward { x, y: to.get(), columns, rows });
    });
}

/// Computes the VJP of [`softmax`], `dx = y (dy − Σ y dy)` in each row, from the probabilities `y`.
///
/// # Panics
/// If the lengths differ or are not a multiple of `columns`.
pub fn softmax_vjp(y: &[f32], dy: &[f32], dx: &mut [f32], columns: usize) {
    let fits = columns > 0 && y.len() == dy.len() && y.len() == dx.len() && y.len().is_multiple_of(columns);
    assert!(fits, "expected rows of {columns} elements");
    let to = SharedPtr(dx.as_mut_ptr());
    thread_team::ranges(y.len() / columns, GRAIN / columns + 1, |rows| {
        simd::run(Backward { y, dy, dx: to.get(), columns, rows });
    });
}

struct Forward<'a> {
    x: &'a [f32],
    y: *mut f32,
    columns: usize,
    rows: Range<usize>,
}

impl Task for Forward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `softmax` checked the lengths, and each row belongs to one task; the last vector of a row is partial.
        unsafe {
            let count = self.columns;
            for row in self.rows {
                let (x, y) = (self.x.as_ptr().add(row * count), self.y.add(row * count));
                let most = S::splat(greatest::<S>(x, count));
                let mut sums = S::splat(0.0);
                let mut i = 0;
                while i < count {
                    let n = (count - i).min(S::LANES);
                    let v = Lanes::<S>(S::sub(S::load_part(x.add(i), n), most)).exp().0;
                    S::store_part(y.add(i), n, v);
                    // Lanes past the end are reloaded as zeros.
                    sums = S::add(sums, if n == S::LANES { v } else { S::load_part(y.add(i), n) });
                    i += S::LANES;
                }
                let scale = S::splat(1.0 / S::sum(sums));
                i = 0;
                while i < count {
                    let n = (count - i).min(S::LANES);
                    S::store_part(y.add(i), n, S::mul(S::load_part(y.add(i), n), scale));
                    i += S::LANES;
                }
            }
        }
    }
}

/// The greatest of `count` elements. NaN is ignored.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `x` must be valid for reads of `count` elements.
#[inline(always)]
unsafe fn greatest<S: Simd>(x: *const f32, count: usize) -> f32 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut all = S::splat(f32::NEG_INFINITY);
        let whole = count / S::LANES * S::LANES;
        let mut i = 0;
        while i < whole {
            all = S::max(S::load(x.add(i)), all);
            i += S::LANES;
        }
        let mut lanes = [f32::NEG_INFINITY; MOST_LANES];
        S::store(lanes.as_mut_ptr(), all);
        let mut most = f32::NEG_INFINITY;
        for lane in &lanes {
            most = most.max(*lane);
        }
        for i in whole..count {
            most = most.max(*x.add(i));
        }
        most
    }
}

struct Backward<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    dx: *mut f32,
    columns: usize,
    rows: Range<usize>,
}

impl Task for Backward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `softmax_vjp` checked the lengths, and each row belongs to one task; the last vector of a row is partial.
        unsafe {
            let count = self.columns;
            for row in self.rows {
                let (y, dy) = (self.y.as_ptr().add(row * count), self.dy.as_ptr().add(row * count));
                let dx = self.dx.add(row * count);
                let mut sums = S::splat(0.0);
                let mut i = 0;
                while i < count {
                    let n = (count - i).min(S::LANES);
                    sums = S::fma(S::load_part(y.add(i), n), S::load_part(dy.add(i), n), sums);
                    i += S::LANES;
                }
                let mean = S::splat(S::sum(sums));
                i = 0;
                while i < count {
                    let n = (count - i).min(S::LANES);
                    let v = S::mul(S::load_part(y.add(i), n), S::sub(S::load_part(dy.add(i), n), mean));
                    S::store_part(dx.add(i), n, v);
                    i += S::LANES;
                }
            }
        }
    }
}
