//! Products of matrices that lie anywhere in memory, such as the queries and keys of each head.

use crate::activation::{Activation, Region};
use crate::buffer::Scratch;
use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::size::product;
use crate::thread_team;
use crate::tile::{Prefetch, multiply, with_rows};
use crate::transpose::transpose;
use crate::view::View;
use std::ops::Range;

/// Maximum number of rows per task.
const ROWS: usize = 192;

/// Computes `y = f(a b)` for each matrix of `a` `(…, M, K)` and `b` `(…, K, P)`; `y` is `(…, M, P)`, contiguous.
///
/// # Panics
/// If the shapes do not match, or a view exceeds its slice.
pub fn matmul((a, at): (&[f32], &View), (b, bt): (&[f32], &View), y: &mut [f32], activation: Option<Activation>) {
    let ([lead @ .., m, k], [other @ .., l, p]) = (&at.dims[..], &bt.dims[..]) else {
        panic!("expected matrices, got {at:?} and {bt:?}")
    };
    let (m, k, p) = (*m, *k, *p);
    assert!(lead == other && k == *l, "cannot multiply {at:?} and {bt:?}");
    let count: usize = lead.iter().product();
    assert!(at.extent() <= a.len() && bt.extent() <= b.len(), "{at:?} or {bt:?} exceeds its slice");
    assert!(y.len() == product([count, m, p]), "a slice of {} elements does not match {at:?} and {bt:?}", y.len());
    if y.is_empty() {
        return;
    }
    let blocks = m.div_ceil(ROWS).max(if count < 2 * thread_team::size() { 2.min(m) } else { 1 });
    let to = SharedPtr(y.as_mut_ptr());
    let work = product([count, m, p]).saturating_mul(k);
    thread_team::run_some(if work < 1 << 15 { 1 } else { thread_team::size() }, count * blocks, |i| {
        let (matrix, block) = (i / blocks, i % blocks);
        simd::run(Product {
            a: Matrix::of(a, at, matrix),
            b: Matrix::of(b, bt, matrix),
            y: to.get().wrapping_add(matrix * m * p),
            sizes: (k, p),
            rows: thread_team::part(m, block, blocks),
            activation,
        });
    });
}

/// A matrix in memory, with its row and column strides.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// Matrix `i` of a view of several.
    fn of(numbers: &'a [f32], view: &View, i: usize) -> Self {
        let rank = view.dims.len();
        let at = view.block(rank - 2, i);
        // An empty matrix may start past the end of the slice.
        Self {
            numbers: numbers.get(at..).unwrap_or_default(),
            rows: view.strides[rank - 2],
            columns: view.strides[rank - 1],
        }
    }
}

/// A task that computes some rows of one product.
struct Product<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    y: *mut f32,
    /// Number of terms of each sum, and number of columns.
    sizes: (usize, usize),
    rows: Range<usize>,
    activation: Option<Activation>,
}

impl Task for Product<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `matmul` checked that the matrices and the output are in bounds, and each row belongs to one task. The scratch memory
        // has room for all panels.
        unsafe {
            let (k, p) = self.sizes;
            let mut scratch = Scratch::new(k * p.next_multiple_of(S::LANES));
            let mut panel = scratch.at();
            for first in (0..p).step_by(2 * S::LANES) {
                let width = if p - first > S::LANES { 2 * S::LANES } else { S::LANES };
                self.pack::<S>(panel, (first, (p - first).min(width)), width);
                let limit = if width > S::LANES { S::ROWS } else { 12 };
                let tiles = self.rows.len().div_ceil(limit);
                for t in 0..tiles {
                    let rows = thread_team::part(self.rows.len(), t, tiles);
                    let row = self.rows.start + rows.start;
                    if width > S::LANES {
                        with_rows!(rows.len(), S, S::ROWS, tile::<2>(&self, row, first, panel));
                    } else {
                        with_rows!(rows.len(), S, 12, tile::<1>(&self, row, first, panel));
                    }
                }
                panel = panel.add(k * width);
            }
            if let Some(activation) = &self.activation {
                let value = (self.y.add(self.rows.start * p), p);
                let region = Region { value, saved: (std::ptr::null(), 0), rows: self.rows.len(), columns: p };
                activation.on_region::<S>(region, false);
            }
        }
    }
}

impl Product<'_> {
    /// Copies `count` columns of `b`, starting at `first`, to a panel of `width` columns, padded with zeros.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. The panel must be valid for writes of `width` columns for each row of `b`, and the columns must be in bounds of `b`.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, panel: *mut f32, (first, count): (usize, usize), width: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let (k, b) = (self.sizes.0, self.b.numbers.as_ptr().wrapping_add(first * self.b.columns));
            if count < width {
                for row in 0..k {
                    std::ptr::write_bytes(panel.add(row * width + count), 0, width - count);
                }
            }
            if self.b.columns == 1 {
                for row in 0..k {
                    std::ptr::copy_nonoverlapping(b.wrapping_add(row * self.b.rows), panel.add(row * width), count);
                }
            } else if self.b.rows == 1 {
                transpose::<S>((b, self.b.columns), (panel, width), (count, k));
            } else {
                for (row, column) in (0..k).flat_map(|row| (0..count).map(move |column| (row, column))) {
                    *panel.add(row * width + column) = *b.wrapping_add(row * self.b.rows + column * self.b.columns);
                }
            }
        }
    }
}

/// Computes `M` rows of one panel of the product, which starts at column `first`.
///
/// # Safety
/// The CPU must support the instruction set `S`. Rows `row..row + M` must be in bounds of `a` and of the output, no other thread may access
/// these rows of the output, and `panel` must hold `V` vectors of columns for each row of `b`.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(product: &Product, row: usize, first: usize, panel: *mut f32) {
    // SAFETY: guaranteed by the caller; the last vector of a row is stored partially.
    unsafe {
        let (k, p) = product.sizes;
        let a = product.a.numbers.as_ptr().wrapping_add(row * product.a.rows);
        let panel = panel.cast_const();
        let prefetch = Prefetch(panel, 0);
        let sums = multiply::<S, M, V>(k, (a, product.a.rows, product.a.columns), (panel, V * S::LANES), prefetch);
        for m in 0..M {
            for j in 0..V {
                let column = first + j * S::LANES;
                S::store_part(product.y.add((row + m) * p + column), p - column, sums[m][j]);
            }
        }
    }
}
